//! The state machine: hops, destinations, pairs and tuples on one clock.

use std::collections::{HashMap, VecDeque};

use wayfare_types::Random;

use crate::buckets::{ENTRIES_MAX, WeightedIds};
use crate::counts::Counts;
use crate::groups::{Connection, Groups, groups};
use crate::hash::Keyed;
use crate::idle::IdleList;
use crate::ids::{DestinationId, SLOTS_MAX};
use crate::sequence::{Recorded, STEPS_MAX, Sequences};
use crate::state::{
    Destination, Flow, Hop, HopSums, HopWindows, NONE, Named, Pair, PairSums, PairWindows, Slots, Tuple,
};
use crate::steps::Steps;
use crate::weighting::Weighting;

/// How much is remembered at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub hops: usize,
    pub destinations: usize,
    pub pairs: usize,
    pub tuples: usize,
    /// Connections that [`Egress::groups`] looks back on.
    pub log: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { hops: 1 << 17, destinations: 1 << 16, pairs: 1 << 17, tuples: 1 << 20, log: 4096 }
    }
}

/// Windows and limits; what is out of range is taken as the nearest that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Of a small window.
    pub step_us: u64,
    /// Small windows in K, 1 to [`STEPS_MAX`].
    pub window_steps: u32,
    /// Small windows in L, `window_steps` to [`STEPS_MAX`].
    pub sequence_steps: u32,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self { step_us: 1_000_000, window_steps: 10, sequence_steps: 60, limits: Limits::default() }
    }
}

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no hop in the window.
    WindowEmpty,
    /// As many are live as may be remembered.
    Full,
    HopUnknown,
    /// It drains, or is not in the window.
    HopGone,
    DestinationUnknown,
    FlowUnknown,
}

/// What was lost or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub tuples_evicted: u64,
    pub destinations_evicted: u64,
    pub pairs_evicted: u64,
    /// Records that named no flow.
    pub records_stale: u64,
    /// Records older than L, counted at the latest time.
    pub records_late: u64,
    /// Calls whose time was before the latest one.
    pub clock_fell: u64,
    /// Openings refused since everything is live.
    pub refused: u64,
    /// Draws in which everything was excluded.
    pub forced: u64,
}

/// See the crate's first paragraph.
pub struct Egress {
    pub(crate) limits: Limits,
    pub(crate) weighting: Weighting,
    pub(crate) now_us: u64,
    pub(crate) steps: Steps,
    /// Small windows in K and L.
    pub(crate) k: u64,
    pub(crate) l: u64,

    pub(crate) hops: Vec<Hop>,
    pub(crate) hop_slots: Slots,
    /// Hops that flows are given to.
    pub(crate) window: Vec<u32>,
    pub(crate) hop_windows: HopWindows,
    pub(crate) tried: WeightedIds,
    pub(crate) untried: WeightedIds,
    pub(crate) dirty_hops: Vec<u32>,
    /// When the first verdict on a hop ends.
    pub(crate) hop_returns_us: u64,

    pub(crate) pairs: Vec<Pair>,
    pub(crate) pair_slots: Slots,
    pub(crate) pair_index: HashMap<u64, u32, Keyed>,
    pub(crate) pair_windows: PairWindows,
    pub(crate) idle_pairs: IdleList,

    pub(crate) destinations: Vec<Destination>,
    pub(crate) destination_slots: Slots,
    pub(crate) destination_index: HashMap<Box<[u8]>, u32, Keyed>,
    pub(crate) idle_destinations: IdleList,
    pub(crate) counts: Counts,

    pub(crate) flows: Vec<Flow>,
    pub(crate) named: Vec<Named>,
    /// Those with something pending.
    pub(crate) dirty_flows: Vec<u32>,
    pub(crate) flow_slots: Slots,
    pub(crate) tuple_index: HashMap<Tuple, u32, Keyed>,
    pub(crate) idle_flows: IdleList,
    /// Hops that a retry's chain has tried before, by flow slot.
    pub(crate) chains: HashMap<u32, Vec<(u32, u32)>>,

    pub(crate) log: VecDeque<Connection>,
    /// The number of the log's first connection.
    pub(crate) log_first: u64,

    /// Which hops and pairs had data in each small window, so that they are looked at again when it leaves K.
    touched_hops: Vec<Vec<u32>>,
    touched_pairs: Vec<Vec<u32>>,
    pub(crate) scratch: Vec<(u32, f64)>,
    pub(crate) counters: Counters,
}

impl Egress {
    /// `random` gives the secrets of the tables; it is not kept.
    pub fn new<R: Random + ?Sized>(config: &Config, now_us: u64, random: &mut R) -> Self {
        let steps = Steps::new(config.step_us, now_us);
        let k = config.window_steps.clamp(1, STEPS_MAX);
        let l = config.sequence_steps.clamp(k, STEPS_MAX);
        let given = config.limits;
        let limits = Limits {
            hops: given.hops.clamp(1, ENTRIES_MAX),
            destinations: given.destinations.clamp(1, SLOTS_MAX),
            pairs: given.pairs.clamp(1, SLOTS_MAX),
            tuples: given.tuples.clamp(1, SLOTS_MAX),
            log: given.log,
        };
        let weighting = Weighting::default();
        let ring = (u64::from(k) + 2).next_power_of_two() as usize;
        Self {
            limits,
            weighting,
            now_us,
            steps,
            k: k.into(),
            l: l.into(),
            hops: Vec::new(),
            hop_slots: Slots::new(),
            window: Vec::new(),
            hop_windows: Sequences::new(l),
            tried: WeightedIds::new(weighting.octaves),
            untried: WeightedIds::new(weighting.octaves),
            dirty_hops: Vec::new(),
            hop_returns_us: u64::MAX,
            pairs: Vec::new(),
            pair_slots: Slots::new(),
            pair_index: HashMap::with_hasher(Keyed::new(random)),
            pair_windows: Sequences::new(k),
            idle_pairs: IdleList::new(),
            destinations: Vec::new(),
            destination_slots: Slots::new(),
            destination_index: HashMap::with_hasher(Keyed::new(random)),
            idle_destinations: IdleList::new(),
            counts: Counts::new(l, steps.current()),
            flows: Vec::new(),
            named: Vec::new(),
            dirty_flows: Vec::new(),
            flow_slots: Slots::new(),
            tuple_index: HashMap::with_hasher(Keyed::new(random)),
            idle_flows: IdleList::new(),
            chains: HashMap::new(),
            log: VecDeque::new(),
            log_first: 0,
            touched_hops: vec![Vec::new(); ring],
            touched_pairs: vec![Vec::new(); ring],
            scratch: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Time goes on, never back.
    #[inline]
    pub(crate) fn at(&mut self, now_us: u64) {
        if now_us < self.now_us {
            self.counters.clock_fell += 1;
            return;
        }
        self.now_us = now_us;
        if self.steps.into_current(now_us).is_none() {
            self.go_on();
        }
    }

    /// Another small window runs: those that had data in one that has left K weigh less.
    #[cold]
    fn go_on(&mut self) {
        self.settle();
        let before = self.steps.current();
        if !self.steps.advance(self.now_us) {
            return;
        }
        let now = self.steps.current();
        self.counts.advance(now);
        let ring = self.touched_hops.len() as u64;
        for step in before.max(now.saturating_sub(ring)) + 1..=now {
            let leaving = (step.saturating_sub(self.k) & (ring - 1)) as usize;
            let mut touched = std::mem::take(&mut self.touched_hops[leaving]);
            touched.drain(..).for_each(|hop| self.mark_hop(hop));
            self.touched_hops[leaving] = touched;
            let mut touched = std::mem::take(&mut self.touched_pairs[leaving]);
            touched.drain(..).for_each(|pair| self.mark_pair(pair));
            self.touched_pairs[leaving] = touched;
        }
    }

    /// Its weight is to be computed again.
    #[inline]
    pub(crate) fn mark_hop(&mut self, hop: u32) {
        let state = &mut self.hops[hop as usize];
        if !state.dirty {
            state.dirty = true;
            self.dirty_hops.push(hop);
        }
    }

    #[inline]
    pub(crate) fn mark_pair(&mut self, pair: u32) {
        let state = &mut self.pairs[pair as usize];
        if !state.dirty && state.place != NONE {
            state.dirty = true;
            self.destinations[state.destination as usize].dirty.push(pair);
        }
    }

    #[inline]
    pub(crate) fn add_to_hop(&mut self, hop: u32, step: u64, into: (u32, u32), sums: &HopSums) {
        if self.hop_windows.record(hop as usize, step, into, sums) == Recorded::First {
            let ring = self.touched_hops.len();
            if step + self.k > self.steps.current() {
                self.touched_hops[step as usize & (ring - 1)].push(hop);
            }
        }
        self.mark_hop(hop);
    }

    #[inline]
    pub(crate) fn add_to_pair(&mut self, pair: u32, step: u64, into: (u32, u32), sums: &PairSums) {
        if self.pair_windows.record(pair as usize, step, into, sums) == Recorded::First {
            let ring = self.touched_pairs.len();
            if step + self.k > self.steps.current() {
                self.touched_pairs[step as usize & (ring - 1)].push(pair);
            }
        }
        self.mark_pair(pair);
    }

    pub(crate) fn known(&self, id: DestinationId) -> Result<u32, Refusal> {
        match self.destinations.get(id.slot()) {
            Some(state) if state.taken && id.is_of(state.used) => Ok(id.slot() as u32),
            _ => Err(Refusal::DestinationUnknown),
        }
    }

    /// Over the latest connections.
    pub fn groups(&mut self, now_us: u64, tolerance_us: u64) -> (Vec<Connection>, Groups) {
        self.at(now_us);
        let connections: Vec<Connection> = self.log.iter().copied().collect();
        let found = groups(&connections, tolerance_us);
        (connections, found)
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
