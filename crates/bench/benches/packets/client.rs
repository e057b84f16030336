//! The client's wrapping and opening of three layers against three bare passes with three keys.

use criterion::{BenchmarkGroup, Criterion};
use wayfare_bench::floor::{AwsLc, Bare, Ring};
use wayfare_onion::{BackwardHop, ClientPath, DirectionKeys, HopKeys, Suite};
use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::TAGS;

use crate::measure::{self, BATCH, Cpu};

const HOPS: usize = 3;

struct Sample {
    counter: u64,
    tags: [[u8; 16]; HOPS],
    body: Vec<u8>,
}

fn hops(suite: Suite, random: &mut Seeded) -> Vec<HopKeys> {
    let mut direction = || {
        let mut keys = DirectionKeys { key: [0; 32], iv: [0; 12], step: random.next_u64() };
        random.fill(&mut keys.key);
        random.fill(&mut keys.iv);
        keys
    };
    (0..HOPS).map(|_| HopKeys { suite, forward: direction(), backward: direction(), backward_start: 77 }).collect()
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut out = [7; 12];
    out[4..].copy_from_slice(&counter.to_be_bytes());
    out
}

fn seal<B: Bare>(keys: &[B; HOPS], sample: &mut Sample) {
    for (key, tag) in keys.iter().zip(&mut sample.tags) {
        *tag = key.seal(nonce(sample.counter), &mut sample.body);
    }
}

fn floor<B: Bare>(wrap: bool, group: &mut BenchmarkGroup<'_, Cpu>, suite: Suite, round: usize, samples: &mut [Sample]) {
    let keys: [B; HOPS] = std::array::from_fn(|n| B::new(suite, [n as u8; 32]));
    let mut counter = 0;
    let make = |samples: &mut [Sample]| {
        for sample in samples {
            counter += 1;
            sample.counter = counter;
            seal(&keys, sample);
        }
    };
    measure::packets(group, B::NAME, round, samples, make, |sample| {
        if wrap {
            return seal(&keys, sample);
        }
        for (key, tag) in keys.iter().zip(&sample.tags).rev() {
            assert!(key.open(nonce(sample.counter), tag, &mut sample.body));
        }
    });
}

/// One round of one suite, wrapping and opening.
pub fn bench(criterion: &mut Criterion<Cpu>, suite: Suite, payload_bytes: usize, round: usize) {
    let mut random = Seeded::new(2);
    let keys = hops(suite, &mut random);
    let blank = || Sample { counter: 0, tags: [[0; 16]; HOPS], body: vec![0; TAGS + payload_bytes] };
    let mut samples: Vec<Sample> = (0..BATCH).map(|_| blank()).collect();

    let mut group = criterion.benchmark_group(format!("wrap3_{}_{payload_bytes}", suite.name()));
    floor::<AwsLc>(true, &mut group, suite, round, &mut samples);
    floor::<Ring>(true, &mut group, suite, round, &mut samples);
    let mut client = ClientPath::new(&keys, 5).unwrap();
    let refill = |samples: &mut [Sample]| samples.iter_mut().for_each(|s| s.body.fill(s.counter as u8));
    measure::packets(&mut group, "ours", round, &mut samples, refill, |sample| {
        sample.counter = client.wrap(&mut sample.body, &mut random).unwrap();
    });
    group.finish();

    let mut group = criterion.benchmark_group(format!("open3_{}_{payload_bytes}", suite.name()));
    floor::<AwsLc>(false, &mut group, suite, round, &mut samples);
    floor::<Ring>(false, &mut group, suite, round, &mut samples);
    let mut client = ClientPath::new(&keys, 5).unwrap();
    let mut relays: Vec<_> = keys.iter().map(|k| BackwardHop::new(suite, &k.backward, k.backward_start)).collect();
    let come_back = |samples: &mut [Sample]| {
        for sample in samples {
            let (exit, others) = relays.split_last_mut().unwrap();
            let counter = exit.origin(&mut sample.body).unwrap();
            sample.counter =
                others.iter_mut().rev().fold(counter, |counter, hop| hop.seal(counter, &mut sample.body).unwrap());
        }
    };
    measure::packets(&mut group, "ours", round, &mut samples, come_back, |sample| {
        client.open(sample.counter, &mut sample.body).unwrap();
    });
    group.finish();
}
