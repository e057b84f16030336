//! What is remembered stays within its limits, and clocks and numbers at their edges do no harm.

mod common;

use common::{open, received, source};
use wayfare_stats::{Asked, Config, Egress, FlowId, How, Limits, Moved, Refusal, Source};
use wayfare_testkit::Seeded;

const S: u64 = 1_000_000;

fn numbered(n: u64) -> Source {
    let mut address = [0; 16];
    address[8..].copy_from_slice(&n.to_be_bytes());
    Source { address, port: 1, protocol: 17 }
}

#[test]
fn a_million_tuples_are_bounded_the_oldest_idle_goes_and_live_ones_never() {
    const TUPLES: usize = 1 << 18;
    let mut random = Seeded::new(1);
    let limits = Limits { tuples: TUPLES, ..Limits::default() };
    let mut egress = Egress::new(&Config { limits, ..Config::default() }, 0, &mut random);
    for _ in 0..8 {
        egress.hop_add(0, 1.0).unwrap();
    }
    let to = egress.destination(0, b"origin.test:443").unwrap();
    let live: Vec<(Source, FlowId, u32)> = (0..1000)
        .map(|n| {
            let source = numbered(u64::MAX - n);
            let opened = egress.flow_open(0, &source, to, Asked::default(), &mut random).unwrap();
            (source, opened.flow, opened.hop)
        })
        .collect();
    for n in 0..1_000_000 {
        let opened = egress.flow_open(n, &numbered(n), to, Asked::default(), &mut random).unwrap();
        egress.flow_close(n, opened.flow, false).unwrap();
    }
    let held = egress.held();
    assert_eq!((held.flows_live, held.tuples_idle), (1000, TUPLES - 1000));
    assert_eq!(egress.counters().tuples_evicted, (1_000_000 + 1000 - TUPLES) as u64);
    assert!(held.memory_bytes < 300 * TUPLES, "{} bytes", held.memory_bytes);
    for (source, flow, hop) in &live {
        assert_eq!(egress.flow_find(source, to), Some(*flow));
        assert_eq!(egress.flow_hop(*flow), Some(*hop));
    }
    let oldest_kept = 1_000_000 - (TUPLES as u64 - 1000);
    assert_eq!(egress.flow_find(&numbered(oldest_kept - 1), to), None);
    assert!(egress.flow_find(&numbered(oldest_kept), to).is_some());
}

#[test]
fn with_everything_live_the_next_is_refused_and_nothing_else_changes() {
    let mut random = Seeded::new(2);
    let limits = Limits { hops: 2, destinations: 2, pairs: 2, tuples: 3, log: 2 };
    let mut egress = Egress::new(&Config { limits, ..Config::default() }, 0, &mut random);
    egress.hop_add(0, 1.0).unwrap();
    let a = egress.destination(0, b"a").unwrap();
    let flows: Vec<FlowId> = (0..3).map(|port| open(&mut egress, 0, port, a, &mut random).flow).collect();
    let refused = egress.flow_open(0, &source(3), a, Asked::default(), &mut random);
    assert_eq!(refused.unwrap_err(), Refusal::Full);
    assert_eq!(egress.held().flows_live, 3);
    assert_eq!(egress.connections(0, a, 0).unwrap(), 3.0);
    egress.flow_close(0, flows[1], false).unwrap();
    assert!(egress.flow_open(0, &source(3), a, Asked::default(), &mut random).is_ok());
    assert!(!egress.record(flows[1], 0, &received(1)), "its tuple has made room");
    // Destinations: a is live; b and then c share the other place.
    let b = egress.destination(0, b"b").unwrap();
    let c = egress.destination(0, b"c").unwrap();
    assert_eq!((egress.destination_key(b), egress.destination_key(c)), (&b""[..], &b"c"[..]));
    assert_eq!(
        egress.flow_open(0, &source(9), b, Asked::default(), &mut random).unwrap_err(),
        Refusal::DestinationUnknown
    );
    egress.hop_add(0, 1.0).unwrap();
    assert_eq!(egress.hop_add(0, 1.0), Err(Refusal::Full));
    let (connections, found) = egress.groups(0, 0);
    assert_eq!((connections.len(), found.running), (2, 2));
}

#[test]
fn pairs_make_room_where_nothing_is_live() {
    let mut random = Seeded::new(3);
    let limits = Limits { pairs: 4, ..Limits::default() };
    let mut egress = Egress::new(&Config { limits, ..Config::default() }, 0, &mut random);
    let hops: Vec<u32> = (0..4).map(|_| egress.hop_add(0, 1.0).unwrap()).collect();
    let kept = egress.destination(0, b"kept").unwrap();
    let flow = open(&mut egress, 0, 1, kept, &mut random).flow;
    for n in 0..50u16 {
        let to = egress.destination(0, n.to_string().as_bytes()).unwrap();
        let asked = Asked { hop: Some(hops[usize::from(n % 4)]), avoid: &[] };
        let opened = egress.flow_open(0, &source(n), to, asked, &mut random).unwrap();
        egress.record(opened.flow, 0, &received(10));
        egress.flow_close(0, opened.flow, false).unwrap();
        assert!(egress.held().pairs <= 4);
    }
    assert!(egress.record(flow, 0, &received(10)));
    assert_eq!(egress.pair_rows(0, kept).unwrap().map(|row| row.data_bytes).collect::<Vec<_>>(), [10]);
}

#[test]
fn a_clock_that_falls_stops_time_and_cuts_nothing() {
    let mut random = Seeded::new(4);
    let mut egress = Egress::new(&Config::default(), 1000 * S, &mut random);
    let hop = egress.hop_add(1000 * S, 5.0).unwrap();
    let to = egress.destination(1000 * S, b"origin").unwrap();
    let opened = open(&mut egress, 3 * S, 1, to, &mut random);
    // What is said to have moved long ago counts as having moved at the latest time.
    assert!(egress.record(opened.flow, 4 * S, &received(100)));
    assert!(egress.record(opened.flow, u64::MAX, &received(1)));
    assert!(egress.record(opened.flow, 995 * S, &received(10)));
    assert_eq!((egress.counters().records_late, egress.counters().clock_fell), (1, 1));
    assert_eq!(egress.hop_rows(0).next().unwrap().data_bytes, 111);
    assert_eq!(egress.hop_data(1000 * S, hop, 2 * S), Ok((101, 101)));
    assert_eq!(open(&mut egress, 0, 1, to, &mut random).how, How::Sticky);
    let interval = *egress.flow_interval(opened.flow).unwrap();
    assert_eq!((interval.first_us, interval.last_us), (995 * S, 1000 * S));
    // And one that leaps, to the end of time.
    egress.advance(u64::MAX);
    assert_eq!(egress.hop_rows(u64::MAX).next().unwrap().data_bytes, 0);
    assert!(egress.record(opened.flow, u64::MAX, &received(3)));
    assert_eq!(egress.hop_rows(u64::MAX).next().unwrap().data_bytes, 3);
}

#[test]
fn the_edges_of_bytes_do_not_wrap() {
    let mut random = Seeded::new(5);
    let mut egress = Egress::new(&Config::default(), 0, &mut random);
    egress.hop_add(0, 5.0).unwrap();
    let to = egress.destination(0, b"origin").unwrap();
    let flow = open(&mut egress, 0, 1, to, &mut random).flow;
    let most =
        Moved { sent_bytes: u64::MAX, received_bytes: u64::MAX, sent_packets: u32::MAX, received_packets: u32::MAX };
    for _ in 0..1000 {
        egress.record(flow, 0, &most);
        egress.record(flow, 0, &received(1 << 53));
    }
    let interval = egress.flow_interval(flow).unwrap();
    assert_eq!((interval.bytes(), interval.received_packets), (u64::MAX, u32::MAX));
    let row = egress.hop_rows(0).next().unwrap();
    assert_eq!(row.data_bytes, 1 << 48, "what is added to a window at a time is bounded");
    assert_eq!(row.weight, (1 << 44) - 1);
    let mut out = [0];
    assert!(egress.draw(0, to, &[], &mut out, &mut random).is_ok());
}

#[test]
fn at_the_end_of_time_intervals_do_not_overflow() {
    for step_us in [1, 1000, 4_278_585_920, 1 << 32] {
        let mut random = Seeded::new(6);
        let config = Config { step_us, window_steps: 62, sequence_steps: 62, ..Config::default() };
        let mut egress = Egress::new(&config, u64::MAX, &mut random);
        egress.hop_add(u64::MAX, 5.0).unwrap();
        let to = egress.destination(u64::MAX, b"origin").unwrap();
        let flow = open(&mut egress, u64::MAX, 1, to, &mut random).flow;
        for at_us in [1, 1_903_260_017, u64::MAX - 1, u64::MAX] {
            egress.record(flow, at_us, &received(100));
        }
        assert_eq!(egress.hop_rows(u64::MAX).next().unwrap().data_bytes, 400);
        assert_eq!(egress.flow_interval(flow).unwrap().bytes(), 400);
    }
}
