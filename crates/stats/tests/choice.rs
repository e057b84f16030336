//! Which hop a flow gets: sticky tuples, the two weights, exclusions, retries, and what a liar gets.

mod common;

use common::{open, plausible, received, sent, source};
use wayfare_stats::{Asked, Combine, Config, DestinationId, Egress, How, Measure, Refusal, Weighting, Weights, Within};
use wayfare_testkit::Seeded;

const S: u64 = 1_000_000;

fn egress(hops: u32, weighting: Weighting) -> (Egress, Seeded, Vec<u32>, DestinationId) {
    let mut random = Seeded::new(1);
    let mut egress = Egress::new(&Config::default(), 0, &mut random);
    egress.set_weighting(weighting);
    let hops = (0..hops).map(|_| egress.hop_add(0, 1000.0).expect("a hop and room")).collect();
    let to = egress.destination(0, b"origin.test:443").expect("a hop and room");
    (egress, random, hops, to)
}

/// Moves bytes through a hop to a destination, by a flow of its own.
fn moved(egress: &mut Egress, now_us: u64, port: u16, to: DestinationId, hop: u32, bytes: u64, random: &mut Seeded) {
    let asked = Asked { hop: Some(hop), avoid: &[] };
    let flow = egress.flow_open(now_us, &source(port), to, asked, random).expect("a hop and room").flow;
    assert!(egress.record(flow, now_us, &received(bytes)));
    egress.flow_close(now_us, flow, false).expect("a hop and room");
}

fn counted(egress: &mut Egress, now_us: u64, to: DestinationId, draws: u64, random: &mut Seeded) -> Vec<u64> {
    let mut counts = vec![0; 64];
    for _ in 0..draws {
        let mut out = [0];
        egress.draw(now_us, to, &[], &mut out, random).expect("a hop and room");
        counts[out[0] as usize] += 1;
    }
    counts
}

fn exact(combine: Combine, destination_share: f64) -> Weighting {
    Weighting { combine, destination_share, within: Within::Exact, ..Weighting::default() }
}

const DRAWS: u64 = 100_000;

#[test]
fn a_live_tuple_keeps_its_hop_and_another_port_is_drawn_anew() {
    let (mut egress, mut random, hops, to) = egress(16, Weighting::default());
    let first = open(&mut egress, 0, 1, to, &mut random);
    moved(&mut egress, 0, 2, to, hops[5], 1 << 30, &mut random);
    egress.hop_remove(S, first.hop).unwrap();
    egress.hop_exclude(first.hop, u64::MAX).unwrap();
    let again = open(&mut egress, 100 * S, 1, to, &mut random);
    assert_eq!((again.flow, again.hop, again.how), (first.flow, first.hop, How::Sticky));
    // An idle tuple gets its hop back only where that still stands.
    egress.flow_close(100 * S, first.flow, false).unwrap();
    let anew = open(&mut egress, 100 * S, 1, to, &mut random);
    assert!(anew.hop != first.hop && anew.flow == first.flow);
    egress.flow_close(101 * S, anew.flow, false).unwrap();
    let idle = open(&mut egress, 200 * S, 1, to, &mut random);
    assert_eq!((idle.hop, idle.how), (anew.hop, How::Sticky));
    let others: std::collections::HashSet<u32> =
        (10..200).map(|port| open(&mut egress, 200 * S, port, to, &mut random).hop).collect();
    assert_eq!(others.len(), 15);
}

#[test]
fn draws_are_in_proportion_to_all_data() {
    let (mut egress, mut random, hops, to) = egress(3, exact(Combine::All, 0.0));
    let other = egress.destination(0, b"other.test:80").unwrap();
    for (port, (hop, bytes)) in hops.iter().zip([100, 300, 600]).enumerate() {
        moved(&mut egress, S, port as u16, if port == 1 { to } else { other }, *hop, bytes, &mut random);
    }
    let counts = counted(&mut egress, S, to, DRAWS, &mut random);
    for (count, share) in counts.iter().zip([0.1, 0.3, 0.6]) {
        assert!(plausible(*count, DRAWS, share), "{counts:?}");
    }
    // In square roots: 10 : 17.3 : 24.5.
    let flat = Weights { measure: Measure::Data, roots: 1 };
    egress.set_weighting(Weighting { all: flat, ..exact(Combine::All, 0.0) });
    let sum: f64 = [100f64, 300.0, 600.0].iter().map(|w| w.sqrt()).sum();
    let counts = counted(&mut egress, S, to, DRAWS, &mut random);
    for (count, weight) in counts.iter().zip([100f64, 300.0, 600.0]) {
        assert!(plausible(*count, DRAWS, weight.sqrt() / sum), "{counts:?}");
    }
    // When K has passed, estimates count again: like ones.
    let counts = counted(&mut egress, 12 * S, to, DRAWS, &mut random);
    assert!(counts[..3].iter().all(|&count| plausible(count, DRAWS, 1.0 / 3.0)), "{counts:?}");
}

#[test]
fn a_mixture_draws_by_the_destination_with_its_probability() {
    let (mut egress, mut random, hops, to) = egress(4, exact(Combine::Mixture, 0.75));
    let other = egress.destination(0, b"other.test:80").unwrap();
    moved(&mut egress, S, 1, to, hops[0], 100, &mut random);
    moved(&mut egress, S, 2, to, hops[1], 300, &mut random);
    for (port, hop) in hops.iter().enumerate() {
        moved(&mut egress, S, 10 + port as u16, other, *hop, [900, 700, 1000, 1000][port], &mut random);
    }
    // By all data everyone has 1000.
    let counts = counted(&mut egress, S, to, DRAWS, &mut random);
    for (count, share) in counts.iter().zip([0.75 * 0.25 + 0.0625, 0.75 * 0.75 + 0.0625, 0.0625, 0.0625]) {
        assert!(plausible(*count, DRAWS, share), "{counts:?}");
    }
    // A product: 100 x 1000 to 300 x 1000, nobody else.
    egress.set_weighting(exact(Combine::Product, 1.0));
    let counts = counted(&mut egress, S, to, DRAWS, &mut random);
    assert!(plausible(counts[0], DRAWS, 0.25) && counts[0] + counts[1] == DRAWS, "{counts:?}");
    // The destination alone: untried ones weigh their estimate of 1000.
    egress.set_weighting(exact(Combine::Destination, 1.0));
    let counts = counted(&mut egress, S, to, DRAWS, &mut random);
    for (count, weight) in counts.iter().zip([100.0, 300.0, 1000.0, 1000.0]) {
        assert!(plausible(*count, DRAWS, weight / 2400.0), "{counts:?}");
    }
}

#[test]
fn speed_and_yield_weigh_what_they_say() {
    let speed = Weights { measure: Measure::Speed, roots: 0 };
    let (mut egress, mut random, hops, to) = egress(2, Weighting { all: speed, ..exact(Combine::All, 0.0) });
    // 1000 bytes in one second, 1000 in four.
    for (port, hop) in hops.iter().enumerate() {
        let asked = Asked { hop: Some(*hop), avoid: &[] };
        let flow = egress.flow_open(0, &source(port as u16), to, asked, &mut random).unwrap().flow;
        egress.advance(4 * S);
        egress.record(flow, 0, &received(500));
        egress.record(flow, [1, 4][port] * S, &received(500));
    }
    let rows: Vec<f64> = egress.hop_rows(4 * S).map(|row| row.speed).collect();
    assert_eq!(rows, [1000.0, 250.0]);
    let counts = counted(&mut egress, 4 * S, to, DRAWS, &mut random);
    assert!(plausible(counts[0], DRAWS, 0.8), "{counts:?}");
    // Another three connections for the second: a quarter of the yield.
    for port in 10..13 {
        egress.flow_open(4 * S, &source(port), to, Asked { hop: Some(hops[1]), avoid: &[] }, &mut random).unwrap();
    }
    let yields = Weights { measure: Measure::Yield, roots: 0 };
    egress.set_weighting(Weighting { all: yields, ..exact(Combine::All, 0.0) });
    let counts = counted(&mut egress, 4 * S, to, DRAWS, &mut random);
    assert!(plausible(counts[0], DRAWS, 0.8), "{counts:?}");
}

#[test]
fn what_is_sent_into_silence_is_no_evidence() {
    let (mut egress, mut random, _, to) = egress(1, Weighting::default());
    let flow = open(&mut egress, 0, 1, to, &mut random).flow;
    for _ in 0..10 {
        egress.record(flow, 0, &sent(1 << 20));
    }
    let data = |egress: &mut Egress| egress.hop_rows(0).next().unwrap().data_bytes;
    assert_eq!(data(&mut egress), 0);
    egress.record(flow, 0, &received(1));
    assert_eq!(data(&mut egress), (10 << 20) + 1);
    egress.record(flow, 0, &sent(5));
    assert_eq!(data(&mut egress), (10 << 20) + 6);
}

#[test]
fn a_retry_leaves_out_its_chain_and_nobody_elses() {
    let (mut egress, mut random, _, to) = egress(8, Weighting { avoid_failed: false, ..Weighting::default() });
    for round in 0..200u64 {
        let now_us = round * 100 * S;
        let mut tried = Vec::new();
        for try_no in 0..8 {
            let opened = open(&mut egress, now_us + try_no, (round * 8 + try_no) as u16, to, &mut random);
            assert!(!tried.contains(&opened.hop) && opened.how != How::Forced);
            tried.push(opened.hop);
            egress.flow_close(now_us + try_no, opened.flow, true).unwrap();
            let known = egress.retry_of(now_us + try_no, &source(0), to).unwrap();
            assert_eq!(known, tried);
        }
        // The ninth finds none left, and gets one all the same.
        assert_eq!(open(&mut egress, now_us + 9, 60_000, to, &mut random).how, How::Forced);
        egress.flow_forget(egress.flow_find(&source(60_000), to).unwrap()).unwrap();
        // After M it is no retry; nor is it one from another address.
        let opened = open(&mut egress, now_us + 20 * S, 60_001, to, &mut random);
        egress.flow_close(now_us + 20 * S, opened.flow, true).unwrap();
        let mut elsewhere = source(60_001);
        elsewhere.address[0] = 7;
        assert!(egress.retry_of(now_us + 20 * S, &elsewhere, to).unwrap().is_empty());
        assert!(egress.retry_of(now_us + 23 * S, &source(1), to).unwrap().is_empty());
        egress.flow_forget(opened.flow).unwrap();
    }
}

#[test]
fn hops_that_failed_at_a_destination_are_left_out_there_alone() {
    let (mut egress, mut random, hops, to) = egress(4, Weighting { avoid_tried: false, ..Weighting::default() });
    let other = egress.destination(0, b"other.test:80").unwrap();
    for (port, hop) in hops.iter().enumerate() {
        moved(&mut egress, 0, 100 + port as u16, other, *hop, 1000, &mut random);
    }
    let asked = Asked { hop: Some(hops[2]), avoid: &[] };
    let flow = egress.flow_open(0, &source(1), to, asked, &mut random).unwrap().flow;
    egress.flow_close(S, flow, true).unwrap();
    let counts = counted(&mut egress, S, to, 10_000, &mut random);
    assert!(counts[2] == 0 && counts[0] > 3000, "{counts:?}");
    assert!(counted(&mut egress, S, other, 10_000, &mut random)[2] > 2000);
    // Its way back: K later nothing is held against it.
    for (port, hop) in hops.iter().enumerate() {
        moved(&mut egress, 11 * S, 200 + port as u16, other, *hop, 1000, &mut random);
    }
    assert!(counted(&mut egress, 11 * S, to, 10_000, &mut random)[2] > 2000);
}

#[test]
fn verdicts_hold_until_they_end_and_a_window_without_exits_names_the_cause() {
    let (mut egress, mut random, hops, to) = egress(3, Weighting::default());
    egress.hop_exclude(hops[0], 5 * S).unwrap();
    egress.pair_exclude(0, hops[1], to, 6 * S).unwrap();
    assert_eq!(counted(&mut egress, S, to, 1000, &mut random)[2], 1000);
    let counts = counted(&mut egress, 5 * S, to, 1000, &mut random);
    assert!(counts[0] > 300 && counts[1] == 0 && counts[2] > 300, "{counts:?}");
    assert!(counted(&mut egress, 6 * S, to, 1000, &mut random)[1] > 200);
    for &hop in &hops {
        egress.hop_exclude(hop, u64::MAX).unwrap();
    }
    let mut out = [0; 3];
    assert_eq!(egress.draw(7 * S, to, &hops, &mut out, &mut random).unwrap().1, How::Forced);
    for &hop in &hops {
        egress.hop_remove(7 * S, hop).unwrap();
    }
    assert_eq!(egress.draw(7 * S, to, &[], &mut out, &mut random), Err(Refusal::WindowEmpty));
    let opened = egress.flow_open(7 * S, &source(1), to, Asked::default(), &mut random);
    assert_eq!(opened.unwrap_err(), Refusal::WindowEmpty);
}

#[test]
fn several_draws_are_distinct_and_cover_the_window() {
    let (mut egress, mut random, hops, to) = egress(5, Weighting::default());
    moved(&mut egress, 0, 1, to, hops[3], 1 << 40, &mut random);
    for _ in 0..200 {
        let mut out = [u32::MAX; 7];
        assert_eq!(egress.draw(0, to, &[], &mut out, &mut random).unwrap().0, 5);
        out[..5].sort_unstable();
        assert_eq!(out[..5], hops[..]);
        let (drawn, _) = egress.draw(0, to, &hops[..2], &mut out[..4], &mut random).unwrap();
        assert_eq!(drawn, 3);
    }
}

#[test]
fn a_liar_gets_no_more_than_its_place_until_it_delivers() {
    let (mut egress, mut random, hops, to) = egress(7, exact(Combine::All, 0.0));
    for (port, hop) in hops.iter().enumerate() {
        moved(&mut egress, 0, port as u16, to, *hop, 1000, &mut random);
    }
    for (claim, share) in
        [(1e300, 1.0 / 8.0), (f64::MAX, 1.0 / 8.0), (f64::INFINITY, 0.0), (f64::NAN, 0.0), (-1e300, 0.0)]
    {
        let liar = egress.hop_add(0, claim).unwrap();
        let counts = counted(&mut egress, 0, to, DRAWS, &mut random);
        assert!(plausible(counts[liar as usize], DRAWS, share), "{claim}: {counts:?}");
        // It fails once, and is out until K has passed.
        let asked = Asked { hop: Some(liar), avoid: &[] };
        let flow = egress.flow_open(0, &source(99), to, asked, &mut random).unwrap().flow;
        egress.flow_close(0, flow, true).unwrap();
        assert_eq!(counted(&mut egress, 0, to, 1000, &mut random)[liar as usize], 0);
        egress.hop_remove(0, liar).unwrap();
        assert!(egress.hop_release(liar).unwrap());
    }
}

#[test]
fn a_released_hop_leaves_nothing_to_the_next_one_of_its_id() {
    let (mut egress, mut random, hops, to) = egress(2, exact(Combine::Mixture, 1.0));
    moved(&mut egress, 0, 1, to, hops[0], 1000, &mut random);
    egress.hop_remove(0, hops[0]).unwrap();
    assert!(egress.hop_release(hops[0]).unwrap());
    let new = egress.hop_add(0, 0.0).unwrap();
    assert_eq!(new, hops[0]);
    let row = egress.hop_rows(0).next().unwrap();
    assert_eq!((row.data_bytes, row.untried, row.last_us), (0, true, None));
    let counts = counted(&mut egress, 0, to, 1000, &mut random);
    assert_eq!(counts[hops[1] as usize], 1000, "its estimate is zero, and nothing else is known of it");
    let idle = egress.flow_find(&source(1), to).unwrap();
    assert!(egress.record(idle, 0, &received(7)), "late words of the flow that was");
    assert_eq!(egress.hop_rows(0).next().unwrap().data_bytes, 0);
}

#[test]
fn like_weights_keep_the_entropy_of_exact_ones_or_more() {
    let (mut egress, mut random, hops, to) = egress(8, exact(Combine::All, 0.0));
    for (port, hop) in hops.iter().enumerate() {
        moved(&mut egress, 0, port as u16, to, *hop, 1024 + 120 * port as u64, &mut random);
    }
    egress.set_weighting(Weighting { combine: Combine::All, ..Weighting::default() });
    let counts = counted(&mut egress, 0, to, DRAWS, &mut random);
    assert!(counts[..8].iter().all(|&count| plausible(count, DRAWS, 1.0 / 8.0)), "{counts:?}");
    egress.set_weighting(Weighting { uniform_share: 1.0, ..Weighting::default() });
    let counts = counted(&mut egress, 0, to, DRAWS, &mut random);
    assert!(counts[..8].iter().all(|&count| plausible(count, DRAWS, 1.0 / 8.0)), "{counts:?}");
}
