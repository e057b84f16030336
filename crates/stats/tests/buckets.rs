//! Buckets against a plain list of weights, and draws against the shares that follow from it.

mod common;

use common::plausible;
use proptest::prelude::*;
use wayfare_stats::{WEIGHT_MAX, WeightedIds, Within};
use wayfare_testkit::Seeded;
use wayfare_types::Random;

fn weight() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..20u64, any::<u64>(), (0..64u32).prop_map(|bit| 1 << bit)]
}

proptest! {
    #[test]
    fn sums_and_entries_are_those_of_the_list(
        sets in prop::collection::vec((0..30u32, weight()), 1..300),
        octaves in 0..10u32,
    ) {
        let mut ids = WeightedIds::new(octaves);
        let mut plain = [0u64; 30];
        for (id, weight) in sets {
            ids.set(id, weight);
            plain[id as usize] = weight.min(WEIGHT_MAX);
            prop_assert_eq!(ids.weight(id), plain[id as usize]);
            prop_assert_eq!(ids.buckets().total(), plain.iter().sum::<u64>());
            prop_assert_eq!(ids.buckets().len(), plain.iter().filter(|w| **w > 0).count());
        }
        let mut entries: Vec<(u32, u64)> = ids.buckets().entries().collect();
        entries.sort_unstable();
        let wanted: Vec<(u32, u64)> = (0..30).zip(plain).filter(|(_, w)| *w > 0).collect();
        prop_assert_eq!(entries, wanted);
        let mut random = Seeded::new(octaves.into());
        for within in [Within::Exact, Within::Uniform] {
            let shares: f64 = (0..30).map(|id| ids.buckets().share(ids.weight(id), within)).sum();
            prop_assert!((shares - ids.buckets().total() as f64).abs() <= 1e-9 * shares);
            for _ in 0..20 {
                match ids.draw(within, &mut random) {
                    Some(id) => prop_assert!(plain[id as usize] > 0),
                    None => prop_assert_eq!(ids.buckets().total(), 0),
                }
            }
        }
    }
}

fn drawn(weights: &[u64], octaves: u32, within: Within, draws: u64) -> Vec<u64> {
    let mut ids = WeightedIds::new(octaves);
    for (id, &weight) in weights.iter().enumerate() {
        // By way of another weight, so that moved entries are drawn, too.
        ids.set(id as u32, weight / 3 + 1);
    }
    for (id, &weight) in weights.iter().enumerate().rev() {
        ids.set(id as u32, weight);
    }
    let (mut counts, mut random) = (vec![0; weights.len()], Seeded::new(42));
    for _ in 0..draws {
        counts[ids.draw(within, &mut random).expect("weights") as usize] += 1;
    }
    counts
}

const DRAWS: u64 = 400_000;

#[test]
fn exact_draws_are_in_proportion_to_the_weights() {
    let weights = [1, 2, 3, 5, 8, 13, 40, 41, 63, 64, 100, 1000, 1023];
    let total: u64 = weights.iter().sum();
    for octaves in [1, 2, 5, 8] {
        let counts = drawn(&weights, octaves, Within::Exact, DRAWS);
        for (&count, weight) in counts.iter().zip(weights) {
            assert!(plausible(count, DRAWS, weight as f64 / total as f64), "{weight} of {total}: {count}");
        }
    }
}

#[test]
fn like_weights_are_drawn_alike_and_buckets_by_their_sums() {
    // Buckets of one octave: 4..8, 8..16, 512..1024.
    let (weights, mean) = ([4, 5, 7, 9, 15, 600, 1000], [16.0 / 3.0, 16.0 / 3.0, 16.0 / 3.0, 12.0, 12.0, 800.0, 800.0]);
    let total: f64 = mean.iter().sum();
    for (&count, share) in drawn(&weights, 1, Within::Uniform, DRAWS).iter().zip(mean) {
        assert!(plausible(count, DRAWS, share / total), "{share} of {total}: {count}");
    }
}

#[test]
fn the_largest_weights_are_drawn_in_proportion() {
    let weights = [WEIGHT_MAX, WEIGHT_MAX / 2, u64::MAX];
    let counts = drawn(&weights, 1, Within::Exact, DRAWS);
    for (count, share) in counts.into_iter().zip([0.4, 0.2, 0.4]) {
        assert!(plausible(count, DRAWS, share));
    }
}

/// A generator that does not vary.
struct Stuck(u64);

impl Random for Stuck {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(self.0 as u8);
    }

    fn next_u64(&mut self) -> u64 {
        self.0
    }
}

#[test]
fn a_generator_that_does_not_vary_still_gets_an_answer() {
    let mut ids = WeightedIds::new(1);
    [4, 4, 100].into_iter().enumerate().for_each(|(id, weight)| ids.set(id as u32, weight));
    for stuck in [0, 1, u64::MAX / 2, u64::MAX] {
        assert!(ids.draw(Within::Exact, &mut Stuck(stuck)).is_some());
    }
}
