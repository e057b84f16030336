//! AEAD in plain Rust, for WebAssembly.

use aes_gcm::aead::{AeadInOut, KeyInit, inout::InOutBuf};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;

use super::TAG;
use crate::Suite;

pub(crate) enum Aead {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
}

macro_rules! each {
    ($self:expr, $cipher:ident => $do:expr) => {
        match $self {
            Aead::Aes128Gcm($cipher) => $do,
            Aead::Aes256Gcm($cipher) => $do,
            Aead::ChaCha20Poly1305($cipher) => $do,
        }
    };
}

impl Aead {
    pub(crate) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&key[..16]);
        match suite {
            Suite::Aes128Gcm => Self::Aes128Gcm(Box::new(Aes128Gcm::new(&short.into()))),
            Suite::Aes256Gcm => Self::Aes256Gcm(Box::new(Aes256Gcm::new(&(*key).into()))),
            Suite::ChaCha20Poly1305 => Self::ChaCha20Poly1305(Box::new(ChaCha20Poly1305::new(&(*key).into()))),
        }
    }

    pub(crate) fn open(&self, nonce: [u8; 12], aad: &[u8], tag: &[u8; TAG], data: &mut [u8]) -> bool {
        each!(self, c => c.decrypt_inout_detached(&nonce.into(), aad, InOutBuf::from(data), &(*tag).into()).is_ok())
    }

    pub(crate) fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        let tag = each!(self, c => c.encrypt_inout_detached(&nonce.into(), aad, InOutBuf::from(data)));
        tag.expect("a packet is far below the AEAD's limit").into()
    }
}
