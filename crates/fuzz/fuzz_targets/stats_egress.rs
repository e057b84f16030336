//! The choice of exits: a live flow keeps its hop and is never forgotten, what is drawn is in the window, limits hold, and counts
//! agree with each other, whatever is called in whatever order at whatever time.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wayfare_stats::{
    Asked, Combine, Config, DestinationId, Egress, FlowId, How, Limits, Measure, Moved, Source, Weighting, Weights,
    Within,
};
use wayfare_types::Random;

#[derive(Arbitrary, Debug)]
enum Step {
    Pass { us: u32 },
    Jump { to_us: u64 },
    Add { estimate: f64 },
    Estimate { hop: u8, estimate: f64 },
    Remove { hop: u8 },
    Release { hop: u8 },
    Exclude { hop: u8, until_us: u64 },
    Destination { key: u8 },
    ExcludePair { hop: u8, to: u8, until_us: u64 },
    Open { port: u8, to: u8, hop: Option<u8>, avoid: [u8; 2] },
    Move { port: u8, to: u8, hop: u8 },
    Record { port: u8, to: u8, at_us: u64, sent: u64, received: u64 },
    RecordLately { port: u8, to: u8, ago_us: u32, sent: u16, received: u16 },
    RecordAny { flow: u64, at_us: u64 },
    Close { port: u8, to: u8, failed: bool },
    Forget { port: u8, to: u8 },
    Attempt { to: u8, hop: u8, open: bool, failed: bool },
    Draw { to: u8, avoid: [u8; 2], count: u8 },
    Weigh { all: u8, destination: u8, combine: u8, shares: [f64; 3], octaves: u8, flags: u8 },
    Groups { tolerance_us: u32 },
    Rows { from: u8 },
}

#[derive(Arbitrary, Debug)]
struct Input {
    step_us: u32,
    steps: [u8; 2],
    now_us: u64,
    limits: [u8; 5],
    seed: u64,
    script: Vec<Step>,
}

struct Mix(u64);

impl Random for Mix {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.next_u64() as u8);
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ z >> 31
    }
}

fn weights(code: u8) -> Weights {
    let measure = [Measure::Uniform, Measure::Data, Measure::Speed, Measure::Yield][usize::from(code % 4)];
    Weights { measure, roots: code / 4 }
}

fuzz_target!(|input: Input| {
    let [hops, destinations, pairs, tuples, log] = input.limits.map(|most| usize::from(most % 32) + 1);
    let limits = Limits { hops, destinations, pairs, tuples, log };
    let config = Config {
        step_us: input.step_us.into(),
        window_steps: input.steps[0].into(),
        sequence_steps: input.steps[1].into(),
        limits,
    };
    let (mut random, mut now_us) = (Mix(input.seed), input.now_us);
    let mut egress = Egress::new(&config, now_us, &mut random);
    let mut known: HashMap<u8, DestinationId> = HashMap::new();
    let mut live: HashMap<FlowId, (Source, DestinationId, u32)> = HashMap::new();
    let source = |port: u8| Source { address: [port % 3; 16], port: port.into(), protocol: 6 };
    for step in &input.script {
        let find = |egress: &Egress, port: u8, to: u8| egress.flow_find(&source(port), *known.get(&to)?);
        match *step {
            Step::Pass { us } => now_us = now_us.saturating_add(us.into()),
            Step::Jump { to_us } => now_us = to_us,
            Step::Add { estimate } => drop(egress.hop_add(now_us, estimate)),
            Step::Estimate { hop, estimate } => drop(egress.hop_estimate(hop.into(), estimate)),
            Step::Remove { hop } => drop(egress.hop_remove(now_us, hop.into())),
            Step::Release { hop } => {
                let released = egress.hop_release(hop.into()) == Ok(true);
                assert!(!released || live.values().all(|flow| flow.2 != u32::from(hop)));
            }
            Step::Exclude { hop, until_us } => drop(egress.hop_exclude(hop.into(), until_us)),
            Step::Destination { key } => {
                if let Ok(id) = egress.destination(now_us, &[key]) {
                    known.insert(key, id);
                }
            }
            Step::ExcludePair { hop, to, until_us } => {
                if let Some(&to) = known.get(&to) {
                    let _ = egress.pair_exclude(now_us, hop.into(), to, until_us);
                }
            }
            Step::Open { port, to, hop, avoid } => {
                let Some(&to) = known.get(&to) else { continue };
                let avoid = avoid.map(u32::from);
                let asked = Asked { hop: hop.map(u32::from), avoid: &avoid };
                let before = egress.flow_find(&source(port), to).filter(|flow| live.contains_key(flow));
                if let Ok(opened) = egress.flow_open(now_us, &source(port), to, asked, &mut random) {
                    match before {
                        Some(before) => assert_eq!((opened.flow, opened.how), (before, How::Sticky)),
                        None => assert!(egress.window().contains(&opened.hop)),
                    }
                    assert!(opened.connections > 0 || before.is_some());
                    assert!(opened.peak >= opened.connections);
                    live.entry(opened.flow).or_insert((source(port), to, opened.hop));
                } else {
                    assert!(before.is_none());
                }
            }
            Step::Move { port, to, hop } => {
                let Some(flow) = find(&egress, port, to) else { continue };
                if let Ok(true) = egress.flow_move(now_us, flow, hop.into()) {
                    assert_eq!(egress.flow_interval(flow).map(|moved| moved.received_bytes), Some(0));
                    live.get_mut(&flow).expect("only a live one moves").2 = hop.into();
                }
            }
            Step::Record { port, to, at_us, sent, received } => {
                let Some(flow) = find(&egress, port, to) else { continue };
                let moved =
                    Moved { sent_bytes: sent, received_bytes: received, sent_packets: 1, received_packets: u32::MAX };
                assert!(egress.record(flow, at_us, &moved));
            }
            Step::RecordLately { port, to, ago_us, sent, received } => {
                let Some(flow) = find(&egress, port, to) else { continue };
                let moved = Moved { sent_bytes: sent.into(), received_bytes: received.into(), ..Moved::default() };
                assert!(egress.record(flow, now_us.saturating_sub(ago_us.into()), &moved));
            }
            Step::RecordAny { flow, at_us } => {
                egress.record(FlowId::from_number(flow), at_us, &Moved::default());
            }
            Step::Close { port, to, failed } => {
                let Some(flow) = find(&egress, port, to) else { continue };
                assert!(egress.flow_close(now_us, flow, failed).is_ok());
                live.remove(&flow);
            }
            Step::Forget { port, to } => {
                let Some(flow) = find(&egress, port, to) else { continue };
                assert!(egress.flow_forget(flow).is_ok());
                live.remove(&flow);
                assert_eq!(find(&egress, port, to), None);
            }
            Step::Attempt { to, hop, open, failed } => {
                let Some(&to) = known.get(&to) else { continue };
                let _ = if open {
                    egress.attempt_open(now_us, to, hop.into())
                } else {
                    egress.attempt_close(now_us, to, hop.into(), failed)
                };
            }
            Step::Draw { to, avoid, count } => {
                let Some(&to) = known.get(&to) else { continue };
                let mut out = vec![u32::MAX; usize::from(count % 40)];
                let avoid = avoid.map(u32::from);
                if let Ok((drawn, how)) = egress.draw(now_us, to, &avoid, &mut out, &mut random) {
                    out.truncate(drawn);
                    assert!(out.iter().all(|hop| egress.window().contains(hop)));
                    assert!(how == How::Forced || out.iter().all(|hop| !avoid.contains(hop)));
                    out.sort_unstable();
                    out.dedup();
                    assert_eq!(out.len(), drawn, "distinct");
                }
            }
            Step::Weigh { all, destination, combine, shares, octaves, flags } => egress.set_weighting(Weighting {
                all: weights(all),
                destination: weights(destination),
                combine: [Combine::All, Combine::Destination, Combine::Mixture, Combine::Product]
                    [usize::from(combine % 4)],
                destination_share: shares[0],
                uniform_share: shares[1],
                untried_most: shares[2],
                within: if flags & 1 == 0 { Within::Uniform } else { Within::Exact },
                octaves: octaves.into(),
                avoid_failed: flags & 2 == 0,
                avoid_tried: flags & 4 == 0,
                ..Weighting::default()
            }),
            Step::Groups { tolerance_us } => {
                let (connections, found) = egress.groups(now_us, tolerance_us.into());
                assert!(connections.len() <= log && found.peak >= found.running);
            }
            Step::Rows { from } => {
                let hops: Vec<_> = egress.hop_rows(now_us).collect();
                let flows: Vec<_> = egress.flow_rows(0).map(|(_, row)| row).collect();
                for row in &hops {
                    let lives = flows.iter().filter(|flow| flow.live && flow.hop == row.hop).count();
                    assert!(row.flows as usize >= lives, "attempts beside");
                }
                let _ = egress.destination_rows(now_us, from.into()).count();
                for &to in known.values() {
                    let _ = egress.pair_rows(now_us, to).map(Iterator::count);
                    let _ = egress.connections(now_us, to, u64::from(from) << 20);
                }
            }
        }
        let held = egress.held();
        assert!(held.hops + held.draining <= hops && held.destinations <= destinations);
        assert!(held.pairs <= pairs && held.flows_live + held.tuples_idle <= tuples);
        assert_eq!(held.flows_live, live.len());
        for (flow, (source, to, hop)) in &live {
            assert_eq!(egress.flow_find(source, *to), Some(*flow));
            assert_eq!(egress.flow_hop(*flow), Some(*hop));
        }
    }
});
