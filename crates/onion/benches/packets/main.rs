//! Packet work against its floor, the faster of two libraries' bare AEAD passes over the same bytes in the same run.
//!
//! Work and floor go through the same batches of packets, restored outside the measured time: a hop's window and a
//! packet's bytes serve once. Ratios of the medians are printed at the end.

mod bare;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bare::{AwsLc, Bare, Ring};
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use wayfare_onion::{BackwardHop, ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_types::Random;
use wayfare_wire::TAGS;

const BATCH: usize = 64;
const PAYLOADS: [usize; 2] = [1200, 64];

/// A cheap stream: the price of randomness is not what is measured.
struct Cheap(u64);

impl Random for Cheap {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            chunk.copy_from_slice(&self.0.to_be_bytes()[..chunk.len()]);
        }
    }
}

fn keys(suite: Suite, hops: usize) -> Vec<HopKeys> {
    let direction = |key: usize| DirectionKeys { key: [key as u8; 32], iv: [key as u8; 12], step: key as u64 * 1001 };
    (0..hops)
        .map(|i| HopKeys { suite, forward: direction(2 * i), backward: direction(2 * i + 1), backward_start: 9 })
        .collect()
}

/// Times `work` on each packet of a batch; `restore` brings a batch back, unmeasured.
fn measure<S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut restore: impl FnMut() -> S,
    mut work: impl FnMut(&mut S, usize),
) {
    group.bench_function(name, |b| {
        b.iter_custom(|packets| {
            let mut spent = Duration::ZERO;
            let mut left = packets as usize;
            while left > 0 {
                let mut state = restore();
                let batch = left.min(BATCH);
                let start = Instant::now();
                (0..batch).for_each(|i| work(&mut state, i));
                spent += start.elapsed();
                left -= batch;
                black_box(&mut state);
            }
            spent
        })
    });
}

type Bodies = Vec<(u64, Vec<u8>)>;

fn blank(payload: usize) -> Bodies {
    (0..BATCH as u64).map(|i| (i, vec![i as u8; TAGS + payload])).collect()
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut out = [3; 12];
    out[4..].copy_from_slice(&counter.to_be_bytes());
    out
}

fn floors<B: Bare>(group: &mut BenchmarkGroup<'_, WallTime>, suite: Suite, payload: usize) {
    let library = [B::new(suite, 1), B::new(suite, 2), B::new(suite, 3)];
    let [key, ..] = &library;
    let clear = blank(payload);
    let sealed: Vec<_> = clear
        .iter()
        .map(|(counter, body)| {
            let mut body = body.clone();
            (*counter, key.seal(nonce(*counter), &mut body), body)
        })
        .collect();
    measure(
        group,
        &format!("floor_open_{}", B::NAME),
        || sealed.clone(),
        |state, i| {
            let (counter, tag, body) = &mut state[i];
            assert!(key.open(nonce(*counter), tag, body));
        },
    );
    measure(
        group,
        &format!("floor_seal_{}", B::NAME),
        || clear.clone(),
        |state, i| {
            let (counter, body) = &mut state[i];
            black_box(key.seal(nonce(*counter), body));
        },
    );
    measure(
        group,
        &format!("floor_seal3_{}", B::NAME),
        || clear.clone(),
        |state, i| {
            let (counter, body) = &mut state[i];
            for key in &library {
                black_box(key.seal(nonce(*counter), body));
            }
        },
    );
    measure(
        group,
        &format!("floor_open3_{}", B::NAME),
        || clear.clone(),
        |state, i| {
            let (counter, body) = &mut state[i];
            // Whether the tag is right makes no difference to the pass.
            for key in &library {
                black_box(key.open(nonce(*counter), &[0; 16], body));
            }
        },
    );
}

fn ours(group: &mut BenchmarkGroup<'_, WallTime>, suite: Suite, payload: usize) {
    let one = keys(suite, 1);
    let mut client = ClientPath::new(&one, 5).unwrap();
    let mut pad = Cheap(1);
    let wrapped: Bodies =
        blank(payload).into_iter().map(|(_, mut body)| (client.wrap(&mut body, &mut pad).unwrap(), body)).collect();
    let forward = || (ForwardHop::new(suite, &one[0].forward), wrapped.clone());
    measure(group, "peel_bare", forward, |(hop, bodies), i| {
        let (counter, body) = &mut bodies[i];
        black_box(hop.open(*counter, body).unwrap());
    });
    let backward = || (BackwardHop::new(suite, &one[0].backward, 9), wrapped.clone());
    measure(group, "back_bare", backward, |(hop, bodies), i| {
        let (counter, body) = &mut bodies[i];
        black_box(hop.seal(*counter, body).unwrap());
    });
    measure(group, "origin", backward, |(hop, bodies), i| {
        black_box(hop.origin(&mut bodies[i].1).unwrap());
    });

    let three = keys(suite, 3);
    let mut client = ClientPath::new(&three, 5).unwrap();
    measure(
        group,
        "wrap3",
        || blank(payload),
        |bodies, i| {
            black_box(client.wrap(&mut bodies[i].1, &mut pad).unwrap());
        },
    );
    let mut hops: Vec<_> = three.iter().map(|k| BackwardHop::new(suite, &k.backward, 9)).collect();
    let returned: Bodies = blank(payload)
        .into_iter()
        .map(|(_, mut body)| {
            let mut counter = hops[2].origin(&mut body).unwrap();
            for hop in hops[..2].iter_mut().rev() {
                counter = hop.seal(counter, &mut body).unwrap();
            }
            (counter, body)
        })
        .collect();
    let client = || (ClientPath::new(&three, 5).unwrap(), returned.clone());
    measure(group, "open3", client, |(client, bodies), i| {
        let (counter, body) = &mut bodies[i];
        client.open(*counter, body).unwrap();
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30);
    for suite in [Suite::Aes128Gcm, Suite::ChaCha20Poly1305] {
        for payload in PAYLOADS {
            let mut group = criterion.benchmark_group(format!("{}_{payload}", suite.name()));
            group.throughput(Throughput::Elements(1));
            floors::<AwsLc>(&mut group, suite, payload);
            floors::<Ring>(&mut group, suite, payload);
            ours(&mut group, suite, payload);
            group.finish();
        }
    }
    criterion.final_summary();
}
