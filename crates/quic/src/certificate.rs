//! The certificate that browsers pin by its hash: self-signed, X.509 v3 (RFC 5280), ECDSA P-256 (RFC 5480), valid for at most
//! 14 days, as `serverCertificateHashes` of W3C WebTransport demands.
//!
//! Invariant: what is made here is DER with one reading, and its validity is exactly what was asked for.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

/// The longest validity that a browser accepts.
pub const VALIDITY_S_MAX: u64 = 14 * 86_400;
/// The last second of the year 9999, beyond which X.509 has no time.
const TIME_S_MAX: u64 = 253_402_300_799;
/// From here on RFC 5280 wants years of four digits.
const YEAR_2050: u64 = 2050;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Constructed, context-specific.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// Primitive, context-specific: dNSName of a GeneralName.
const DNS_NAME: u8 = 0x82;

const ECDSA_WITH_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const PRIME256V1: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// Why no certificate was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// Ends before it begins, lasts longer than 14 days, or lies where X.509 has no time.
    Validity,
    /// The key is no P-256 key in PKCS#8, or will not sign.
    Key,
}

/// A tag, a length and content of less than 64 KiB.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|p| p.len()).sum();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    parts.iter().for_each(|p| out.extend_from_slice(p));
    out
}

/// Year, month and day of a day since 1970 (proleptic Gregorian; Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn time(unix_s: u64) -> Vec<u8> {
    let (year, month, day) = civil(unix_s / 86_400);
    let of_day = unix_s % 86_400;
    let rest = format!("{month:02}{day:02}{:02}{:02}{:02}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60);
    if year < YEAR_2050 {
        der(UTC_TIME, &[format!("{:02}{rest}", year % 100).as_bytes()])
    } else {
        der(GENERALIZED_TIME, &[format!("{year:04}{rest}").as_bytes()])
    }
}

/// The certificate (DER) of a key in PKCS#8; `serial` should be random.
///
/// # Errors
/// See [`CertificateError`].
pub fn self_signed(
    key: &[u8],
    serial: [u8; 16],
    not_before_s: u64,
    not_after_s: u64,
) -> Result<Vec<u8>, CertificateError> {
    if not_after_s <= not_before_s || not_after_s - not_before_s > VALIDITY_S_MAX || not_after_s > TIME_S_MAX {
        return Err(CertificateError::Validity);
    }
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key).map_err(|_| CertificateError::Key)?;
    let algorithm = der(SEQUENCE, &[&der(OID, &[&ECDSA_WITH_SHA256])]);
    let common_name = der(SEQUENCE, &[&der(OID, &[&COMMON_NAME]), &der(UTF8_STRING, &[b"wayfare"])]);
    let name = der(SEQUENCE, &[&der(SET, &[&common_name])]);
    let public = der(
        SEQUENCE,
        &[
            &der(SEQUENCE, &[&der(OID, &[&EC_PUBLIC_KEY]), &der(OID, &[&PRIME256V1])]),
            &der(BIT_STRING, &[&[0], key.public_key().as_ref()]),
        ],
    );
    let names = der(SEQUENCE, &[&der(DNS_NAME, &[b"wayfare"])]);
    let extension = der(SEQUENCE, &[&der(OID, &[&SUBJECT_ALT_NAME]), &der(OCTET_STRING, &[&names])]);
    // A serial is positive and not longer than 20 bytes (RFC 5280, section 4.1.2.2); 01 in front keeps it so, and minimal.
    let tbs = der(
        SEQUENCE,
        &[
            &der(VERSION, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&[1], &serial]),
            &algorithm,
            &name,
            &der(SEQUENCE, &[&time(not_before_s), &time(not_after_s)]),
            &name,
            &public,
            &der(EXTENSIONS, &[&der(SEQUENCE, &[&extension])]),
        ],
    );
    let signature = key.sign(&SystemRandom::new(), &tbs).map_err(|_| CertificateError::Key)?;
    Ok(der(SEQUENCE, &[&tbs, &algorithm, &der(BIT_STRING, &[&[0], signature.as_ref()])]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // Independent values: `date -u -d @N +%Y%m%d%H%M%SZ`.
        for (unix_s, tag, text) in [
            (0, UTC_TIME, "700101000000Z"),
            (951_782_399, UTC_TIME, "000228235959Z"),
            (951_868_800, UTC_TIME, "000301000000Z"),
            (1_709_251_199, UTC_TIME, "240229235959Z"),
            (1_795_251_845, UTC_TIME, "261121090405Z"),
            (2_524_607_999, UTC_TIME, "491231235959Z"),
            (2_524_608_000, GENERALIZED_TIME, "20500101000000Z"),
            (4_107_542_400, GENERALIZED_TIME, "21000301000000Z"),
            (TIME_S_MAX, GENERALIZED_TIME, "99991231235959Z"),
        ] {
            assert_eq!(time(unix_s), der(tag, &[text.as_bytes()]), "{unix_s}");
        }
    }

    #[test]
    fn what_no_browser_would_take_is_not_made() {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
        let make = |from, until| self_signed(key.as_ref(), [7; 16], from, until).map(|_| ());
        assert_eq!(make(1_000, 1_000 + VALIDITY_S_MAX), Ok(()));
        for (from, until) in [
            (1_000, 1_001 + VALIDITY_S_MAX),
            (1_000, 1_000),
            (1_000, 999),
            (TIME_S_MAX - 5, TIME_S_MAX + 1),
            (0, u64::MAX),
        ] {
            assert_eq!(make(from, until), Err(CertificateError::Validity), "{from}..{until}");
        }
        assert_eq!(self_signed(&[0; 138], [7; 16], 0, 1), Err(CertificateError::Key));
    }
}
