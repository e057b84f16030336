//! Inner datagrams that span several packets: where they are sent, and that no byte is lost where they are not.

use std::time::Duration;

use bytes::Bytes;

use crate::network::{Network, Wire, random};
use wayfare_engine::*;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn where_nothing_is_lost_datagrams_span_packets_that_are_as_large_as_ever() {
    for class in [SizeClass::M, SizeClass::L] {
        let mut n = Network::new(2, 1, Limits::default());
        n.watch = true;
        let circuit = n.circuit_of(class, &[1, 2, 3]);
        let connection = n.connection(circuit);
        let (near, far) = n.flow(connection, 3);
        let data = random(2 << 20);
        assert!(n.transfer((0, near), (3, far), &data, SOON) == data, "up");
        assert_eq!(n.nodes[0].connection_mtu(connection), Some(class.spanned_bytes() as u16));
        n.seen.clear();
        assert!(n.transfer((3, far), (0, near), &data, SOON) == data, "down");
        assert!(n.seen.iter().all(|(_, _, packet)| packet.len() == class.packet_bytes()));
        // Full ones: few more than the data would need, acknowledgements on top.
        let down = n.seen.iter().filter(|s| (s.0, s.1) == (1, 0)).count();
        assert!(down * class.inner_bytes() < data.len() * 104 / 100, "{down}");
        for node in [0, 3] {
            let lost = n.nodes[node].counters();
            assert_eq!((lost.get(Reason::PieceLost), lost.get(Reason::SpanRefused)), (0, 0));
        }
    }
}

#[test]
fn pieces_pass_links_that_carry_packets_in_halves() {
    let mut n = Network::new(2, 1, Limits::default());
    for (a, b) in [(0, 1), (1, 0)] {
        n.join(a, b, Wire { mtu: 1211, ..Wire::default() });
    }
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    let data = random(1 << 20);
    assert!(n.transfer((0, near), (3, far), &data, SOON) == data);
    assert!(n.transfer((3, far), (0, near), &data, SOON) == data);
    assert_eq!(n.nodes[0].connection_mtu(connection), Some(SizeClass::M.spanned_bytes() as u16));
}

#[test]
fn who_loses_much_goes_back_to_datagrams_of_one_packet() {
    let mut n = Network::new(2, 1, Limits::default());
    let circuit = n.circuit_of(SizeClass::L, &[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    let data = random(1 << 20);
    assert!(n.transfer((0, near), (3, far), &data, SOON) == data);
    assert_eq!(n.nodes[0].connection_mtu(connection), Some(SizeClass::L.spanned_bytes() as u16));
    n.wire(1, 2).loss_percent = 5;
    let data = random(4 << 20);
    assert!(n.transfer((0, near), (3, far), &data, SOON) == data);
    assert!(n.nodes[3].counters().get(Reason::PieceLost) > 0);
    assert_eq!(n.nodes[0].connection_mtu(connection), Some(SizeClass::L.inner_bytes() as u16));
    // What it probes with from then on is not sent, and counted.
    assert!(n.nodes[0].counters().get(Reason::SpanRefused) > 0);
}

#[test]
fn a_connection_that_spans_packets_moves_to_larger_ones_and_to_others_of_its_size() {
    let mut n = Network::new(4, 1, Limits::default());
    n.all_fast(Some(SizeClass::X.fast_bytes()));
    let [first, second, jumbo] = [
        n.circuit_of(SizeClass::M, &[1, 2, 5]),
        n.circuit_of(SizeClass::L, &[3, 4, 5]),
        n.circuit_of(SizeClass::X, &[4, 1, 5]),
    ];
    let connection = n.connection(first);
    let (near, far) = n.flow(connection, 5);
    let data = random(1 << 20);
    for circuit in [first, second, jumbo, first] {
        let now = n.now;
        n.nodes[0].connection_move(now, connection, circuit).unwrap();
        assert!(n.transfer((0, near), (5, far), &data, SOON) == data);
        assert!(n.transfer((5, far), (0, near), &data, SOON) == data);
        assert_eq!(n.nodes[0].connection_mtu(connection), Some(SizeClass::M.spanned_bytes() as u16));
    }
}

#[test]
fn what_is_missing_from_a_closed_circuit_is_no_longer_waited_for() {
    let mut n = Network::new(2, 1, Limits::default());
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    let mut data = [Bytes::from(random(1 << 20))];
    // Until the last of a datagram's pieces is lost behind the first link.
    n.wire(1, 2).loss_percent = 20;
    let held = n.run(SOON, |n| {
        while !data[0].is_empty()
            && let FlowWrite::Wrote(_) = n.nodes[0].flow_write(near, &mut data)
        {}
        let _ = n.nodes[3].flow_read(far, 64 << 10);
        n.nodes[3].pieces_held() > 0
    });
    assert!(held);
    n.wire(1, 2).loss_percent = 0;
    let now = n.now;
    n.nodes[0].circuit_close(now, circuit);
    n.run(Duration::from_secs(5), |_| false);
    assert_eq!(n.nodes[3].pieces_held(), 0);
}
