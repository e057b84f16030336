//! A keyed hash for tables whose keys are chosen by applications: folded multiplications under a secret, a few nanoseconds a key.

use std::hash::{BuildHasher, Hasher};

use wayfare_types::Random;

/// The secret of one table.
#[derive(Clone, Copy)]
pub(crate) struct Keyed([u64; 2]);

impl Keyed {
    pub fn new<R: Random + ?Sized>(random: &mut R) -> Self {
        Self([random.next_u64(), random.next_u64() | 1])
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folded;

    #[inline]
    fn build_hasher(&self) -> Folded {
        Folded { state: self.0[0], factor: self.0[1] }
    }
}

pub(crate) struct Folded {
    state: u64,
    factor: u64,
}

#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Hasher for Folded {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.state = folded(self.state ^ word, self.factor).rotate_left(23) ^ self.factor;
    }

    #[inline]
    fn write_u128(&mut self, words: u128) {
        self.state = folded(self.state ^ words as u64, self.factor ^ (words >> 64) as u64);
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    #[inline]
    fn finish(&self) -> u64 {
        folded(self.state, self.factor)
    }
}
