//! Who captures packets of one size class on the links of a path and is asked which circuit, which position or which
//! direction they are of: their bytes must not say.
//!
//! A guesser learns from 100,000 labelled packets of each of two kinds, under the very keys it is then asked about, and
//! guesses 200,000 others. Its advantage is twice its share of right guesses less one. By chance alone that has the
//! standard deviation 1 / sqrt(200,000) = 0.0022, so the bound of 0.01 is 4.5 of them; a guesser finds by one bit in ten
//! thousand that leans by 2 % (`a_bit_that_leans_is_found`).

mod common;

use std::collections::HashSet;

use common::{Captured, Network, PACKET};
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{FastHeader, SLOT, SLOTS};

const SAMPLES: usize = 100_000;
const BOUND: f64 = 0.01;
/// The bytes of a packet, and differences of its header's block and its slots.
const FEATURES: usize = PACKET + SLOTS * SLOT;

fn features(packet: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(packet);
    let blocks = &packet[1..FAST_HEADER + SLOTS * SLOT];
    out.extend(blocks.iter().zip(&blocks[SLOT..]).map(|(a, b)| a ^ b));
}

/// Naive Bayes by bytes and by bits, over what differs most and over everything.
struct Guesser {
    /// Per kind: how often each byte had each value.
    seen: [Vec<[u32; 256]>; 2],
    /// Log odds of each byte's value, as the sum of its bits'.
    odds: Vec<[f32; 256]>,
    /// The bytes, and the bits, that differ most between the kinds.
    bytes: Vec<(usize, [f32; 256])>,
    bits: Vec<(usize, u8, [f32; 2])>,
    /// Right guesses: by a few bytes, by a few bits, by all bits.
    right: [u64; 3],
    asked: u64,
}

fn log_odds(one: u32, other: u32) -> f32 {
    ((f64::from(one) + 1.0) / (f64::from(other) + 1.0)).ln() as f32
}

impl Guesser {
    fn new() -> Self {
        let seen = || vec![[0; 256]; FEATURES];
        Self { seen: [seen(), seen()], odds: Vec::new(), bytes: Vec::new(), bits: Vec::new(), right: [0; 3], asked: 0 }
    }

    fn learn(&mut self, kind: usize, features: &[u8]) {
        for (seen, &byte) in self.seen[kind].iter_mut().zip(features) {
            seen[usize::from(byte)] += 1;
        }
    }

    /// Turns what was learnt into odds.
    fn conclude(&mut self) {
        let ones = |seen: &[u32; 256], bit: u8| (0..256).filter(|v| v >> bit & 1 == 1).map(|v| seen[v]).sum::<u32>();
        let (mut bytes, mut bits) = (Vec::new(), Vec::new());
        for (at, (a, b)) in self.seen[0].iter().zip(&self.seen[1]).enumerate() {
            let odds: [f32; 256] = std::array::from_fn(|v| log_odds(a[v], b[v]));
            let differs: f64 = a
                .iter()
                .zip(b)
                .map(|(&a, &b)| {
                    let (a, b) = (f64::from(a), f64::from(b));
                    if a + b > 0.0 { (a - b).powi(2) / (a + b) } else { 0.0 }
                })
                .sum();
            bytes.push((differs, at, odds));
            let total = [a.iter().sum::<u32>(), b.iter().sum::<u32>()];
            let mut sums = [0.0; 256];
            for bit in 0..8 {
                let set = [ones(a, bit), ones(b, bit)];
                let odds = [log_odds(total[0] - set[0], total[1] - set[1]), log_odds(set[0], set[1])];
                sums.iter_mut().enumerate().for_each(|(v, sum)| *sum += odds[v >> bit & 1]);
                bits.push((set[0].abs_diff(set[1]), at, bit, odds));
            }
            self.odds.push(sums);
        }
        bytes.sort_by(|x, y| y.0.total_cmp(&x.0));
        bits.sort_by_key(|bit| std::cmp::Reverse(bit.0));
        self.bytes = bytes.into_iter().take(2).map(|(_, at, odds)| (at, odds)).collect();
        self.bits = bits.into_iter().take(4).map(|(_, at, bit, odds)| (at, bit, odds)).collect();
    }

    fn guess(&mut self, kind: usize, features: &[u8]) {
        let few: f32 = self.bytes.iter().map(|(at, odds)| odds[usize::from(features[*at])]).sum();
        let bits: f32 = self.bits.iter().map(|(at, bit, odds)| odds[usize::from(features[*at] >> bit & 1)]).sum();
        let all: f32 = self.odds.iter().zip(features).map(|(odds, &byte)| odds[usize::from(byte)]).sum();
        for (right, odds) in self.right.iter_mut().zip([few, bits, all]) {
            *right += u64::from((odds > 0.0) == (kind == 0));
        }
        self.asked += 1;
    }

    fn advantages(&self) -> [f64; 3] {
        self.right.map(|right| (2.0 * right as f64 / self.asked as f64 - 1.0).abs())
    }
}

/// Runs both circuits, shows a guesser two packets at a time, one of each kind, and returns its advantages.
fn advantages(
    mut network: Network,
    mut show: impl FnMut(&mut Network, &[Captured; 2], &[Captured; 2]) -> [Vec<u8>; 2],
) -> [f64; 3] {
    let mut guesser = Guesser::new();
    let (mut now, mut before) = ([Captured::new(), Captured::new()], [Captured::new(), Captured::new()]);
    let mut bytes = Vec::new();
    for round in 0..2 * SAMPLES + 1 {
        std::mem::swap(&mut now, &mut before);
        (0..2).for_each(|circuit| network.exchange(circuit, &mut now[circuit]));
        match round {
            // There is no packet before the first.
            0 => continue,
            _ if round == SAMPLES + 1 => guesser.conclude(),
            _ => {}
        }
        for (kind, packet) in show(&mut network, &now, &before).iter().enumerate() {
            features(packet, &mut bytes);
            if round <= SAMPLES { guesser.learn(kind, &bytes) } else { guesser.guess(kind, &bytes) }
        }
    }
    guesser.advantages()
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

fn sealed(header: &FastHeader, packet: &mut [u8], cid: u32, counter: u64) {
    header.put(packet, cid, counter).expect("room for a header");
}

/// What a link would show that leaves the header as it is.
fn plain(_: &FastHeader, packet: &mut [u8], cid: u32, counter: u64) {
    packet[0] = 0x10;
    packet[1..5].copy_from_slice(&cid.to_be_bytes());
    packet[5..13].copy_from_slice(&counter.to_be_bytes());
    packet[13..FAST_HEADER].fill(0);
}

fn hidden(what: &str, advantages: [f64; 3]) {
    println!("{what}: advantage by few bytes, few bits, all bits {advantages:?}");
    assert!(advantages.iter().all(|&a| a <= BOUND), "{what}: {advantages:?}");
}

#[test]
fn bytes_do_not_tell_the_circuit() {
    hidden(
        "circuit",
        advantages(Network::new(1, sealed), |_, now, _| [now[0].forward[1].clone(), now[1].forward[1].clone()]),
    );
}

#[test]
fn bytes_do_not_tell_the_position() {
    hidden(
        "first or last link",
        advantages(Network::new(2, sealed), |_, now, _| [now[0].forward[0].clone(), now[0].forward[2].clone()]),
    );
    hidden(
        "backwards",
        advantages(Network::new(3, sealed), |_, now, _| [now[0].backward[0].clone(), now[0].backward[2].clone()]),
    );
}

#[test]
fn bytes_do_not_tell_the_direction() {
    hidden(
        "direction",
        advantages(Network::new(4, sealed), |_, now, _| [now[0].forward[1].clone(), now[0].backward[1].clone()]),
    );
}

#[test]
fn bytes_do_not_tell_which_packets_belong_together() {
    hidden(
        "one circuit or two",
        advantages(Network::new(5, sealed), |_, now, before| {
            let packet = &now[0].forward[1];
            [xor(packet, &before[0].forward[1]), xor(packet, &before[1].forward[1])]
        }),
    );
    hidden(
        "before and behind a relay",
        advantages(Network::new(6, sealed), |_, now, _| {
            let packet = &now[0].forward[0];
            [xor(packet, &now[0].forward[1]), xor(packet, &now[1].forward[1])]
        }),
    );
}

/// The guesser is worth something: a clear header gives the circuit away, and with differences who belongs to whom.
#[test]
fn a_clear_header_is_found() {
    let few = advantages(Network::new(7, plain), |_, now, _| [now[0].forward[1].clone(), now[1].forward[1].clone()])[0];
    assert!(few > 0.99, "{few}");
}

/// And so does a single bit of one packet in twenty-five: the best guess has the advantage 0.04 then.
#[test]
fn a_bit_that_leans_is_found() {
    let found = advantages(Network::new(8, sealed), |network, now, _| {
        [0, 1].map(|kind| {
            let mut packet = now[kind].forward[1].clone();
            if network.rng.chance(0.04) {
                packet[700] = packet[700] & !8 | (kind as u8) << 3;
            }
            packet
        })
    });
    assert!((0.03..0.05).contains(&found[1]), "{found:?}");
}

/// No block of header or slots is ever seen twice, on whatever link and in whatever direction; and all have one length and
/// one first byte.
#[test]
fn no_block_repeats() {
    let mut network = Network::new(9, sealed);
    let (mut captured, mut seen) = (Captured::new(), HashSet::new());
    let mut blocks = 0;
    for _ in 0..20_000 {
        network.exchange(0, &mut captured);
        for packet in captured.forward.iter().chain(&captured.backward) {
            assert_eq!((packet.len(), packet[0]), (PACKET, 0x10));
            for block in packet[1..FAST_HEADER + SLOTS * SLOT].chunks(SLOT) {
                blocks += 1;
                seen.insert(<[u8; SLOT]>::try_from(block).expect("a block"));
            }
        }
    }
    assert_eq!(seen.len(), blocks);
}
