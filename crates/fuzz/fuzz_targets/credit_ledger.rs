//! Credits: whatever is called in whatever order at whatever time, every account is what its books say, what connections moved adds up,
//! and no class is announced that there is not.
#![no_main]

#[path = "../../credit/tests/common/audit.rs"]
mod audit;

use audit::audit;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wayfare_credit::{CLASSES, Change, Config, Direction, Ledger, Opening, Rule};

#[derive(Arbitrary, Debug)]
enum Step {
    Pass { us: u32 },
    Jump { to_us: u64 },
    Add { amounts: [u64; 3], value: i64, expected: u64 },
    Remove { neighbour: u8 },
    Expect { neighbour: u8, per_second: u64 },
    Report { neighbour: u8, balance: u64, per_second: u64 },
    Spend { neighbour: u8, credits: u64 },
    Earn { neighbour: u8, credits: u64 },
    Open { previous: u8, next: u8, class: u8 },
    Announced { connection: u8, backward: bool, class: u8 },
    Own { connection: u8, class: u8 },
    Keep { connection: u8 },
    Close { connection: u8 },
    Charge { connection: u8, backward: bool, credits: u64, bytes: u64 },
    Settle,
    Configure { increase: u64, shares: [u32; 2], rent: u32, flags: u8 },
}

#[derive(Arbitrary, Debug)]
struct Input {
    now_us: u64,
    half_life_us: u64,
    increase: u64,
    capacity: u8,
    neighbours: u8,
    rent: u32,
    seed: u64,
    script: Vec<Step>,
}

/// An end: this node now and then.
fn end(id: u8) -> u32 {
    if id == 255 { wayfare_credit::SELF } else { (id % 16).into() }
}

fn direction(backward: bool) -> Direction {
    if backward { Direction::Backward } else { Direction::Forward }
}

fuzz_target!(|input: Input| {
    let config = Config {
        half_life_us: input.half_life_us,
        increase: input.increase,
        capacity: input.capacity.into(),
        neighbours: input.neighbours.into(),
        rent: input.rent,
        ..Config::default()
    };
    let Ok(mut ledger) = Ledger::new(config, input.seed, input.now_us) else { return };
    let (mut now_us, mut out) = (input.now_us, Vec::new());
    for step in &input.script {
        match *step {
            Step::Pass { us } => now_us = now_us.saturating_add(us.into()),
            Step::Jump { to_us } => now_us = to_us,
            Step::Add { amounts: [account, mirror, contributed], value, expected } => {
                let _ = ledger.neighbour_add(now_us, Opening { account, mirror, contributed, value, expected });
            }
            Step::Remove { neighbour } => drop(ledger.neighbour_remove(now_us, neighbour.into())),
            Step::Expect { neighbour, per_second } => {
                let _ = ledger.neighbour_expect(now_us, neighbour.into(), per_second);
            }
            Step::Report { neighbour, balance, per_second } => {
                let before = ledger.account(now_us, neighbour.into());
                let _ = ledger.neighbour_report(now_us, neighbour.into(), balance, per_second);
                assert_eq!(ledger.account(now_us, neighbour.into()), before);
            }
            Step::Spend { neighbour, credits } => {
                if let Ok(paid) = ledger.spend(now_us, neighbour.into(), credits) {
                    assert!(paid <= credits);
                }
            }
            Step::Earn { neighbour, credits } => {
                if let Ok(paid) = ledger.earn(now_us, neighbour.into(), credits) {
                    assert!(paid <= credits);
                }
            }
            Step::Open { previous, next, class } => {
                let opened = ledger.connection_open(now_us, end(previous), end(next), class, &mut out);
                assert!(opened.is_err() || class < CLASSES);
            }
            Step::Announced { connection, backward, class } => {
                let taken =
                    ledger.connection_announced(now_us, connection.into(), direction(backward), class, &mut out);
                assert!(!taken || class < CLASSES);
            }
            Step::Own { connection, class } => {
                let _ = ledger.connection_own(now_us, connection.into(), class, &mut out);
            }
            Step::Keep { connection } => drop(ledger.connection_keep(now_us, connection.into(), &mut out)),
            Step::Close { connection } => drop(ledger.connection_close(now_us, connection.into())),
            Step::Charge { connection, backward, credits, bytes } => {
                ledger.charge(connection.into(), direction(backward), credits, bytes);
            }
            Step::Settle => drop(ledger.settle(now_us, &mut out)),
            Step::Configure { increase, shares: [newcomer_share, always_share], rent, flags } => {
                let config = Config {
                    increase,
                    newcomer_share,
                    always_share,
                    rent,
                    rule: if flags & 1 == 0 { Rule::Contributed } else { Rule::Equal },
                    free: flags & 2 != 0,
                    valuation: flags & 4 == 0,
                    ..ledger.config().clone()
                };
                let _ = ledger.configure(now_us, config);
            }
        }
        for change in out.drain(..) {
            match change {
                Change::Announce { connection, direction, class } => {
                    assert!(class < CLASSES);
                    assert!(ledger.flow(connection, direction).is_ok_and(|flow| flow.class_out < CLASSES));
                }
                Change::Drop { connection } => assert!(ledger.connection_row(connection).is_err()),
            }
        }
        audit(&mut ledger, now_us);
    }
});
