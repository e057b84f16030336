//! A link of 100 Mbit/s that is offered ten times that, on virtual time.

use wayfare_relay::egress::{EgressQueue, Limits, Payer, Rate, Storage};
use wayfare_testkit::Seeded;
use wayfare_types::{Counters, Random, Reason};

const RATE: u64 = 12_500_000;
const STRIDE: usize = 1299;
const SECONDS: u64 = 10;
const QUOTA: usize = 4 << 20;
/// A circuit without credits, and one with more than others.
const LOW: Payer = Payer { cid: 1, weight: 0 };
const HIGH: Payer = Payer { cid: 2, weight: 1000 };

/// What got through: per circuit the waits in microseconds, and all bytes.
struct Outcome {
    waits_us: Vec<(u32, u64)>,
    pushed: [u64; 3],
    bytes: u64,
    counters: Counters,
    held_bytes_max: usize,
    len_max: usize,
    buffers_made: u64,
}

impl Outcome {
    fn waits(&self, cid: u32) -> Vec<u64> {
        let mut waits: Vec<u64> = self.waits_us.iter().filter(|(c, _)| *c == cid).map(|&(_, us)| us).collect();
        waits.sort_unstable();
        waits
    }
}

/// Bursts of up to 64 packets at random moments, `low` and `high` data at so many times the rate, a control packet of
/// 100 bytes every 10 ms or so. The output takes batches as a driver does and waits until the rate allows more.
fn run(low: f64, high: f64, seed: u64) -> Outcome {
    let mut rng = Seeded::new(seed);
    let rate = Rate { rate_bytes_per_s: RATE, burst_bytes: 16 * STRIDE as u64 };
    let limits = Limits { memory_bytes: QUOTA, rate: Some(rate), ..Limits::default() };
    let (mut storage, mut counters) = (Storage::new(QUOTA), Counters::default());
    let mut queue = EgressQueue::new(limits, 0);
    let mut outcome = Outcome {
        waits_us: Vec::new(),
        pushed: [0; 3],
        bytes: 0,
        counters: Counters::default(),
        held_bytes_max: 0,
        len_max: 0,
        buffers_made: 0,
    };
    // Per kind: the next arrival, and bytes per microsecond.
    let kinds = [(LOW, low * 12.5), (HIGH, high * 12.5), (Payer::LINK, 0.01)];
    let mut arrivals = [0u64; 3];
    let (mut due, mut out) = (0u64, Vec::new());
    let mut now_us = 0;
    while now_us < SECONDS * 1_000_000 {
        for (i, (payer, pace)) in kinds.into_iter().enumerate() {
            while pace > 0.0 && arrivals[i] <= now_us {
                let (burst, bytes) = if payer.is_link() { (1, 100) } else { (rng.next_u64() % 64 + 1, STRIDE) };
                let mut packet = vec![0; bytes];
                packet[..8].copy_from_slice(&now_us.to_be_bytes());
                packet[8..12].copy_from_slice(&payer.cid.to_be_bytes());
                for _ in 0..burst {
                    outcome.pushed[i] += 1;
                    if let Err(reason) = queue.push(now_us, &packet, payer, &mut storage, &mut counters) {
                        counters.count(reason);
                    }
                }
                let mean_us = burst as f64 * bytes as f64 / pace;
                arrivals[i] += 1 + (mean_us * 2.0 * (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64) as u64;
            }
        }
        outcome.len_max = outcome.len_max.max(queue.len());
        outcome.held_bytes_max = outcome.held_bytes_max.max(storage.held_bytes());
        if now_us >= due {
            while let Some(filled) = queue.fill(now_us, 65_000, 64, &mut out, &mut storage, &mut counters) {
                for packet in out.chunks(filled.stride) {
                    let at_us = u64::from_be_bytes(packet[..8].try_into().expect("a length"));
                    let cid = u32::from_be_bytes(packet[8..12].try_into().expect("a length"));
                    outcome.waits_us.push((cid, now_us - at_us));
                }
                outcome.bytes += out.len() as u64;
                out.clear();
            }
            due = queue.next_at(now_us).unwrap_or(now_us);
        }
        let next = kinds.iter().zip(arrivals).filter(|((_, pace), _)| *pace > 0.0).map(|(_, at)| at).min();
        now_us = next.unwrap_or(u64::MAX).min(if queue.is_empty() { u64::MAX } else { due.max(now_us + 1) });
    }
    outcome.buffers_made = storage.buffers_made();
    let gone: u64 = counters.iter().map(|(_, n)| n).sum();
    assert_eq!(outcome.pushed.iter().sum::<u64>(), outcome.waits_us.len() as u64 + gone + queue.len() as u64);
    outcome.counters = counters;
    outcome
}

fn p99(waits: &[u64]) -> u64 {
    waits[waits.len() * 99 / 100]
}

#[test]
fn ten_times_what_a_link_can_carry() {
    let outcome = run(10.0, 0.0, 1);
    // Less than 0.1 % is lost to waiting: the queue is never empty. Nothing exceeds rate and burst.
    assert!(outcome.bytes >= RATE * SECONDS * 999 / 1000, "{} bytes went", outcome.bytes);
    assert!(outcome.bytes <= RATE * SECONDS + 16 * STRIDE as u64);
    // No packet may have waited longer than 100 ms: each, not 99 of 100 only.
    let data = outcome.waits(LOW.cid);
    assert!(p99(&data) <= 100_000 && data.last() <= Some(&100_000));
    assert!(outcome.counters.get(Reason::QueueDelay) > 0);
    // Control waits for what is on its way only: a packet's time, 104 us, and that of its own tokens.
    let control = outcome.waits(0);
    assert_eq!(control.len() as u64, outcome.pushed[2], "each control packet went");
    assert!(*control.last().unwrap() <= 1_000, "control waited {} us", control.last().unwrap());
    assert!(outcome.held_bytes_max <= QUOTA);
    // Of a million packets, as many buffers were made as packets ever waited at once.
    assert_eq!(outcome.buffers_made, outcome.len_max as u64);
}

/// Half the rate with many credits per byte beside ten times the rate with none: the paying half is as on an idle link.
#[test]
fn credits_buy_the_way_past_a_flood() {
    let outcome = run(10.0, 0.5, 2);
    let (high, low) = (outcome.waits(HIGH.cid), outcome.waits(LOW.cid));
    assert!(high.len() as u64 + 64 >= outcome.pushed[1], "{} of {} went", high.len(), outcome.pushed[1]);
    // Its own bursts, of up to 64 packets at 104 us each, are what it waits for.
    assert!(p99(&high) <= 30_000, "p99 {} us", p99(&high));
    // What is left is used, and nobody is served after 100 ms.
    assert!(low.len() as u64 * STRIDE as u64 >= RATE * SECONDS * 45 / 100);
    assert!(low.last() <= Some(&100_000));
    assert!(outcome.bytes >= RATE * SECONDS * 999 / 1000);
    assert_eq!(outcome.waits(0).len() as u64, outcome.pushed[2]);
}

/// Below the rate nothing is dropped and, but for bursts, nothing waits.
#[test]
fn nothing_is_dropped_at_half_load() {
    let outcome = run(0.5, 0.0, 3);
    assert!(outcome.counters.iter().all(|(_, n)| n == 0));
    assert!(p99(&outcome.waits(LOW.cid)) <= 50_000);
}
