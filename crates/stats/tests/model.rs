//! The state machine against a list of everything that happened.

mod common;

use common::source;
use proptest::prelude::*;
use wayfare_stats::{Asked, Config, DestinationId, Egress, FlowId, How, Limits, Moved};
use wayfare_testkit::Seeded;

#[derive(Clone, Debug)]
enum Step {
    Pass { us: u64 },
    Open { port: u16, to: usize, hop: Option<usize> },
    Record { flow: usize, back_us: u64, sent: u64, received: u64 },
    Close { flow: usize, failed: bool },
    Forget { flow: usize },
    Add,
    Remove { hop: usize },
    Exclude { hop: usize, us: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..64usize;
    prop_oneof![
        2 => prop_oneof![0..500_000u64, 0..30_000_000u64].prop_map(|us| Step::Pass { us }),
        4 => (0..12u16, 0..3usize, prop::option::weighted(0.3, which.clone())).prop_map(|(port, to, hop)| Step::Open { port, to, hop }),
        6 => (which.clone(), prop_oneof![Just(0), 0..12_000_000u64], 0..5000u64, 0..5000u64)
            .prop_map(|(flow, back_us, sent, received)| Step::Record { flow, back_us, sent, received }),
        3 => (which.clone(), any::<bool>()).prop_map(|(flow, failed)| Step::Close { flow, failed }),
        1 => which.clone().prop_map(|flow| Step::Forget { flow }),
        1 => Just(Step::Add),
        1 => which.clone().prop_map(|hop| Step::Remove { hop }),
        1 => (which, 0..20_000_000u64).prop_map(|(hop, us)| Step::Exclude { hop, us }),
    ]
}

/// A flow as the list has it.
struct Known {
    port: u16,
    to: usize,
    id: FlowId,
    hop: u32,
    live: bool,
    sent: u64,
    received: u64,
}

/// Data of a hop to a destination, at a time.
struct Event {
    hop: u32,
    to: usize,
    at_us: u64,
    data: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_is_what_the_list_says(script in prop::collection::vec(step(), 1..150), seed in any::<u64>()) {
        let mut random = Seeded::new(seed);
        let limits = Limits { tuples: 40, ..Limits::default() };
        let mut egress = Egress::new(&Config { limits, ..Config::default() }, 0, &mut random);
        let mut now_us = 70_000_000u64;
        let mut window: Vec<u32> = (0..3).map(|_| egress.hop_add(now_us, 10.0).unwrap()).collect();
        let mut draining: Vec<u32> = Vec::new();
        let to: Vec<DestinationId> = ["a", "b", "c"].map(|key| egress.destination(now_us, key.as_bytes()).unwrap()).into();
        let (mut flows, mut events, mut opened) = (Vec::<Known>::new(), Vec::<Event>::new(), Vec::<(usize, u64)>::new());
        for step in script {
            match step {
                Step::Pass { us } => now_us += us,
                Step::Open { port, to: at, hop } => {
                    let hop = hop.filter(|_| !window.is_empty()).map(|n| window[n % window.len()]);
                    let result = egress.flow_open(now_us, &source(port), to[at], Asked { hop, avoid: &[] }, &mut random);
                    let known = flows.iter_mut().find(|f| f.port == port && f.to == at);
                    let live = known.as_ref().is_some_and(|f| f.live);
                    if window.is_empty() && !live {
                        prop_assert!(result.is_err());
                        continue;
                    }
                    let result = result.unwrap();
                    if !live {
                        opened.push((at, now_us));
                        prop_assert!(window.contains(&result.hop));
                        prop_assert!(hop.is_none_or(|hop| hop == result.hop));
                    }
                    let in_k = opened.iter().filter(|o| o.0 == at && o.1 / 1_000_000 + 10 > now_us / 1_000_000).count();
                    prop_assert_eq!(result.connections as usize, in_k);
                    match known {
                        Some(known) if known.live => {
                            prop_assert_eq!((result.flow, result.hop, result.how), (known.id, known.hop, How::Sticky));
                        }
                        Some(known) => *known = Known { hop: result.hop, live: true, sent: 0, received: 0, ..*known },
                        None => flows.push(Known { port, to: at, id: result.flow, hop: result.hop, live: true, sent: 0, received: 0 }),
                    }
                }
                Step::Record { flow, back_us, sent, received } => {
                    if flows.is_empty() { continue; }
                    let count = flows.len();
                    let known = &mut flows[flow % count];
                    if !known.live { continue; }
                    // Time goes on by calls; a record alone does not move it.
                    egress.advance(now_us);
                    let at_us = now_us - back_us;
                    let moved = Moved { sent_bytes: sent, received_bytes: received, ..Moved::default() };
                    prop_assert!(egress.record(known.id, at_us, &moved));
                    let answered = known.received > 0;
                    (known.sent, known.received) = (known.sent + sent, known.received + received);
                    let data = match (answered, received) {
                        (true, _) => sent + received,
                        (false, 0) => 0,
                        (false, _) => known.sent + received,
                    };
                    events.push(Event { hop: known.hop, to: known.to, at_us, data });
                }
                Step::Close { flow, failed } => {
                    if flows.is_empty() { continue; }
                    let count = flows.len();
                    let known = &mut flows[flow % count];
                    egress.flow_close(now_us, known.id, failed).unwrap();
                    known.live = false;
                }
                Step::Forget { flow } => {
                    if flows.is_empty() { continue; }
                    let known = flows.swap_remove(flow % flows.len());
                    egress.flow_forget(known.id).unwrap();
                    prop_assert!(egress.flow_forget(known.id).is_err());
                    prop_assert!(egress.flow_find(&source(known.port), to[known.to]).is_none());
                }
                Step::Add => window.push(egress.hop_add(now_us, 10.0).unwrap()),
                Step::Remove { hop } => {
                    if window.is_empty() { continue; }
                    let hop = window.swap_remove(hop % window.len());
                    egress.hop_remove(now_us, hop).unwrap();
                    draining.push(hop);
                }
                Step::Exclude { hop, us } => {
                    if window.is_empty() { continue; }
                    egress.hop_exclude(window[hop % window.len()], now_us + us).unwrap();
                }
            }
            let within = |at_us: u64| at_us / 1_000_000 + 10 > now_us / 1_000_000;
            let rows: Vec<_> = egress.hop_rows(now_us).collect();
            prop_assert_eq!(rows.len(), window.len() + draining.len());
            for row in rows {
                let data: u64 = events.iter().filter(|e| e.hop == row.hop && within(e.at_us)).map(|e| e.data).sum();
                prop_assert_eq!(row.data_bytes, data);
                prop_assert_eq!(row.draining, draining.contains(&row.hop));
                prop_assert_eq!(row.flows as usize, flows.iter().filter(|f| f.live && f.hop == row.hop).count());
                if data > 0 { prop_assert_eq!(row.weight, data); }
            }
            for (at, id) in to.iter().enumerate() {
                for row in egress.pair_rows(now_us, *id).unwrap() {
                    let of = |e: &&Event| e.hop == row.hop && e.to == at && within(e.at_us);
                    let data: u64 = events.iter().filter(of).map(|e| e.data).sum();
                    prop_assert_eq!(row.data_bytes, data);
                    prop_assert_eq!(row.weight, if window.contains(&row.hop) { data } else { 0 });
                }
                let weighing = egress.destination_rows(now_us, 0).nth(at).unwrap().1.hops as usize;
                let with_data = window.iter().filter(|&&hop| {
                    events.iter().any(|e| e.hop == hop && e.to == at && e.data > 0 && within(e.at_us))
                });
                prop_assert_eq!(weighing, with_data.count());
            }
            let mut draw = [0];
            if !window.is_empty() {
                egress.draw(now_us, to[0], &[], &mut draw, &mut random).unwrap();
                prop_assert!(window.contains(&draw[0]));
            }
            prop_assert_eq!(egress.held().flows_live, flows.iter().filter(|f| f.live).count());
            prop_assert_eq!(egress.held().tuples_idle, flows.iter().filter(|f| !f.live).count());
        }
    }
}
