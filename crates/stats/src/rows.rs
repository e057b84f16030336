//! What is seen from outside: hops, pairs, destinations and flows as they stand.

use crate::egress::{Egress, Refusal};
use crate::ids::{DestinationId, FlowId};
use crate::interval::{PacketInterval, speed};
use crate::state::{Destination, Flow, Hop, Life, NONE, Named, Pair};

/// A hop in the past K.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HopRow {
    pub hop: u32,
    pub added_us: u64,
    pub draining: bool,
    pub estimate: f64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// What weighs: all that was received, and what was sent by flows that were answered.
    pub data_bytes: u64,
    pub opened: u32,
    pub failed: u32,
    /// Bytes per second.
    pub speed: f64,
    /// By (a), before buckets.
    pub weight: u64,
    pub untried: bool,
    pub flows: u32,
    pub last_us: Option<u64>,
    pub excluded_until_us: u64,
}

/// A hop at a destination in the past K.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairRow {
    pub hop: u32,
    pub data_bytes: u64,
    pub opened: u32,
    pub failed: u32,
    pub speed: f64,
    pub weight: u64,
    pub flows: u32,
    pub last_us: Option<u64>,
    pub excluded_until_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestinationRow {
    pub destination: DestinationId,
    /// Connections tried in the past K, and in L.
    pub connections: u32,
    pub connections_l: u32,
    pub flows: u32,
    /// Hops with data there in the past K.
    pub hops: u32,
    pub last_us: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRow {
    pub flow: FlowId,
    pub hop: u32,
    pub destination: DestinationId,
    pub live: bool,
    pub interval: PacketInterval,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub hops: usize,
    pub draining: usize,
    pub destinations: usize,
    pub pairs: usize,
    pub flows_live: usize,
    pub tuples_idle: usize,
    pub memory_bytes: usize,
}

fn per_second(data_bytes: u64, interval_us: Option<(u64, u64)>) -> f64 {
    interval_us.map_or(0.0, |(first_us, last_us)| speed(data_bytes, first_us, last_us))
}

impl Egress {
    /// Every hop, those that drain included.
    pub fn hop_rows(&mut self, now_us: u64) -> impl Iterator<Item = HopRow> {
        self.at(now_us);
        self.settle();
        self.refresh_hops();
        let taken = self.hops.iter().enumerate().filter(|(_, state)| state.taken);
        taken.map(|(id, state)| {
            let now = self.steps.current();
            let sums = self.hop_windows.sum(id, now, self.k);
            let (weight, untried) = self.hop_weight(id as u32);
            HopRow {
                hop: id as u32,
                added_us: state.added_us,
                draining: !state.in_window(),
                estimate: state.estimate,
                sent_bytes: sums.sent_bytes,
                received_bytes: sums.received_bytes,
                data_bytes: sums.counted.data,
                opened: sums.counted.opened,
                failed: sums.counted.failed,
                speed: per_second(sums.counted.data, self.hop_windows.interval_us(id, &self.steps, now, self.k)),
                weight,
                untried,
                flows: state.flows,
                last_us: state.last_us,
                excluded_until_us: state.excluded_until_us,
            }
        })
    }

    /// What a hop moved in the past span, at most L: what weighs, between which two values it lies where the span does not
    /// begin at a boundary.
    pub fn hop_data(&mut self, now_us: u64, hop: u32, span_us: u64) -> Result<(u64, u64), Refusal> {
        self.at(now_us);
        self.settle();
        self.hops.get(hop as usize).filter(|state| state.taken).ok_or(Refusal::HopUnknown)?;
        let answer = self.hop_windows.answer(hop as usize, &self.steps, self.now_us, span_us);
        Ok((answer.least.counted.data, answer.most.counted.data))
    }

    /// Whether a pair can be drawn by its weight.
    fn weighing(&self, pair: u32) -> bool {
        let state = &self.pairs[pair as usize];
        let hop = &self.hops[state.hop as usize];
        state.weight > 0 && hop.in_window() && hop.used == state.hop_used
    }

    /// Hops that were tried at a destination in the past K, or are excluded there.
    pub fn pair_rows(&mut self, now_us: u64, id: DestinationId) -> Result<impl Iterator<Item = PairRow>, Refusal> {
        self.at(now_us);
        self.settle();
        let destination = self.known(id)?;
        self.refresh_destination(destination);
        let pairs = self.destinations[destination as usize].pairs.iter();
        let of_now = pairs.filter(|&&pair| {
            let state = &self.pairs[pair as usize];
            self.hops[state.hop as usize].used == state.hop_used && self.hops[state.hop as usize].taken
        });
        Ok(of_now.map(|&pair| {
            let state = &self.pairs[pair as usize];
            let sums = self.pair_windows.sum(pair as usize, self.steps.current(), self.k);
            let seen = self.pair_seen(pair, &sums);
            PairRow {
                hop: state.hop,
                data_bytes: sums.data,
                opened: sums.opened,
                failed: sums.failed,
                speed: per_second(sums.data, seen.interval_us),
                weight: if self.weighing(pair) { state.weight } else { 0 },
                flows: state.flows,
                last_us: state.last_us,
                excluded_until_us: state.excluded_until_us,
            }
        }))
    }

    /// Destinations from a slot on, with the slot after each.
    pub fn destination_rows(&mut self, now_us: u64, from: u32) -> impl Iterator<Item = (u32, DestinationRow)> {
        self.at(now_us);
        self.settle();
        for slot in from..self.destinations.len() as u32 {
            if !self.destinations[slot as usize].dirty.is_empty() {
                self.refresh_destination(slot);
            }
        }
        let taken = self.destinations.iter().enumerate().skip(from as usize).filter(|(_, state)| state.taken);
        taken.map(|(slot, state)| {
            let row = DestinationRow {
                destination: DestinationId::new(slot as u32, state.used),
                connections: self.counts.sum(slot, self.k),
                connections_l: self.counts.sum(slot, self.l),
                flows: state.flows,
                hops: state.pairs.iter().filter(|&&pair| self.weighing(pair)).count() as u32,
                last_us: state.last_us,
            };
            (slot as u32 + 1, row)
        })
    }

    /// Tuples from a slot on, with the slot after each.
    pub fn flow_rows(&mut self, from: u32) -> impl Iterator<Item = (u32, FlowRow)> {
        self.settle();
        let flows = self.flows.iter().zip(&self.named).enumerate().skip(from as usize);
        flows.filter(|(_, (flow, _))| flow.life != Life::Free && flow.hop != NONE).map(|(slot, (flow, named))| {
            let row = FlowRow {
                flow: FlowId::new(slot as u32, flow.used),
                hop: flow.hop,
                destination: DestinationId::new(named.destination, named.destination_used),
                live: flow.life == Life::Live,
                interval: named.interval,
            };
            (slot as u32 + 1, row)
        })
    }

    pub fn held(&self) -> Held {
        let lists =
            self.idle_flows.memory_bytes() + self.idle_pairs.memory_bytes() + self.idle_destinations.memory_bytes();
        let windows = self.hop_windows.memory_bytes() + self.pair_windows.memory_bytes() + self.counts.memory_bytes();
        let flows = self.flows.capacity() * size_of::<Flow>() + self.named.capacity() * size_of::<Named>();
        // A table's slot holds key, value and a byte; its capacity is 7/8 of its slots.
        let table = |capacity: usize, entry: usize| capacity * 8 / 7 * (entry + 1);
        let tables = table(self.tuple_index.capacity(), 40) + table(self.pair_index.capacity(), 16);
        let keys = table(self.destination_index.capacity(), 24);
        let of_destination = |state: &Destination| {
            size_of::<Destination>()
                + 2 * state.key.len()
                + 4 * (state.pairs.capacity() + state.dirty.capacity())
                + state.buckets.memory_bytes()
        };
        let destinations: usize = self.destinations.iter().map(of_destination).sum();
        let rest = self.pairs.capacity() * size_of::<Pair>() + self.hops.capacity() * size_of::<Hop>();
        Held {
            hops: self.window.len(),
            draining: self.hop_slots.taken() - self.window.len(),
            destinations: self.destination_slots.taken(),
            pairs: self.pair_slots.taken(),
            flows_live: self.flow_slots.taken() - self.idle_flows.len(),
            tuples_idle: self.idle_flows.len(),
            memory_bytes: lists + windows + flows + tables + keys + destinations + rest,
        }
    }
}
