//! A token bucket: how many bytes may go now, and when the next may.
//!
//! Invariant: over any span of time no more than `burst + rate × span` bytes go, and never less for rounding: tokens are
//! counted in millionths of a byte, so a microsecond at any whole rate adds a whole number of them.

/// One byte, in what tokens are counted in.
const BYTE: u64 = 1_000_000;

/// What a link may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes of datagrams, without what IP and UDP add.
    pub rate_bytes_per_s: u64,
    /// How many bytes may go at once after a pause. At least a packet, or packets of that size never go.
    pub burst_bytes: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: u64,
    burst: u64,
    level: u64,
    at_us: u64,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(rate: Rate, now_us: u64) -> Self {
        let burst = rate.burst_bytes.saturating_mul(BYTE);
        Self { rate: rate.rate_bytes_per_s, burst, level: burst, at_us: now_us }
    }

    /// How many bytes may go now. A clock that went backwards adds nothing, and counts on from there.
    #[inline]
    pub fn bytes(&mut self, now_us: u64) -> u64 {
        let passed_us = now_us.saturating_sub(self.at_us);
        self.at_us = now_us;
        // What saturates is more than a burst, as the burst itself fits.
        self.level = self.level.saturating_add(passed_us.saturating_mul(self.rate)).min(self.burst);
        self.level / BYTE
    }

    /// Takes tokens for what goes now, of which there were at least that many.
    #[inline]
    pub fn spend(&mut self, bytes: u64) {
        self.level = self.level.saturating_sub(bytes.saturating_mul(BYTE));
    }

    /// When so many bytes may go; `None` is never: they are more than the burst, or the rate is zero.
    pub fn next_at(&self, bytes: u64) -> Option<u64> {
        let needed = bytes.saturating_mul(BYTE);
        if needed > self.burst {
            return None;
        }
        match needed.saturating_sub(self.level) {
            0 => Some(self.at_us),
            _ if self.rate == 0 => None,
            missing => Some(self.at_us.saturating_add(missing.div_ceil(self.rate))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The closed form of a bucket that is never full: all that came since the beginning, less what went.
        #[test]
        fn exact_for_any_steps(rate in 1..20_000_000_000u64, steps in prop::collection::vec(0..5_000_000u64, 1..60)) {
            let burst_bytes = u64::MAX / BYTE;
            let mut bucket = TokenBucket::new(Rate { rate_bytes_per_s: rate, burst_bytes }, 7);
            bucket.spend(burst_bytes);
            let left_over = bucket.level; // below a byte: 2^64 is no multiple of 10^6
            let (mut now_us, mut spent) = (7, 0u128);
            for step in steps {
                now_us += step;
                let expected = (u128::from(now_us - 7) * u128::from(rate) + u128::from(left_over)) / u128::from(BYTE) - spent;
                prop_assert_eq!(u128::from(bucket.bytes(now_us)), expected);
                let part = (expected / 2) as u64;
                bucket.spend(part);
                spent += u128::from(part);
            }
        }

        /// `next_at` is the first microsecond at which the bytes may go.
        #[test]
        fn the_next_moment_is_the_first(rate in 1..1_000_000_000u64, spent in 0..100_000u64, bytes in 0..100_000u64) {
            let mut bucket = TokenBucket::new(Rate { rate_bytes_per_s: rate, burst_bytes: 100_000 }, 0);
            bucket.spend(spent);
            let at = bucket.next_at(bytes).unwrap();
            prop_assert!(bucket.clone().bytes(at) >= bytes);
            prop_assert!(at == 0 || bucket.bytes(at - 1) < bytes);
        }

        /// However the clock jumps, it gives a burst and what the time that passed is worth.
        #[test]
        fn no_clock_is_worth_more_than_a_burst(jumps in prop::collection::vec(any::<u64>(), 1..50)) {
            let mut bucket = TokenBucket::new(Rate { rate_bytes_per_s: u64::MAX, burst_bytes: 3000 }, 0);
            for now_us in jumps {
                let bytes = bucket.bytes(now_us);
                prop_assert!(bytes <= 3000);
                bucket.spend(bytes);
                prop_assert_eq!(bucket.bytes(now_us), 0);
            }
        }
    }

    #[test]
    fn what_never_fits_has_no_moment() {
        let mut bucket = TokenBucket::new(Rate { rate_bytes_per_s: 0, burst_bytes: 1500 }, 5);
        assert_eq!((bucket.next_at(1500), bucket.next_at(1501)), (Some(5), None));
        bucket.spend(1);
        assert_eq!((bucket.bytes(u64::MAX), bucket.next_at(1500)), (1499, None));
    }

    #[test]
    fn a_clock_set_back_does_not_stop_a_link() {
        let mut bucket = TokenBucket::new(Rate { rate_bytes_per_s: 1_000_000, burst_bytes: 1500 }, 3_600_000_000);
        bucket.spend(1500);
        assert_eq!(bucket.bytes(1000), 0);
        assert_eq!(bucket.bytes(2000), 1000);
    }
}
