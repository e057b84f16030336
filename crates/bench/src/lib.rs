//! What benchmarks measure against and with: floors that do nothing but the unavoidable, and clocks that count only the
//! measuring thread's own time, so that a busy machine disturbs a ratio little.
//!
//! Not shipped. Its binary runs the whole-process measurements, its criterion benches the packet kernels;
//! `npm run bench` runs both and compares with `bench/limits.json`.
#![allow(clippy::disallowed_methods, reason = "this crate stands on the machine: it reads the clock for the others")]

pub mod cpu;
pub mod floor;
