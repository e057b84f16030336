//! Rent of a table that fills up.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{S, audit, config, ledger, pass, stranger};
use wayfare_credit::{Change, Config, Direction, Ledger, Opening, Refusal, SELF};
use wayfare_types::Reason;

const CAPACITY: u32 = 160;

fn node() -> (Ledger, u32, u32) {
    let mut ledger = ledger(Config {
        capacity: CAPACITY,
        rent: 16_000,
        increase: 0,
        half_life_us: 1 << 40,
        valuation: false,
        ..config()
    });
    let payer = ledger.neighbour_add(0, Opening { account: 1 << 45, ..Opening::default() }).unwrap();
    let other = stranger(&mut ledger, 0);
    (ledger, payer, other)
}

/// rent·((fill − 1/2)·2)².
fn rent(connections: u32) -> f64 {
    let fill = f64::from(connections) / f64::from(CAPACITY);
    16_000.0 * ((fill - 0.5).max(0.0) * 2.0).powi(2)
}

#[test]
fn below_half_nobody_pays_and_above_it_those_who_came_then() {
    let (mut ledger, payer, other) = node();
    let mut out = Vec::new();
    let ids: Vec<u32> = (0..120).map(|_| ledger.connection_open(0, payer, other, 4, &mut out).unwrap()).collect();
    pass(&mut ledger, 0, 100);
    audit(&mut ledger, 100 * S);
    for (n, &id) in ids.iter().enumerate() {
        let row = ledger.connection_row(id).unwrap();
        assert_eq!(row.rented, n >= 80);
        let due = if n >= 80 { rent(120) * 100.0 } else { 0.0 };
        assert!((row.flows[0].rent as f64 - due).abs() <= 100.0, "{}, not {due}", row.flows[0].rent);
        assert_eq!(row.arrears, 0);
    }
    // As it empties, the rent falls to nothing.
    for &id in &ids[..40] {
        ledger.connection_close(100 * S, id).unwrap();
    }
    let before = ledger.connection_row(ids[100]).unwrap().flows[0].rent;
    pass(&mut ledger, 100 * S, 10);
    assert_eq!(ledger.connection_row(ids[100]).unwrap().flows[0].rent, before);
}

#[test]
fn who_does_not_cover_it_is_refused_and_counted() {
    let (mut ledger, payer, other) = node();
    let poor = ledger.neighbour_add(0, Opening { account: 170_000, ..Opening::default() }).unwrap();
    let mut out = Vec::new();
    for _ in 0..80 {
        ledger.connection_open(0, other, payer, 0, &mut out).unwrap();
    }
    // At 120 of 160: 4,000 a second.
    while ledger.held().2 < 119 {
        ledger.connection_open(0, payer, other, 8, &mut out).unwrap();
    }
    assert_eq!(ledger.connection_open(0, payer, other, 1, &mut out), Err(Refusal::Rent));
    assert_eq!(
        ledger.connection_open(0, stranger(&mut ledger.clone(), 0), other, 8, &mut out),
        Err(Refusal::NeighbourUnknown)
    );
    // Ten seconds for each that it rents: four of them, at rents that rise.
    let opened = (0..10).filter(|_| ledger.connection_open(0, poor, other, 8, &mut out).is_ok()).count();
    assert_eq!(opened, 3, "40,000; 82,000; 126,000; then 172,000 of 170,000");
    // This node itself pays nobody.
    assert!(ledger.connection_open(0, SELF, other, 0, &mut out).is_ok());
    while ledger.connection_open(0, payer, other, 8, &mut out).is_ok() {}
    assert_eq!(ledger.held().2, CAPACITY);
    assert_eq!(ledger.connection_open(0, SELF, other, 8, &mut out), Err(Refusal::TableFull));
    assert_eq!(ledger.counters().get(Reason::CreditRent), 8);
    assert_eq!(ledger.counters().get(Reason::CircuitTableFull), 2);
    audit(&mut ledger, 0);
}

#[test]
fn under_severe_pressure_the_largest_arrears_go_first_of_equals_the_newest() {
    for together in [false, true] {
        let (mut ledger, payer, other) = node();
        let mut out = Vec::new();
        for _ in 0..80 {
            ledger.connection_open(0, payer, other, 0, &mut out).unwrap();
        }
        let owing: Vec<u32> = (0..8).map(|n| ledger.connection_open(n, payer, other, 8, &mut out).unwrap()).collect();
        while ledger.held().2 < 152 {
            ledger.connection_open(S / 2, payer, other, 8, &mut out).unwrap();
        }
        // They stop paying one after the other, or all at once.
        for (n, &id) in (0..).zip(&owing) {
            let at_us = if together { S } else { S / 2 + n * S / 16 };
            assert!(ledger.connection_announced(at_us, id, Direction::Forward, 0, &mut out));
        }
        out.clear();
        ledger.settle(2 * S, &mut out);
        let dropped: Vec<u32> = out
            .iter()
            .filter_map(|change| match change {
                Change::Drop { connection } => Some(*connection),
                Change::Announce { .. } => None,
            })
            .collect();
        // 150 of 160 is severe still, 149 is not.
        assert_eq!(dropped, if together { [owing[7], owing[6], owing[5]] } else { [owing[0], owing[1], owing[2]] });
        assert_eq!(ledger.counters().get(Reason::CreditArrears), 3);
        audit(&mut ledger, 2 * S);
    }
}

#[test]
fn a_million_offered_are_answered_and_those_who_paid_are_kept() {
    let (mut ledger, payer, other) = node();
    let flooder = stranger(&mut ledger, 0);
    let mut out = Vec::new();
    let honest: Vec<u32> = (0..40).map(|_| ledger.connection_open(0, payer, other, 5, &mut out).unwrap()).collect();
    let mut let_in = 0;
    for n in 0..1_000_000u64 {
        let_in += u64::from(ledger.connection_open(n, flooder, other, (n % 10) as u8, &mut out).is_ok());
        out.clear();
        if n % 10_000 == 0 {
            ledger.settle(n, &mut out);
        }
    }
    assert_eq!(let_in, 40, "half of the table is for nothing, the rest is for who can pay");
    let late = ledger.connection_open(S, payer, other, 5, &mut out);
    assert!(late.is_ok());
    for id in honest {
        assert!(ledger.connection_row(id).is_ok());
    }
    audit(&mut ledger, S);
}
