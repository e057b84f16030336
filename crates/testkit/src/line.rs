//! One direction of an impaired path, without sockets or clock: packets go in now and come out when they are due.
//!
//! Invariant: packets never overtake one another, and every packet that went in came out, was lost by chance, found the
//! queue full, or is still on its way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use quinn_udp::EcnCodepoint;

use crate::seeded::Seeded;

/// What each packet pays to IPv4 and UDP on a line of limited rate.
const HEADER_LEN: usize = 28;

/// How a direction is worse than a wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// How long each packet travels.
    pub delay: Duration,
    /// The probability with which a packet is lost, each on its own.
    pub loss: f64,
    /// Bits per second, IP and UDP headers included; `None` is no limit.
    pub rate_bits_per_s: Option<u64>,
    /// How many bytes may wait for a line of limited rate before packets are dropped at the tail.
    pub queue_bytes: usize,
}

impl Default for Impairment {
    /// A wire.
    fn default() -> Self {
        Self { delay: Duration::ZERO, loss: 0.0, rate_bits_per_s: None, queue_bytes: 256 * 1024 }
    }
}

/// What became of a direction's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub packets_in: u64,
    pub bytes_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
    pub packets_lost: u64,
    pub packets_queue_full: u64,
}

/// Packets of one size (the last may be shorter) that travel together, as segmentation offload takes them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Train {
    pub bytes: Vec<u8>,
    pub segment_len: usize,
    pub ecn: Option<EcnCodepoint>,
}

#[derive(Debug)]
pub(crate) struct Line {
    impairment: Impairment,
    random: Seeded,
    /// When the sending end has put all it holds on the wire.
    free_at: Option<Instant>,
    travelling: VecDeque<(Instant, Train)>,
    pub counts: Counts,
}

impl Line {
    pub(crate) fn new(impairment: Impairment, seed: u64) -> Self {
        let random = Seeded::new(seed);
        Self { impairment, random, free_at: None, travelling: VecDeque::new(), counts: Counts::default() }
    }

    /// Holds for packets that come from now on.
    pub(crate) fn set(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    /// Takes packets of `segment_len` bytes each that lie one after the other.
    pub(crate) fn push(&mut self, now: Instant, bytes: &[u8], segment_len: usize, ecn: Option<EcnCodepoint>) {
        let mut train = Vec::with_capacity(bytes.len());
        let mut at_end = now;
        // An empty datagram is a packet too.
        let empty = bytes.is_empty().then_some(bytes);
        for packet in bytes.chunks(segment_len.max(1)).chain(empty) {
            self.counts.packets_in += 1;
            self.counts.bytes_in += packet.len() as u64;
            if self.random.chance(self.impairment.loss) {
                self.counts.packets_lost += 1;
                continue;
            }
            match self.transmit(now, packet.len()) {
                Some(sent_at) => at_end = sent_at,
                None => {
                    self.counts.packets_queue_full += 1;
                    continue;
                }
            }
            train.extend_from_slice(packet);
            if packet.is_empty() {
                self.send(at_end, Train { bytes: Vec::new(), segment_len, ecn });
            }
        }
        if !train.is_empty() {
            self.send(at_end, Train { bytes: train, segment_len, ecn });
        }
    }

    /// When the packet's last bit is on the wire; `None` if it has to be dropped.
    fn transmit(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.impairment.rate_bits_per_s else { return Some(now) };
        let start = self.free_at.map_or(now, |free_at| free_at.max(now));
        let waiting_bytes = (start - now).as_secs_f64() * rate as f64 / 8.0;
        if waiting_bytes > self.impairment.queue_bytes as f64 {
            return None;
        }
        let end = start + Duration::from_secs_f64((len + HEADER_LEN) as f64 * 8.0 / rate.max(1) as f64);
        self.free_at = Some(end);
        Some(end)
    }

    fn send(&mut self, sent_at: Instant, train: Train) {
        let due = sent_at + self.impairment.delay;
        // A delay that was shortened meanwhile does not let packets overtake.
        let due = self.travelling.back().map_or(due, |(before, _)| due.max(*before));
        self.travelling.push_back((due, train));
    }

    /// When the next packets arrive.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.travelling.front().map(|(due, _)| *due)
    }

    /// The next packets that have arrived.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Train> {
        if self.due()? > now {
            return None;
        }
        let (_, train) = self.travelling.pop_front()?;
        self.counts.packets_out += train.bytes.len().div_ceil(train.segment_len.max(1)).max(1) as u64;
        self.counts.bytes_out += train.bytes.len() as u64;
        Some(train)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn line(impairment: Impairment) -> (Line, Instant) {
        (Line::new(impairment, 1), Instant::now())
    }

    #[test]
    fn a_packet_arrives_after_its_delay_and_not_before() {
        let (mut line, start) = line(Impairment { delay: 25 * MS, ..Impairment::default() });
        line.push(start, b"abcde", 2, None);
        assert_eq!(line.due(), Some(start + 25 * MS));
        assert_eq!(line.pop(start + 25 * MS - Duration::from_nanos(1)), None);
        let train = line.pop(start + 25 * MS).unwrap();
        assert_eq!((&train.bytes[..], train.segment_len), (&b"abcde"[..], 2));
        assert_eq!((line.counts.packets_in, line.counts.packets_out, line.counts.bytes_out), (3, 3, 5));
        assert_eq!(line.due(), None);
    }

    #[test]
    fn packets_do_not_overtake_when_the_delay_shrinks() {
        let (mut line, start) = line(Impairment { delay: 25 * MS, ..Impairment::default() });
        line.push(start, b"first", 5, None);
        line.set(Impairment::default());
        line.push(start, b"second", 6, None);
        assert_eq!(line.pop(start + 24 * MS), None);
        assert_eq!(line.pop(start + 25 * MS).unwrap().bytes, b"first");
        assert_eq!(line.pop(start + 25 * MS).unwrap().bytes, b"second");
    }

    #[test]
    fn a_limited_line_takes_the_time_its_rate_says_and_drops_what_does_not_fit() {
        // 972 bytes and 28 of headers at 8 Mbit/s are 1 ms.
        let rate = Impairment { rate_bits_per_s: Some(8_000_000), queue_bytes: 10_000, ..Impairment::default() };
        let (mut line, start) = line(rate);
        let arrivals: Vec<_> = (0..20)
            .filter_map(|_| {
                line.push(start, &[0; 972], 972, None);
                line.travelling.back().map(|(due, _)| *due - start)
            })
            .collect();
        for (n, arrival) in arrivals.iter().take(11).enumerate() {
            assert!(arrival.abs_diff((n as u32 + 1) * MS) < Duration::from_micros(1), "{n}: {arrival:?}");
        }
        assert_eq!(line.counts.packets_queue_full, 9);
        // Once it is idle, it is as if nothing had been.
        let later = start + 100 * MS;
        line.push(later, &[0; 972], 972, None);
        assert_eq!(line.travelling.back().unwrap().0, later + MS);
    }

    #[test]
    fn loss_is_by_chance_and_the_seed_replays_it() {
        let lossy = Impairment { loss: 0.1, ..Impairment::default() };
        let survivors = |seed| {
            let (mut line, now) = (Line::new(lossy, seed), Instant::now());
            for n in 0..10_000u16 {
                line.push(now, &n.to_be_bytes(), 2, None);
            }
            let mut bytes = Vec::new();
            while let Some(train) = line.pop(now) {
                bytes.extend(train.bytes);
            }
            let counts = line.counts;
            assert_eq!(counts.packets_in, counts.packets_out + counts.packets_lost);
            // Six standard deviations of the binomial distribution are 180.
            assert!(counts.packets_lost.abs_diff(1_000) < 180, "{counts:?}");
            bytes
        };
        assert_eq!(survivors(1), survivors(1));
        assert_ne!(survivors(1), survivors(2));
    }

    #[test]
    fn loss_strikes_packets_and_not_trains() {
        let (mut line, now) = line(Impairment { loss: 0.5, ..Impairment::default() });
        line.push(now, &[0; 64], 1, None);
        let train = line.pop(now).unwrap();
        assert!((1..64).contains(&train.bytes.len()), "{}", train.bytes.len());
        line.push(now, &[], 1, None);
        line.set(Impairment::default());
        line.push(now, &[], 1, None);
        assert!(line.pop(now).unwrap().bytes.is_empty());
    }
}
