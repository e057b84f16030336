//! Bytes from a client through relays to an exit and back, as users rely on it.

use std::time::Duration;

use bytes::Bytes;

use crate::network::{Network, Wire, random};
use wayfare_engine::*;

const SOON: Duration = Duration::from_secs(60);

#[test]
fn bytes_pass_three_hops_both_ways_unaltered() {
    let mut n = Network::new(2, 1, Limits::default());
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    let data = random(1 << 20);
    assert!(n.transfer((3, far), (0, near), &data, SOON) == data, "down");
    assert!(n.transfer((0, near), (3, far), &data, SOON) == data, "up");
    for relay in [1, 2] {
        let s = n.nodes[relay].stats();
        assert!(s.relayed_bytes_forward > 1 << 20 && s.relayed_bytes_backward > 1 << 20, "{s:?}");
    }
}

#[test]
fn paths_of_one_to_five_hops_work_and_six_are_refused() {
    let mut n = Network::new(4, 1, Limits::default());
    for path in [&[5][..], &[1, 5], &[1, 2, 5], &[1, 2, 3, 5], &[1, 2, 3, 4, 5]] {
        let circuit = n.circuit(path);
        let connection = n.connection(circuit);
        let (near, far) = n.flow(connection, 5);
        let data = random(10_000);
        assert!(n.transfer((3 + 2, far), (0, near), &data, SOON) == data);
    }
    let hops: Vec<HopSpec> = [1, 2, 3, 4, 1, 5].map(|i| n.hop(i)).into();
    let now = n.now;
    assert_eq!(n.nodes[0].circuit_open(now, &hops, SizeClass::M, None), Err(Reason::SetupMalformed));
}

#[test]
fn loss_and_small_links_cost_time_and_no_byte() {
    let mut n = Network::new(2, 1, Limits::default());
    for (a, b) in [(1, 2), (2, 1)] {
        *n.wire(a, b) = Wire { loss_percent: 3, ..Wire::default() };
    }
    // Chromium's datagrams: an M packet travels in two halves.
    let small = Wire { mtu: 1211, ..Wire::default() };
    n.join(0, 1, small);
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    let data = random(300_000);
    assert!(n.transfer((0, near), (3, far), &data, SOON) == data);
    assert!(n.transfer((3, far), (0, near), &data, SOON) == data);
}

#[test]
fn a_larger_class_carries_more_in_each_packet_either_way() {
    let packets = |class| {
        let mut n = Network::new(2, 1, Limits::default());
        n.watch = true;
        let circuit = n.circuit_of(class, &[1, 2, 3]);
        let connection = n.connection(circuit);
        let (near, far) = n.flow(connection, 3);
        let data = random(1 << 20);
        let mut each_way = [0; 2];
        for (way, (from, to)) in [((0, near), (3, far)), ((3, far), (0, near))].into_iter().enumerate() {
            n.seen.clear();
            assert!(n.transfer(from, to, &data, SOON) == data);
            assert!(n.seen.iter().all(|(_, _, p)| p.len() == class.packet_bytes()));
            // On the first link, the way that the data goes.
            let link = if way == 0 { (0, 1) } else { (1, 0) };
            each_way[way] = n.seen.iter().filter(|s| (s.0, s.1) == link).count();
        }
        each_way
    };
    let (m, l) = (packets(SizeClass::M), packets(SizeClass::L));
    // 1,312 bytes against 1,200; acknowledgements of the other way are among them.
    assert!(l.iter().zip(&m).all(|(l, m)| l * 100 < m * 94), "{m:?} {l:?}");
}

#[test]
fn every_packet_on_every_link_has_one_size() {
    let mut n = Network::new(2, 1, Limits::default());
    n.watch = true;
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    n.transfer((3, far), (0, near), &random(100_000), SOON);
    n.transfer((0, near), (3, far), b"x", SOON);
    assert!(n.seen.len() > 200);
    assert!(n.seen.iter().all(|(_, _, p)| p.len() == 13 + SizeClass::M.body_bytes()));
    // A relay's two sides share neither circuit id with counter, nor a byte of the body.
    let (a, b): (Vec<_>, Vec<_>) = (
        n.seen.iter().filter(|s| (s.0, s.1) == (0, 1)).collect(),
        n.seen.iter().filter(|s| (s.0, s.1) == (1, 2)).collect(),
    );
    assert!(a.iter().zip(&b).all(|(x, y)| x.2[5..13] != y.2[5..13]));
}

#[test]
fn a_running_connection_moves_to_another_circuit_to_the_same_exit() {
    let mut n = Network::new(4, 1, Limits::default());
    let first = n.circuit(&[1, 2, 5]);
    let connection = n.connection(first);
    let (near, far) = n.flow(connection, 5);
    let data = random(400_000);
    assert!(n.transfer((5, far), (0, near), &data, SOON) == data);
    let second = n.circuit(&[3, 4, 5]);
    let now = n.now;
    n.nodes[0].connection_move(now, connection, second).unwrap();
    assert!(n.transfer((5, far), (0, near), &data, SOON) == data, "down, after the move");
    n.nodes[0].circuit_close(now, first);
    assert!(n.transfer((0, near), (5, far), &data, SOON) == data, "up, after the old circuit closed");
    assert!(n.nodes[3].stats().relayed_bytes_backward > 200_000);
    assert!(!n.events[0].iter().any(|e| matches!(e, Event::FlowClosed { .. } | Event::ConnectionDown { .. })));
}

#[test]
fn a_connection_does_not_move_where_its_exit_or_its_datagrams_are_not() {
    let mut n = Network::new(2, 2, Limits::default());
    let first = n.circuit_of(SizeClass::L, &[1, 2, 3]);
    let connection = n.connection(first);
    let (elsewhere, narrower) = (n.circuit_of(SizeClass::L, &[1, 2, 4]), n.circuit(&[1, 3]));
    let now = n.now;
    assert_eq!(n.nodes[0].connection_move(now, connection, elsewhere), Err(Reason::LinkRefused));
    assert_eq!(n.nodes[0].connection_move(now, connection, narrower), Err(Reason::PacketSize));
    let (near, far) = n.flow(connection, 3);
    assert_eq!(n.transfer((0, near), (3, far), b"still here", SOON), b"still here");
}

#[test]
fn a_dead_relay_is_noticed_within_three_seconds_and_the_flow_survives_the_move() {
    let mut n = Network::new(4, 1, Limits::default());
    let first = n.circuit(&[1, 2, 5]);
    let connection = n.connection(first);
    let (near, far) = n.flow(connection, 5);
    n.transfer((5, far), (0, near), &random(10_000), SOON);
    n.kill(2);
    let died = n.now;
    let stalled = n.wait(0, "the stall", |e| matches!(e, Event::ConnectionStalled { .. }));
    assert!(
        matches!(stalled, Event::ConnectionStalled { connection: c, circuit, .. } if c == connection && circuit == first)
    );
    assert!(n.now - died < Duration::from_secs(3), "{:?}", n.now - died);
    let second = n.circuit(&[3, 4, 5]);
    let now = n.now;
    n.nodes[0].connection_move(now, connection, second).unwrap();
    let data = random(300_000);
    assert!(n.transfer((5, far), (0, near), &data, SOON) == data);
    assert!(n.now - died < Duration::from_secs(6), "{:?}", n.now - died);
}

#[test]
fn a_lost_link_ends_its_circuits_at_both_neighbours() {
    let mut n = Network::new(2, 1, Limits::default());
    let circuit = n.circuit(&[1, 2, 3]);
    n.kill(2);
    n.lose_links(2);
    n.wait(0, "the end", |e| *e == Event::CircuitDown { circuit, reason: Reason::LinkGone });
    n.run(Duration::from_secs(1), |_| false);
    for node in [0, 1, 3] {
        let s = n.nodes[node].stats();
        assert_eq!((s.circuits_client, s.circuits_relay, s.circuits_exit), (0, 0, 0), "node {node}");
    }
}

#[test]
fn udp_of_any_size_an_application_sends_passes_both_ways() {
    let mut n = Network::new(2, 1, Limits::default());
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let now = n.now;
    let near = n.nodes[0].udp_open(now, connection).unwrap();
    let to = UdpAddress::Socket("192.0.2.7:53".parse().unwrap());
    for bytes in [0, 1, 1100, 1200, 1472, 9000] {
        let data = random(bytes);
        n.nodes[0].udp_send(near, &to, &data).unwrap();
        let got = n.wait(3, "the datagram", |e| matches!(e, Event::UdpReceived { .. }));
        let Event::UdpReceived { udp, address, data: arrived } = got else { unreachable!() };
        assert!(address == to && arrived == data, "{bytes}");
        n.nodes[3].udp_send(udp, &to, &data).unwrap();
        let back = n.wait(0, "its answer", |e| matches!(e, Event::UdpReceived { .. }));
        assert_eq!(back, Event::UdpReceived { udp: near, address: to.clone(), data });
    }
}

#[test]
fn refusals_reach_the_client_with_their_reason() {
    let mut n = Network::new(2, 1, Limits::default());
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    for (status, reason) in [
        (Status::AddressDenied, Reason::ExitAddressDenied),
        (Status::PortDenied, Reason::ExitPortDenied),
        (Status::NameUnresolved, Reason::ExitNameUnresolved),
        (Status::Refused, Reason::ExitConnectFailed),
        (Status::TimedOut, Reason::Timeout),
    ] {
        let now = n.now;
        let flow = n.nodes[0].flow_open(now, connection, "origin.example", 25).unwrap();
        let Event::FlowRequested { flow: far, .. } =
            n.wait(3, "the request", |e| matches!(e, Event::FlowRequested { .. }))
        else {
            unreachable!()
        };
        let now = n.now;
        n.nodes[3].flow_refuse(now, far, status);
        n.wait(0, "the refusal", |e| *e == Event::FlowClosed { flow, reason });
    }
}

#[test]
fn a_reader_that_never_reads_holds_a_bounded_window() {
    let mut n = Network::new(2, 1, Limits::default());
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    let mut rest = [bytes::Bytes::from(random(4 << 20))];
    n.run(Duration::from_secs(10), |n| {
        while let FlowWrite::Wrote(_) = n.nodes[3].flow_write(far, &mut rest) {}
        false
    });
    let written = (4 << 20) - rest[0].len();
    assert!(written <= 256 << 10, "{written} bytes were taken for a reader that never read");
    // It was only waiting: once it reads, all of it comes.
    let before = random(4 << 20);
    let rest = rest[0].to_vec();
    let mut got = Vec::new();
    while got.len() < written {
        let FlowRead::Data(bytes) = n.nodes[0].flow_read(near, 1 << 20) else { panic!("blocked at {}", got.len()) };
        let now = n.now;
        n.nodes[0].flow_consumed(now, near, bytes.len());
        got.extend_from_slice(&bytes);
    }
    got.extend(n.transfer((3, far), (0, near), &rest, SOON));
    assert!(got == before);
}

#[test]
fn a_thousand_stalled_readers_stay_within_the_quota_and_the_worst_go_first() {
    let limits = Limits { reader_bytes: 8 << 20, ..Limits::default() };
    let mut n = Network::new(1, 1, limits);
    let circuit = n.circuit(&[1, 2]);
    let connection = n.connection(circuit);
    let now = n.now;
    let flows: Vec<FlowId> =
        (0..1000).map(|_| n.nodes[0].flow_open(now, connection, "origin.example", 80).unwrap()).collect();
    let mut senders = Vec::new();
    n.run(Duration::from_secs(20), |n| {
        let asked: Vec<FlowId> = n.events[2]
            .drain(..)
            .filter_map(|e| if let Event::FlowRequested { flow, .. } = e { Some(flow) } else { None })
            .collect();
        for flow in asked {
            n.nodes[2].flow_accept(flow, "192.0.2.1:1".parse().unwrap());
            senders.push((flow, [bytes::Bytes::from(vec![0; 300 << 10])]));
        }
        for (flow, data) in &mut senders {
            while let FlowWrite::Wrote(_) = n.nodes[2].flow_write(*flow, data) {}
        }
        false
    });
    assert_eq!(senders.len(), 1000);
    let held = n.nodes[0].stats().reader_bytes;
    assert!(held <= 8 << 20, "{held} bytes held");
    let dropped = n.nodes[0].counters().get(Reason::MemoryQuota);
    assert!(dropped > 0 && (dropped as usize) < flows.len(), "{dropped} dropped");
}

/// A download over circuits whose keys wear out after a thousand packets: who is told replaces each in time.
#[test]
fn a_download_goes_from_worn_circuit_to_fresh_one_and_neither_loses_nor_waits() {
    let mut n = Network::new(4, 1, Limits { renew_after_packets: 1000, ..Limits::default() });
    let mut circuit = n.circuit(&[1, 2, 5]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 5);
    let data = random(8 << 20);
    let mut rest = [Bytes::from(data.clone())];
    let (mut got, mut renewals, mut pending) = (Vec::new(), 0, None);
    let (mut last, mut longest) = (n.now, Duration::ZERO);
    n.run(SOON, |n| {
        let now = n.now;
        while !rest[0].is_empty() && matches!(n.nodes[5].flow_write(far, &mut rest), FlowWrite::Wrote(_)) {}
        while let FlowRead::Data(bytes) = n.nodes[0].flow_read(near, 1 << 20) {
            longest = longest.max(now - last);
            last = now;
            got.extend_from_slice(&bytes);
            n.nodes[0].flow_consumed(now, near, bytes.len());
        }
        for event in std::mem::take(&mut n.events[0]) {
            match event {
                Event::CircuitWorn(worn) => {
                    assert_eq!(worn, circuit, "told once, of the one in use");
                    let path = if renewals % 2 == 0 { [3, 4, 5] } else { [1, 2, 5] };
                    let hops = path.map(|i| n.hop(i));
                    pending = Some(n.nodes[0].circuit_open(now, &hops, SizeClass::M, None).unwrap());
                }
                Event::CircuitUp(fresh) => {
                    assert_eq!(pending.take(), Some(fresh));
                    n.nodes[0].connection_move(now, connection, fresh).unwrap();
                    (circuit, renewals) = (fresh, renewals + 1);
                }
                Event::FlowReadable(_) | Event::FlowWritable(_) => {}
                other => panic!("{other:?}"),
            }
        }
        got.len() == data.len()
    });
    assert!(got == data);
    assert!(renewals >= 2, "{renewals} renewals");
    // Half a round trip of 30 ms until the exit hears of the new path, one to validate it, and one until what it then sends
    // is here and acknowledged; far from what a stall is.
    assert!(longest <= Duration::from_millis(100), "{longest:?}");
    assert_eq!(n.nodes[0].counters().get(Reason::KeyWorn), 0);
}
