//! AEAD by ring; AES-GCM by our own vectors where the CPU has the instructions.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

#[cfg(target_arch = "x86_64")]
use super::gcm_lanes::{Gcm128, Gcm256};
use super::{Gcm, TAG};
use crate::Suite;

/// No variant is behind a pointer: a relay asks memory for the keys of many circuits ahead (`crates/relay`, `Slot`).
#[allow(clippy::large_enum_variant, reason = "the largest is what every CPU must have room for")]
pub(crate) enum Aead {
    #[cfg(target_arch = "x86_64")]
    Gcm128(Gcm128),
    #[cfg(target_arch = "x86_64")]
    Gcm256(Gcm256),
    Ring(LessSafeKey),
}

impl Aead {
    pub(crate) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        Self::by(Gcm::here(), suite, key)
    }

    /// By our vectors where `gcm` says so and this CPU can.
    pub(crate) fn by(gcm: Gcm, suite: Suite, key: &[u8; 32]) -> Self {
        let key = &key[..suite.key_bytes()];
        #[cfg(target_arch = "x86_64")]
        if gcm == Gcm::Lanes {
            let own = match suite {
                Suite::Aes128Gcm => Gcm128::new(key).map(Self::Gcm128),
                Suite::Aes256Gcm => Gcm256::new(key).map(Self::Gcm256),
                Suite::ChaCha20Poly1305 => None,
            };
            if let Some(own) = own {
                return own;
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = gcm;
        let algorithm = match suite {
            Suite::Aes128Gcm => &AES_128_GCM,
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key);
        Self::Ring(LessSafeKey::new(key.expect("the suite's own key length")))
    }

    /// Whether `tag` belongs to the ciphertext in `data`, which becomes the plaintext (or what nobody may read when not).
    #[inline]
    pub(crate) fn open(&self, nonce: [u8; 12], aad: &[u8], tag: &[u8; TAG], data: &mut [u8]) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Gcm128(key) => key.open(&nonce, aad, tag, data),
            #[cfg(target_arch = "x86_64")]
            Self::Gcm256(key) => key.open(&nonce, aad, tag, data),
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place_separate_tag(nonce, Aad::from(aad), Tag::from(*tag), data, 0..).is_ok()
            }
        }
    }

    /// Turns the plaintext in `data` into ciphertext and returns its tag.
    #[inline]
    pub(crate) fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Gcm128(key) => key.seal(&nonce, aad, data),
            #[cfg(target_arch = "x86_64")]
            Self::Gcm256(key) => key.seal(&nonce, aad, data),
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), data);
                let tag = tag.expect("a packet is far below the AEAD's limit");
                let mut out = [0; TAG];
                out.copy_from_slice(tag.as_ref());
                out
            }
        }
    }
}
