//! The engine as one value with flat calls: numbers, text and bytes in, batches of bytes and JSON out. `bindings/node` and
//! `bindings/wasm` export it unchanged; what it promises is `EngineBinding` in ts/core/engine.ts.
//!
//! `EmbeddedEgress` is the choice of exits likewise, after `EgressBinding` in ts/core/egress.ts, and `EmbeddedCredit` credits between
//! neighbours, after `CreditBinding` in ts/core/credit.ts.
//!
//! Beside the engine it holds what every host would do alike: links that have not proven themselves yet (`wayfare-link`), a
//! clock that starts at zero, and randomness from one seed.
//!
//! Invariant: reads no clock but once for an origin that no result shows, and draws no randomness of its own: the same calls
//! in the same order give the same results, except for the bytes that TLS draws itself. Whatever is passed in gives a result
//! or a `Failure`.

mod commands;
mod credit;
mod egress;
mod engine;
mod event;
mod failure;
mod link;
mod options;
mod peel;
mod random;
mod stats;

pub use credit::EmbeddedCredit;
pub use egress::EmbeddedEgress;
pub use engine::EmbeddedEngine;
pub use failure::Failure;
pub use peel::{PeelBench, arithmetic};
pub use random::ChaChaRandom;

/// Records of `outputs`: `kind u8 | link u32 | length u32 | bytes`.
pub const OUTPUT_PACKET: u8 = 1;
/// See [`OUTPUT_PACKET`].
pub const OUTPUT_CONTROL: u8 = 2;
/// Bytes before those of a record.
pub const OUTPUT_HEADER: usize = 9;
/// A buffer that holds the largest record.
pub const OUTPUT_BYTES_MIN: usize = 16 * 1024;

/// `flow_read` and `flow_write`: later, an event will say when.
pub const FLOW_BLOCKED: i32 = 0;
/// `flow_read`: the other side has sent all it had to.
pub const FLOW_FINISHED: i32 = -1;
/// The flow is broken off, or there is none.
pub const FLOW_CLOSED: i32 = -2;
