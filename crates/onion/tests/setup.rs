//! Set-ups end to end, and what relays, observers and careless clients can do to them. (Threat rows 1, 2, 3 and 7.)

#![allow(clippy::unwrap_used)]

mod common;

use common::Seeded;
use wayfare_onion::setup::{MINUTES, VERSION};
use wayfare_onion::{
    BackwardHop, ClientPath, ClientSetup, ForwardHop, HopSpec, OnionPublic, OnionSecret, OpenedSetup, ReplayCache,
    ReplyKey, Role, SetupError, Suite, open_setup,
};
use wayfare_types::{NodeId, Random, Reason};
use wayfare_wire::{REPLY_BYTES, SETUP_BYTES, SETUP_SLOT, SizeClass, TAGS};

const NOW: u32 = 29_000_000;

struct Node {
    secret: OnionSecret,
    spec: HopSpec,
}

fn nodes(n: usize, rng: &mut Seeded) -> Vec<Node> {
    let mut node = |i| {
        let mut seed = [0; 32];
        rng.fill(&mut seed);
        let secret = OnionSecret::from_seed(seed);
        let spec = HopSpec { node: NodeId([i as u8 + 1; 32]), onion_key: secret.public() };
        Node { secret, spec }
    };
    (0..n).map(&mut node).collect()
}

fn specs(nodes: &[Node]) -> Vec<HopSpec> {
    nodes.iter().map(|n| n.spec.clone()).collect()
}

fn build(nodes: &[Node], suite: Suite, rng: &mut Seeded) -> (ClientSetup, Box<[u8; SETUP_BYTES]>) {
    ClientSetup::build(&specs(nodes), suite, SizeClass::M, NOW, rng).unwrap()
}

fn open(node: &Node, message: &[u8; SETUP_BYTES], rng: &mut Seeded) -> Result<OpenedSetup, Reason> {
    open_setup(&[&node.secret], message, NOW, 0, rng)
}

struct Established {
    client: ClientPath,
    forward: Vec<ForwardHop>,
    backward: Vec<BackwardHop>,
}

fn establish(nodes: &[Node], suite: Suite, rng: &mut Seeded) -> Established {
    let (setup, mut message) = build(nodes, suite, rng);
    let (mut forward, mut backward, mut replies) = (Vec::new(), Vec::new(), Vec::new());
    for (i, node) in nodes.iter().enumerate() {
        let opened = open(node, &message, rng).unwrap();
        assert_eq!((opened.version, opened.suite, opened.class, opened.minute), (VERSION, suite, SizeClass::M, NOW));
        let role = nodes.get(i + 1).map_or(Role::Exit, |next| Role::Relay { next: next.spec.node });
        assert_eq!(opened.role, role);
        let keys = opened.keys;
        forward.push(ForwardHop::new(keys.suite, &keys.forward));
        backward.push(BackwardHop::new(keys.suite, &keys.backward, keys.backward_start));
        replies.push(opened.reply);
        message = opened.next_message;
    }
    let mut reply = replies.pop().unwrap().origin();
    replies.into_iter().rev().for_each(|key| key.wrap(&mut reply));
    Established { client: setup.complete(&mut reply).unwrap(), forward, backward }
}

#[test]
fn circuits_of_every_length_and_suite_carry_packets_both_ways() {
    let mut rng = Seeded(11);
    let all = nodes(5, &mut rng);
    for suite in Suite::ALL {
        for hops in 1..=5 {
            let mut c = establish(&all[..hops], suite, &mut rng);
            assert_eq!(c.client.hops(), hops);
            let mut sent = vec![0; TAGS + 1202];
            rng.fill(&mut sent[TAGS..]);
            for _ in 0..3 {
                let mut body = sent.clone();
                let mut counter = c.client.wrap(&mut body, &mut rng).unwrap();
                for hop in &mut c.forward {
                    counter = hop.open(counter, &mut body).unwrap();
                }
                assert_eq!(body[TAGS..], sent[TAGS..]);
                counter = c.backward[hops - 1].origin(&mut body).unwrap();
                for hop in c.backward[..hops - 1].iter_mut().rev() {
                    counter = hop.seal(counter, &mut body).unwrap();
                }
                assert_eq!(c.client.open(counter, &mut body), Ok(()));
                assert_eq!(body[TAGS..], sent[TAGS..]);
            }
        }
    }
}

#[test]
fn more_than_five_hops_or_none_are_refused() {
    let mut rng = Seeded(12);
    let all = specs(&nodes(6, &mut rng));
    for n in [0, 6] {
        let built = ClientSetup::build(&all[..n], Suite::Aes128Gcm, SizeClass::M, NOW, &mut rng);
        assert_eq!(built.err(), Some(SetupError::Hops(n)));
    }
}

/// A client that lies about the length: it has one hop more than a message holds and lets a chain of its own making run
/// on. What the fifth hop forwards was never sealed to a sixth, so it opens nothing.
#[test]
fn no_setup_yields_a_sixth_hop() {
    let mut rng = Seeded(13);
    let all = nodes(6, &mut rng);
    let (_, mut message) = build(&all[..5], Suite::Aes128Gcm, &mut rng);
    for node in &all[..5] {
        message = open(node, &message, &mut rng).unwrap().next_message;
    }
    for node in &all {
        assert_eq!(open(node, &message, &mut rng).err(), Some(Reason::SetupSealed));
    }
}

#[test]
fn no_changed_bit_of_a_setup_passes_the_next_honest_hop() {
    let mut rng = Seeded(14);
    let all = nodes(2, &mut rng);
    let (_, message) = build(&all, Suite::Aes128Gcm, &mut rng);
    // Every byte of the second slot on is under one tag, so a step through them is as good as all; the parts of the
    // first slot (ML-KEM, X25519, tag, info) are each met.
    let bits = (0..SETUP_SLOT).step_by(23).chain(1088..1140).chain((SETUP_SLOT..SETUP_BYTES).step_by(211));
    for (i, byte) in bits.enumerate() {
        let mut bad = message.clone();
        bad[byte] ^= 1 << (i % 8);
        assert_eq!(open(&all[0], &bad, &mut rng).err(), Some(Reason::SetupSealed), "byte {byte}");
    }
    assert!(open(&all[0], &message, &mut rng).is_ok());
}

#[test]
fn a_classical_only_setup_is_refused() {
    let mut rng = Seeded(15);
    let all = nodes(1, &mut rng);
    let (_, message) = build(&all, Suite::Aes128Gcm, &mut rng);
    // The X25519 part (RFC 7748, the last 32 bytes of the encapsulation) is right, the ML-KEM part nobody's.
    let mut garbage = [0; 1088];
    for fill in [|_: &mut Seeded, _: &mut [u8; 1088]| {}, |rng: &mut Seeded, g: &mut [u8; 1088]| rng.fill(g)] {
        fill(&mut rng, &mut garbage);
        let mut classical = message.clone();
        classical[..1088].copy_from_slice(&garbage);
        assert_eq!(open(&all[0], &classical, &mut rng).err(), Some(Reason::SetupSealed));
    }
    // And the other way round: a post-quantum part alone does not do either.
    let mut half = message.clone();
    half[1088..1120].fill(9);
    assert_eq!(open(&all[0], &half, &mut rng).err(), Some(Reason::SetupSealed));
}

#[test]
fn an_old_onion_key_opens_nothing_once_it_is_gone() {
    let mut rng = Seeded(16);
    let before = nodes(1, &mut rng).remove(0);
    let after = nodes(1, &mut rng).remove(0);
    let (_, message) = build(std::slice::from_ref(&before), Suite::Aes128Gcm, &mut rng);
    let both = [&after.secret, &before.secret];
    assert!(open_setup(&both, &message, NOW, 0, &mut rng).is_ok());
    assert_eq!(open_setup(&both[..1], &message, NOW, 0, &mut rng).err(), Some(Reason::SetupSealed));
    assert_eq!(open_setup(&[], &message, NOW, 0, &mut rng).err(), Some(Reason::SetupSealed));
}

#[test]
fn minutes_too_far_or_before_a_lost_cache_are_stale() {
    let mut rng = Seeded(17);
    let all = nodes(1, &mut rng);
    let (_, message) = build(&all, Suite::Aes128Gcm, &mut rng);
    let at = |now, oldest, rng: &mut Seeded| open_setup(&[&all[0].secret], &message, now, oldest, rng).err();
    for now in [NOW - MINUTES, NOW, NOW + MINUTES] {
        assert_eq!(at(now, NOW, &mut rng), None);
    }
    for now in [0, NOW - MINUTES - 1, NOW + MINUTES + 1, u32::MAX] {
        assert_eq!(at(now, 0, &mut rng), Some(Reason::SetupStale));
    }
    assert_eq!(at(NOW, NOW + 1, &mut rng), Some(Reason::SetupStale));
}

#[test]
fn replayed_setups_are_known_also_after_a_restart() {
    let mut rng = Seeded(18);
    let all = nodes(1, &mut rng);
    let mut cache = ReplayCache::new(0, 100);
    let mut tags = Vec::new();
    for _ in 0..5 {
        let (_, message) = build(&all, Suite::Aes128Gcm, &mut rng);
        let first = open(&all[0], &message, &mut rng).unwrap();
        let second = open(&all[0], &message, &mut rng).unwrap();
        assert_eq!(first.replay_tag, second.replay_tag);
        // Even a hop that forgot it all gives a replay fresh keys.
        assert_ne!(first.keys.forward.key, second.keys.forward.key);
        assert_eq!(cache.insert(first.minute, first.replay_tag, NOW), Ok(()));
        tags.push(first.replay_tag);
    }
    let mut restarted = ReplayCache::new(cache.floor(), 100);
    restarted.load(cache.iter());
    for tag in tags {
        assert_eq!(cache.insert(NOW, tag, NOW), Err(Reason::SetupReplayed));
        assert_eq!(restarted.insert(NOW, tag, NOW), Err(Reason::SetupReplayed));
    }
}

#[test]
fn setups_have_no_pattern_by_position_or_circuit() {
    let mut rng = Seeded(19);
    let all = nodes(3, &mut rng);
    let (_, first) = build(&all, Suite::Aes128Gcm, &mut rng);
    let second = open(&all[0], &first, &mut rng).unwrap();
    let third = open(&all[1], &second.next_message, &mut rng).unwrap();
    let (_, other) = build(&all[..1], Suite::Aes128Gcm, &mut rng);
    let messages = [&first, &second.next_message, &third.next_message, &other];
    let mut pieces = std::collections::HashSet::new();
    for message in messages {
        for piece in message.chunks_exact(16) {
            assert!(pieces.insert(piece.to_vec()), "two messages share a block");
        }
        // A slot of zeros would show the position; ones are half of random bits, here within 7 standard deviations.
        for slot in message.chunks(SETUP_SLOT) {
            let ones: u32 = slot.iter().map(|b| b.count_ones()).sum();
            assert!(ones.abs_diff(SETUP_SLOT as u32 * 4) < 350, "{ones}");
        }
    }
}

fn pending(n: usize, rng: &mut Seeded) -> (ClientSetup, Vec<ReplyKey>) {
    let all = nodes(n, rng);
    let (setup, mut message) = build(&all, Suite::Aes128Gcm, rng);
    let mut keys = Vec::new();
    for node in &all {
        let opened = open(node, &message, rng).unwrap();
        message = opened.next_message;
        keys.push(opened.reply);
    }
    (setup, keys)
}

fn reply(keys: Vec<ReplyKey>) -> [u8; REPLY_BYTES] {
    let mut keys = keys.into_iter().rev();
    let mut reply = keys.next().unwrap().origin();
    keys.for_each(|key| key.wrap(&mut reply));
    reply
}

#[test]
fn a_changed_or_foreign_reply_is_refused() {
    let mut rng = Seeded(20);
    for byte in (0..REPLY_BYTES).step_by(13) {
        let (setup, keys) = pending(2, &mut rng);
        let mut bad = reply(keys);
        bad[byte] ^= 0x10;
        assert_eq!(setup.complete(&mut bad).err(), Some(Reason::ReplyForged), "byte {byte}");
    }
    let ((setup, _), (_, others)) = (pending(2, &mut rng), pending(2, &mut rng));
    assert_eq!(setup.complete(&mut reply(others)).err(), Some(Reason::ReplyForged));
    // A hop that leaves out the ones behind it.
    let (setup, mut keys) = pending(3, &mut rng);
    keys.truncate(1);
    assert_eq!(setup.complete(&mut reply(keys)).err(), Some(Reason::ReplyForged));
}

#[test]
fn what_is_no_onion_key_is_refused() {
    // All ones is no ML-KEM key: its coefficients exceed the modulus (FIPS 203, section 7.2).
    let bad = OnionPublic([0xff; OnionPublic::BYTES]);
    assert_eq!(OnionPublic::from_bytes(&bad.0), Err(Reason::DescriptorMalformed));
    assert_eq!(OnionPublic::from_bytes(&[0; 32]), Err(Reason::DescriptorMalformed));
    let mut rng = Seeded(21);
    let mut path = specs(&nodes(2, &mut rng));
    path[1].onion_key = bad;
    let built = ClientSetup::build(&path, Suite::Aes128Gcm, SizeClass::M, NOW, &mut rng);
    assert_eq!(built.err(), Some(SetupError::OnionKey(1)));
    let secret = OnionSecret::from_seed([3; 32]);
    assert_eq!(OnionPublic::from_bytes(&secret.public().0), Ok(secret.public()));
    assert_eq!(format!("{secret:?}"), "OnionSecret");
}
