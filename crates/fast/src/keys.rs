//! Keys of one direction and epoch, from the session's TLS exporter.
//!
//! The exporter gives one secret per direction; each epoch's keys come from its secret, and the next epoch's secret as well,
//! so that an epoch that is over cannot be computed again (a ratchet with HKDF, RFC 5869).

use std::sync::Arc;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
use wayfare_onion::Suite;
use wayfare_wire::{FastHeader, SLOT};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What the exporter gives per direction.
pub const SECRET_BYTES: usize = 32;
const HEADER_KEY: usize = 32;
const CONTROL_KEY: usize = 16;
const IV: usize = 12;

/// Whether this CPU has AES instructions; without them a fast link would be slower than QUIC's datagrams.
pub fn hardware_aes() -> bool {
    Suite::preferred() == Suite::Aes128Gcm
}

#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret([u8; SECRET_BYTES]);

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(secret: &[u8; SECRET_BYTES], label: &[u8], out: &mut [u8]) {
    let prk = Prk::new_less_safe(HKDF_SHA256, secret);
    let filled = prk.expand(&[label], Bytes(out.len())).and_then(|okm| okm.fill(out));
    filled.expect("far below 255 hashes");
}

impl Secret {
    pub fn new(secret: [u8; SECRET_BYTES]) -> Self {
        Self(secret)
    }

    /// The secret of the epoch after this one.
    pub fn next(&self) -> Self {
        let mut next = Self([0; SECRET_BYTES]);
        expand(&self.0, b"wayfare fast epoch", &mut next.0);
        next
    }
}

/// The keys of one epoch.
pub(crate) struct EpochKeys {
    pub header: Arc<FastHeader>,
    control: LessSafeKey,
    iv: [u8; IV],
}

impl EpochKeys {
    pub fn new(secret: &Secret, epoch: u32) -> Self {
        let mut okm = [0; HEADER_KEY + CONTROL_KEY + IV];
        expand(&secret.0, b"wayfare fast keys", &mut okm);
        let (mut header, mut iv) = ([0; HEADER_KEY], [0; IV]);
        header.copy_from_slice(&okm[..HEADER_KEY]);
        iv.copy_from_slice(&okm[HEADER_KEY + CONTROL_KEY..]);
        let control = UnboundKey::new(&AES_128_GCM, &okm[HEADER_KEY..HEADER_KEY + CONTROL_KEY]);
        let keys = Self {
            header: Arc::new(FastHeader::new(&header, (epoch & 3) as u8)),
            control: LessSafeKey::new(control.expect("AES-128-GCM's own key length")),
            iv,
        };
        okm.zeroize();
        header.zeroize();
        keys
    }

    fn nonce(&self, counter: u64) -> Nonce {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(counter.to_be_bytes()).for_each(|(n, c)| *n ^= c);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Seals the message that stands at `body[SLOT..]`; the tag becomes the first slot. A counter serves once.
    pub fn seal(&self, counter: u64, body: &mut [u8]) {
        let (slot, rest) = body.split_at_mut(SLOT);
        let tag = self.control.seal_in_place_separate_tag(self.nonce(counter), Aad::empty(), rest);
        slot.copy_from_slice(tag.expect("a packet is far below the AEAD's limit").as_ref());
    }

    /// Opens it again; whether it is the neighbour's.
    pub fn open(&self, counter: u64, body: &mut [u8]) -> bool {
        let Some((slot, rest)) = body.split_first_chunk_mut::<SLOT>() else { return false };
        let tag = Tag::from(*slot);
        self.control.open_in_place_separate_tag(self.nonce(counter), Aad::empty(), tag, rest, 0..).is_ok()
    }
}
