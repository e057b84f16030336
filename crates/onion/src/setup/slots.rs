//! The slots of set-up and reply, under keys that client and hop have agreed on: sealed once, opened once.
//!
//! Nothing here knows how the keys came about, and an info is bytes: who wrote it may be anyone.

use wayfare_types::Random;
use wayfare_wire::{REPLY_BYTES, REPLY_SLOT, SETUP_BYTES, SETUP_SLOT};

use super::info::INFO_BYTES;
use super::ladder;
use super::schedule::ENC_BYTES;
use crate::cipher::TAG;

/// A hop's slot in a set-up that is to be sealed.
pub struct Slot<'a> {
    pub enc: &'a [u8; ENC_BYTES],
    pub key: &'a [u8; 32],
    pub info: [u8; INFO_BYTES],
}

/// Client: the set-up as each of the hops receives it, first hop first.
pub fn seal_setup(slots: &[Slot<'_>], rng: &mut dyn Random) -> Vec<Box<[u8; SETUP_BYTES]>> {
    // What the last hop decrypts to: its info, random slots, and what the hops append.
    let filler = ladder::filler(slots.iter().map(|slot| slot.key), INFO_BYTES, SETUP_SLOT);
    let mut plain = vec![0; INFO_BYTES + SETUP_BYTES];
    let free = plain.len() - filler.len();
    rng.fill(&mut plain[INFO_BYTES..free]);
    plain[free..].copy_from_slice(&filler);

    let mut messages = Vec::with_capacity(slots.len());
    for Slot { enc, key, info } in slots.iter().rev() {
        plain[..INFO_BYTES].copy_from_slice(info);
        let tag = ladder::seal(key, &enc[..], &mut plain);
        debug_assert!(plain[SETUP_BYTES - ENC_BYTES - TAG..].iter().all(|&b| b == 0), "the slot the hop appends");
        let mut message = Box::new([0; SETUP_BYTES]);
        message[..ENC_BYTES].copy_from_slice(&enc[..]);
        message[ENC_BYTES..ENC_BYTES + TAG].copy_from_slice(&tag);
        message[ENC_BYTES + TAG..].copy_from_slice(&plain[..SETUP_BYTES - ENC_BYTES - TAG]);
        plain[INFO_BYTES..].copy_from_slice(&message[..]);
        messages.push(message);
    }
    messages.reverse();
    messages
}

/// Hop: its info, and what a relay sends on; `None` when this was not sealed under `key`.
pub fn open_setup(key: &[u8; 32], message: &[u8; SETUP_BYTES]) -> Option<([u8; INFO_BYTES], Box<[u8; SETUP_BYTES]>)> {
    let (enc, rest) = message.split_at(ENC_BYTES);
    let (tag, sealed) = rest.split_first_chunk::<TAG>()?;
    let mut plain = Vec::with_capacity(sealed.len() + SETUP_SLOT);
    plain.extend_from_slice(sealed);
    plain.resize(sealed.len() + SETUP_SLOT, 0);
    if !ladder::open(key, enc, tag, &mut plain) {
        return None;
    }
    let (info, next) = plain.split_first_chunk()?;
    Some((*info, Box::<[u8]>::from(next).try_into().ok()?))
}

/// Hop: the reply that begins with its slot and goes on with as many of `slots` as there is room for.
pub fn seal_reply(key: &[u8; 32], ephemeral: &[u8; 32], slots: &[u8; REPLY_BYTES - REPLY_SLOT]) -> [u8; REPLY_BYTES] {
    let mut out = [0; REPLY_BYTES];
    let (tag, rest) = out.split_at_mut(TAG);
    rest[..32].copy_from_slice(ephemeral);
    rest[32..].copy_from_slice(slots);
    tag.copy_from_slice(&ladder::seal(key, &[], rest));
    out
}

/// Client: every hop's ephemeral key, `keys` being those of the hops, first hop first; `None` when any did not seal its slot.
pub fn open_reply(keys: &[&[u8; 32]], reply: &mut [u8; REPLY_BYTES]) -> Option<Vec<[u8; 32]>> {
    let dropped = ladder::dropped(keys, REPLY_SLOT - TAG, REPLY_SLOT);
    let mut ephemerals = Vec::with_capacity(keys.len());
    for (i, key) in keys.iter().enumerate() {
        let (tag, plain) = reply.split_first_chunk_mut::<TAG>()?;
        if !ladder::open(key, &[], tag, plain) {
            return None;
        }
        ephemerals.push(*plain.first_chunk()?);
        if let Some(dropped) = dropped.get(i) {
            reply.copy_within(REPLY_SLOT.., 0);
            reply[REPLY_BYTES - REPLY_SLOT..].copy_from_slice(dropped);
        }
    }
    Some(ephemerals)
}
