//! Randomness from a seed, for tests: Splitmix64.
#![allow(dead_code, reason = "not every test uses all of it")]

use wayfare_stats::{Asked, DestinationId, Egress, Moved, Opened, Source};
use wayfare_types::Random;

pub struct Mix(pub u64);

impl Random for Mix {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_be_bytes()[..chunk.len()]);
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

pub fn source(port: u16) -> Source {
    let mut address = [0; 16];
    address[15] = 1;
    Source { address, port, protocol: 6 }
}

pub fn received(bytes: u64) -> Moved {
    Moved { received_bytes: bytes, received_packets: 1, ..Moved::default() }
}

pub fn sent(bytes: u64) -> Moved {
    Moved { sent_bytes: bytes, sent_packets: 1, ..Moved::default() }
}

pub fn open(egress: &mut Egress, now_us: u64, port: u16, to: DestinationId, random: &mut Mix) -> Opened {
    egress.flow_open(now_us, &source(port), to, Asked::default(), random).expect("a hop and room")
}

/// Whether a count of successes is what a probability gives, within five standard deviations.
pub fn plausible(successes: u64, of: u64, probability: f64) -> bool {
    let (successes, of) = (successes as f64, of as f64);
    let deviation = (of * probability * (1.0 - probability)).sqrt();
    (successes - of * probability).abs() <= 5.0 * deviation.max(1.0)
}
