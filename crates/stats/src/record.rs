//! What moved: first in the tuple's own slot, one cache line; then, when somebody asks or the small window ends, for its pair
//! and its hop. What is found is the same as if each record had gone to all three at once.

use crate::egress::Egress;
use crate::ids::{DestinationId, FlowId};
use crate::interval::{Moved, PacketInterval};
use crate::state::{HopSums, Life, NONE, PairSums, Source};

/// What a flow has moved in the small window that runs, and is not yet known of its pair and hop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pending {
    moved: Moved,
    /// Microseconds into the small window, of the first and last record.
    first: u32,
    last: u32,
    /// Likewise of what weighs.
    data_first: u32,
    data_last: u32,
}

impl Egress {
    /// What moved at a time since the last record; false for a flow that is no more.
    #[inline]
    pub fn record(&mut self, flow: FlowId, at_us: u64, moved: &Moved) -> bool {
        let slot = flow.slot();
        let Some(state) = self.flows.get_mut(slot) else {
            self.counters.records_stale += 1;
            return false;
        };
        if !flow.is_of(state.used) || state.life == Life::Free {
            self.counters.records_stale += 1;
            return false;
        }
        let at_us = at_us.min(self.now_us);
        let Some(into) = self.steps.into_current(at_us) else {
            self.record_past(slot, at_us, moved);
            return true;
        };
        let pending = &mut state.pending;
        if !state.dirty {
            state.dirty = true;
            pending.first = into;
            pending.last = into;
            self.dirty_flows.push(slot as u32);
        }
        pending.first = pending.first.min(into);
        pending.last = pending.last.max(into);
        let sums = &mut pending.moved;
        sums.sent_bytes = sums.sent_bytes.saturating_add(moved.sent_bytes);
        sums.received_bytes = sums.received_bytes.saturating_add(moved.received_bytes);
        sums.sent_packets = sums.sent_packets.saturating_add(moved.sent_packets);
        sums.received_packets = sums.received_packets.saturating_add(moved.received_packets);
        // What is sent into silence is no evidence; its time does not count either.
        state.answered |= moved.received_bytes > 0;
        if state.answered && moved.sent_bytes | moved.received_bytes > 0 {
            if !state.timed {
                state.timed = true;
                pending.data_first = into;
                pending.data_last = into;
            }
            pending.data_first = pending.data_first.min(into);
            pending.data_last = pending.data_last.max(into);
        }
        true
    }

    /// The same by tuple.
    #[inline]
    pub fn record_tuple(&mut self, source: &Source, to: DestinationId, at_us: u64, moved: &Moved) -> bool {
        match self.tuple_index.get(&source.tuple(to)) {
            Some(&slot) => self.record(FlowId::new(slot, self.flows[slot as usize].used), at_us, moved),
            None => {
                self.counters.records_stale += 1;
                false
            }
        }
    }

    /// In a small window that is over.
    #[cold]
    fn record_past(&mut self, slot: usize, mut at_us: u64, moved: &Moved) {
        self.settle_flow(slot as u32);
        let (mut step, mut into) = self.steps.place(at_us);
        if step + self.l <= self.steps.current() {
            self.counters.records_late += 1;
            at_us = self.now_us;
            (step, into) = self.steps.place(at_us);
        }
        self.flows[slot].answered |= moved.received_bytes > 0;
        self.spread(slot, step, (at_us, at_us), (into, into), moved);
    }

    /// Lets pairs and hops know of everything that was recorded.
    pub(crate) fn settle(&mut self) {
        for at in 0..self.dirty_flows.len() {
            self.settle_flow(self.dirty_flows[at]);
        }
        self.dirty_flows.clear();
    }

    #[inline]
    pub(crate) fn settle_flow(&mut self, slot: u32) {
        let state = &mut self.flows[slot as usize];
        if !state.dirty {
            return;
        }
        (state.dirty, state.timed) = (false, false);
        let Pending { moved, first, last, data_first, data_last } = std::mem::take(&mut state.pending);
        let step = self.steps.current();
        let start_us = self.steps.start_us(step);
        let at = |into: u32| start_us.saturating_add(into.into());
        self.spread(slot as usize, step, (at(first), at(last)), (data_first, data_last), &moved);
    }

    /// To the tuple, its pair and its hop.
    fn spread(&mut self, slot: usize, step: u64, at_us: (u64, u64), into: (u32, u32), moved: &Moved) {
        let interval = &mut self.named[slot].interval;
        let answered = interval.received_bytes > 0;
        interval.record(at_us.0, &Moved::default());
        interval.record(at_us.1, moved);
        interval.first_us = interval.first_us.min(at_us.0);
        let data = match (answered, moved.received_bytes) {
            (false, 0) => 0,
            // Now all that was sent before is evidence, too.
            (false, _) => interval.bytes(),
            (true, received) => received.saturating_add(moved.sent_bytes),
        };
        let (hop, mut pair) = (self.flows[slot].hop, self.flows[slot].pair);
        if pair == NONE {
            // Late words of a flow that has ended: its hop may be another one by now.
            let named = &self.named[slot];
            let state = &self.hops[hop as usize];
            if !state.taken || state.used != named.hop_used {
                return;
            }
            let there = &self.destinations[named.destination as usize];
            if there.taken && there.used == named.destination_used {
                pair = self.find_pair(hop, named.destination).unwrap_or(NONE);
            }
        }
        self.add_to_hop(hop, step, into, &HopSums::moved(data, moved));
        let state = &mut self.hops[hop as usize];
        state.last_us = state.last_us.max(Some(at_us.1));
        if data > 0 && pair != NONE {
            // A pair looks back on K only.
            if step + self.k > self.steps.current() {
                self.add_to_pair(pair, step, into, &PairSums::data(data));
            }
            let state = &mut self.pairs[pair as usize];
            state.last_us = state.last_us.max(Some(at_us.1));
        }
    }

    /// The latest time, for records that follow.
    #[inline]
    pub fn advance(&mut self, now_us: u64) {
        self.at(now_us);
    }

    /// Everything that a flow has moved.
    pub fn flow_interval(&mut self, flow: FlowId) -> Option<&PacketInterval> {
        let slot = self.live(flow)?;
        self.settle_flow(slot);
        Some(&self.named[slot as usize].interval)
    }
}
