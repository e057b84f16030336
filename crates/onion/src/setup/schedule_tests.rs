//! The key schedule against X-Wing's published vectors and RFC 9180 and 5869 written out over another library's HMAC.

use aws_lc_rs::hmac;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use wayfare_wire::SizeClass;

use super::{PURPOSE, decapsulate, hop_keys, transcript};
use crate::Suite;
use crate::setup::OnionSecret;

#[derive(Deserialize)]
struct XWing {
    seed: String,
    pk: String,
    ct: String,
    ss: String,
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &parts.concat()).as_ref().to_vec()
}

/// HKDF-Expand, RFC 5869 section 2.3.
fn expand(prk: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let (mut okm, mut block) = (Vec::new(), Vec::new());
    for i in 1..=length.div_ceil(32) {
        block = hmac(prk, &[&block, info, &[i as u8]]);
        okm.extend_from_slice(&block);
    }
    okm.truncate(length);
    okm
}

/// X-Wing, HKDF-SHA256, export only: RFC 9180 section 5.1 and draft-connolly-cfrg-xwing-kem section 8.
const SUITE_ID: &[u8] = b"HPKE\x64\x7a\x00\x01\xff\xff";

fn labeled_extract(salt: &[u8], label: &[u8], ikm: &[u8]) -> Vec<u8> {
    hmac(salt, &[b"HPKE-v1", SUITE_ID, label, ikm])
}

fn labeled_expand(prk: &[u8], label: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    expand(prk, &[&(length as u16).to_be_bytes(), &b"HPKE-v1"[..], SUITE_ID, label, info].concat(), length)
}

#[test]
fn exports_are_those_of_x_wing_and_rfc_9180() {
    let vectors: Vec<XWing> = serde_json::from_str(include_str!("../../tests/vectors/xwing.json")).unwrap();
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let secret = OnionSecret::from_seed(hex(&vector.seed).try_into().unwrap());
        assert_eq!(secret.public().0[..], hex(&vector.pk));

        let context =
            [&[0][..], &labeled_extract(&[], b"psk_id_hash", &[]), &labeled_extract(&[], b"info_hash", PURPOSE)];
        let shared = labeled_extract(&hex(&vector.ss), b"secret", &[]);
        let exporter = labeled_expand(&shared, b"exp", &context.concat(), 32);
        let export = |label, length| labeled_expand(&exporter, b"sec", label, length);
        let got = decapsulate(&secret, &hex(&vector.ct)).unwrap();
        assert_eq!(got.setup[..], export(b"setup", 32));
        assert_eq!(got.reply[..], export(b"reply", 32));
        assert_eq!(got.keys[..], export(b"keys", 32));
        assert_eq!(got.replay[..], export(b"replay", 16));

        let (dh, ephemeral, message) = ([7; 32], [8; 32], b"the set-up as received");
        let hash = Sha256::digest([&message[..], &ephemeral].concat());
        let prk = hmac(&got.keys, &[&dh]);
        let okm = expand(&prk, &[&[1, 3, 2][..], &hash].concat(), 112);
        let keys = hop_keys(&got, &dh, Suite::ChaCha20Poly1305, SizeClass::L, transcript(message), &ephemeral);
        let number = |at: usize| u64::from_be_bytes(okm[at..at + 8].try_into().unwrap());
        assert_eq!((&keys.forward.key[..], &keys.forward.iv[..]), (&okm[..32], &okm[32..44]));
        assert_eq!((&keys.backward.key[..], &keys.backward.iv[..]), (&okm[52..84], &okm[84..96]));
        assert_eq!((keys.forward.step, keys.backward.step, keys.backward_start), (number(44), number(96), number(104)));
    }
}

#[test]
fn version_suite_class_transcript_and_ephemerals_each_change_every_key() {
    let secret = OnionSecret::from_seed([1; 32]);
    let vectors: Vec<XWing> = serde_json::from_str(include_str!("../../tests/vectors/xwing.json")).unwrap();
    let exports = decapsulate(&secret, &hex(&vectors[0].ct)).unwrap();
    let (suites, classes) = ([Suite::Aes256Gcm, Suite::ChaCha20Poly1305], SizeClass::ALL);
    let mut seen = std::collections::HashSet::new();
    for case in 0..32usize {
        let bit = |n: usize| case >> n & 1;
        let keys = hop_keys(
            &exports,
            &[bit(0) as u8; 32],
            suites[bit(1)],
            classes[bit(2)],
            transcript(&[bit(3) as u8]),
            &[bit(4) as u8; 32],
        );
        assert!(seen.insert(keys.forward.key) && seen.insert(keys.backward.key));
    }
}
