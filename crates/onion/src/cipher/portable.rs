//! AEAD in plain Rust, for WebAssembly.

use aes_gcm::aead::{AeadInOut, KeyInit, inout::InOutBuf};
use aes_gcm::{Aes128Gcm, Aes256Gcm};

use super::chacha_poly::ChaChaPoly;
use super::{Gcm, TAG};
use crate::Suite;

pub(crate) enum Aead {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(ChaChaPoly),
}

impl Aead {
    pub(crate) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        Self::by(Gcm::Library, suite, key)
    }

    /// There is one for all.
    pub(crate) fn by(_: Gcm, suite: Suite, key: &[u8; 32]) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&key[..16]);
        match suite {
            Suite::Aes128Gcm => Self::Aes128Gcm(Box::new(Aes128Gcm::new(&short.into()))),
            Suite::Aes256Gcm => Self::Aes256Gcm(Box::new(Aes256Gcm::new(&(*key).into()))),
            Suite::ChaCha20Poly1305 => Self::ChaCha20Poly1305(ChaChaPoly::new(key)),
        }
    }

    pub(crate) fn open(&self, nonce: [u8; 12], aad: &[u8], tag: &[u8; TAG], data: &mut [u8]) -> bool {
        match self {
            Self::Aes128Gcm(c) => c.decrypt_inout_detached(&nonce.into(), aad, data.into(), &(*tag).into()).is_ok(),
            Self::Aes256Gcm(c) => c.decrypt_inout_detached(&nonce.into(), aad, data.into(), &(*tag).into()).is_ok(),
            Self::ChaCha20Poly1305(c) => c.open(&nonce, aad, tag, data),
        }
    }

    pub(crate) fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        let sealed = match self {
            Self::Aes128Gcm(c) => c.encrypt_inout_detached(&nonce.into(), aad, InOutBuf::from(data)),
            Self::Aes256Gcm(c) => c.encrypt_inout_detached(&nonce.into(), aad, InOutBuf::from(data)),
            Self::ChaCha20Poly1305(c) => return c.seal(&nonce, aad, data),
        };
        sealed.expect("a packet is far below the AEAD's limit").into()
    }
}
