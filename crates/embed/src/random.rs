//! Randomness from one seed: ChaCha20 (RFC 8439) with fast key erasure (Bernstein, 2017). Each block of output begins with
//! the next key, so that a seized state says nothing of what was drawn before.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use wayfare_types::Random;
use zeroize::{Zeroize, Zeroizing};

const KEY: usize = 32;
const BLOCK: usize = 1024;

/// The stream of one seed. As unpredictable as the seed.
pub struct ChaChaRandom {
    key: Zeroizing<[u8; KEY]>,
    block: Zeroizing<[u8; BLOCK]>,
    used: usize,
}

impl ChaChaRandom {
    pub fn new(seed: &[u8; KEY]) -> Self {
        Self { key: Zeroizing::new(*seed), block: Zeroizing::new([0; BLOCK]), used: BLOCK }
    }

    /// A stream of its own, of which this one's further output says nothing.
    pub fn branch(&mut self) -> Self {
        let mut seed = Zeroizing::new([0; KEY]);
        self.fill(&mut *seed);
        Self::new(&seed)
    }

    fn refill(&mut self) {
        self.block.zeroize();
        // The key serves for this one block, so the nonce may be the same every time.
        ChaCha20::new(&(*self.key).into(), &[0; 12].into()).apply_keystream(&mut self.block[..]);
        self.key.copy_from_slice(&self.block[..KEY]);
        self.block[..KEY].zeroize();
        self.used = KEY;
    }
}

impl Random for ChaChaRandom {
    fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used == BLOCK {
                self.refill();
            }
            let take = out.len().min(BLOCK - self.used);
            let (now, later) = out.split_at_mut(take);
            let drawn = &mut self.block[self.used..self.used + take];
            now.copy_from_slice(drawn);
            drawn.zeroize();
            self.used += take;
            out = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8439, appendix A.1, test vectors 1 and 2: the first two blocks under a key and nonce of zeros.
    #[test]
    fn it_is_chacha20_whose_first_bytes_are_the_next_key() {
        let hex = "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586\
                   9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed\
                   29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f";
        let expected: Vec<u8> =
            (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        let mut random = ChaChaRandom::new(&[0; 32]);
        let mut got = [0; 96];
        random.fill(&mut got);
        assert_eq!(got[..], expected);
        let next_key = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7";
        assert_eq!(random.key.iter().map(|b| format!("{b:02x}")).collect::<String>(), next_key);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_stream_and_blocks_do_not_repeat() {
        let mut whole = vec![0; 5050];
        ChaChaRandom::new(&[7; 32]).fill(&mut whole);
        let mut pieces = ChaChaRandom::new(&[7; 32]);
        let mut got = Vec::new();
        for size in 0..=100 {
            let mut piece = vec![0; size];
            pieces.fill(&mut piece);
            got.extend(piece);
        }
        assert_eq!(got, whole);
        let of_a_block = BLOCK - KEY;
        assert_ne!(whole[..of_a_block], whole[of_a_block..2 * of_a_block]);
        let mut other = vec![0; 64];
        ChaChaRandom::new(&[7; 32]).branch().fill(&mut other);
        assert_ne!(other[..], whole[..64]);
        assert_ne!(other[..], whole[32..96]);
    }
}
