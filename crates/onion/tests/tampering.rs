//! What a relay between can do to packets: change, replay, reflect, shorten. (Threat rows 1 and 2.)

#![allow(clippy::unwrap_used)]

mod common;

use common::{Circuit, Seeded, circuit};
use proptest::prelude::*;
use wayfare_onion::{BackwardHop, ClientPath, ForwardHop, OpenFailed, Suite};
use wayfare_types::{Random, Reason};
use wayfare_wire::{SLOT, TAGS};

const PAYLOAD: usize = 61;

fn payload(rng: &mut Seeded) -> Vec<u8> {
    let mut body = vec![0; TAGS + PAYLOAD];
    rng.fill(&mut body[TAGS..]);
    body
}

/// Sends one packet back to the client's door; the bodies as they left each hop, exit last.
fn back(c: &mut Circuit, sent: &[u8]) -> (u64, Vec<Vec<u8>>) {
    let mut body = sent.to_vec();
    let (exit, relays) = c.backward.split_last_mut().unwrap();
    let mut counter = exit.origin(&mut body).unwrap();
    let mut bodies = vec![body.clone()];
    for hop in relays.iter_mut().rev() {
        counter = hop.seal(counter, &mut body).unwrap();
        bodies.insert(0, body.clone());
    }
    (counter, bodies)
}

#[test]
fn forwards_no_changed_bit_passes_the_next_honest_hop() {
    let mut rng = Seeded(1);
    let mut flips = 0;
    for suite in Suite::ALL {
        for hops in 1..=5 {
            let mut c = circuit(suite, hops, u64::MAX, &mut rng);
            let sent = payload(&mut rng);
            let mut body = sent.clone();
            let mut counter = c.client.wrap(&mut body, &mut rng).unwrap();
            for hop in &mut c.forward {
                for bit in 0..8 * body.len() {
                    let mut bad = body.clone();
                    bad[bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(hop.open(counter, &mut bad), Err(Reason::PacketForged));
                    flips += 1;
                }
                for bit in 0..64 {
                    assert_eq!(hop.open(counter ^ 1 << bit, &mut body.clone()), Err(Reason::PacketForged));
                }
                // None of that has marked the window: the true packet still passes.
                counter = hop.open(counter, &mut body).unwrap();
            }
            assert_eq!(body[TAGS..], sent[TAGS..]);
        }
    }
    assert_eq!(flips, 3 * (1 + 2 + 3 + 4 + 5) * 8 * (TAGS + PAYLOAD));
}

#[test]
fn backwards_no_changed_bit_is_delivered() {
    let mut rng = Seeded(2);
    for suite in Suite::ALL {
        for hops in 1..=5 {
            let mut c = circuit(suite, hops, 0, &mut rng);
            let sent = payload(&mut rng);
            for changed_by in 0..hops {
                for bit in (0..8 * sent.len()).step_by(if changed_by == 0 { 1 } else { 7 }) {
                    let mut body = sent.clone();
                    let mut counter = c.backward[hops - 1].origin(&mut body).unwrap();
                    for at in (0..hops).rev() {
                        if at < hops - 1 {
                            counter = c.backward[at].seal(counter, &mut body).unwrap();
                        }
                        if at == changed_by {
                            body[bit / 8] ^= 1 << (bit % 8);
                        }
                    }
                    // A slot moves back by one at each hop and falls out behind the last, whatever is in it: at once,
                    // and nobody ever looks at it; later, and a hop in between has put its tag on the change.
                    let slot = bit / 8 / SLOT;
                    let falls_out = slot == 4 && changed_by > 0;
                    let layer = if slot < 4 && slot + changed_by > 4 { slot + changed_by - 4 } else { changed_by };
                    let refused = OpenFailed { reason: Reason::PacketForged, layer: Some(layer) };
                    let expected = if falls_out { Ok(()) } else { Err(refused) };
                    assert_eq!(c.client.open(counter, &mut body), expected, "slot {slot} changed by hop {changed_by}");
                    assert!(!falls_out || body[TAGS..] == sent[TAGS..]);
                }
            }
        }
    }
}

#[test]
fn replays_are_refused_at_every_hop_and_at_the_client() {
    let mut rng = Seeded(3);
    let mut c = circuit(Suite::Aes128Gcm, 3, u64::MAX - 9, &mut rng);
    let mut seen: [Vec<(u64, Vec<u8>)>; 3] = Default::default();
    let mut returned = Vec::new();
    for _ in 0..100 {
        let sent = payload(&mut rng);
        let mut body = sent.clone();
        let mut counter = c.client.wrap(&mut body, &mut rng).unwrap();
        for (hop, seen) in c.forward.iter_mut().zip(&mut seen) {
            seen.push((counter, body.clone()));
            counter = hop.open(counter, &mut body).unwrap();
        }
        let (counter, bodies) = back(&mut c, &sent);
        let mut body = bodies[0].clone();
        assert_eq!(c.client.open(counter, &mut body), Ok(()));
        assert_eq!(body[TAGS..], sent[TAGS..]);
        returned.push((counter, bodies[0].clone()));
    }
    for round in 0..100 {
        for (hop, seen) in c.forward.iter_mut().zip(&seen) {
            let (counter, body) = &seen[round];
            assert_eq!(hop.open(*counter, &mut body.clone()), Err(Reason::PacketReplayed));
        }
        let (counter, body) = &returned[round];
        assert_eq!(c.client.open(*counter, &mut body.clone()).map_err(|e| e.reason), Err(Reason::PacketReplayed));
    }
}

#[test]
fn a_neighbour_cannot_make_a_relay_seal_twice_with_a_nonce() {
    let mut rng = Seeded(4);
    let keys = common::hop_keys(Suite::ChaCha20Poly1305, &mut rng);
    let mut relay = BackwardHop::new(keys.suite, &keys.backward, 0);
    let mut sealed = std::collections::HashSet::from([relay.seal(0, &mut payload(&mut rng)).unwrap()]);
    for i in 0..20_000u64 {
        let counter = match i % 5 {
            0 => rng.next_u64(),
            1 => u64::MAX.wrapping_add(i / 3),
            2 => (1 << 63) + i / 7,
            _ => i / 2,
        };
        if let Ok(counter) = relay.seal(counter, &mut payload(&mut rng)) {
            assert!(sealed.insert(counter));
        }
    }
    assert!(sealed.len() > 1000);
}

#[test]
fn nothing_can_be_reflected() {
    let mut rng = Seeded(5);
    let mut c = circuit(Suite::Aes256Gcm, 2, 0, &mut rng);
    let mut body = payload(&mut rng);
    let counter = c.client.wrap(&mut body, &mut rng).unwrap();
    let refused = OpenFailed { reason: Reason::PacketForged, layer: Some(0) };
    assert_eq!(c.client.open(counter, &mut body.clone()), Err(refused));
    let (counter, bodies) = back(&mut c, &body);
    assert_eq!(c.forward[0].open(counter, &mut bodies[0].clone()), Err(Reason::PacketForged));
}

#[test]
fn bodies_shorter_than_their_slots_are_refused() {
    let mut rng = Seeded(6);
    let mut c = circuit(Suite::Aes128Gcm, 2, 0, &mut rng);
    for length in 0..TAGS {
        let mut body = vec![0; length];
        assert_eq!(c.client.wrap(&mut body, &mut rng), Err(Reason::PacketTruncated));
        assert_eq!(c.client.open(0, &mut body).map_err(|e| e.reason), Err(Reason::PacketTruncated));
        assert_eq!(c.forward[0].open(0, &mut body), Err(Reason::PacketTruncated));
        assert_eq!(c.backward[0].seal(0, &mut body), Err(Reason::PacketTruncated));
        assert_eq!(c.backward[1].origin(&mut body), Err(Reason::PacketTruncated));
    }
}

#[test]
fn neighbours_two_apart_see_other_counters() {
    let mut rng = Seeded(7);
    let mut c = circuit(Suite::Aes128Gcm, 3, 1000, &mut rng);
    let mut body = payload(&mut rng);
    let first = c.client.wrap(&mut body, &mut rng).unwrap();
    let second = c.forward[0].open(first, &mut body).unwrap();
    let third = c.forward[1].open(second, &mut body).unwrap();
    assert!(first != second && second != third && first != third);
    assert_eq!(first, 1000);
}

proptest! {
    #[test]
    fn arbitrary_bodies_never_pass_and_never_panic(
        counter: u64, body in prop::collection::vec(any::<u8>(), 0..300), suite in 0..3usize,
    ) {
        let mut rng = Seeded(counter);
        let suite = Suite::ALL[suite];
        let keys = common::hop_keys(suite, &mut rng);
        prop_assert!(ForwardHop::new(suite, &keys.forward).open(counter, &mut body.clone()).is_err());
        prop_assert!(ClientPath::new(&[keys], 0).unwrap().open(counter, &mut body.clone()).is_err());
    }

    #[test]
    fn any_payload_length_round_trips(length in 0..1500usize, hops in 1..6usize, suite in 0..3usize, seed: u64) {
        let mut rng = Seeded(seed);
        let mut c = circuit(Suite::ALL[suite], hops, seed, &mut rng);
        let mut sent = vec![0; TAGS + length];
        rng.fill(&mut sent[TAGS..]);
        let mut body = sent.clone();
        let mut counter = c.client.wrap(&mut body, &mut rng).unwrap();
        for hop in &mut c.forward {
            counter = hop.open(counter, &mut body).unwrap();
        }
        prop_assert_eq!(&body[TAGS..], &sent[TAGS..]);
        let (counter, mut bodies) = back(&mut c, &sent);
        prop_assert_eq!(c.client.open(counter, &mut bodies[0]), Ok(()));
        prop_assert_eq!(&bodies[0][TAGS..], &sent[TAGS..]);
    }
}
