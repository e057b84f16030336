//! AEAD with a detached tag in place, and the bare keystream under it.
//!
//! The AEAD's implementation is chosen per target: assembly natively, or our own vectors for AES-GCM where the CPU has them; plain Rust in
//! WebAssembly. Nothing else in this crate knows which.

#[cfg_attr(not(any(target_arch = "wasm32", feature = "portable")), path = "native.rs")]
#[cfg_attr(any(target_arch = "wasm32", feature = "portable"), path = "portable.rs")]
mod aead;
mod chacha_lanes;
#[cfg(any(test, target_arch = "wasm32", feature = "portable"))]
mod chacha_poly;
#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
mod gcm_lanes;
mod keystream;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod portable;
#[cfg(test)]
mod tests;

pub(crate) use aead::Aead;
pub(crate) use keystream::{BATCH, Keystream, chacha20_xor};

/// Bytes of a tag.
pub(crate) const TAG: usize = 16;

/// Who does AES-GCM, of those that there are natively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gcm {
    /// Our own, on vectors of four blocks.
    Lanes,
    /// The library, which runs everywhere.
    Library,
}

impl Gcm {
    /// The faster that this CPU can run.
    #[inline]
    pub fn here() -> Self {
        #[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
        if gcm_lanes::available() {
            return Self::Lanes;
        }
        Self::Library
    }
}

/// `iv XOR (0^32 | counter)`.
#[inline]
pub(crate) fn nonce(iv: &[u8; 12], counter: u64) -> [u8; 12] {
    let [a, b, c, d, low @ ..] = *iv;
    let low = (u64::from_be_bytes(low) ^ counter).to_be_bytes();
    let mut out = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
    out[4..].copy_from_slice(&low);
    out
}

/// AES-GCM by itself, by either: for `crates/fuzz` alone.
#[cfg(feature = "fuzz")]
pub mod parts {
    use super::{Aead, TAG};
    use crate::Suite;

    pub use super::Gcm;

    pub fn open(
        gcm: Gcm,
        suite: Suite,
        key: &[u8; 32],
        nonce: [u8; 12],
        aad: &[u8],
        tag: &[u8; TAG],
        data: &mut [u8],
    ) -> bool {
        Aead::by(gcm, suite, key).open(nonce, aad, tag, data)
    }

    pub fn seal(gcm: Gcm, suite: Suite, key: &[u8; 32], nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        Aead::by(gcm, suite, key).seal(nonce, aad, data)
    }
}
