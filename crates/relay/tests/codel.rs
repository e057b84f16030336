//! CoDel against the pseudo-code of RFC 8289, section 5, and against the closed form of its control law.

use std::collections::VecDeque;

use proptest::prelude::*;
use wayfare_relay::egress::{Codel, Standing};

const TARGET_US: u64 = 5_000;
const INTERVAL_US: u64 = 100_000;

/// A plain queue of (number, arrival, bytes), as CoDel sees it.
#[derive(Default)]
struct Plain {
    packets: VecDeque<(u32, u64, usize)>,
    bytes: usize,
    max_packet: usize,
    dropped: Vec<(u32, u64)>,
    now_us: u64,
}

impl Plain {
    fn push(&mut self, number: u32, now_us: u64, bytes: usize) {
        self.packets.push_back((number, now_us, bytes));
        self.bytes += bytes;
        self.max_packet = self.max_packet.max(bytes);
    }

    fn pop(&mut self) -> Option<(u32, u64, usize)> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.2;
        Some(packet)
    }
}

impl Standing for Plain {
    fn oldest(&self, now_us: u64) -> Option<(u64, usize)> {
        self.packets.front().map(|&(_, at, bytes)| (now_us - at, self.bytes - bytes))
    }

    fn drop_oldest(&mut self) {
        let (number, ..) = self.pop().expect("judged");
        self.dropped.push((number, self.now_us));
    }

    fn largest_bytes(&self) -> usize {
        self.max_packet
    }
}

/// `codel_queue_t` of the RFC, word for word, but that no time is written as zero.
#[derive(Default)]
struct Rfc {
    queue: Plain,
    first_above_time: Option<u64>,
    drop_next: u64,
    count: u32,
    last_count: u32,
    dropping: bool,
}

impl Rfc {
    fn control_law(t: u64, count: u32) -> u64 {
        t + (INTERVAL_US as f64 / f64::from(count).sqrt()) as u64
    }

    fn dodequeue(&mut self, now: u64) -> (Option<(u32, u64, usize)>, bool) {
        let Some(packet) = self.queue.pop() else {
            self.first_above_time = None;
            return (None, false);
        };
        let mut ok_to_drop = false;
        if now - packet.1 < TARGET_US || self.queue.bytes <= self.queue.max_packet {
            self.first_above_time = None;
        } else if let Some(first_above_time) = self.first_above_time {
            ok_to_drop = now >= first_above_time;
        } else {
            self.first_above_time = Some(now + INTERVAL_US);
        }
        (Some(packet), ok_to_drop)
    }

    fn deque(&mut self, now: u64) -> Option<(u32, u64, usize)> {
        let mut r = self.dodequeue(now);
        if self.dropping {
            if !r.1 {
                self.dropping = false;
            }
            while now >= self.drop_next && self.dropping {
                self.queue.dropped.push((r.0.expect("judged").0, now));
                self.count += 1;
                r = self.dodequeue(now);
                if !r.1 {
                    self.dropping = false;
                } else {
                    self.drop_next = Self::control_law(self.drop_next, self.count);
                }
            }
        } else if r.1 {
            self.queue.dropped.push((r.0.expect("judged").0, now));
            r = self.dodequeue(now);
            self.dropping = true;
            let delta = self.count - self.last_count;
            self.count = if delta > 1 && now.saturating_sub(self.drop_next) < 16 * INTERVAL_US { delta } else { 1 };
            self.drop_next = Self::control_law(now, self.count);
            self.last_count = self.count;
        }
        r.0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Phases of one load each: packets that arrive and dequeues at their own paces, both models side by side.
    #[test]
    fn drops_what_the_rfc_drops(
        phases in prop::collection::vec((10..3_000u64, 10..3_000u64, 0..600_000u64), 1..12),
        sizes in prop::collection::vec(40..1500usize, 1..20),
    ) {
        let (mut rfc, mut queue, mut codel) = (Rfc::default(), Plain::default(), Codel::new(TARGET_US, INTERVAL_US));
        let (mut now, mut number) = (1, 0);
        let (mut arrival, mut departure) = (now, now);
        for (between_arrivals, between_departures, lasts) in phases {
            let end = now + lasts;
            (arrival, departure) = (arrival.min(now + between_arrivals), departure.min(now + between_departures));
            while now < end {
                now = arrival.min(departure);
                if now == arrival {
                    let bytes = sizes[number as usize % sizes.len()];
                    rfc.queue.push(number, now, bytes);
                    queue.push(number, now, bytes);
                    number += 1;
                    arrival += between_arrivals;
                }
                if now == departure {
                    queue.now_us = now;
                    codel.dequeue(now, &mut queue);
                    prop_assert_eq!(rfc.deque(now), queue.pop());
                    departure += between_departures;
                }
            }
        }
        prop_assert_eq!(rfc.queue.dropped, queue.dropped);
    }
}

/// A delay that stands: the first drop after an interval, the next ones at the sums of interval / sqrt(count).
#[test]
fn drops_come_at_interval_over_the_root_of_their_count() {
    let (mut queue, mut codel) = (Plain::default(), Codel::new(TARGET_US, INTERVAL_US));
    (0..200_000).for_each(|number| queue.push(number, 0, 1000));
    // Dequeued every 100 us from 10 ms on: above the target since then.
    let (start, pace) = (10_000, 100);
    let mut now = start;
    while queue.dropped.len() < 100 {
        queue.now_us = now;
        codel.dequeue(now, &mut queue);
        queue.pop();
        now += pace;
    }
    let mut expected = (start + INTERVAL_US) as f64;
    for (count, &(_, at)) in (1..).zip(&queue.dropped) {
        // A drop waits for the next dequeue, and each of the law's steps is rounded down to a microsecond.
        let late = at as f64 - expected;
        assert!((-100.0..=pace as f64).contains(&late), "drop {count} at {at}, due at {expected}");
        expected += INTERVAL_US as f64 / f64::from(count).sqrt();
    }
}

/// What the RFC calls a good queue: it drains within every interval, however high it rises.
#[test]
fn bursts_are_let_through() {
    let (mut queue, mut codel) = (Plain::default(), Codel::new(TARGET_US, INTERVAL_US));
    let mut number = 0;
    for round in 0..50u64 {
        let start = round * 100_000 + 1;
        for _ in 0..90 {
            queue.push(number, start, 1200);
            number += 1;
        }
        for step in 0..95 {
            codel.dequeue(start + step * 1000, &mut queue);
            queue.pop();
        }
    }
    assert!(queue.dropped.is_empty() && queue.packets.is_empty());
}
