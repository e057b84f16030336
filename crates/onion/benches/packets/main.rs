//! Packet work against its floor, the faster of two libraries' bare AEAD passes over the same bytes in the same run.
//!
//! Work and floor go through the same batches of packets, restored outside the measured time: a hop's window and a
//! packet's bytes serve once. Ratios of the medians are printed behind each group.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod bare;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bare::{AwsLc, Bare, Ring};
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
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

/// A criterion group that also keeps each sample's nanoseconds per packet, for the ratios.
struct Group<'a> {
    criterion: BenchmarkGroup<'a, WallTime>,
    samples_ns: BTreeMap<String, Vec<f64>>,
}

/// Times `work` on each packet of a batch; `restore` brings a batch back, unmeasured.
fn measure<S>(group: &mut Group<'_>, name: &str, mut restore: impl FnMut() -> S, mut work: impl FnMut(&mut S, usize)) {
    let samples_ns = group.samples_ns.entry(name.into()).or_default();
    group.criterion.bench_function(name, |b| {
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
            if packets as usize > 8 * BATCH {
                samples_ns.push(spent.as_nanos() as f64 / packets as f64);
            }
            spent
        })
    });
}

impl Group<'_> {
    fn median_ns(&self, name: &str) -> Option<f64> {
        let mut samples = self.samples_ns.get(name).filter(|s| !s.is_empty())?.clone();
        samples.sort_by(f64::total_cmp);
        Some(samples[samples.len() / 2])
    }

    /// A row per measured work: its median, the faster floor's, the ratio. Nothing when a filter left one out.
    fn ratios(&self, title: &str) {
        for (work, floor) in [
            ("peel_bare", "floor_open"),
            ("back_bare", "floor_seal"),
            ("origin", "floor_seal"),
            ("wrap3", "floor_seal3"),
            ("open3", "floor_open3"),
        ] {
            let floors = [AwsLc::NAME, Ring::NAME].map(|library| self.median_ns(&format!("{floor}_{library}")));
            if let (Some(ours), [Some(a), Some(b)]) = (self.median_ns(work), floors) {
                let floor_ns = a.min(b);
                println!("{title:24} {work:10} {ours:7.0} ns  floor {floor_ns:7.0} ns  ratio {:.2}", ours / floor_ns);
            }
        }
    }
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

fn floors<B: Bare>(group: &mut Group<'_>, suite: Suite, payload: usize) {
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

fn ours(group: &mut Group<'_>, suite: Suite, payload: usize) {
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
            let title = format!("{}_{payload}", suite.name());
            let mut group = Group { criterion: criterion.benchmark_group(&title), samples_ns: BTreeMap::new() };
            floors::<AwsLc>(&mut group, suite, payload);
            floors::<Ring>(&mut group, suite, payload);
            ours(&mut group, suite, payload);
            group.ratios(&title);
            group.criterion.finish();
        }
    }
    criterion.final_summary();
}
