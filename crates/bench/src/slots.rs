//! What kernels of a few nanoseconds are measured beside: the update of a slot in a plain array, in the same round, with ids drawn before
//! the clock runs.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use wayfare_embed::ChaChaRandom;
use wayfare_measure::cpu;
use wayfare_stats::{Moved, PacketInterval};

pub const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(40);
const BATCH: usize = 1024;
/// Ids drawn before the clock runs.
pub const DRAWN: usize = 1 << 14;
/// Slots of the array that most is measured beside.
pub const MANY: usize = 100_000;

pub const PACKET: Moved = Moved { sent_bytes: 40, received_bytes: 1200, sent_packets: 1, received_packets: 1 };

/// CPU nanoseconds of one piece of work: the fastest batch's, since what else the machine does only ever adds.
pub fn each_ns(mut work: impl FnMut(usize)) -> f64 {
    let (start, mut best, mut n) = (Instant::now(), f64::INFINITY, 0);
    while start.elapsed() < TIME {
        let before = cpu::thread();
        for _ in 0..BATCH {
            work(n);
            n = (n + 1) % DRAWN;
        }
        best = best.min((cpu::thread() - before).as_nanos() as f64 / BATCH as f64);
    }
    best
}

pub fn drawn(below: usize, random: &mut ChaChaRandom) -> Vec<u32> {
    (0..DRAWN).map(|_| wayfare_stats::below(below as u64, random) as u32).collect()
}

/// In a plain array of packet intervals, one is found by its index and updated.
pub fn slot_update(slots: usize, random: &mut ChaChaRandom) -> f64 {
    let mut intervals = vec![PacketInterval::default(); slots];
    let ids = drawn(slots, random);
    let mut now_us = 0;
    each_ns(|n| {
        now_us += 1;
        intervals[ids[n] as usize].record(now_us, black_box(&PACKET));
    })
}

/// Figures by name, round by round, each with the slot's of its round.
#[derive(Default)]
pub struct Rounds(BTreeMap<&'static str, (Vec<f64>, Vec<f64>)>);

impl Rounds {
    pub fn add(&mut self, figures: impl IntoIterator<Item = (&'static str, f64)>, floor_ns: f64) {
        for (name, ours_ns) in figures {
            let (ours, floor) = self.0.entry(name).or_default();
            ours.push(ours_ns);
            floor.push(floor_ns);
        }
    }

    pub fn said(self) -> Map<String, Value> {
        let said = |(ours, floor): (Vec<f64>, Vec<f64>)| json!({ "ours_ns": ours, "floor_ns": floor });
        self.0.into_iter().map(|(name, rounds)| (name.into(), said(rounds))).collect()
    }
}
