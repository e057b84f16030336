//! The ladder of slots, for messages that are sealed once: set-up and reply. Packets have their own, tuned one in `path`.
//!
//! A message is `slots` of equal size; a hop's own part is one slot's worth, of which the tag stays in the clear, and the
//! rest is sealed with all that follows (ChaCha20-Poly1305, nonce 0).

use wayfare_wire::SLOTS;

use crate::Suite;
use crate::cipher::{Aead, TAG, chacha20_xor};

const NONCE: [u8; 12] = [0; 12];

pub(super) fn seal(key: &[u8; 32], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
    Aead::new(Suite::ChaCha20Poly1305, key).seal(NONCE, aad, data)
}

pub(super) fn open(key: &[u8; 32], aad: &[u8], tag: &[u8; TAG], data: &mut [u8]) -> bool {
    Aead::new(Suite::ChaCha20Poly1305, key).open(NONCE, aad, tag, data)
}

/// Forward: the slots at the end of what the last hop will decrypt to, as the hops before it and it itself append them.
/// `head` bytes of every hop's plaintext come before the slots.
pub(super) fn filler<'k>(keys: impl Iterator<Item = &'k [u8; 32]>, head: usize, slot: usize) -> Vec<u8> {
    let mut filler = Vec::with_capacity(SLOTS * slot);
    for (known, key) in keys.enumerate() {
        filler.resize((known + 1) * slot, 0);
        chacha20_xor(key, &NONCE, head + (SLOTS - 1 - known) * slot, &mut filler);
    }
    filler
}

/// Backward: what falls out at each hop but the last, when the last sealed zeros behind `head` bytes of its own.
pub(super) fn dropped(keys: &[&[u8; 32]], head: usize, slot: usize) -> Vec<Vec<u8>> {
    let last = keys.len() - 1;
    let mut out = vec![Vec::new(); last];
    let mut slots = vec![0; last * slot];
    for hop in (1..=last).rev() {
        // The `hop` slots that fall out further on, at the place they have in this hop's plaintext.
        slots.truncate(hop * slot);
        chacha20_xor(keys[hop], &NONCE, head + (SLOTS - 1 - hop) * slot, &mut slots);
        out[hop - 1] = slots[(hop - 1) * slot..].to_vec();
    }
    out
}
