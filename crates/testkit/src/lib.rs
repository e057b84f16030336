//! What tests and benches stand on: seeded randomness, and UDP paths that are slow, narrow and lossy to order.
//!
//! Invariant: the same seed gives the same choices.
#![allow(clippy::disallowed_methods, reason = "this crate stands on the machine: it reads the clock for the others")]

mod line;
mod path;
mod seeded;

pub use line::{Counts, Impairment};
pub use path::{ImpairedPath, Way};
pub use seeded::Seeded;
