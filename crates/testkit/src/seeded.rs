//! A random stream that a seed replays: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
//! 2014). Not for keys that matter.

use wayfare_types::Random;

/// The stream of one seed.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits, all that a double holds: uniform over [0, 1).
        ((self.next_u64() >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stream that Java's SplittableRandom and the reference splitmix64.c give for seed 1234567.
    #[test]
    fn it_is_splitmix64() {
        let mut random = Seeded::new(1_234_567);
        let got: [u64; 5] = std::array::from_fn(|_| random.next_u64());
        let reference = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(got, reference);
    }

    #[test]
    fn chances_are_kept() {
        let mut random = Seeded::new(7);
        let hits = |random: &mut Seeded, p: f64| (0..100_000).filter(|_| random.chance(p)).count() as f64;
        assert_eq!(hits(&mut random, 0.0), 0.0);
        assert_eq!(hits(&mut random, 1.0), 100_000.0);
        // Within six standard deviations of the binomial distribution.
        for p in [0.001_f64, 0.01, 0.5] {
            let (mean, deviation) = (1e5 * p, (1e5 * p * (1.0 - p)).sqrt());
            assert!((hits(&mut random, p) - mean).abs() < 6.0 * deviation, "{p}");
        }
    }
}
