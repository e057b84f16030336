//! AEAD by ring.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

use super::TAG;
use crate::Suite;

pub(crate) struct Aead(LessSafeKey);

impl Aead {
    pub(crate) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        let algorithm = match suite {
            Suite::Aes128Gcm => &AES_128_GCM,
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, &key[..suite.key_bytes()]);
        Self(LessSafeKey::new(key.expect("the suite's own key length")))
    }

    /// Whether `tag` belongs to the ciphertext in `data`, which becomes the plaintext (or noise when not).
    #[inline]
    pub(crate) fn open(&self, nonce: [u8; 12], aad: &[u8], tag: &[u8; TAG], data: &mut [u8]) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place_separate_tag(nonce, Aad::from(aad), Tag::from(*tag), data, 0..).is_ok()
    }

    /// Turns the plaintext in `data` into ciphertext and returns its tag.
    #[inline]
    pub(crate) fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), data);
        let tag = tag.expect("a packet is far below the AEAD's limit");
        let mut out = [0; TAG];
        out.copy_from_slice(tag.as_ref());
        out
    }
}
