//! What tests and benches stand on: seeded randomness, and UDP paths that are slow, narrow and lossy to order.
//!
//! Invariant: the same seed gives the same choices.

mod line;
mod path;
mod seeded;

pub use line::{Counts, Impairment};
pub use path::{ImpairedPath, Way};
pub use seeded::Seeded;
