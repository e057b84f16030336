//! The kernels that Rust computes for TypeScript, the same natively and in WASM: `Core` in ts/core/core.ts.

use napi::bindgen_prelude::Uint8Array;
use napi::{Error, Result, Status};
use napi_derive::napi;
use wayfare_onion::OnionSecret;
use wayfare_quic::tls::{self, Identity};
use wayfare_types::{NodeId, Reason};
use zeroize::Zeroizing;

/// An error whose message begins with its code.
pub(crate) fn error(code: &str, text: impl std::fmt::Display) -> Error {
    Error::new(Status::GenericFailure, format!("{code}: {text}"))
}

pub(crate) fn seed(bytes: &[u8], what: &str) -> Result<Zeroizing<[u8; 32]>> {
    let seed =
        bytes.try_into().map_err(|_| error("argument_invalid", format!("{what} has 32 bytes, not {}", bytes.len())))?;
    Ok(Zeroizing::new(seed))
}

fn identity(bytes: &[u8]) -> Result<Identity> {
    Identity::from_seed(&*seed(bytes, "an identity seed")?).map_err(|e| error("argument_invalid", e))
}

/// The version of the native core.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Ed25519 (RFC 8032): the public key of a 32-byte seed.
#[napi]
pub fn identity_public(seed: &[u8]) -> Result<Uint8Array> {
    Ok(identity(seed)?.id().0.to_vec().into())
}

/// Ed25519 (RFC 8032): the signature over a message, 64 bytes.
#[napi]
pub fn sign(seed: &[u8], message: &[u8]) -> Result<Uint8Array> {
    Ok(identity(seed)?.sign(message).to_vec().into())
}

/// Whether a signature is the public key's over the message. What has the wrong length is no signature.
#[napi]
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    public_key.try_into().is_ok_and(|key| tls::verify(&NodeId(key), message, signature))
}

/// X-Wing public key (1216 bytes) of a 32-byte seed.
#[napi]
pub fn onion_public(seed: &[u8]) -> Result<Uint8Array> {
    let secret = OnionSecret::from_seed(*self::seed(seed, "an onion key's seed")?);
    Ok(secret.public().0.to_vec().into())
}

/// What a file of vectors contained.
#[napi(object)]
pub struct VectorSummary {
    pub cases: u32,
    pub suites: Vec<String>,
}

/// Checks a file printed by the packet model byte for byte; throws naming the first difference.
#[napi]
pub fn check_vectors(json: String) -> Result<VectorSummary> {
    let summary = wayfare_onion::vectors::check(&json).map_err(|e| error("check_failed", e))?;
    let file: serde_json::Value = serde_json::from_str(&json).map_err(|e| error("check_failed", e))?;
    let mut suites: Vec<String> =
        file.as_array().into_iter().flatten().filter_map(|v| v["suite"].as_str().map(str::to_owned)).collect();
    suites.sort_unstable();
    suites.dedup();
    Ok(VectorSummary { cases: summary.paths as u32, suites })
}

/// The names of all drop reasons, in the order of their codes.
#[napi]
pub fn reasons() -> Vec<&'static str> {
    Reason::ALL.iter().map(|r| r.name()).collect()
}
