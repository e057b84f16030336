//! The time, and how far it is within a half-life.
//!
//! Amounts that decay are kept as if they did not: as what they would have been at the beginning of the current half-life (the epoch),
//! in 1/2^65 credits. All of them then halve at once when the next epoch begins, by a shift, and between two of those one factor serves
//! for all.

use crate::power::exp2_fraction;

/// 2^53 µs, 285 years: time stops there.
pub const TIME_MOST_US: u64 = 1 << 53;

#[derive(Clone, Debug, Hash)]
pub(crate) struct Clock {
    half_life_us: u64,
    /// 2^128 / half-life.
    inverse: u128,
    pub now_us: u64,
    pub epoch: u64,
    epoch_from_us: u64,
    /// 2^phase and 2^-phase in 1/2^63; the latter less by one of these at the beginning of an epoch, so as to fit.
    pub up: u64,
    pub down: i64,
}

impl Clock {
    /// `half_life_us` from 10^6.
    pub fn new(half_life_us: u64, now_us: u64) -> Self {
        let now_us = now_us.min(TIME_MOST_US);
        let inverse = u128::MAX / u128::from(half_life_us);
        Self { half_life_us, inverse, now_us, epoch: 0, epoch_from_us: now_us, up: 1 << 63, down: i64::MAX }
    }

    /// Whether time went on. It never goes back.
    #[inline]
    pub fn advance(&mut self, now_us: u64) -> bool {
        let now_us = now_us.min(TIME_MOST_US);
        if now_us <= self.now_us {
            return false;
        }
        self.now_us = now_us;
        let mut into_us = now_us - self.epoch_from_us;
        if into_us >= self.half_life_us {
            let epochs = into_us / self.half_life_us;
            self.epoch += epochs;
            self.epoch_from_us += epochs * self.half_life_us;
            into_us = now_us - self.epoch_from_us;
        }
        let phase = ((u128::from(into_us) * self.inverse) >> 64) as u64;
        self.up = exp2_fraction(phase);
        self.down = if phase == 0 { i64::MAX } else { (exp2_fraction(phase.wrapping_neg()) >> 1) as i64 };
        true
    }

    /// Credits as they are kept.
    #[inline]
    pub fn kept(&self, credits: u64) -> u128 {
        (u128::from(credits) * u128::from(self.up)) << 2
    }

    /// What is kept, in 1/2^64 credits. Signed as it is, and in halves of those, it takes two multiplications and no shift.
    #[inline]
    pub fn faded(&self, kept: i128) -> i128 {
        let (high, low) = ((kept >> 64) as i64, kept as u64);
        i128::from(high) * i128::from(self.down) + ((u128::from(low) * u128::from(self.down as u64)) >> 64) as i128
    }
}

/// An amount of an earlier epoch in one so much later.
#[inline]
pub(crate) fn halved(amount: u128, epochs: u64) -> u128 {
    if epochs == 0 {
        return amount;
    }
    if epochs < 128 { amount >> epochs } else { 0 }
}

/// The same of one that may be below zero.
#[inline]
pub(crate) fn later(amount: i128, epochs: u64) -> i128 {
    amount >> epochs.min(127)
}

/// What a rate in credits per second comes to between two times. Telescopes: no unit is lost or doubled however time is cut.
#[inline]
pub(crate) fn flowed(per_second: u32, from_us: u64, to_us: u64) -> u64 {
    let by = |us: u64| {
        let (seconds, rest) = (us / 1_000_000, us % 1_000_000);
        seconds * u64::from(per_second) + rest * u64::from(per_second) / 1_000_000
    };
    by(to_us) - by(from_us)
}

/// The same of an increase, which may be more than fits.
#[inline]
pub(crate) fn flowed_credits(per_second: u64, from_us: u64, to_us: u64) -> u128 {
    // Rates are at most 2^40, so that what is left of a second fits.
    let by = |us: u64| {
        let (seconds, rest) = (us / 1_000_000, us % 1_000_000);
        u128::from(seconds) * u128::from(per_second) + u128::from(rest * per_second / 1_000_000)
    };
    by(to_us) - by(from_us)
}
