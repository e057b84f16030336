//! A seeded stream and freshly made hops for the tests.

#![allow(dead_code)]

use wayfare_onion::{BackwardHop, ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_types::Random;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Seeded(pub u64);

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}

pub fn hop_keys(suite: Suite, rng: &mut Seeded) -> HopKeys {
    let mut direction = || {
        let mut keys = DirectionKeys { key: [0; 32], iv: [0; 12], step: rng.next_u64() };
        rng.fill(&mut keys.key);
        rng.fill(&mut keys.iv);
        keys
    };
    let (forward, backward) = (direction(), direction());
    HopKeys { suite, forward, backward, backward_start: rng.next_u64() }
}

/// A client and its hops, first hop first.
pub struct Circuit {
    pub client: ClientPath,
    pub forward: Vec<ForwardHop>,
    pub backward: Vec<BackwardHop>,
}

pub fn circuit(suite: Suite, hops: usize, start: u64, rng: &mut Seeded) -> Circuit {
    let keys: Vec<HopKeys> = (0..hops).map(|_| hop_keys(suite, rng)).collect();
    Circuit {
        client: ClientPath::new(&keys, start).unwrap(),
        forward: keys.iter().map(|k| ForwardHop::new(suite, &k.forward)).collect(),
        backward: keys.iter().map(|k| BackwardHop::new(suite, &k.backward, k.backward_start)).collect(),
    }
}
