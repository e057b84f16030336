//! What a weight is made of, and how weights are combined. Integers and square roots only: every host computes the same.

use crate::buckets::{WEIGHT_MAX, Within};
use crate::interval::speed;

/// What a hop's data are turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Measure {
    /// 1 for whoever moved anything.
    Uniform,
    /// Bytes in the past K.
    #[default]
    Data,
    /// Bytes per second, by the packet interval of the past K.
    Speed,
    /// Bytes per connection tried.
    Yield,
}

/// One of the two weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Weights {
    pub measure: Measure,
    /// How many square roots are taken.
    pub roots: u8,
}

/// How the two are combined; see docs/decisions/0009-egress-choice.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Combine {
    All,
    Destination,
    #[default]
    Mixture,
    Product,
}

/// How a hop is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighting {
    pub all: Weights,
    pub destination: Weights,
    pub combine: Combine,
    /// Of a draw by the destination's weights, where there are any.
    pub destination_share: f64,
    /// Of a draw that looks at no weight.
    pub uniform_share: f64,
    pub within: Within,
    /// Of a bucket's width, 1 to 8.
    pub octaves: u32,
    /// What untried hops weigh together at most, in the mean weight of as many tried ones.
    pub untried_most: f64,
    /// Draws over all data leave out what has failed at the destination and moved nothing.
    pub avoid_failed: bool,
    /// M: how long after a failure a connection is its retry.
    pub retry_within_us: u64,
    /// Retries leave out the hops that were tried.
    pub avoid_tried: bool,
}

impl Default for Weighting {
    fn default() -> Self {
        Self {
            all: Weights::default(),
            destination: Weights::default(),
            combine: Combine::default(),
            destination_share: 0.9,
            uniform_share: 0.0,
            within: Within::default(),
            octaves: 1,
            untried_most: 1.0,
            avoid_failed: true,
            retry_within_us: 2_000_000,
            avoid_tried: true,
        }
    }
}

/// What was seen of a hop in the past K.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub data: u64,
    pub opened: u32,
    pub interval_us: Option<(u64, u64)>,
}

impl Weights {
    /// Whole, from 1 on for what is above zero.
    fn flattened(&self, value: f64) -> u64 {
        // Not positive, or no number.
        if value.is_nan() || value <= 0.0 {
            return 0;
        }
        let mut value = value;
        for _ in 0..self.roots.min(8) {
            value = value.sqrt();
        }
        // Roots are small: fractions of them tell hops apart.
        let scaled = if self.roots > 0 { value * 1024.0 } else { value };
        (scaled as u64).clamp(1, WEIGHT_MAX)
    }

    /// Of what moved data.
    pub(crate) fn of(&self, seen: &Seen) -> u64 {
        if seen.data == 0 {
            return 0;
        }
        let value = match self.measure {
            Measure::Uniform => 1.0,
            Measure::Data => seen.data as f64,
            Measure::Speed => {
                let (first_us, last_us) = seen.interval_us.unwrap_or_default();
                speed(seen.data, first_us, last_us)
            }
            Measure::Yield => seen.data as f64 / f64::from(seen.opened.max(1)),
        };
        self.flattened(value)
    }

    /// Of an untried hop: no number, infinite or negative count as none.
    pub(crate) fn of_estimate(&self, estimate: f64) -> u64 {
        match self.measure {
            Measure::Uniform => self.flattened(1.0),
            _ if estimate.is_finite() => self.flattened(estimate),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(measure: Measure, roots: u8) -> Weights {
        Weights { measure, roots }
    }

    #[test]
    fn measures_are_what_they_say() {
        let seen = Seen { data: 1_000_000, opened: 4, interval_us: Some((5, 2_000_005)) };
        let of = |measure, roots| weights(measure, roots).of(&seen);
        assert_eq!(of(Measure::Data, 0), 1_000_000);
        assert_eq!(of(Measure::Speed, 0), 500_000);
        assert_eq!(of(Measure::Yield, 0), 250_000);
        assert_eq!(of(Measure::Uniform, 0), 1);
        assert_eq!(of(Measure::Data, 1), 1024 * 1000);
        assert_eq!(weights(Measure::Data, 0).of(&Seen { data: u64::MAX, ..seen }), WEIGHT_MAX);
        assert_eq!(weights(Measure::Speed, 3).of(&Seen::default()), 0);
        assert_eq!(
            weights(Measure::Yield, 200).of(&Seen { opened: 0, ..seen }),
            (1_000_000f64.powf(1.0 / 256.0) * 1024.0) as u64
        );
    }

    #[test]
    fn estimates_that_are_no_numbers_weigh_nothing_and_absurd_ones_the_most() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, -0.0] {
            assert_eq!(weights(Measure::Data, 0).of_estimate(bad), 0, "{bad}");
        }
        assert_eq!(weights(Measure::Speed, 0).of_estimate(f64::MAX), WEIGHT_MAX);
        assert_eq!(weights(Measure::Data, 0).of_estimate(1e-300), 1);
        assert_eq!(weights(Measure::Uniform, 0).of_estimate(f64::NAN), 1);
    }
}
