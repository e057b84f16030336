//! The client's wrapping and opening of three layers against three bare passes with three keys.

use std::time::Duration;

use wayfare_onion::{BackwardHop, ClientPath, DirectionKeys, HopKeys, Suite};
use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::TAGS;

use super::{BATCH, Group};
use crate::Fault;
use crate::floor::{AwsLc, Bare, Ring};

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

fn floor<B: Bare>(wrap: bool, group: &mut Group, suite: Suite, samples: &mut [Sample]) {
    let keys: [B; HOPS] = std::array::from_fn(|n| B::new(suite, [n as u8; 32]));
    let mut counter = 0;
    let make = |samples: &mut [Sample]| {
        for sample in samples {
            counter += 1;
            sample.counter = counter;
            seal(&keys, sample);
        }
    };
    group.floor(samples, make, |sample| {
        if wrap {
            return seal(&keys, sample);
        }
        for (key, tag) in keys.iter().zip(&sample.tags).rev() {
            assert!(key.open(nonce(sample.counter), tag, &mut sample.body));
        }
    });
}

/// One round of one suite, wrapping and opening.
pub fn measure(suite: Suite, payload_bytes: usize, time: Duration, keep: &mut dyn FnMut(Group)) -> Result<(), Fault> {
    let mut random = Seeded::new(2);
    let keys = hops(suite, &mut random);
    let blank = || Sample { counter: 0, tags: [[0; 16]; HOPS], body: vec![0; TAGS + payload_bytes] };
    let mut samples: Vec<Sample> = (0..BATCH).map(|_| blank()).collect();
    let path = || ClientPath::new(&keys, 5).ok_or("a path has hops");
    let mut good = true;

    let mut group = Group::new(format!("wrap3_{}_{payload_bytes}", suite.name()), time);
    floor::<AwsLc>(true, &mut group, suite, &mut samples);
    floor::<Ring>(true, &mut group, suite, &mut samples);
    let mut client = path()?;
    let refill = |samples: &mut [Sample]| samples.iter_mut().for_each(|s| s.body.fill(s.counter as u8));
    group.ours(&mut samples, refill, |sample| match client.wrap(&mut sample.body, &mut random) {
        Ok(counter) => sample.counter = counter,
        Err(_) => good = false,
    });
    keep(group);

    let mut group = Group::new(format!("open3_{}_{payload_bytes}", suite.name()), time);
    floor::<AwsLc>(false, &mut group, suite, &mut samples);
    floor::<Ring>(false, &mut group, suite, &mut samples);
    let mut client = path()?;
    let mut relays: Vec<_> = keys.iter().map(|k| BackwardHop::new(suite, &k.backward, k.backward_start)).collect();
    let come_back = |samples: &mut [Sample]| {
        for sample in samples {
            let Some((exit, others)) = relays.split_last_mut() else { return };
            // What is refused here does not open there.
            let counter = exit.origin(&mut sample.body).unwrap_or_default();
            let passed = |counter, hop: &mut BackwardHop| hop.seal(counter, &mut sample.body).unwrap_or_default();
            sample.counter = others.iter_mut().rev().fold(counter, passed);
        }
    };
    group.ours(&mut samples, come_back, |sample| good &= client.open(sample.counter, &mut sample.body).is_ok());
    keep(group);
    if good { Ok(()) } else { Err("a packet was not wrapped, or not opened again".into()) }
}
