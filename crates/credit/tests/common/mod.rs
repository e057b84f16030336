//! What several tests begin with.
#![allow(dead_code, unused_imports, clippy::unwrap_used, reason = "each test uses its part and fails by it")]

pub mod audit;
pub mod powers;

pub use audit::{audit, rows};
use wayfare_credit::{Books, Change, Config, Ledger, Opening, Rule};

pub const S: u64 = 1_000_000;
pub const YEAR: u64 = 31_536_000 * S;

pub fn config() -> Config {
    Config { rule: Rule::Equal, ..Config::default() }
}

pub fn ledger(config: Config) -> Ledger {
    Ledger::new(config, 7, 0).unwrap()
}

pub fn stranger(ledger: &mut Ledger, now_us: u64) -> u32 {
    ledger.neighbour_add(now_us, Opening::default()).unwrap()
}

/// Lets so many periods pass and throws away what is announced.
pub fn pass(ledger: &mut Ledger, from_us: u64, periods: u64) -> u64 {
    let period_us = ledger.config().period_us;
    let mut out = Vec::new();
    for period in 1..=periods {
        ledger.settle(from_us + period * period_us, &mut out);
        out.clear();
    }
    from_us + periods * period_us
}

/// What a sum of books says moved.
pub fn moved(books: &Books) -> (u128, u128) {
    (books.spent, books.earned)
}

/// What the listed changes leave announced, by connection and direction.
pub fn announced(changes: &[Change], connection: u32, direction: wayfare_credit::Direction) -> Option<u8> {
    changes.iter().rev().find_map(|change| match *change {
        Change::Announce { connection: c, direction: d, class } if c == connection && d == direction => Some(class),
        _ => None,
    })
}
