//! The choice of exits: what its records, questions, draws and updates cost, each beside the update of a slot in a plain array, fed
//! with the same ids in the same round.

use std::collections::BTreeMap;
use std::hint::black_box;

use serde_json::{Value, json};
use wayfare_embed::ChaChaRandom;
use wayfare_stats::{
    Asked, Config, DestinationId, Egress, FlowId, Measure, Moved, Source, WeightedIds, Weighting, Weights, Within,
};
use wayfare_types::Random;

use crate::load::Fault;
use crate::slots::{DRAWN, MANY, PACKET, ROUNDS, Rounds, drawn, each_ns, slot_update};

const HOPS: u32 = 64;
const DESTINATIONS: usize = 1000;
const FLOWS: usize = 1000;

type Round = BTreeMap<&'static str, f64>;

/// Heavy-tailed: one over a uniform variable, as transfer sizes are (Pareto with exponent 1).
fn weights(count: usize, random: &mut ChaChaRandom) -> Vec<u64> {
    (0..count).map(|_| ((u64::MAX / (random.next_u64() >> 20).max(1)) << 10).min(1 << 40)).collect()
}

struct Bed {
    egress: Egress,
    random: ChaChaRandom,
    destinations: Vec<DestinationId>,
    flows: Vec<(Source, DestinationId, FlowId)>,
    now_us: u64,
}

fn source(n: usize) -> Source {
    let mut address = [0; 16];
    address[8..].copy_from_slice(&(n as u64 / 60_000).to_be_bytes());
    Source { address, port: (n % 60_000) as u16, protocol: 6 }
}

/// Hops, destinations and live flows that have all moved something.
fn bed(seed: u8, count: usize, weighting: Weighting) -> Result<Bed, Fault> {
    let mut random = ChaChaRandom::new(&[seed; 32]);
    let fault = |refusal| format!("the choice of exits refused: {refusal:?}");
    let mut egress = Egress::new(&Config::default(), 0, &mut random);
    egress.set_weighting(weighting);
    for hop in 0..HOPS {
        egress.hop_add(0, f64::from(1000 * hop)).map_err(fault)?;
    }
    let (mut destinations, mut flows) = (Vec::new(), Vec::new());
    for n in 0..DESTINATIONS {
        destinations.push(egress.destination(0, format!("host-{n}.test:443").as_bytes()).map_err(fault)?);
    }
    for n in 0..count {
        let to = destinations[n % DESTINATIONS];
        let opened = egress.flow_open(0, &source(n), to, Asked::default(), &mut random).map_err(fault)?;
        let received_bytes = 1000 + wayfare_stats::below(1_000_000, &mut random);
        egress.record(opened.flow, 0, &Moved { received_bytes, ..Moved::default() });
        flows.push((source(n), to, opened.flow));
    }
    Ok(Bed { egress, random, destinations, flows, now_us: 0 })
}

fn records(figures: &mut Round, seed: u8, count: usize, names: [&'static str; 2]) -> Result<Bed, Fault> {
    let mut bed = bed(seed, count, Weighting::default())?;
    let Bed { egress, random, flows, now_us, .. } = &mut bed;
    let of: Vec<_> = drawn(count, random).into_iter().map(|id| flows[id as usize]).collect();
    let ids: Vec<FlowId> = of.iter().map(|flow| flow.2).collect();
    let each = each_ns(|n| {
        *now_us += 1;
        egress.advance(*now_us);
        black_box(egress.record(ids[n], *now_us, black_box(&PACKET)));
    });
    figures.insert(names[0], each);
    let each = each_ns(|n| {
        *now_us += 1;
        egress.advance(*now_us);
        let (source, to, _) = &of[n];
        black_box(egress.record_tuple(black_box(source), *to, *now_us, &PACKET));
    });
    figures.insert(names[1], each);
    Ok(bed)
}

/// Of windows that are as full as they get.
fn questions(figures: &mut Round, bed: Bed) {
    let Bed { mut egress, mut random, flows, now_us, .. } = bed;
    let ids = drawn(FLOWS, &mut random);
    let spans: Vec<u64> = (0..DRAWN).map(|_| wayfare_stats::below(60_000_000, &mut random)).collect();
    figures.insert(
        "stats_question",
        each_ns(|n| {
            black_box(egress.hop_data(now_us, ids[n] % HOPS, spans[n]).ok());
        }),
    );
    figures.insert(
        "stats_question_connections",
        each_ns(|n| {
            black_box(egress.connections(now_us, flows[ids[n] as usize].1, spans[n]).ok());
        }),
    );
}

/// Two weights, a thousand destinations, a record before each draw so that there is a weight to compute again, time that passes so
/// that small windows leave.
fn choice(seed: u8, weighting: Weighting) -> Result<f64, Fault> {
    let Bed { mut egress, mut random, destinations, flows, mut now_us } = bed(seed, FLOWS, weighting)?;
    let (to, of) = (drawn(DESTINATIONS, &mut random), drawn(FLOWS, &mut random));
    // A second's worth of records first, so that every window is filled as it will be.
    Ok(each_ns(|n| {
        now_us += 100;
        egress.advance(now_us);
        egress.record(flows[of[n] as usize].2, now_us, &PACKET);
        let mut out = [0];
        black_box(egress.draw(now_us, destinations[to[n] as usize], &[], &mut out, &mut random).ok());
    }))
}

fn connection(seed: u8) -> Result<f64, Fault> {
    let Bed { mut egress, mut random, destinations, mut now_us, .. } = bed(seed, FLOWS, Weighting::default())?;
    let to = drawn(DESTINATIONS, &mut random);
    let mut port = FLOWS;
    Ok(each_ns(|n| {
        now_us += 100;
        port += 1;
        let to = destinations[to[n] as usize];
        if let Ok(opened) = egress.flow_open(now_us, &source(port), to, Asked::default(), &mut random) {
            egress.record(opened.flow, now_us, &PACKET);
            let _ = egress.flow_close(now_us, opened.flow, n.is_multiple_of(50));
        }
    }))
}

fn sampler(figures: &mut Round, count: usize, names: [&'static str; 3], random: &mut ChaChaRandom) {
    let mut ids = WeightedIds::new(1);
    for (id, weight) in weights(count, random).into_iter().enumerate() {
        ids.set(id as u32, weight);
    }
    figures.insert(
        names[0],
        each_ns(|_| {
            black_box(ids.draw(Within::Uniform, random));
        }),
    );
    figures.insert(
        names[1],
        each_ns(|_| {
            black_box(ids.draw(Within::Exact, random));
        }),
    );
    let (which, to) = (drawn(count, random), weights(DRAWN, random));
    figures.insert(names[2], each_ns(|n| ids.set(which[n], to[n])));
}

/// Bytes per tuple when a million are remembered, and nanoseconds by tuple among them.
fn million(figures: &mut Round) -> Result<f64, Fault> {
    const COUNT: usize = 1_000_000;
    let Bed { mut egress, mut random, destinations, mut now_us, .. } = bed(9, FLOWS, Weighting::default())?;
    for n in 0..COUNT {
        now_us += 10;
        let to = destinations[n % DESTINATIONS];
        let opened = egress.flow_open(now_us, &source(FLOWS + n), to, Asked::default(), &mut random);
        egress.flow_close(now_us, opened.map_err(|e| format!("{e:?}"))?.flow, false).map_err(|e| format!("{e:?}"))?;
    }
    let ids = drawn(COUNT, &mut random);
    figures.insert(
        "stats_find_1000000",
        each_ns(|n| {
            let n = ids[n] as usize;
            black_box(egress.flow_find(&source(FLOWS + n), destinations[n % DESTINATIONS]));
        }),
    );
    Ok(egress.held().memory_bytes as f64 / COUNT as f64)
}

pub fn run() -> Result<Value, Fault> {
    let (mut rounds, mut random) = (Rounds::default(), ChaChaRandom::new(&[3; 32]));
    for round in 0..ROUNDS as u8 {
        let mut figures = BTreeMap::new();
        let before = [FLOWS, MANY].map(|slots| slot_update(slots, &mut random));
        let few = records(&mut figures, round, FLOWS, ["stats_record", "stats_record_tuple"])?;
        questions(&mut figures, few);
        records(&mut figures, round, MANY, ["stats_record_100000", "stats_record_tuple_100000"])?;
        let speeds = Weights { measure: Measure::Speed, roots: 1 };
        figures.insert("stats_choice", choice(round, Weighting::default())?);
        figures.insert(
            "stats_choice_speed",
            choice(round, Weighting { all: speeds, destination: speeds, ..Weighting::default() })?,
        );
        figures.insert("stats_connection", connection(round)?);
        sampler(&mut figures, 1_000, ["stats_draw_1000", "stats_draw_exact_1000", "stats_update_1000"], &mut random);
        sampler(
            &mut figures,
            MANY,
            ["stats_draw_100000", "stats_draw_exact_100000", "stats_update_100000"],
            &mut random,
        );
        let mut last = 0;
        figures.insert("stats_generator", each_ns(|_| last ^= random.next_u64()));
        black_box(last);
        let after = [FLOWS, MANY].map(|slots| slot_update(slots, &mut random));
        let [few_ns, many_ns] = [0, 1].map(|at| before[at].min(after[at]));
        figures.insert("stats_slot_1000", few_ns);
        rounds.add(figures, many_ns);
    }
    let mut once = BTreeMap::new();
    let tuple_bytes = million(&mut once)?;
    let mut said = rounds.said();
    said.extend(once.into_iter().map(|(name, ns)| (name.into(), json!({ "ours_ns": [ns], "floor_ns": [] }))));
    said.insert("tuple_bytes".into(), tuple_bytes.into());
    Ok(said.into())
}
