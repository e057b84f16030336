//! Increase and decay against the differential equation's solution.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{S, YEAR, audit, config, ledger, stranger};
use proptest::prelude::*;
use wayfare_credit::{BALANCE_MOST, Config, Opening};

/// a·2^-x + (r·halfLife/ln 2)·(1 − 2^-x).
fn solution(account: f64, per_second: f64, half_life_us: u64, us: u64) -> f64 {
    let x = us as f64 / half_life_us as f64;
    let limit = per_second * half_life_us as f64 / 1e6 / std::f64::consts::LN_2;
    // 1 − 2^-x without cancellation.
    account * (-x).exp2() - limit * (-x * std::f64::consts::LN_2).exp_m1()
}

#[test]
fn from_any_state_it_comes_to_increase_over_decay() {
    for opening in [0, 1, 1 << 30, BALANCE_MOST] {
        for neighbours in [1, 3, 10] {
            let mut ledger = ledger(Config { half_life_us: 60 * S, ..config() });
            for _ in 0..neighbours {
                ledger.neighbour_add(0, Opening { account: opening, ..Opening::default() }).unwrap();
            }
            // R/n/λ, λ = ln 2/60 s.
            let limit = 1e6 / f64::from(neighbours) * 60.0 / std::f64::consts::LN_2;
            let account = ledger.account(60 * 60 * S, 0).unwrap();
            assert!((account as f64 - limit).abs() <= 1.0, "{account}, not {limit}");
            audit(&mut ledger, 60 * 60 * S);
        }
    }
}

#[test]
fn the_sum_of_the_increase_is_constant_however_many_there_are() {
    let mut ledger = ledger(config());
    let mut now_us = 0;
    for n in 0..200u64 {
        stranger(&mut ledger, now_us);
        if n % 3 == 2 {
            ledger.neighbour_remove(now_us, (n / 2) as u32).ok();
        }
        now_us += n * 37_777 + 1;
    }
    let minted = ledger.books(now_us).accounts.books.minted;
    assert!(minted.abs_diff(u128::from(now_us)) <= 200, "{minted} of {now_us}");
    audit(&mut ledger, now_us);
}

proptest! {
    #[test]
    fn a_path_of_any_steps_is_the_solution(
        opening in 0..1u64 << 40,
        half_life_us in S..YEAR / 400,
        increase in 0..1_000_000u64,
        steps in prop::collection::vec((0..3_000_000_000u64, 0..1u64 << 38, any::<bool>()), 1..40),
    ) {
        let mut ledger = ledger(Config { half_life_us, increase, ..config() });
        let expected = increase / 3;
        let id = ledger
            .neighbour_add(0, Opening { account: opening, expected, ..Opening::default() })
            .unwrap();
        let (mut account, mut mirror, mut now_us) = (opening as f64, 0.0, 0);
        for (us, credits, here) in steps {
            now_us += us;
            account = solution(account, increase as f64, half_life_us, us);
            mirror = solution(mirror, expected as f64, half_life_us, us);
            let ours = (ledger.account(now_us, id).unwrap() as f64, ledger.mirror(now_us, id).unwrap() as f64);
            prop_assert!((ours.0 - account).abs() <= 1.01 + account * 1e-10, "{} not {account}", ours.0);
            prop_assert!((ours.1 - mirror).abs() <= 1.01 + mirror * 1e-10, "{} not {mirror}", ours.1);
            let paid = if here { ledger.spend(now_us, id, credits) } else { ledger.earn(now_us, id, credits) }.unwrap();
            prop_assert_eq!(paid, credits.min(if here { ours.0 } else { ours.1 } as u64));
            let sign = if here { 1.0 } else { -1.0 };
            (account, mirror) = ((account - sign * paid as f64).max(0.0), (mirror + sign * paid as f64).max(0.0));
            audit(&mut ledger, now_us);
        }
    }

    #[test]
    fn however_time_is_cut_it_is_the_same_to_the_last_unit(
        cuts in prop::collection::vec(1..500_000_000u64, 1..30),
        opening in 0..BALANCE_MOST,
        half_life_us in S..1_000 * S,
    ) {
        let make = || {
            let mut ledger = ledger(Config { half_life_us, ..config() });
            ledger.neighbour_add(0, Opening { account: opening, mirror: opening / 3, expected: 77_777, ..Opening::default() }).unwrap();
            stranger(&mut ledger, 0);
            ledger
        };
        let (mut cut, mut whole) = (make(), make());
        let end_us = cuts.iter().sum();
        let mut now_us = 0;
        for us in cuts {
            now_us += us;
            cut.account(now_us, 0).unwrap();
            cut.mirror(now_us, 1).unwrap();
        }
        prop_assert_eq!(cut.account(end_us, 0), whole.account(end_us, 0));
        prop_assert_eq!(cut.mirror(end_us, 0), whole.mirror(end_us, 0));
        prop_assert_eq!(cut.digest(), whole.digest());
        // Settled in between, too: within a unit.
        let mut settled = make();
        for n in 1..=20 {
            settled.neighbour(end_us * n / 20, 0).unwrap();
        }
        let apart = settled.account(end_us, 0).unwrap().abs_diff(whole.account(end_us, 0).unwrap());
        prop_assert!(apart <= 1, "{} apart", apart);
    }
}

#[test]
fn clocks_that_fall_or_leap_do_no_harm() {
    let mut ledger = ledger(config());
    let id = stranger(&mut ledger, 100 * S);
    let before = ledger.account(200 * S, id).unwrap();
    assert_eq!(ledger.account(50 * S, id), Ok(before));
    assert_eq!(ledger.tallies().clock_fell, 1);
    audit(&mut ledger, 0);
    let most = ledger.account(u64::MAX, id).unwrap();
    assert_eq!(ledger.account(u64::MAX - 1, id), Ok(most), "time has come to its end");
    audit(&mut ledger, u64::MAX);
    // An hour later than never is never.
    assert!((most as f64 - 1e6 * 600.0 / std::f64::consts::LN_2).abs() <= 1.0);
    assert!(!ledger.settle(0, &mut Vec::new()) || ledger.tallies().clock_leapt == 1);
    audit(&mut ledger, 0);
}
