//! What a machine's packet work costs, each figure beside a floor that does nothing but the unavoidable, on clocks that count
//! only the measuring thread's own time, so that a busy machine disturbs a ratio little.
//!
//! `npm run bench` and `wayfare bench` print what is measured here.
//!
//! Invariant: work and floor are fed by the same generator with the same draws, and take turns within one run.
#![allow(clippy::disallowed_methods, reason = "this crate stands on the machine: it reads the clock for the others")]

pub mod cpu;
pub mod floor;
pub mod kernels;
#[cfg(target_os = "linux")]
pub mod relay;

/// Why nothing could be measured, as a sentence.
pub type Fault = String;
