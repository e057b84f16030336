//! Weights, computed again where something has changed since the last draw.

use crate::buckets::{Buckets, WeightedIds};
use crate::egress::Egress;
use crate::state::{NONE, PairSums};
use crate::weighting::{Seen, Weighting};

impl Egress {
    /// The weights that are to be computed again, of hops.
    pub(crate) fn refresh_hops(&mut self) {
        if self.hop_returns_us <= self.now_us {
            self.return_hops();
        }
        for at in 0..self.dirty_hops.len() {
            let hop = self.dirty_hops[at];
            self.hops[hop as usize].dirty = false;
            let (weight, untried) = self.hop_weight(hop);
            let state = &self.hops[hop as usize];
            let drawn = state.in_window() && state.excluded_until_us <= self.now_us;
            self.tried.set(hop, if drawn && !untried { weight } else { 0 });
            self.untried.set(hop, if drawn && untried { weight } else { 0 });
        }
        self.dirty_hops.clear();
    }

    /// Verdicts have ended.
    #[cold]
    fn return_hops(&mut self) {
        self.hop_returns_us = u64::MAX;
        for at in 0..self.window.len() {
            let hop = self.window[at];
            let until_us = self.hops[hop as usize].excluded_until_us;
            if until_us > self.now_us {
                self.hop_returns_us = self.hop_returns_us.min(until_us);
            } else if until_us > 0 {
                self.hops[hop as usize].excluded_until_us = 0;
                self.mark_hop(hop);
            }
        }
    }

    /// By (a), and whether it is its estimate.
    pub(crate) fn hop_weight(&self, hop: u32) -> (u64, bool) {
        let now = self.steps.current();
        let sums = self.hop_windows.sum(hop as usize, now, self.k).counted;
        if sums.data == 0 {
            let estimate = self.hops[hop as usize].estimate;
            return if sums.failed > 0 { (0, false) } else { (self.weighting.all.of_estimate(estimate), true) };
        }
        let interval_us = self.hop_windows.interval_us(hop as usize, &self.steps, now, self.k);
        (self.weighting.all.of(&Seen { data: sums.data, opened: sums.opened, interval_us }), false)
    }

    /// The weights that are to be computed again, of a destination's pairs. Those that say nothing any more go.
    pub(crate) fn refresh_destination(&mut self, destination: u32) {
        let mut dirty = std::mem::take(&mut self.destinations[destination as usize].dirty);
        for pair in dirty.drain(..) {
            let state = &self.pairs[pair as usize];
            if !state.dirty || state.place == NONE || state.destination != destination {
                continue;
            }
            let sums = self.pair_windows.sum(pair as usize, self.steps.current(), self.k);
            let hop = &self.hops[state.hop as usize];
            let here = hop.in_window() && hop.used == state.hop_used;
            if state.flows == 0 && sums == PairSums::default() && state.excluded_until_us <= self.now_us {
                self.drop_pair(pair);
                continue;
            }
            let weight = if here { self.weighting.destination.of(&self.pair_seen(pair, &sums)) } else { 0 };
            self.pairs[pair as usize].dirty = false;
            self.pairs[pair as usize].failing = sums.failed > 0 && sums.data == 0;
            self.weigh_pair(pair, weight);
        }
        self.destinations[destination as usize].dirty = dirty;
    }

    pub(crate) fn pair_seen(&self, pair: u32, sums: &PairSums) -> Seen {
        let interval_us = self.pair_windows.interval_us(pair as usize, &self.steps, self.steps.current(), self.k);
        Seen { data: sums.data, opened: sums.opened, interval_us }
    }

    /// Gives a pair its weight among its destination's.
    pub(crate) fn weigh_pair(&mut self, pair: u32, weight: u64) {
        let state = &mut self.pairs[pair as usize];
        let buckets = &mut self.destinations[state.destination as usize].buckets;
        let (old, index) = (state.weight, state.index);
        state.weight = weight;
        if old != 0 && weight != 0 && buckets.change(old, index, weight) {
            return;
        }
        let moved = if old == 0 { None } else { buckets.remove(old, index) };
        if weight != 0 {
            state.index = buckets.insert(weight, pair);
        }
        if let Some(moved) = moved {
            self.pairs[moved as usize].index = index;
        }
    }

    /// Every weight is computed again at the next draw.
    pub fn set_weighting(&mut self, weighting: Weighting) {
        let weighting = Weighting { octaves: weighting.octaves.clamp(1, 8), ..weighting };
        if weighting.octaves != self.weighting.octaves {
            self.tried = WeightedIds::new(weighting.octaves);
            self.untried = WeightedIds::new(weighting.octaves);
            for destination in &mut self.destinations {
                destination.buckets = Buckets::new(weighting.octaves);
            }
            self.pairs.iter_mut().for_each(|pair| pair.weight = 0);
        }
        self.weighting = weighting;
        (0..self.hops.len() as u32).for_each(|hop| self.mark_hop(hop));
        (0..self.pairs.len() as u32).for_each(|pair| self.mark_pair(pair));
    }

    pub fn weighting(&self) -> &Weighting {
        &self.weighting
    }
}
