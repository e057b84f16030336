//! The kernels that Rust computes for TypeScript, the same natively and in WASM: `Core` in ts/core/core.ts.

use wasm_bindgen::prelude::*;
use wayfare_onion::OnionSecret;
use wayfare_quic::tls::{self, Identity};
use wayfare_types::{NodeId, Reason};
use zeroize::Zeroizing;

use crate::error;

fn seed(bytes: &[u8], what: &str) -> Result<Zeroizing<[u8; 32]>, JsError> {
    let seed =
        bytes.try_into().map_err(|_| error("argument_invalid", format!("{what} has 32 bytes, not {}", bytes.len())))?;
    Ok(Zeroizing::new(seed))
}

fn identity(bytes: &[u8]) -> Result<Identity, JsError> {
    Identity::from_seed(&*seed(bytes, "an identity seed")?).map_err(|e| error("argument_invalid", e))
}

/// The version of the core.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// Ed25519 (RFC 8032): the public key of a 32-byte seed.
#[wasm_bindgen(js_name = identityPublic)]
pub fn identity_public(seed: &[u8]) -> Result<Vec<u8>, JsError> {
    Ok(identity(seed)?.id().0.to_vec())
}

/// Ed25519 (RFC 8032): the signature over a message, 64 bytes.
#[wasm_bindgen]
pub fn sign(seed: &[u8], message: &[u8]) -> Result<Vec<u8>, JsError> {
    Ok(identity(seed)?.sign(message).to_vec())
}

/// Whether a signature is the public key's over the message. What has the wrong length is no signature.
#[wasm_bindgen]
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    public_key.try_into().is_ok_and(|key| tls::verify(&NodeId(key), message, signature))
}

/// X-Wing public key (1216 bytes) of a 32-byte seed.
#[wasm_bindgen(js_name = onionPublic)]
pub fn onion_public(seed: &[u8]) -> Result<Vec<u8>, JsError> {
    let secret = OnionSecret::from_seed(*self::seed(seed, "an onion key's seed")?);
    Ok(secret.public().0.to_vec())
}

/// What a file of vectors contained.
#[wasm_bindgen(getter_with_clone)]
pub struct VectorSummary {
    #[wasm_bindgen(readonly)]
    pub cases: u32,
    #[wasm_bindgen(readonly)]
    pub suites: Vec<String>,
}

/// Checks a file printed by the packet model byte for byte; throws naming the first difference.
#[wasm_bindgen(js_name = checkVectors)]
pub fn check_vectors(json: &str) -> Result<VectorSummary, JsError> {
    let summary = wayfare_onion::vectors::check(json).map_err(|e| error("check_failed", e))?;
    let file: serde_json::Value = serde_json::from_str(json).map_err(|e| error("check_failed", e))?;
    let mut suites: Vec<String> =
        file.as_array().into_iter().flatten().filter_map(|v| v["suite"].as_str().map(str::to_owned)).collect();
    suites.sort_unstable();
    suites.dedup();
    Ok(VectorSummary { cases: summary.paths as u32, suites })
}

/// The names of all drop reasons, in the order of their codes.
#[wasm_bindgen]
pub fn reasons() -> Vec<String> {
    Reason::ALL.iter().map(|r| r.name().to_owned()).collect()
}

/// The cipher suite that circuits get when none is asked for.
#[wasm_bindgen(js_name = preferredSuite)]
pub fn preferred_suite() -> String {
    wayfare_onion::Suite::preferred().name().to_owned()
}
