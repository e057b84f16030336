//! AES-GCM as this CPU does it best and as the library does: the same ciphertext and tag at every length, and nothing opens that was changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_onion::Suite;
use wayfare_onion::gcm::{Gcm, open, seal};

type Input<'a> = (bool, [u8; 32], [u8; 12], &'a [u8], u16, u8, &'a [u8]);

fuzz_target!(|input: Input| {
    let (long, key, nonce, aad, at, change, plain) = input;
    let suite = if long { Suite::Aes256Gcm } else { Suite::Aes128Gcm };
    let (mut own, mut library) = (plain.to_vec(), plain.to_vec());
    let mut tag = seal(Gcm::here(), suite, &key, nonce, aad, &mut own);
    assert_eq!(tag, seal(Gcm::Library, suite, &key, nonce, aad, &mut library));
    assert_eq!(own, library);

    // One byte of tag and ciphertext is changed, or none.
    let at = usize::from(at) % (tag.len() + own.len());
    match at.checked_sub(tag.len()) {
        None => tag[at] ^= change,
        Some(at) => (own[at], library[at]) = (own[at] ^ change, library[at] ^ change),
    }
    let opened = open(Gcm::here(), suite, &key, nonce, aad, &tag, &mut own);
    assert_eq!(opened, open(Gcm::Library, suite, &key, nonce, aad, &tag, &mut library));
    assert_eq!(opened, change == 0);
    assert!(!opened || own == plain);
});
