//! Certificates by which browsers know a relay: `NewCertificate` in ts/core/host.ts.

use napi::Result;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use wayfare_driver as driver;

use crate::kernels::error;
use crate::settle::thrown;

/// What a browser is shown, and its key.
#[napi(object)]
pub struct WebCertificate {
    /// DER.
    pub certificate: Uint8Array,
    /// PKCS#8.
    pub key: Uint8Array,
}

/// The same with its SHA-256.
#[napi(object)]
pub struct HashedCertificate {
    /// DER.
    pub certificate: Uint8Array,
    /// PKCS#8.
    pub key: Uint8Array,
    /// SHA-256 of the DER.
    pub hash: Uint8Array,
}

/// A self-signed P-256 certificate that is valid between these unix seconds, at most 14 days.
#[napi]
pub fn new_certificate(not_before_s: f64, not_after_s: f64) -> Result<HashedCertificate> {
    let seconds = |value: f64, what: &str| {
        if value.fract() == 0.0 && (0.0..=9e15).contains(&value) {
            Ok(value as u64)
        } else {
            Err(error("argument_invalid", format!("{what} is a whole number of unix seconds, not {value}")))
        }
    };
    let made = driver::new_certificate(seconds(not_before_s, "not_before_s")?, seconds(not_after_s, "not_after_s")?)
        .map_err(thrown)?;
    Ok(HashedCertificate {
        certificate: made.certificate.into(),
        key: made.key.to_vec().into(),
        hash: made.hash.to_vec().into(),
    })
}
