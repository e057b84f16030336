//! Bare AEAD passes of both libraries, in place, with prepared keys: what any packet work has to pay.

use wayfare_onion::Suite;

/// One library's AEAD with one prepared key.
pub trait Bare {
    const NAME: &'static str;

    /// # Panics
    /// Never: the suite says how much of the key is used.
    fn new(suite: Suite, key: [u8; 32]) -> Self;

    /// # Panics
    /// If the data is longer than the AEAD's limit.
    fn seal(&self, nonce: [u8; 12], data: &mut [u8]) -> [u8; 16];

    /// Whether the tag was right.
    fn open(&self, nonce: [u8; 12], tag: &[u8; 16], data: &mut [u8]) -> bool;
}

macro_rules! library {
    ($name:ident, $library:ident, ($($all:tt)*), $tag:expr) => {
        pub struct $name($library::aead::LessSafeKey);

        impl Bare for $name {
            const NAME: &'static str = stringify!($library);

            fn new(suite: Suite, key: [u8; 32]) -> Self {
                use $library::aead::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
                let algorithm = match suite {
                    Suite::Aes128Gcm => &AES_128_GCM,
                    Suite::Aes256Gcm => &AES_256_GCM,
                    Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
                };
                let key = UnboundKey::new(algorithm, &key[..suite.key_bytes()]);
                Self(LessSafeKey::new(key.expect("the suite's own key length")))
            }

            #[inline]
            fn seal(&self, nonce: [u8; 12], data: &mut [u8]) -> [u8; 16] {
                use $library::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), data);
                let mut out = [0; 16];
                out.copy_from_slice(tag.expect("far below the AEAD's limit").as_ref());
                out
            }

            #[inline]
            fn open(&self, nonce: [u8; 12], tag: &[u8; 16], data: &mut [u8]) -> bool {
                use $library::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                self.0.open_in_place_separate_tag(nonce, Aad::empty(), $tag(tag), data $($all)*).is_ok()
            }
        }
    };
}

library!(AwsLc, aws_lc_rs, (), <[u8; 16]>::as_slice);
library!(Ring, ring, (, 0..), |tag: &[u8; 16]| ring::aead::Tag::from(*tag));
