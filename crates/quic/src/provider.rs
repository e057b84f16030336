//! Where cryptography comes from: aws-lc natively; ring in WebAssembly, where aws-lc does not compile. Both bring the same
//! suites and Ed25519 (RFC 8032), but ring no hybrid key exchange: WebAssembly has no QUIC links of its own, only inner
//! connections, which run inside an onion layer that is hybrid already.

use rustls::crypto::SupportedKxGroup;

#[cfg(not(target_family = "wasm"))]
pub(crate) use aws_lc_rs::signature;
#[cfg(target_family = "wasm")]
pub(crate) use ring::signature;
#[cfg(not(target_family = "wasm"))]
pub(crate) use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
#[cfg(target_family = "wasm")]
pub(crate) use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};

/// What links take: nothing where there is no hybrid group, so that a link's configuration is refused there.
pub(crate) fn hybrid_groups() -> Vec<&'static dyn SupportedKxGroup> {
    #[cfg(not(target_family = "wasm"))]
    return vec![kx_group::X25519MLKEM768];
    #[cfg(target_family = "wasm")]
    return Vec::new();
}

/// What inner connections take.
pub(crate) fn classical_groups() -> Vec<&'static dyn SupportedKxGroup> {
    vec![kx_group::X25519]
}
