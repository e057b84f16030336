//! Small windows, numbered: each covers `width_us` from a whole multiple of it.

/// The number of the small window that begins at time zero: all that a sequence looks back on has a number, too.
const FIRST: u64 = 64;
/// No number gets near the edge, whatever the width.
const LAST: u64 = u64::MAX - 4 * FIRST;

/// Which small window runs, and which one a time falls into.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    width_us: u64,
    current: u64,
    start_us: u64,
}

impl Steps {
    /// # Panics
    /// Never: a width of zero counts as 1 µs, one beyond 2^32 µs (71 minutes) as that.
    pub fn new(width_us: u64, now_us: u64) -> Self {
        let width_us = width_us.clamp(1, 1 << 32);
        let number = (now_us / width_us).min(LAST);
        Self { width_us, current: number + FIRST, start_us: number * width_us }
    }

    pub fn width_us(&self) -> u64 {
        self.width_us
    }

    /// The small window that runs.
    #[inline]
    pub fn current(&self) -> u64 {
        self.current
    }

    /// When a small window begins.
    pub fn start_us(&self, step: u64) -> u64 {
        step.saturating_sub(FIRST).saturating_mul(self.width_us)
    }

    /// The small window of a time, and how far into it the time is.
    #[inline]
    pub fn place(&self, at_us: u64) -> (u64, u32) {
        // A division costs more than all the rest of a record.
        match self.into_current(at_us) {
            Some(into) => (self.current, into),
            None => self.place_elsewhere(at_us),
        }
    }

    #[cold]
    fn place_elsewhere(&self, at_us: u64) -> (u64, u32) {
        ((at_us / self.width_us).min(LAST) + FIRST, (at_us % self.width_us) as u32)
    }

    /// How far a time is into the small window that runs, if it is in it.
    #[inline]
    pub fn into_current(&self, at_us: u64) -> Option<u32> {
        let into = at_us.checked_sub(self.start_us)?;
        (into < self.width_us).then_some(into as u32)
    }

    /// Goes on to the small window of `now_us`, never back; whether it is another one.
    #[inline]
    pub fn advance(&mut self, now_us: u64) -> bool {
        if now_us < self.start_us || self.into_current(now_us).is_some() {
            return false;
        }
        let before = std::mem::replace(self, Self::new(self.width_us, now_us));
        self.current != before.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_multiple_of_the_width_and_a_clock_never_turns_back() {
        let mut steps = Steps::new(1000, 2500);
        assert_eq!((steps.current(), steps.start_us(steps.current())), (66, 2000));
        assert_eq!(
            [0, 999, 1000, 2000, 2999, 3000].map(|at| steps.place(at)),
            [(64, 0), (64, 999), (65, 0), (66, 0), (66, 999), (67, 0)]
        );
        assert!(!steps.advance(2999) && !steps.advance(0) && steps.advance(7000));
        assert_eq!(steps.place(7001), (71, 1));
        assert!(steps.advance(u64::MAX));
        assert_eq!(steps.place(u64::MAX).0, u64::MAX / 1000 + 64);
        assert!(!steps.advance(u64::MAX));
        assert_eq!(Steps::new(0, 5).place(5), (69, 0));
        let mut smallest = Steps::new(1, u64::MAX - 1);
        assert!(!smallest.advance(u64::MAX));
    }
}
