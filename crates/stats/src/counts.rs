//! How many connections went to each destination, per small window, and the largest count in the large one: kept, not searched.

use crate::sequence::STEPS_MAX;
use crate::steps::Steps;

/// A larger count is not told from this one where the largest is asked for.
const COUNT_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Default)]
struct Total {
    /// In the large window's whole small windows.
    count: u32,
    /// Of the slot's use; what was said of an earlier use is void.
    life: u32,
}

/// Counts by dense id. Each one added is taken away once, when its small window leaves.
pub struct Counts {
    steps: u64,
    ring: u64,
    cells: Vec<u32>,
    totals: Vec<Total>,
    /// Who was counted in each small window, with the slot's life.
    counted: Vec<Vec<(u32, u32)>>,
    /// How many ids have each count.
    having: Vec<u32>,
    largest: usize,
    /// Up to which small window all is accounted for.
    now: u64,
}

impl Counts {
    /// `steps` small windows, from 1 to [`STEPS_MAX`]; `now` is the one that runs.
    pub fn new(steps: u32, now: u64) -> Self {
        let steps = u64::from(steps.clamp(1, STEPS_MAX));
        let ring = (steps + 2).next_power_of_two();
        let counted = (0..ring).map(|_| Vec::new()).collect();
        Self { steps, ring, cells: Vec::new(), totals: Vec::new(), counted, having: vec![0; 2], largest: 0, now }
    }

    fn at(&self, id: usize, step: u64) -> usize {
        id * self.ring as usize + (step & (self.ring - 1)) as usize
    }

    /// Forgets what an id had.
    pub fn reset(&mut self, id: usize) {
        let ring = self.ring as usize;
        if self.totals.len() <= id {
            self.totals.resize(id + 1, Total::default());
            self.cells.resize((id + 1) * ring, 0);
        }
        let Total { count, life } = self.totals[id];
        self.moved(count, 0);
        self.totals[id] = Total { count: 0, life: life.wrapping_add(1) };
        self.cells[id * ring..][..ring].fill(0);
    }

    /// An id's count has changed.
    #[inline]
    fn moved(&mut self, from: u32, to: u32) {
        let (from, to) = ((from as usize).min(COUNT_MAX), (to as usize).min(COUNT_MAX));
        if from == to {
            return;
        }
        if from > 0 {
            self.having[from] -= 1;
        }
        if to > 0 {
            if self.having.len() <= to {
                self.having.resize(2 * to, 0);
            }
            self.having[to] += 1;
        }
        self.largest = self.largest.max(to);
        // Down by as much as it ever went up: constant time per connection.
        while self.largest > 0 && self.having[self.largest] == 0 {
            self.largest -= 1;
        }
    }

    /// Lets small windows go that have left the large one.
    pub fn advance(&mut self, now: u64) {
        if now <= self.now {
            return;
        }
        // After a turn of the ring there is nothing left to find.
        for step in self.now + 1..=now.min(self.now + self.ring) {
            self.leave(step.saturating_sub(self.steps));
            let gone = (step.saturating_sub(self.steps + 1) & (self.ring - 1)) as usize;
            for (id, life) in std::mem::take(&mut self.counted[gone]) {
                if self.totals[id as usize].life == life {
                    let at = self.at(id as usize, gone as u64);
                    self.cells[at] = 0;
                }
            }
        }
        self.now = now;
    }

    fn leave(&mut self, step: u64) {
        let place = (step & (self.ring - 1)) as usize;
        let leaving = std::mem::take(&mut self.counted[place]);
        for &(id, life) in &leaving {
            let Total { count, life: lives } = self.totals[id as usize];
            if lives == life {
                let left = count.saturating_sub(self.cells[self.at(id as usize, step)]);
                self.moved(count, left);
                self.totals[id as usize].count = left;
            }
        }
        self.counted[place] = leaving;
    }

    /// One more, in the small window that runs.
    #[inline]
    pub fn add(&mut self, id: usize) {
        let at = self.at(id, self.now);
        let Total { count, life } = self.totals[id];
        if self.cells[at] == 0 {
            self.counted[(self.now & (self.ring - 1)) as usize].push((id as u32, life));
        }
        self.cells[at] = self.cells[at].saturating_add(1);
        let more = count.saturating_add(1);
        self.moved(count, more);
        self.totals[id].count = more;
    }

    /// The largest count of one id in the large window's whole small windows, the running one included.
    pub fn largest(&self) -> u32 {
        self.largest as u32
    }

    /// One id's count in the `count` small windows up to the running one; one more than the large window has, at most.
    #[inline]
    pub fn sum(&self, id: usize, count: u64) -> u32 {
        if count == self.steps {
            return self.totals[id].count;
        }
        let from = self.now + 1 - count.min(self.steps + 1);
        (from..=self.now).fold(0, |sum: u32, step| sum.saturating_add(self.cells[self.at(id, step)]))
    }

    /// One id's count after `now_us - span_us`: exact where that is a boundary, else the small window it falls into counts in
    /// proportion, so that the error is at most what this one holds.
    pub fn estimate(&self, id: usize, steps: &Steps, now_us: u64, span_us: u64) -> f64 {
        let span_us = span_us.min(self.steps * steps.width_us());
        let (cut, into_us) = steps.place(now_us.saturating_sub(span_us));
        if cut > self.now {
            return 0.0;
        }
        if into_us == 0 {
            return f64::from(self.sum(id, self.now + 1 - cut));
        }
        let part = 1.0 - f64::from(into_us) / steps.width_us() as f64;
        f64::from(self.sum(id, self.now - cut)) + f64::from(self.cells[self.at(id, cut)]) * part
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        let counted: usize = self.counted.iter().map(|c| c.capacity() * 8).sum();
        (self.cells.capacity() + self.having.capacity()) * 4 + self.totals.capacity() * size_of::<Total>() + counted
    }
}
