//! Packet kernels against bare AEAD passes over the same bytes, five rounds in turn: `npm run bench` reads criterion's
//! estimates and takes the median of the rounds' ratios.
//!
//! Times are the thread's CPU time. Packets are made outside the measured time, since a window takes a counter once; work
//! and floor go through buffers that were written the same way just before.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod client;
mod measure;
mod relay;

use std::time::Duration;

use criterion::Criterion;
use measure::Cpu;
use wayfare_onion::Suite;

const ROUNDS: usize = 5;

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(Cpu)
        .without_plots()
        .nresamples(1_001)
        .warm_up_time(Duration::from_millis(20))
        .measurement_time(Duration::from_millis(100))
        .sample_size(20)
        .configure_from_args();
    for round in 0..ROUNDS {
        for suite in [Suite::Aes128Gcm, Suite::ChaCha20Poly1305] {
            for payload_bytes in [1200, 64] {
                relay::bench(&mut criterion, suite, payload_bytes, round);
            }
            client::bench(&mut criterion, suite, 1200, round);
        }
    }
    criterion.final_summary();
}
