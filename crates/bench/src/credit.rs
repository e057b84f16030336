//! Credits: what reading a balance, charging a packet and settling cost, beside the update of a slot in a plain array, fed with the same
//! ids in the same round.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use wayfare_credit::{CONNECTION_BYTES, Config, Direction, Ledger, NEIGHBOUR_BYTES, Opening};
use wayfare_embed::ChaChaRandom;
use wayfare_measure::cpu;
use wayfare_stats::{Moved, PacketInterval};

use crate::load::Fault;

const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(40);
const BATCH: usize = 1024;
const DRAWN: usize = 1 << 14;

const NEIGHBOURS: u32 = 100_000;
const CONNECTIONS: u32 = 10_000;
/// Slots of the array that all is measured beside.
const SLOTS: usize = 100_000;
const PACKET: Moved = Moved { sent_bytes: 40, received_bytes: 1200, sent_packets: 1, received_packets: 1 };

/// CPU nanoseconds of one piece of work: the fastest batch's, since what else the machine does only ever adds.
fn each_ns(mut work: impl FnMut(usize)) -> f64 {
    let (start, mut best, mut n) = (Instant::now(), f64::INFINITY, 0);
    while start.elapsed() < TIME {
        let before = cpu::thread();
        for _ in 0..BATCH {
            work(n);
            n = (n + 1) % DRAWN;
        }
        best = best.min((cpu::thread() - before).as_nanos() as f64 / BATCH as f64);
    }
    best
}

/// The same of something that takes longer, by how many it is for.
fn whole_ns(times: usize, parts: f64, mut work: impl FnMut(usize)) -> f64 {
    let each = (0..times).map(|n| {
        let before = cpu::thread();
        work(n);
        (cpu::thread() - before).as_nanos() as f64 / parts
    });
    each.fold(f64::INFINITY, f64::min)
}

fn drawn(below: u32, random: &mut ChaChaRandom) -> Vec<u32> {
    (0..DRAWN).map(|_| wayfare_stats::below(below.into(), random) as u32).collect()
}

fn slot_update(random: &mut ChaChaRandom) -> f64 {
    let mut intervals = vec![PacketInterval::default(); SLOTS];
    let ids = drawn(SLOTS as u32, random);
    let mut now_us = 0;
    each_ns(|n| {
        now_us += 1;
        intervals[ids[n] as usize].record(now_us, black_box(&PACKET));
    })
}

fn fault(refusal: impl std::fmt::Debug) -> Fault {
    format!("the ledger refused: {refusal:?}")
}

/// So many neighbours with something in each account.
fn bed(neighbours: u32) -> Result<Ledger, Fault> {
    let config = Config { neighbours, capacity: 4 * CONNECTIONS, ..Config::default() };
    let mut ledger = Ledger::new(config, 7, 0).map_err(fault)?;
    for n in 0..u64::from(neighbours) {
        let opening = Opening { account: n << 20, mirror: 1 << 40, contributed: n << 10, ..Opening::default() };
        ledger.neighbour_add(n, opening).map_err(fault)?;
    }
    Ok(ledger)
}

fn round(figures: &mut BTreeMap<&'static str, f64>, random: &mut ChaChaRandom) -> Result<(), Fault> {
    let mut ledger = bed(NEIGHBOURS)?;
    let ids = drawn(NEIGHBOURS, random);
    let mut now_us = u64::from(NEIGHBOURS);
    // At the time of the one before, as a scheduler or a settlement reads many.
    let read = each_ns(|n| {
        black_box(ledger.account(now_us, ids[n]).ok());
    });
    figures.insert("credit_read", read);
    let read = each_ns(|n| {
        now_us += 1;
        black_box(ledger.account(now_us, ids[n]).ok());
    });
    figures.insert("credit_read_later", read);
    let spent = each_ns(|n| {
        now_us += 1;
        black_box(ledger.spend(now_us, ids[n], 3).ok());
    });
    figures.insert("credit_spend", spent);
    let period = whole_ns(5, NEIGHBOURS.into(), |_| {
        now_us += 10_000_000;
        ledger.settle(now_us, &mut Vec::new());
    });
    figures.insert("credit_settle_neighbour", period);

    let mut ledger = bed(100)?;
    let (mut out, mut now_us) = (Vec::new(), 1000);
    for n in 0..CONNECTIONS {
        let (previous, next) = (n % 100, (n / 100 + n) % 100);
        ledger.connection_open(now_us, previous, next, (n % 8 + 1) as u8, &mut out).map_err(fault)?;
    }
    let ids = drawn(CONNECTIONS, random);
    let charged = each_ns(|n| {
        black_box(ledger.charge(ids[n], Direction::Forward, black_box(1200), 1200));
    });
    figures.insert("credit_charge", charged);
    let weighed = each_ns(|n| {
        black_box(ledger.weight(ids[n], Direction::Backward));
    });
    figures.insert("credit_weight", weighed);
    let period = whole_ns(20, CONNECTIONS.into(), |_| {
        now_us += 1_000_000;
        out.clear();
        ledger.settle(now_us, &mut out);
    });
    figures.insert("credit_settle_connection", period);
    Ok(())
}

pub fn run() -> Result<Value, Fault> {
    let mut rounds: BTreeMap<&'static str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    let mut random = ChaChaRandom::new(&[7; 32]);
    for _ in 0..ROUNDS {
        let mut figures = BTreeMap::new();
        let before_ns = slot_update(&mut random);
        round(&mut figures, &mut random)?;
        let slot_ns = before_ns.min(slot_update(&mut random));
        for (name, ours_ns) in figures {
            let (ours, floor) = rounds.entry(name).or_default();
            ours.push(ours_ns);
            floor.push(slot_ns);
        }
    }
    let mut said: Map<String, Value> = rounds
        .into_iter()
        .map(|(name, (ours, floor))| (name.into(), json!({ "ours_ns": ours, "floor_ns": floor })))
        .collect();
    said.insert("neighbour_bytes".into(), NEIGHBOUR_BYTES.into());
    said.insert("connection_bytes".into(), CONNECTION_BYTES.into());
    Ok(said.into())
}
