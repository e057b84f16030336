//! What set-ups cost: the client's build for three hops, a hop's opening, a hop's refusal of junk (the flooder's price).
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use wayfare_onion::{ClientSetup, HopSpec, OnionSecret, Suite, open_setup};
use wayfare_types::{NodeId, Random};
use wayfare_wire::SizeClass;

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

fn setups(c: &mut Criterion) {
    let secrets = [1, 2, 3].map(|seed| OnionSecret::from_seed([seed; 32]));
    let hops = secrets.each_ref().map(|s| HopSpec { node: NodeId([9; 32]), onion_key: s.public() });
    let mut rng = Cheap(1);
    let build = |rng: &mut Cheap| {
        let built = ClientSetup::build(&hops, Suite::Aes128Gcm, SizeClass::M, 5, rng);
        built.unwrap_or_else(|e| panic!("{e}")).1
    };
    let message = build(&mut rng);
    let mut junk = message.clone();
    junk[500] ^= 1;
    c.bench_function("setup_build3", |b| b.iter(|| black_box(build(&mut rng))));
    c.bench_function("setup_open", |b| b.iter(|| open_setup(&[&secrets[0]], &message, 5, 0, &mut Cheap(2)).is_ok()));
    c.bench_function("setup_junk", |b| b.iter(|| open_setup(&[&secrets[0]], &junk, 5, 0, &mut Cheap(2)).is_ok()));
}

criterion_group!(benches, setups);
criterion_main!(benches);
