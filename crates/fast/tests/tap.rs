//! The attack that an XOR mask over the header does not stand, and that the fast header does.
//!
//! The attacker taps a link between two relays and runs a circuit of its own over it. For a packet of someone else that
//! it has captured, it makes the first relay send one of its own with the same first slot: a client chooses what the
//! next hop gets, tags included. Under a mask that is a function of the slot both headers are then masked alike, and the
//! attacker knows its own.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use common::{PACKET, hop_keys, key};
use wayfare_onion::{ClientPath, ForwardHop, HopKeys};
use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{FastHeader, SLOT};

/// How a link hides `circuit id u32 | counter u64` behind the first byte.
trait Link {
    fn put(&self, packet: &mut [u8], cid: u32, counter: u64);
    fn get(&self, packet: &[u8]) -> Option<(u32, u64)>;
}

/// Header protection in the manner of QUIC (RFC 9001, section 5.4.3): a mask made from a sample of the ciphertext.
struct Masked(Aes128);

impl Masked {
    fn mask(&self, packet: &[u8]) -> [u8; SLOT] {
        let sample: [u8; SLOT] = packet[FAST_HEADER..FAST_HEADER + SLOT].try_into().unwrap();
        let mut block = sample.into();
        self.0.encrypt_block(&mut block);
        block.into()
    }
}

impl Link for Masked {
    fn put(&self, packet: &mut [u8], cid: u32, counter: u64) {
        let mask = self.mask(packet);
        packet[1..5].copy_from_slice(&cid.to_be_bytes());
        packet[5..13].copy_from_slice(&counter.to_be_bytes());
        packet[13..FAST_HEADER].fill(0);
        packet[1..FAST_HEADER].iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }

    fn get(&self, packet: &[u8]) -> Option<(u32, u64)> {
        let mask = self.mask(packet);
        let clear: Vec<u8> = packet[1..FAST_HEADER].iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        // Twelve bytes are what QUIC would mask; the rest is there to make both packets alike.
        Some((u32::from_be_bytes(clear[..4].try_into().unwrap()), u64::from_be_bytes(clear[4..12].try_into().unwrap())))
    }
}

impl Link for FastHeader {
    fn put(&self, packet: &mut [u8], cid: u32, counter: u64) {
        self.put(packet, cid, counter).unwrap();
    }

    fn get(&self, packet: &[u8]) -> Option<(u32, u64)> {
        self.get(packet).ok()
    }
}

/// Fills the slots that a one-hop path leaves free: the first of them is what the attacker wants the next hop to see.
struct Chosen([u8; SLOT]);

impl Random for Chosen {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
        out[..SLOT].copy_from_slice(&self.0);
    }
}

/// A circuit as the first relay has it.
struct Through {
    client: ClientPath,
    relay: ForwardHop,
    cid: u32,
    /// What a relay adds to a counter, which a client knows of its own circuit.
    step: u64,
}

impl Through {
    fn new(hops: usize, rng: &mut Seeded) -> Self {
        let keys: Vec<HopKeys> = (0..hops).map(|_| hop_keys(rng)).collect();
        Self {
            client: ClientPath::new(&keys, rng.next_u64()).unwrap(),
            relay: ForwardHop::new(keys[0].suite, &keys[0].forward),
            cid: rng.next_u64() as u32,
            step: keys[0].forward.step,
        }
    }

    /// What the tap sees of a packet, and the counter it went out from the client with.
    fn send(&mut self, link: &dyn Link, pad: &mut dyn Random) -> (Vec<u8>, u64) {
        let mut packet = vec![0; PACKET];
        let counter = self.client.wrap(&mut packet[FAST_HEADER..], pad).unwrap();
        let next = self.relay.open(counter, &mut packet[FAST_HEADER..]).unwrap();
        link.put(&mut packet, self.cid, next);
        (packet, counter)
    }
}

/// Of twelve circuits of others a packet each: how many counters the attacker reads, and of how many pairs it tells
/// rightly how their circuit ids differ.
fn attack(link: &dyn Link, rng: &mut Seeded) -> (usize, usize) {
    let mut attacker = Through::new(1, rng);
    let (mut counters_read, mut differences) = (0, Vec::new());
    for _ in 0..12 {
        let mut victim = Through::new(3, rng);
        let (seen, _) = victim.send(link, rng);
        let (_, counter) = link.get(&seen).unwrap();
        let slot = seen[FAST_HEADER..FAST_HEADER + SLOT].try_into().unwrap();
        let (own, own_counter) = attacker.send(link, &mut Chosen(slot));
        // The relay did what it was made to do.
        assert_eq!(own[FAST_HEADER..FAST_HEADER + SLOT], slot);
        let difference: Vec<u8> = seen[1..].iter().zip(&own[1..FAST_HEADER]).map(|(a, b)| a ^ b).collect();
        let known = own_counter.wrapping_add(attacker.step);
        let guessed = u64::from_be_bytes(difference[4..12].try_into().unwrap()) ^ known;
        counters_read += usize::from(guessed == counter);
        differences.push((u32::from_be_bytes(difference[..4].try_into().unwrap()), victim.cid));
    }
    let told = differences.windows(2).filter(|w| w[0].0 ^ w[1].0 == w[0].1 ^ w[1].1).count();
    (counters_read, told)
}

#[test]
fn a_mask_gives_every_header_away() {
    let rng = &mut Seeded::new(1);
    let link = Masked(Aes128::new(&key(rng)[..16].try_into().unwrap()));
    assert_eq!(attack(&link, rng), (12, 11));
}

#[test]
fn the_fast_header_gives_none_away() {
    let rng = &mut Seeded::new(1);
    let link = FastHeader::new(&key(rng), 0);
    assert_eq!(attack(&link, rng), (0, 0));
}

/// Even who has guessed a counter is not told so: the circuit's id stands in the same block.
#[test]
fn a_right_guess_looks_like_a_wrong_one() {
    let rng = &mut Seeded::new(2);
    let (masked, fast) = (Masked(Aes128::new(&key(rng)[..16].try_into().unwrap())), FastHeader::new(&key(rng), 0));
    for (link, told) in [(&masked as &dyn Link, true), (&fast, false)] {
        let (mut victim, mut own) = (vec![0; PACKET], vec![0; PACKET]);
        rng.fill(&mut victim);
        own.copy_from_slice(&victim);
        link.put(&mut victim, 17, 123_456);
        link.put(&mut own, 18, 123_456);
        assert_eq!(victim[5..13] == own[5..13], told);
    }
}

/// Who changes a header on its way makes of it what he likes under a mask, and nothing under the fast header.
#[test]
fn a_changed_header_is_refused() {
    let rng = &mut Seeded::new(3);
    let (masked, fast) = (Masked(Aes128::new(&key(rng)[..16].try_into().unwrap())), FastHeader::new(&key(rng), 0));
    let mut packet = vec![0; PACKET];
    rng.fill(&mut packet);
    let mut taken = [0, 0];
    for (taken, link) in taken.iter_mut().zip([&masked as &dyn Link, &fast]) {
        packet[0] = 0x10;
        link.put(&mut packet, 17, 123_456);
        for bit in 8..8 * 13 {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            *taken += usize::from(link.get(&changed).is_some());
        }
    }
    assert_eq!(taken, [96, 0]);
}
