//! Whatever is called in whatever order at whatever time, every unit is accounted for after each call.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::audit;
use proptest::prelude::*;
use wayfare_credit::{Change, Config, Direction, Ledger, Opening, Rule, SELF};

#[derive(Clone, Debug)]
enum Step {
    Pass { us: u64 },
    Jump { to_us: u64 },
    Add { opening: Opening },
    Remove { neighbour: u32 },
    Expect { neighbour: u32, per_second: u64 },
    Report { neighbour: u32, balance: u64 },
    Spend { neighbour: u32, credits: u64 },
    Earn { neighbour: u32, credits: u64 },
    Open { previous: u32, next: u32, class: u8 },
    Announced { connection: u32, backward: bool, class: u8 },
    Own { connection: u32, class: u8 },
    Keep { connection: u32 },
    Close { connection: u32 },
    Charge { connection: u32, backward: bool, credits: u64, bytes: u64 },
    Settle,
    Configure { increase: u64, equal: bool, free: bool, always_share: u32, valuation: bool },
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0..40u32, 1..8u64).prop_map(|(shift, n)| n << shift),
        1 => Just(0),
        1 => Just(1 << 53),
        1 => any::<u64>(),
    ]
}

fn value() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 1 => any::<i64>(), 1 => (-3i64 << 32)..(3i64 << 32)]
}

fn opening() -> impl Strategy<Value = Opening> {
    (amount(), amount(), amount(), value(), 0..1u64 << 42).prop_map(
        |(account, mirror, contributed, value, expected)| Opening { account, mirror, contributed, value, expected },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let neighbour = || 0..6u32;
    let connection = || 0..12u32;
    let end = || prop_oneof![5 => 0..6u32, 1 => Just(SELF)];
    prop_oneof![
        4 => prop_oneof![0..2_000_000u64, 0..1_000_000_000u64, 0..1u64 << 50].prop_map(|us| Step::Pass { us }),
        1 => any::<u64>().prop_map(|to_us| Step::Jump { to_us }),
        2 => opening().prop_map(|opening| Step::Add { opening }),
        1 => neighbour().prop_map(|neighbour| Step::Remove { neighbour }),
        1 => (neighbour(), any::<u64>()).prop_map(|(neighbour, wide)| Step::Expect { neighbour, per_second: wide >> (wide % 64) }),
        1 => (neighbour(), amount()).prop_map(|(neighbour, balance)| Step::Report { neighbour, balance }),
        2 => (neighbour(), amount()).prop_map(|(neighbour, credits)| Step::Spend { neighbour, credits }),
        2 => (neighbour(), amount()).prop_map(|(neighbour, credits)| Step::Earn { neighbour, credits }),
        3 => (end(), end(), 0..10u8).prop_map(|(previous, next, class)| Step::Open { previous, next, class }),
        2 => (connection(), any::<bool>(), 0..10u8)
            .prop_map(|(connection, backward, class)| Step::Announced { connection, backward, class }),
        1 => (connection(), 0..10u8).prop_map(|(connection, class)| Step::Own { connection, class }),
        1 => connection().prop_map(|connection| Step::Keep { connection }),
        1 => connection().prop_map(|connection| Step::Close { connection }),
        2 => (connection(), any::<bool>(), amount(), amount())
            .prop_map(|(connection, backward, credits, bytes)| Step::Charge { connection, backward, credits, bytes }),
        4 => Just(Step::Settle),
        1 => (0..1u64 << 42, any::<bool>(), any::<bool>(), any::<u32>(), any::<bool>()).prop_map(
            |(increase, equal, free, always_share, valuation)| Step::Configure { increase, equal, free, always_share, valuation }
        ),
    ]
}

fn direction(backward: bool) -> Direction {
    if backward { Direction::Backward } else { Direction::Forward }
}

/// What an account did, of the one call that moves it alone.
fn take(ledger: &mut Ledger, now_us: u64, step: &Step, out: &mut Vec<Change>) {
    match *step {
        Step::Pass { .. } | Step::Jump { .. } => {}
        Step::Add { opening } => drop(ledger.neighbour_add(now_us, opening)),
        Step::Remove { neighbour } => drop(ledger.neighbour_remove(now_us, neighbour)),
        Step::Expect { neighbour, per_second } => drop(ledger.neighbour_expect(now_us, neighbour, per_second)),
        Step::Report { neighbour, balance } => drop(ledger.neighbour_report(now_us, neighbour, balance, balance)),
        Step::Spend { neighbour, credits } => {
            if let Ok(before) = ledger.account(now_us, neighbour) {
                let paid = ledger.spend(now_us, neighbour, credits).unwrap();
                // Settling rounds amounts near 2^53 by a unit.
                assert!(paid.abs_diff(credits.min(before)) <= 1);
                let after = ledger.neighbour(now_us, neighbour).unwrap().account;
                assert!(after.abs_diff(before - paid.min(before)) <= 1);
            }
        }
        Step::Earn { neighbour, credits } => {
            if let Ok(before) = ledger.mirror(now_us, neighbour) {
                let paid = ledger.earn(now_us, neighbour, credits).unwrap();
                assert!(paid.abs_diff(credits.min(before)) <= 1);
            }
        }
        Step::Open { previous, next, class } => drop(ledger.connection_open(now_us, previous, next, class, out)),
        Step::Announced { connection, backward, class } => {
            let known = ledger.flow(connection, direction(backward)).is_ok();
            let taken = ledger.connection_announced(now_us, connection, direction(backward), class, out);
            assert!(!taken || (known && class < 9));
        }
        Step::Own { connection, class } => drop(ledger.connection_own(now_us, connection, class, out)),
        Step::Keep { connection } => drop(ledger.connection_keep(now_us, connection, out)),
        Step::Close { connection } => drop(ledger.connection_close(now_us, connection)),
        Step::Charge { connection, backward, credits, bytes } => {
            ledger.charge(connection, direction(backward), credits, bytes);
        }
        Step::Settle => drop(ledger.settle(now_us, out)),
        Step::Configure { increase, equal, free, always_share, valuation } => {
            let rule = if equal { Rule::Equal } else { Rule::Contributed };
            let config = Config { increase, rule, free, always_share, valuation, ..ledger.config().clone() };
            let _ = ledger.configure(now_us, config);
        }
    }
}

/// A script, audited after each step; what is announced is what the records say.
fn play(config: Config, script: &[Step]) -> u64 {
    let mut ledger = Ledger::new(config, 11, 5_000_000).unwrap();
    let (mut now_us, mut out) = (5_000_000u64, Vec::new());
    for step in script {
        match *step {
            Step::Pass { us } => now_us = now_us.saturating_add(us),
            Step::Jump { to_us } => now_us = to_us,
            _ => {}
        }
        take(&mut ledger, now_us, step, &mut out);
        audit(&mut ledger, now_us);
        for change in out.drain(..) {
            if let Change::Announce { class, .. } = change {
                assert!(class < 9);
            }
        }
    }
    ledger.digest()
}

fn config() -> impl Strategy<Value = Config> {
    (1u64 << 20..1u64 << 38, 0..1_000_000u64, 2..12u32, 1..6u32, 0..10_000u32).prop_map(
        |(half_life_us, increase, capacity, neighbours, rent)| Config {
            half_life_us,
            increase,
            capacity,
            neighbours,
            rent,
            ..Config::default()
        },
    )
}

proptest! {
    #[test]
    fn every_unit_is_accounted_for_after_every_call(
        config in config(),
        script in prop::collection::vec(step(), 1..120),
    ) {
        let digest = play(config.clone(), &script);
        prop_assert_eq!(digest, play(config, &script));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50_000, ..ProptestConfig::default() })]

    #[test]
    #[ignore = "ten million calls take minutes: cargo test --release -p wayfare-credit -- --ignored"]
    fn every_unit_is_accounted_for_after_each_of_ten_million_calls(
        config in config(),
        script in prop::collection::vec(step(), 200),
    ) {
        play(config, &script);
    }
}
