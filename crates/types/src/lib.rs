//! Ids, units and the codes by which every drop and refusal is counted: the vocabulary all other crates share.
//!
//! Invariant: no clock, no randomness, no I/O; nothing here allocates per packet.

mod id;
mod random;
mod reason;

pub use id::{IdError, NodeId};
pub use random::Random;
pub use reason::{Counters, Reason};
