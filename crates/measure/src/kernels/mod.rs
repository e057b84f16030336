//! The packet kernels against bare AEAD passes over the same bytes: a relay's layer off and on, the client's three layers, the
//! fast link's header block.
//!
//! Packets are made outside the measured time, since a window takes a counter once; work and floor go through buffers that
//! were written the same way just before.

mod client;
mod header;
mod relay;

use std::hint::black_box;
use std::time::{Duration, Instant};

use wayfare_onion::Suite;

use crate::{Fault, cpu};

/// Packets made at a time: enough for the clock's own cost not to show.
const BATCH: usize = 256;
const WARM_UP: Duration = Duration::from_millis(5);

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Kernels {
    pub suites: Vec<Suite>,
    /// Payload bytes of a relay's packets.
    pub payload_bytes: Vec<usize>,
    /// Of the client's.
    pub client_payload_bytes: Vec<usize>,
    /// Among so many a relay finds the packet's.
    pub circuits: usize,
    pub rounds: usize,
    /// For each kernel or floor and round.
    pub time: Duration,
}

/// CPU nanoseconds per packet, of each round.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `peel_forward_aes128gcm_1200` and so on.
    pub name: String,
    pub ours_ns: Vec<f64>,
    /// The faster library's, where the kernel has a floor.
    pub floor_ns: Vec<f64>,
}

/// One kernel in one round.
struct Group {
    name: String,
    time: Duration,
    floor_ns: f64,
    ours_ns: f64,
}

impl Group {
    fn new(name: String, time: Duration) -> Self {
        Self { name, time, floor_ns: f64::INFINITY, ours_ns: f64::NAN }
    }

    /// A floor on each of the packets that `make` has written into `packets`; the fastest counts.
    fn floor<P>(&mut self, packets: &mut [P], make: impl FnMut(&mut [P]), work: impl FnMut(&mut P)) {
        let ns = per_packet(self.time, packets, make, work);
        self.floor_ns = self.floor_ns.min(ns);
    }

    /// Likewise ours.
    fn ours<P>(&mut self, packets: &mut [P], make: impl FnMut(&mut [P]), work: impl FnMut(&mut P)) {
        self.ours_ns = per_packet(self.time, packets, make, work);
    }
}

/// The median batch's CPU time per packet, nanoseconds.
fn per_packet<P>(
    time: Duration,
    packets: &mut [P],
    mut make: impl FnMut(&mut [P]),
    mut work: impl FnMut(&mut P),
) -> f64 {
    let mut batch = || {
        make(packets);
        let start = cpu::thread();
        for packet in packets.iter_mut() {
            work(black_box(packet));
        }
        (cpu::thread() - start).as_nanos() as f64 / packets.len() as f64
    };
    let warm = Instant::now();
    while warm.elapsed() < WARM_UP {
        batch();
    }
    let (start, mut batches_ns) = (Instant::now(), Vec::new());
    while batches_ns.len() < 3 || start.elapsed() < time {
        batches_ns.push(batch());
    }
    median(&mut batches_ns)
}

/// The middle one; of nothing, none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Kernels {
    /// What `npm run bench` holds to limits.
    pub fn all() -> Self {
        Self {
            suites: vec![Suite::Aes128Gcm, Suite::ChaCha20Poly1305],
            payload_bytes: vec![1200, 64],
            client_payload_bytes: vec![1200],
            circuits: 1_000,
            rounds: 5,
            time: Duration::from_millis(60),
        }
    }

    /// Every kernel, in rounds; `progress` hears the round and the kernel.
    ///
    /// # Errors
    /// Sizes or numbers that the kernels refuse.
    pub fn run(&self, mut progress: impl FnMut(usize, &str)) -> Result<Vec<Kernel>, Fault> {
        let mut kernels: Vec<Kernel> = Vec::new();
        for round in 0..self.rounds {
            let mut keep = |group: Group| {
                progress(round, &group.name);
                let at = kernels.iter().position(|k| k.name == group.name).unwrap_or_else(|| {
                    kernels.push(Kernel { name: group.name, ours_ns: Vec::new(), floor_ns: Vec::new() });
                    kernels.len() - 1
                });
                kernels[at].ours_ns.push(group.ours_ns);
                if group.floor_ns.is_finite() {
                    kernels[at].floor_ns.push(group.floor_ns);
                }
            };
            for &suite in &self.suites {
                for &bytes in &self.payload_bytes {
                    relay::measure(suite, bytes, self.circuits, self.time, &mut keep)?;
                }
                for &bytes in &self.client_payload_bytes {
                    client::measure(suite, bytes, self.time, &mut keep)?;
                }
            }
            header::measure(self.time, &mut keep);
        }
        Ok(kernels)
    }
}
