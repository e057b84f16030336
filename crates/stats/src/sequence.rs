//! The packet interval window sequence: a large window of small ones, for many ids.
//!
//! Each small window holds the running sum up to its end, so that a question about any number of them is one difference. Sums wrap;
//! differences are right as long as one window's true sum fits.

use crate::steps::Steps;

/// What is summed.
pub trait Sums: Copy + Default {
    /// Adds, wrapping.
    fn add(&mut self, other: &Self);
    /// What was added since, wrapping.
    fn since(&self, earlier: &Self) -> Self;
    /// Whether its time counts for the interval: data do, what is merely counted does not.
    fn timed(&self) -> bool;
    /// `part` of it, in `0..=1`, rounded down.
    fn scaled(&self, part: f64) -> Self;
}

/// The most small windows a sequence has.
pub const STEPS_MAX: u32 = 62;

#[derive(Clone, Copy, Default)]
struct Cell<S> {
    /// Up to the end of this small window.
    sums: S,
    /// Microseconds into it, of the first and last data.
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Default)]
struct Head {
    /// The latest small window that anything was recorded in.
    step: u64,
    /// Which cells had an event, and which of them data.
    filled: u64,
    timed: u64,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The first in its small window.
    First,
    Again,
    /// Older than the sequence reaches: not counted.
    TooLate,
}

/// An answer from small windows: the truth lies between the two, which are the same where the span begins at a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<S> {
    /// Without the small window that the span begins in.
    pub least: S,
    /// With it.
    pub most: S,
    /// With the part of it that the span covers.
    pub estimate: S,
}

/// Rings of small windows by dense id.
pub struct Sequences<S> {
    /// Small windows in the large one.
    steps: u64,
    /// Cells per id, a power of two: two more than `steps`, at least.
    ring: u64,
    cells: Vec<Cell<S>>,
    heads: Vec<Head>,
}

impl<S: Sums> Sequences<S> {
    /// `steps` small windows, from 1 to [`STEPS_MAX`].
    pub fn new(steps: u32) -> Self {
        let steps = u64::from(steps.clamp(1, STEPS_MAX));
        Self { steps, ring: (steps + 2).next_power_of_two(), cells: Vec::new(), heads: Vec::new() }
    }

    /// Forgets what an id had; ids are made as they come.
    pub fn reset(&mut self, id: usize) {
        let ring = self.ring as usize;
        if self.heads.len() <= id {
            self.heads.resize(id + 1, Head::default());
            self.cells.resize((id + 1) * ring, Cell::default());
        }
        self.heads[id] = Head::default();
        self.cells[id * ring..][..ring].fill(Cell::default());
    }

    #[inline]
    fn at(&self, id: usize, step: u64) -> usize {
        id * self.ring as usize + (step & (self.ring - 1)) as usize
    }

    /// Adds to the small window `step` what came between two times after its beginning, microseconds.
    #[inline]
    pub fn record(&mut self, id: usize, step: u64, into: (u32, u32), sums: &S) -> Recorded {
        let mut head = self.heads[id];
        if step != head.step {
            if step < head.step {
                return self.record_late(id, step, into, sums);
            }
            head = self.advance(id, step);
        }
        let at = self.at(id, step);
        self.cells[at].sums.add(sums);
        self.note(id, head, step, into, sums.timed())
    }

    #[inline]
    fn note(&mut self, id: usize, head: Head, step: u64, into: (u32, u32), timed: bool) -> Recorded {
        let bit = 1 << (step & (self.ring - 1));
        if timed {
            let at = self.at(id, step);
            let cell = &mut self.cells[at];
            if head.timed & bit == 0 {
                self.heads[id].timed |= bit;
                (cell.first, cell.last) = into;
            } else {
                cell.first = cell.first.min(into.0);
                cell.last = cell.last.max(into.1);
            }
        }
        if head.filled & bit != 0 {
            return Recorded::Again;
        }
        self.heads[id].filled |= bit;
        Recorded::First
    }

    /// Carries the running sum on to `step`.
    fn advance(&mut self, id: usize, step: u64) -> Head {
        let Head { step: old, mut filled, mut timed } = self.heads[id];
        let carried = Cell { sums: self.cells[self.at(id, old)].sums, first: 0, last: 0 };
        if step - old >= self.ring {
            let from = id * self.ring as usize;
            self.cells[from..from + self.ring as usize].fill(carried);
            (filled, timed) = (0, 0);
        } else {
            for passed in old + 1..=step {
                let at = self.at(id, passed);
                self.cells[at] = carried;
                let others = !(1 << (passed & (self.ring - 1)));
                (filled, timed) = (filled & others, timed & others);
            }
        }
        let head = Head { step, filled, timed };
        self.heads[id] = head;
        head
    }

    #[cold]
    fn record_late(&mut self, id: usize, step: u64, into: (u32, u32), sums: &S) -> Recorded {
        let head = self.heads[id];
        if head.step - step > self.steps {
            return Recorded::TooLate;
        }
        for later in step..=head.step {
            let at = self.at(id, later);
            self.cells[at].sums.add(sums);
        }
        self.note(id, head, step, into, sums.timed())
    }

    /// The sums of the `count` small windows up to `now`, that one included; one more than the large window has, at most.
    #[inline]
    pub fn sum(&self, id: usize, now: u64, count: u64) -> S {
        let head = self.heads[id].step;
        let before = now.max(head).saturating_sub(count.min(self.steps + 1));
        // Cells behind the head that were never written hold sums of nothing, as it should be.
        if head <= before {
            return S::default();
        }
        self.cells[self.at(id, head)].sums.since(&self.cells[self.at(id, before)].sums)
    }

    /// The time of the first and last data in the `count` small windows up to `now`.
    #[inline]
    pub fn interval_us(&self, id: usize, steps: &Steps, now: u64, count: u64) -> Option<(u64, u64)> {
        let head = self.heads[id];
        let from = (now.max(head.step) + 1).saturating_sub(count.min(self.steps + 1));
        if head.step < from {
            return None;
        }
        let (start, width) = ((from & (self.ring - 1)) as u32, self.ring as u32);
        let turned = if width == 64 {
            head.timed.rotate_right(start)
        } else {
            (head.timed >> start | head.timed.unbounded_shl(width - start)) & ((1 << width) - 1)
        };
        let within = turned & (u64::MAX >> (63 - (head.step - from)));
        if within == 0 {
            return None;
        }
        let (first, last) = (from + u64::from(within.trailing_zeros()), from + u64::from(within.ilog2()));
        let at = |step: u64| (steps.start_us(step), &self.cells[self.at(id, step)]);
        let ((first_us, first), (last_us, last)) = (at(first), at(last));
        Some((first_us + u64::from(first.first), last_us.saturating_add(u64::from(last.last))))
    }

    /// What was recorded after `now_us - span_us`, up to `now_us`; the span is cut at the large window's length.
    pub fn answer(&self, id: usize, steps: &Steps, now_us: u64, span_us: u64) -> Answer<S> {
        let (now, _) = steps.place(now_us);
        let span_us = span_us.min(self.steps * steps.width_us());
        let Some(since_us) = now_us.checked_sub(span_us) else {
            let all = self.sum(id, now, self.steps);
            return Answer { least: all, most: all, estimate: all };
        };
        let (cut, into_us) = steps.place(since_us);
        let most = self.sum(id, now, now + 1 - cut);
        if into_us == 0 {
            return Answer { least: most, most, estimate: most };
        }
        let least = self.sum(id, now, now - cut);
        let part = 1.0 - f64::from(into_us) / steps.width_us() as f64;
        let mut estimate = most.since(&least).scaled(part);
        estimate.add(&least);
        Answer { least, most, estimate }
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell<S>>() + self.heads.capacity() * size_of::<Head>()
    }
}
