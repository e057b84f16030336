//! How the increase is shared: closed forms of faked neighbours.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{S, audit, config, ledger, rows, stranger};
use wayfare_credit::{Config, Direction, Ledger, NeighbourRow, Opening, Rule, SELF};

fn given(ledger: &mut Ledger, contributed: u64) -> u32 {
    ledger.neighbour_add(0, Opening { contributed, ..Opening::default() }).unwrap()
}

/// What these neighbours are minted for in an hour after weights were drawn up.
fn minted(ledger: &mut Ledger, ids: &[u32]) -> f64 {
    minted_each(ledger).iter().zip(0..).filter(|(_, id)| ids.contains(id)).map(|(minted, _)| minted).sum()
}

fn minted_each(ledger: &mut Ledger) -> Vec<f64> {
    let from_us = 10 * S;
    ledger.settle(from_us, &mut Vec::new());
    let minted = |rows: Vec<NeighbourRow>| rows.iter().map(|row| row.account_books.minted).collect::<Vec<_>>();
    let before = minted(rows(ledger, from_us));
    let after = minted(rows(ledger, from_us + 3600 * S));
    audit(ledger, from_us + 3600 * S);
    before.iter().zip(after).map(|(before, after)| (after - before) as f64).collect()
}

#[test]
fn an_equal_split_gives_k_fakes_beside_n_others_what_the_closed_form_says() {
    for n in [1u32, 10, 100] {
        for k in [1u32, 2, 10, 1000] {
            let mut ledger = ledger(config());
            for _ in 0..n {
                stranger(&mut ledger, 0);
            }
            let fakes: Vec<u32> = (0..k).map(|_| stranger(&mut ledger, 0)).collect();
            let share = 3600.0 * 1e6 / f64::from(n + 1);
            let gain = minted(&mut ledger, &fakes) / share;
            let expected = f64::from(k * (n + 1)) / f64::from(n + k);
            assert!((gain / expected - 1.0).abs() < 1e-6, "n = {n}, k = {k}: {gain}, not {expected}");
        }
    }
}

#[test]
fn under_the_shipped_rule_fakes_that_share_a_nodes_bandwidth_gain_a_twentieth_at_most() {
    let rule = Config { rule: Rule::Contributed, ..Config::default() };
    for n in [1u32, 10, 100] {
        // What one more node would get that contributes as the others do.
        let mut honest = ledger(rule.clone());
        for _ in 0..n {
            given(&mut honest, 1 << 40);
        }
        let one = given(&mut honest, 1 << 40);
        let one = minted(&mut honest, &[one]);
        for k in [1u32, 2, 10, 100, 1000] {
            for contributed in [0, 1 << 40] {
                let mut ledger = ledger(rule.clone());
                for _ in 0..n {
                    given(&mut ledger, 1 << 40);
                }
                let fakes: Vec<u32> = (0..k).map(|_| given(&mut ledger, contributed / u64::from(k))).collect();
                let gain = minted(&mut ledger, &fakes) / one;
                assert!(gain <= 1.05, "n = {n}, k = {k}, {contributed} contributed: {gain}");
                assert!(contributed == 0 || gain >= 0.999);
            }
        }
    }
}

#[test]
fn newcomers_are_served_and_a_crowd_that_gives_a_credit_each_does_not_starve_them() {
    let rule = Config { rule: Rule::Contributed, ..Config::default() };
    let mut usual = ledger(rule.clone());
    given(&mut usual, 1 << 40);
    stranger(&mut usual, 0);
    let [contributor, alone] = minted_each(&mut usual).try_into().unwrap();
    // Half of a twentieth: the other half is the contributor's own.
    assert!((alone / contributor / 0.024_39 - 1.0).abs() < 0.001, "{}", alone / contributor);
    let mut crowded = ledger(rule);
    given(&mut crowded, 1 << 40);
    let newcomer = stranger(&mut crowded, 0);
    for _ in 0..98 {
        given(&mut crowded, 1);
    }
    let beside = minted(&mut crowded, &[newcomer]);
    assert!(beside > alone / 50.0 * 0.99, "{beside} of {alone}: its part is shared with all there are, and no smaller");
}

#[test]
fn while_nobody_has_contributed_all_are_equal_and_the_first_who_does_is_ahead() {
    let mut ledger = ledger(Config { rule: Rule::Contributed, ..Config::default() });
    let ids: Vec<u32> =
        (0..4).map(|_| ledger.neighbour_add(0, Opening { mirror: 1000, ..Opening::default() }).unwrap()).collect();
    let each: Vec<u64> = rows(&mut ledger, 0).iter().map(|row| row.increase).collect();
    assert_eq!(each, [250_000; 4]);
    assert_eq!(ledger.earn(S, ids[2], 500), Ok(500));
    ledger.settle(10 * S, &mut Vec::new());
    let each: Vec<u64> = rows(&mut ledger, 10 * S).iter().map(|row| row.increase).collect();
    assert_eq!(each[0], each[1]);
    assert!(each[2] > 19 * each[0] && each.iter().sum::<u64>().abs_diff(1_000_000) <= 4, "{each:?}");
}

#[test]
fn what_a_next_hop_carries_both_ways_is_what_it_contributes_whatever_it_is_paid() {
    let mut ledger = ledger(Config { half_life_us: 1 << 40, valuation: false, ..config() });
    let rich = Opening { account: 1 << 50, mirror: 1 << 50, ..Opening::default() };
    let [client, busy, idle, unpaid, own] = [0; 5].map(|_| ledger.neighbour_add(0, rich).unwrap());
    let mut out = Vec::new();
    let mut open = |previous, next, class| ledger.connection_open(0, previous, next, class, &mut out).unwrap();
    let [over_busy, _, over_unpaid, over_own] =
        [open(client, busy, 1), open(client, idle, 8), open(client, unpaid, 0), open(SELF, own, 1)];
    ledger.connection_announced(0, over_busy, Direction::Backward, 1, &mut out);
    for second in 1..=1000 {
        for (id, direction, bytes) in [
            (over_busy, Direction::Forward, 30_000),
            (over_busy, Direction::Backward, 70_000),
            (over_unpaid, Direction::Forward, 100_000),
            (over_own, Direction::Forward, 100_000),
        ] {
            assert!(ledger.charge(id, direction, 0, bytes));
        }
        assert!(ledger.settle(second * S, &mut out));
    }
    let rows = rows(&mut ledger, 1000 * S);
    let contributed = |id| rows.iter().find(|row| row.neighbour == id).unwrap().contributed as f64;
    // It decays with a half-life of 2^40 µs, on average over half of 1,000 s.
    for id in [busy, own] {
        assert!((contributed(id) / 100_000_000.0 - 0.999_685).abs() < 1e-5, "{}", contributed(id));
    }
    // Neither who is paid 16 million a second and moves nothing, nor who comes first, nor who moves what nobody pays for.
    assert_eq!([idle, client, unpaid].map(contributed), [0.0; 3]);
}
