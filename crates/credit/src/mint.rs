//! The increase: what one weight has been given so far, decaying (M) and not (N).

use crate::clock::{Clock, halved};
use crate::power::{equilibrium, scaled};

/// Weights of neighbours are from this to 2^41: the sum of 2^20 of them, and R over it, keep all their bits.
pub(crate) const WEIGHT_LEAST: u64 = 1 << 10;

/// 192 bits, the last 112 of them behind the point.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Given {
    /// The upper 128 bits as two words, to take 24 bytes.
    high: [u64; 2],
    low: u64,
}

impl Given {
    fn plus(self, rate: u128, us: u64) -> Self {
        let (us, mask) = (u128::from(us), u128::from(u64::MAX));
        let small = (rate & mask) * us + u128::from(self.low);
        let high = joined(self.high).wrapping_add((rate >> 64) * us).wrapping_add(small >> 64);
        Self { high: [high as u64, (high >> 64) as u64], low: small as u64 }
    }

    /// (self − before)·weight, in 1/2^48. True results are below 2^127.
    pub fn since(self, before: Self, weight: u64) -> u128 {
        let (low, borrow) = self.low.overflowing_sub(before.low);
        let high = joined(self.high).wrapping_sub(joined(before.high)).wrapping_sub(borrow.into());
        let weight = u128::from(weight);
        high.wrapping_mul(weight).wrapping_add((u128::from(low) * weight) >> 64)
    }
}

fn joined([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Mint {
    per_second: u64,
    /// W.
    weights: u64,
    /// R/W·half-life/ln 2, in 1/2^64.
    share: u128,
    /// Since R or W last changed: M then, and what `share` has to be less by, in units of that epoch.
    base: u128,
    base_share: u128,
    base_epoch: u64,
    /// R/W per µs, in 1/2^112; N, when that last changed.
    rate: u128,
    given: Given,
    since_us: u64,
    /// M at the clock's time, in units of its epoch, and in credits: the same for all who are read at one time.
    now: u128,
    pub worth: u128,
}

impl Mint {
    pub fn new(per_second: u64, clock: &Clock) -> Self {
        Self {
            per_second,
            weights: 0,
            share: 0,
            base: 0,
            base_share: 0,
            base_epoch: clock.epoch,
            rate: 0,
            given: Given::default(),
            since_us: clock.now_us,
            now: 0,
            worth: 0,
        }
    }

    pub fn per_second(&self) -> u64 {
        self.per_second
    }

    pub fn weights(&self) -> u64 {
        self.weights
    }

    /// The clock went on.
    #[inline]
    pub fn advance(&mut self, clock: &Clock) {
        let epochs = clock.epoch - self.base_epoch;
        self.now =
            halved(self.base, epochs) + scaled(self.share, clock.up).saturating_sub(halved(self.base_share, epochs));
        self.worth = clock.faded(2 * self.now as i128) as u128;
    }

    /// Another R or W from now on.
    pub fn change(&mut self, clock: &Clock, half_life_us: u64, per_second: u64, weights: u64) {
        self.given = self.given.plus(self.rate, clock.now_us - self.since_us);
        self.since_us = clock.now_us;
        (self.per_second, self.weights) = (per_second, weights);
        self.base = self.now;
        self.base_epoch = clock.epoch;
        (self.share, self.rate) = (0, 0);
        if weights > 0 {
            self.share = equilibrium(per_second, half_life_us) / u128::from(weights);
            let by = 1_000_000 * u128::from(weights);
            let (whole, rest) = ((u128::from(per_second) << 64) / by, (u128::from(per_second) << 64) % by);
            self.rate = (whole << 48) + (rest << 48) / by;
        }
        self.base_share = scaled(self.share, clock.up);
    }

    /// w·M as it is kept.
    pub fn kept(&self, weight: u64) -> i128 {
        (2 * self.now * u128::from(weight)) as i128
    }

    /// M is nothing from now on.
    pub fn begin(&mut self) {
        (self.now, self.worth) = (0, 0);
    }

    /// N now.
    pub fn given(&self, clock: &Clock) -> Given {
        self.given.plus(self.rate, clock.now_us - self.since_us)
    }
}
