//! What several tests begin with.
#![allow(dead_code, reason = "not every test uses all of it")]

use wayfare_stats::{Asked, DestinationId, Egress, Moved, Opened, Source};
use wayfare_testkit::Seeded;

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

pub fn open(egress: &mut Egress, now_us: u64, port: u16, to: DestinationId, random: &mut Seeded) -> Opened {
    egress.flow_open(now_us, &source(port), to, Asked::default(), random).expect("a hop and room")
}

/// Whether a count of successes is what a probability gives, within five standard deviations.
pub fn plausible(successes: u64, of: u64, probability: f64) -> bool {
    let (successes, of) = (successes as f64, of as f64);
    let deviation = (of * probability * (1.0 - probability)).sqrt();
    (successes - of * probability).abs() <= 5.0 * deviation.max(1.0)
}
