//! Credits between neighbours: what each may spend here, what flows with connections, what is charged and what a credit is worth. The
//! model is in docs/decisions/0011-credits.md.
//!
//! Invariant: no clock, no randomness and no I/O; integers only, so that the same calls have the same results to the last bit on every
//! host. For each account and for the node balance = opening + minted − decayed − spent + earned, after every call. Nothing from outside
//! panics. Sums saturate only where it is said: balances at 2^53, time at 2^53 µs, what connections were charged at 2^64.

mod accounts;
mod active;
mod clock;
mod config;
mod connection;
mod connections;
mod digest;
mod ledger;
mod mint;
mod neighbour;
mod power;
mod rent;
mod rows;
mod settle;
mod valuation;
mod weigh;

pub use accounts::Sum;
pub use clock::TIME_MOST_US;
pub use config::{Config, ConfigError, Rule, share};
pub use connection::{CLASSES, Change, Direction, Flow, SELF, rate};
pub use ledger::{Ledger, Opening, Refusal, Tallies};
pub use neighbour::{BALANCE_MOST, Books};
pub use power::{exp2_fraction, log2, times_exp2};
pub use rows::{CONNECTION_BYTES, ConnectionRow, NEIGHBOUR_BYTES, NeighbourRow, NodeBooks, Totals};
