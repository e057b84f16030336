//! AEAD with a detached tag in place, and the bare keystream under it.
//!
//! The AEAD's implementation is chosen per target: assembly natively, plain Rust in WebAssembly. Nothing else in this
//! crate knows which.

#[cfg_attr(not(any(target_arch = "wasm32", feature = "portable")), path = "native.rs")]
#[cfg_attr(any(target_arch = "wasm32", feature = "portable"), path = "portable.rs")]
mod aead;
mod chacha_lanes;
#[cfg(any(test, target_arch = "wasm32", feature = "portable"))]
mod chacha_poly;
mod keystream;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod portable;
#[cfg(test)]
mod tests;

pub(crate) use aead::Aead;
pub(crate) use keystream::{BATCH, Keystream, chacha20_xor};

/// Bytes of a tag.
pub(crate) const TAG: usize = 16;

/// `iv XOR (0^32 | counter)`.
#[inline]
pub(crate) fn nonce(iv: &[u8; 12], counter: u64) -> [u8; 12] {
    let [a, b, c, d, low @ ..] = *iv;
    let low = (u64::from_be_bytes(low) ^ counter).to_be_bytes();
    let mut out = [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
    out[4..].copy_from_slice(&low);
    out
}
