//! A certificate for browsers, with a key of its own.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use wayfare_quic::certificate::{CertificateError, VALIDITY_S_MAX, self_signed};
use wayfare_quic::certificate_hash;
use zeroize::Zeroizing;

use crate::Failure;

/// See `WebCertificate` in ts/core/host.ts.
pub struct NewCertificate {
    /// DER.
    pub certificate: Vec<u8>,
    /// PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
    /// SHA-256 of the DER.
    pub hash: [u8; 32],
}

/// Makes one that is valid between these unix seconds.
///
/// # Errors
/// `argument_invalid` for a validity that no browser would take.
pub fn new_certificate(not_before_s: u64, not_after_s: u64) -> Result<NewCertificate, Failure> {
    let system = |_| Failure::new(Failure::SYSTEM, "the system gives no key");
    let random = SystemRandom::new();
    let mut serial = [0; 16];
    random.fill(&mut serial).map_err(system)?;
    let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(system)?;
    let key = Zeroizing::new(pair.as_ref().to_vec());
    let certificate = self_signed(&key, serial, not_before_s, not_after_s).map_err(|error| match error {
        CertificateError::Validity => {
            let days = VALIDITY_S_MAX / 86_400;
            Failure::new(
                Failure::INVALID,
                format!("a certificate is valid for more than nothing and at most {days} days"),
            )
        }
        CertificateError::Key => Failure::new(Failure::SYSTEM, "the new key does not sign"),
    })?;
    let hash = certificate_hash(&certificate);
    Ok(NewCertificate { certificate, key, hash })
}
