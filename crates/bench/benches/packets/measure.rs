//! Criterion on the thread's CPU time, in batches whose making is not measured.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, BenchmarkId, Throughput};
use wayfare_bench::cpu;

/// Packets made at a time: enough for the clock's own cost not to show.
pub const BATCH: usize = 256;

/// The thread's CPU time, read and shown as wall time is.
pub struct Cpu;

impl Measurement for Cpu {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        cpu::thread()
    }
    fn end(&self, start: Duration) -> Duration {
        cpu::thread() - start
    }
    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }
    fn zero(&self) -> Duration {
        Duration::ZERO
    }
    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Measures `work` on each of the packets that `make` has written into `packets`.
pub fn packets<P>(
    group: &mut BenchmarkGroup<'_, Cpu>,
    name: &str,
    round: usize,
    packets: &mut [P],
    mut make: impl FnMut(&mut [P]),
    mut work: impl FnMut(&mut P),
) {
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new(name, round), |b| {
        b.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            let mut left = count as usize;
            while left > 0 {
                let batch = left.min(BATCH);
                let now = &mut packets[..batch];
                make(now);
                let start = cpu::thread();
                for packet in now.iter_mut() {
                    work(black_box(packet));
                }
                spent += cpu::thread() - start;
                left -= batch;
            }
            spent
        });
    });
}
