//! Which counters have been seen: exact for the highest and the 2,047 below it.
//!
//! Invariant: no counter is ever accepted twice. Counters wrap at 2^64, so what bounds them is their distance from the
//! first: nothing 2^32 or more beyond it is accepted (a key wears out long before). That distance is kept as a plain
//! signed number and every comparison is made on it. The model compares with the highest modulo 2^64 instead, and so
//! takes a counter half the ring away as newer; three such leaps lead back to counters that have left the window. Within
//! the span both agree.

const WINDOW: i64 = 2048;
const SPAN: i64 = 1 << 32;
const WORDS: usize = WINDOW as usize / 64;
const EMPTY: i64 = -1;

/// The replay window of one key.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct ReplayWindow {
    first: u64,
    /// Distance from the first to the highest, [`EMPTY`] before there is a first.
    highest: i64,
    /// Bit `distance % WINDOW` for each distance in `(highest - WINDOW, highest]`.
    seen: [u64; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { first: 0, highest: EMPTY, seen: [0; WORDS] }
    }
}

impl ReplayWindow {
    /// Whether `counter` has certainly not been marked before. The first packet sets the window.
    #[inline]
    pub fn fresh(&self, counter: u64) -> bool {
        if self.highest == EMPTY {
            return true;
        }
        let distance = counter.wrapping_sub(self.first) as i64;
        if distance > self.highest {
            return distance < SPAN;
        }
        // `highest` is not negative here, so this cannot overflow.
        distance > self.highest - WINDOW && !self.bit(distance)
    }

    /// What [`Self::fresh`] will read for this counter, which is one of many.
    #[inline]
    pub fn word(&self, counter: u64) -> &u64 {
        &self.seen[place(if self.highest == EMPTY { 0 } else { counter.wrapping_sub(self.first) as i64 }).0]
    }

    /// Remembers a counter that is [`fresh`](Self::fresh).
    #[inline]
    pub fn mark(&mut self, counter: u64) {
        if self.highest == EMPTY {
            (self.first, self.highest) = (counter, 0);
        }
        let distance = counter.wrapping_sub(self.first) as i64;
        if distance > self.highest {
            self.clear_between(distance);
            self.highest = distance;
        }
        let (word, mask) = place(distance);
        self.seen[word] |= mask;
    }

    /// Frees the bits of the distances after the highest up to `distance`.
    #[inline]
    fn clear_between(&mut self, distance: i64) {
        if distance - self.highest >= WINDOW {
            self.seen = [0; WORDS];
            return;
        }
        let mut at = self.highest + 1;
        while at <= distance {
            let (word, mask) = place(at);
            if mask == 1 && distance - at >= 63 {
                self.seen[word] = 0;
                at += 64;
            } else {
                self.seen[word] &= !mask;
                at += 1;
            }
        }
    }

    #[inline]
    fn bit(&self, distance: i64) -> bool {
        let (word, mask) = place(distance);
        self.seen[word] & mask != 0
    }
}

#[inline]
fn place(distance: i64) -> (usize, u64) {
    let at = distance.rem_euclid(WINDOW) as usize;
    (at / 64, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// The definition, with unbounded integers and nothing forgotten.
    #[derive(Default)]
    struct Oracle {
        first: Option<u64>,
        accepted: HashSet<i128>,
        highest: i128,
    }

    impl Oracle {
        fn accept(&mut self, counter: u64) -> bool {
            let first = *self.first.get_or_insert(counter);
            // The representative nearest to the first, in (first - 2^63, first + 2^63].
            let mut at = i128::from(counter) - i128::from(first);
            at += if at <= -(1 << 63) { 1 << 64 } else { 0 };
            at -= if at > 1 << 63 { 1 << 64 } else { 0 };
            let inside = at < 1 << 32 && at > self.highest - 2048;
            if inside {
                self.highest = self.highest.max(at);
            }
            inside && self.accepted.insert(at)
        }
    }

    fn accept(window: &mut ReplayWindow, counter: u64) -> bool {
        let fresh = window.fresh(counter);
        if fresh {
            window.mark(counter);
        }
        fresh
    }

    fn step() -> impl Strategy<Value = i64> {
        prop_oneof![8 => -5..8i64, 4 => -2100..2100i64, 1 => -5000..5000i64, 1 => Just(1 << 31), 1 => Just(1 << 32), 1 => any::<i64>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn accepts_exactly_what_the_definition_does(
            start in prop_oneof![any::<u64>(), u64::MAX - 3000..=u64::MAX, 0..3000u64],
            steps in prop::collection::vec(step(), 1..400),
        ) {
            let (mut window, mut oracle, mut at) = (ReplayWindow::default(), Oracle::default(), start);
            for step in steps {
                at = at.wrapping_add(step as u64);
                let expected = oracle.accept(at);
                prop_assert_eq!(accept(&mut window, at), expected);
                prop_assert!(!window.fresh(at));
                if !expected {
                    // Stay near what was accepted, or one great leap would end the test.
                    at = start.wrapping_add(oracle.highest as u64);
                }
            }
        }
    }

    #[test]
    fn no_way_round_the_ring_leads_back() {
        for leaps in [[1, (1 << 63) - 1, 1 << 63], [1, 1 << 63, (1 << 63) - 1], [2, 1 << 62, 1 << 63]] {
            let (mut window, start) = (ReplayWindow::default(), 17u64);
            assert!(accept(&mut window, start));
            let mut at = start;
            for (i, leap) in leaps.into_iter().enumerate() {
                at = at.wrapping_add(leap);
                assert_eq!(accept(&mut window, at), i == 0);
            }
            assert!(!window.fresh(start));
        }
    }

    #[test]
    fn ten_million_replays_are_refused() {
        let mut window = ReplayWindow::default();
        let start = u64::MAX - 5000;
        let counters: Vec<u64> = (0..10_000).map(|i| start.wrapping_add(i * 7 % 10_007)).collect();
        let mut accepted = Vec::new();
        for &c in &counters {
            if accept(&mut window, c) {
                accepted.push(c);
            }
        }
        let replayed = (0..10_000_000).filter(|i| window.fresh(accepted[i % accepted.len()])).count();
        assert_eq!(replayed, 0);
    }
}
