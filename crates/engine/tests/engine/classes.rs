//! Jumbo classes: carried where every link of the path is fast and large enough, refused with a reason elsewhere.

use std::time::Duration;

use wayfare_engine::*;

use crate::network::{Network, random};

const SOON: Duration = Duration::from_secs(30);
const JUMBO: usize = 16_384;

fn jumbo_network(relays: usize) -> Network {
    let mut n = Network::new(relays, 1, Limits::default());
    n.all_fast(Some(JUMBO));
    n
}

/// Why a circuit of this class along these nodes does not come up.
fn refusal(n: &mut Network, class: SizeClass, path: &[usize]) -> Reason {
    let hops: Vec<HopSpec> = path.iter().map(|&i| n.hop(i)).collect();
    let now = n.now;
    match n.nodes[0].circuit_open(now, &hops, class, None) {
        Err(reason) => reason,
        Ok(id) => match n.wait(0, "the refusal", |e| matches!(e, Event::CircuitDown { circuit, .. } if *circuit == id))
        {
            Event::CircuitDown { reason, .. } => reason,
            _ => unreachable!(),
        },
    }
}

#[test]
fn every_packet_of_a_jumbo_circuit_has_its_class_s_size_on_every_link() {
    for class in [SizeClass::J, SizeClass::X] {
        let mut n = jumbo_network(2);
        n.watch = true;
        let circuit = n.circuit_of(class, &[1, 2, 3]);
        let connection = n.connection(circuit);
        let (near, far) = n.flow(connection, 3);
        let data = random(4 << 20);
        n.seen.clear();
        assert!(n.transfer((3, far), (0, near), &data, SOON) == data);
        assert!(n.seen.iter().all(|(_, _, p)| p.len() == class.packet_bytes()));
        // Of what an inner datagram holds, QUIC and the stream take a few dozen bytes; the first ones are small.
        let down = n.seen.iter().filter(|s| (s.0, s.1) == (1, 0)).count();
        assert!(down * (class.inner_bytes() - 60) < data.len() * 110 / 100, "{class:?}: {down} packets");
        assert!(n.transfer((0, near), (3, far), &data, SOON) == data);
    }
}

#[test]
fn a_path_with_one_small_link_refuses_the_class_and_tells_the_client_why() {
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        for (bytes, refused, carried) in [
            (None, vec![SizeClass::X, SizeClass::J], SizeClass::L),
            (Some(SizeClass::X.fast_bytes() - 1), vec![SizeClass::X], SizeClass::J),
            (Some(SizeClass::J.fast_bytes() - 1), vec![SizeClass::X, SizeClass::J], SizeClass::L),
        ] {
            let mut n = jumbo_network(2);
            n.fast(a, b, bytes);
            for class in refused {
                assert_eq!(refusal(&mut n, class, &[1, 2, 3]), Reason::SetupClass, "{a}-{b} {bytes:?} {class:?}");
            }
            n.circuit_of(carried, &[1, 2, 3]);
            // Nothing of what was refused is kept anywhere.
            let circuits = |s: Stats| s.circuits_client + s.circuits_relay + s.circuits_exit;
            assert!(n.nodes.iter().all(|node| circuits(node.stats()) <= 1));
        }
    }
}

#[test]
fn a_setup_waits_for_a_new_link_to_be_fast_but_not_for_long() {
    // The first link, and one behind it.
    for (a, b) in [(0, 1), (1, 2)] {
        let mut n = Network::new(2, 1, Limits::default());
        for (x, y) in [(0, 1), (1, 2), (2, 3)].into_iter().filter(|l| *l != (a, b)) {
            n.fast(x, y, Some(JUMBO));
        }
        let hops: Vec<HopSpec> = [1, 2, 3].map(|i| n.hop(i)).into();
        let now = n.now;
        let id = n.nodes[0].circuit_open(now, &hops, SizeClass::X, None).unwrap();
        let up = |n: &mut Network| n.events[0].contains(&Event::CircuitUp(id));
        assert!(!n.run(Duration::from_millis(120), up));
        n.fast(a, b, Some(JUMBO));
        assert!(n.run(Duration::from_millis(100), up), "as soon as it is fast");

        let mut n = Network::new(2, 1, Limits::default());
        for (x, y) in [(0, 1), (1, 2), (2, 3)].into_iter().filter(|l| *l != (a, b)) {
            n.fast(x, y, Some(JUMBO));
        }
        let began = n.now;
        assert_eq!(refusal(&mut n, SizeClass::X, &[1, 2, 3]), Reason::SetupClass);
        assert!(n.now - began < Duration::from_millis(400), "{:?}", n.now - began);
    }
}

#[test]
fn a_jumbo_connection_moves_to_circuits_of_any_class_and_is_as_large_as_each_takes() {
    for class in [SizeClass::J, SizeClass::X] {
        let mut n = jumbo_network(4);
        n.watch = true;
        let first = n.circuit_of(class, &[1, 2, 5]);
        let connection = n.connection(first);
        let (near, far) = n.flow(connection, 5);
        let data = random(2 << 20);
        assert!(n.transfer((5, far), (0, near), &data, SOON) == data);
        let (second, small) = (n.circuit_of(class, &[3, 4, 5]), n.circuit_of(SizeClass::L, &[4, 3, 5]));
        for (circuit, link) in [(small, (4, 0)), (second, (3, 0))] {
            let now = n.now;
            n.nodes[0].connection_move(now, connection, circuit).unwrap();
            assert!(n.transfer((5, far), (0, near), &data, SOON) == data, "down, {class:?}");
            assert!(n.transfer((0, near), (5, far), &data, SOON) == data, "up, {class:?}");
            n.seen.clear();
            assert!(n.transfer((5, far), (0, near), &data, SOON) == data);
            let packets = n.seen.iter().filter(|s| (s.0, s.1) == link).count();
            let largest = if circuit == small { SizeClass::L } else { class }.inner_bytes();
            // Half of them may be acknowledgements, or as small as it began.
            assert!(packets * largest < 4 << 20, "{packets} packets of {class:?}");
        }
        // For a second nothing gets through.
        n.wire(4, 3).loss_percent = 100;
        let got = n.transfer((5, far), (0, near), &data, Duration::from_secs(1));
        n.wire(4, 3).loss_percent = 0;
        let rest = n.transfer((0, near), (5, far), &data, SOON);
        assert!(got.len() < data.len() && rest == data);
        assert!(n.transfer((5, far), (0, near), &data, SOON).len() >= data.len());
    }
}

#[test]
fn what_a_link_no_longer_carries_is_dropped_under_a_reason_and_smaller_classes_go_on() {
    let mut n = jumbo_network(2);
    let circuits = [n.circuit_of(SizeClass::X, &[1, 2, 3]), n.circuit_of(SizeClass::L, &[1, 2, 3])];
    let connections = circuits.map(|c| n.connection(c));
    let flows = connections.map(|c| n.flow(c, 3));
    n.fast(0, 1, None);
    let data = random(100_000);
    assert!(n.transfer((3, flows[1].1), (0, flows[1].0), &data, SOON) == data);
    assert!(n.transfer((3, flows[0].1), (0, flows[0].0), &data, Duration::from_secs(3)).is_empty());
    assert!(n.nodes[1].counters().get(Reason::LinkNarrow) > 0);
}
