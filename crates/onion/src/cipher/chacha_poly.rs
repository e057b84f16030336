//! ChaCha20-Poly1305 (RFC 8439 section 2.8) on vectors of four, for where there is no assembly: WebAssembly has vectors, but the
//! usual plain Rust does not use them there.

use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use zeroize::Zeroizing;

use super::TAG;
use super::chacha_lanes::{STREAM, stream};

const BLOCK: usize = 64;

pub(crate) struct ChaChaPoly(Zeroizing<[u8; 32]>);

impl ChaChaPoly {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*key))
    }

    pub(crate) fn open(&self, nonce: &[u8; 12], aad: &[u8], tag: &[u8; TAG], data: &mut [u8]) -> bool {
        let first = self.first(nonce);
        let good = mac(&first, aad, data).verify(&(*tag).into()).is_ok();
        if good {
            self.xor(nonce, &first, data);
        }
        good
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        let first = self.first(nonce);
        self.xor(nonce, &first, data);
        mac(&first, aad, data).finalize().into()
    }

    /// Blocks 0 to 3: the authenticator's key, then keystream.
    fn first(&self, nonce: &[u8; 12]) -> Zeroizing<[u8; STREAM]> {
        let mut blocks = Zeroizing::new([0; STREAM]);
        stream(&self.0, nonce, 0, &mut blocks);
        blocks
    }

    fn xor(&self, nonce: &[u8; 12], first: &[u8; STREAM], data: &mut [u8]) {
        let (head, rest) = data.split_at_mut(data.len().min(STREAM - BLOCK));
        xor(head, &first[BLOCK..]);
        let mut blocks = Zeroizing::new([0; STREAM]);
        for (i, part) in rest.chunks_mut(STREAM).enumerate() {
            stream(&self.0, nonce, 4 * (i as u32 + 1), &mut blocks);
            xor(part, &blocks[..]);
        }
    }
}

#[inline(always)]
fn xor(data: &mut [u8], keystream: &[u8]) {
    for (byte, key) in data.iter_mut().zip(keystream) {
        *byte ^= key;
    }
}

/// Over both texts, each padded to a whole block, and their lengths.
fn mac(first: &[u8; STREAM], aad: &[u8], sealed: &[u8]) -> Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&first[..32]);
    let mut mac = Poly1305::new(&(*key).into());
    mac.update_padded(aad);
    mac.update_padded(sealed);
    let mut lengths = [0; 16];
    lengths[..8].copy_from_slice(&(aad.len() as u64).to_le_bytes());
    lengths[8..].copy_from_slice(&(sealed.len() as u64).to_le_bytes());
    mac.update(&[lengths.into()]);
    mac
}
