//! Credits: what reading a balance, charging a packet and settling cost, beside the update of a slot in a plain array, fed with the same
//! ids in the same round.

use std::collections::BTreeMap;
use std::hint::black_box;

use serde_json::Value;
use wayfare_credit::{CONNECTION_BYTES, Config, Direction, Ledger, NEIGHBOUR_BYTES, Opening};
use wayfare_embed::ChaChaRandom;
use wayfare_measure::cpu;

use crate::load::Fault;
use crate::slots::{MANY, ROUNDS, Rounds, drawn, each_ns, slot_update};

const NEIGHBOURS: u32 = 100_000;
const CONNECTIONS: u32 = 10_000;
/// CPU nanoseconds of something that takes longer, by how many it is for: the fastest time.
fn whole_ns(times: usize, parts: f64, mut work: impl FnMut(usize)) -> f64 {
    let each = (0..times).map(|n| {
        let before = cpu::thread();
        work(n);
        (cpu::thread() - before).as_nanos() as f64 / parts
    });
    each.fold(f64::INFINITY, f64::min)
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
    let ids = drawn(NEIGHBOURS as usize, random);
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
    let ids = drawn(CONNECTIONS as usize, random);
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
    let (mut rounds, mut random) = (Rounds::default(), ChaChaRandom::new(&[7; 32]));
    for _ in 0..ROUNDS {
        let mut figures = BTreeMap::new();
        let before_ns = slot_update(MANY, &mut random);
        round(&mut figures, &mut random)?;
        rounds.add(figures, before_ns.min(slot_update(MANY, &mut random)));
    }
    let mut said = rounds.said();
    said.insert("neighbour_bytes".into(), NEIGHBOUR_BYTES.into());
    said.insert("connection_bytes".into(), CONNECTION_BYTES.into());
    Ok(said.into())
}
