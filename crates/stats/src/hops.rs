//! Hops, destinations and pairs: how they come, go and make room.

use crate::buckets::Buckets;
use crate::egress::{Egress, Refusal};
use crate::ids::DestinationId;
use crate::state::{Destination, Hop, HopSums, NONE, Pair, PairSums};

impl Egress {
    /// A hop in the window; its id. `Full` where there are as many as may be.
    pub fn hop_add(&mut self, now_us: u64, estimate: f64) -> Result<u32, Refusal> {
        self.at(now_us);
        let slot = self.hop_slots.take(self.limits.hops).ok_or(Refusal::Full)?;
        if self.hops.len() <= slot as usize {
            self.hops.push(Hop::default());
        }
        let old = &self.hops[slot as usize];
        self.hops[slot as usize] = Hop {
            used: old.used.wrapping_add(1),
            taken: true,
            place: self.window.len() as u32,
            dirty: old.dirty,
            estimate,
            added_us: self.now_us,
            ..Hop::default()
        };
        self.window.push(slot);
        self.hop_windows.reset(slot as usize);
        self.mark_hop(slot);
        Ok(slot)
    }

    fn hop_mut(&mut self, hop: u32) -> Result<&mut Hop, Refusal> {
        self.hops.get_mut(hop as usize).filter(|state| state.taken).ok_or(Refusal::HopUnknown)
    }

    pub fn hop_estimate(&mut self, hop: u32, estimate: f64) -> Result<(), Refusal> {
        self.hop_mut(hop)?.estimate = estimate;
        self.mark_hop(hop);
        Ok(())
    }

    /// Out of the window: its flows go on, others do not come.
    pub fn hop_remove(&mut self, now_us: u64, hop: u32) -> Result<(), Refusal> {
        self.at(now_us);
        let place = std::mem::replace(&mut self.hop_mut(hop)?.place, NONE);
        if place != NONE {
            self.window.swap_remove(place as usize);
            if let Some(&moved) = self.window.get(place as usize) {
                self.hops[moved as usize].place = place;
            }
            self.mark_hop(hop);
        }
        Ok(())
    }

    /// Frees the id of a removed hop, once no flow is live on it.
    pub fn hop_release(&mut self, hop: u32) -> Result<bool, Refusal> {
        self.settle();
        let state = self.hop_mut(hop)?;
        if state.place != NONE || state.flows > 0 {
            return Ok(false);
        }
        state.taken = false;
        self.mark_hop(hop);
        self.hop_slots.give(hop);
        Ok(true)
    }

    /// No draw gives it before then.
    pub fn hop_exclude(&mut self, hop: u32, until_us: u64) -> Result<(), Refusal> {
        self.hop_mut(hop)?.excluded_until_us = until_us;
        if until_us > 0 {
            self.hop_returns_us = self.hop_returns_us.min(until_us);
        }
        self.mark_hop(hop);
        Ok(())
    }

    /// Hops that flows are given to.
    pub fn window(&self) -> &[u32] {
        &self.window
    }

    /// The id of a (host, port), known or new.
    pub fn destination(&mut self, now_us: u64, key: &[u8]) -> Result<DestinationId, Refusal> {
        self.at(now_us);
        if let Some(&slot) = self.destination_index.get(key) {
            let state = &self.destinations[slot as usize];
            let id = DestinationId::new(slot, state.used);
            if state.flows == 0 {
                self.idle_destinations.push(slot);
            }
            return Ok(id);
        }
        let slot = match self.destination_slots.take(self.limits.destinations) {
            Some(slot) => slot,
            None => {
                let Some(oldest) = self.idle_destinations.oldest() else {
                    self.counters.refused += 1;
                    return Err(Refusal::Full);
                };
                self.counters.destinations_evicted += 1;
                self.drop_destination(oldest);
                self.destination_slots.take(self.limits.destinations).ok_or(Refusal::Full)?
            }
        };
        let used = self.destinations.get(slot as usize).map_or(0, |old| old.used.wrapping_add(1));
        let state = Destination {
            used,
            taken: true,
            key: key.into(),
            flows: 0,
            last_us: None,
            pairs: Vec::new(),
            buckets: Buckets::new(self.weighting.octaves),
            dirty: Vec::new(),
            failed: Vec::new(),
        };
        match self.destinations.get_mut(slot as usize) {
            Some(old) => *old = state,
            None => self.destinations.push(state),
        }
        self.counts.reset(slot as usize);
        self.destination_index.insert(key.into(), slot);
        self.idle_destinations.push(slot);
        Ok(DestinationId::new(slot, used))
    }

    /// Empty once it is forgotten.
    pub fn destination_key(&self, id: DestinationId) -> &[u8] {
        self.known(id).map_or(&[], |slot| &self.destinations[slot as usize].key)
    }

    /// One without live flows.
    fn drop_destination(&mut self, slot: u32) {
        while let Some(&pair) = self.destinations[slot as usize].pairs.last() {
            self.drop_pair(pair);
        }
        self.idle_destinations.remove(slot);
        self.counts.reset(slot as usize);
        let state = &mut self.destinations[slot as usize];
        state.taken = false;
        (state.dirty, state.failed) = (Vec::new(), Vec::new());
        let key = std::mem::take(&mut state.key);
        self.destination_index.remove(&key);
        self.destination_slots.give(slot);
    }

    /// Connections tried to it in the past span, at most L; see [`crate::counts::Counts::estimate`] for what is exact.
    pub fn connections(&mut self, now_us: u64, id: DestinationId, span_us: u64) -> Result<f64, Refusal> {
        self.at(now_us);
        let slot = self.known(id)?;
        Ok(self.counts.estimate(slot as usize, &self.steps, self.now_us, span_us))
    }

    /// The largest count of one destination in the past L.
    pub fn connections_peak(&mut self, now_us: u64) -> u32 {
        self.at(now_us);
        self.counts.largest()
    }

    /// No draw for this destination gives the hop before then, as long as there is another.
    pub fn pair_exclude(&mut self, now_us: u64, hop: u32, id: DestinationId, until_us: u64) -> Result<(), Refusal> {
        self.at(now_us);
        self.hop_mut(hop)?;
        let destination = self.known(id)?;
        let pair = self.pair(hop, destination)?;
        self.pairs[pair as usize].excluded_until_us = until_us;
        self.mark_pair(pair);
        Ok(())
    }

    /// The pair of a hop and a destination, if there is one of these very uses.
    #[inline]
    pub(crate) fn find_pair(&self, hop: u32, destination: u32) -> Option<u32> {
        let pair = *self.pair_index.get(&(u64::from(hop) << 32 | u64::from(destination)))?;
        (self.pairs[pair as usize].hop_used == self.hops[hop as usize].used).then_some(pair)
    }

    /// The pair of a hop and a destination, made if there is none.
    pub(crate) fn pair(&mut self, hop: u32, destination: u32) -> Result<u32, Refusal> {
        if let Some(pair) = self.find_pair(hop, destination) {
            return Ok(pair);
        }
        let key = u64::from(hop) << 32 | u64::from(destination);
        // Of an earlier use of the hop's id, which is over: nothing is live on it.
        if let Some(&old) = self.pair_index.get(&key) {
            self.drop_pair(old);
        }
        let slot = match self.pair_slots.take(self.limits.pairs) {
            Some(slot) => slot,
            None => {
                let Some(oldest) = self.idle_pairs.oldest() else {
                    self.counters.refused += 1;
                    return Err(Refusal::Full);
                };
                self.counters.pairs_evicted += 1;
                self.drop_pair(oldest);
                self.pair_slots.take(self.limits.pairs).ok_or(Refusal::Full)?
            }
        };
        let siblings = &mut self.destinations[destination as usize].pairs;
        let state = Pair {
            hop,
            hop_used: self.hops[hop as usize].used,
            destination,
            place: siblings.len() as u32,
            weight: 0,
            index: 0,
            dirty: false,
            failing: false,
            flows: 0,
            attempts: 0,
            last_us: None,
            excluded_until_us: 0,
        };
        siblings.push(slot);
        match self.pairs.get_mut(slot as usize) {
            Some(old) => *old = state,
            None => self.pairs.push(state),
        }
        self.pair_windows.reset(slot as usize);
        self.pair_index.insert(key, slot);
        self.idle_pairs.push(slot);
        Ok(slot)
    }

    /// One without live flows.
    pub(crate) fn drop_pair(&mut self, pair: u32) {
        self.weigh_pair(pair, 0);
        self.idle_pairs.remove(pair);
        let Pair { hop, destination, place, .. } = self.pairs[pair as usize];
        let siblings = &mut self.destinations[destination as usize].pairs;
        siblings.swap_remove(place as usize);
        if let Some(&moved) = siblings.get(place as usize) {
            self.pairs[moved as usize].place = place;
        }
        self.pair_index.remove(&(u64::from(hop) << 32 | u64::from(destination)));
        let state = &mut self.pairs[pair as usize];
        (state.place, state.dirty) = (NONE, false);
        self.pair_slots.give(pair);
    }

    /// A connection is tried through a pair.
    pub(crate) fn pair_opened(&mut self, pair: u32) {
        let Pair { hop, destination, .. } = self.pairs[pair as usize];
        let (step, into_us) = self.steps.place(self.now_us);
        let counted = PairSums { opened: 1, ..PairSums::default() };
        self.add_to_hop(hop, step, (into_us, into_us), &HopSums { counted, ..HopSums::default() });
        self.add_to_pair(pair, step, (into_us, into_us), &counted);
        let state = &mut self.pairs[pair as usize];
        state.flows += 1;
        state.last_us = Some(self.now_us);
        self.idle_pairs.remove(pair);
        self.hops[hop as usize].flows += 1;
        let state = &mut self.destinations[destination as usize];
        state.flows += 1;
        state.last_us = Some(self.now_us);
        self.idle_destinations.remove(destination);
    }

    /// It is over; `failed`: nothing came of it.
    pub(crate) fn pair_closed(&mut self, pair: u32, failed: bool) {
        let Pair { hop, destination, .. } = self.pairs[pair as usize];
        if failed {
            let (step, into_us) = self.steps.place(self.now_us);
            let counted = PairSums { failed: 1, ..PairSums::default() };
            self.add_to_hop(hop, step, (into_us, into_us), &HopSums { counted, ..HopSums::default() });
            self.add_to_pair(pair, step, (into_us, into_us), &counted);
        }
        let flows = &mut self.hops[hop as usize].flows;
        *flows = flows.saturating_sub(1);
        let state = &mut self.pairs[pair as usize];
        state.flows = state.flows.saturating_sub(1);
        if state.flows == 0 {
            self.idle_pairs.push(pair);
        }
        let state = &mut self.destinations[destination as usize];
        state.flows = state.flows.saturating_sub(1);
        if state.flows == 0 {
            self.idle_destinations.push(destination);
        }
    }

    /// An attempt beside a flow's own, in a race.
    pub fn attempt_open(&mut self, now_us: u64, id: DestinationId, hop: u32) -> Result<(), Refusal> {
        self.at(now_us);
        if !self.hop_mut(hop)?.in_window() {
            return Err(Refusal::HopGone);
        }
        let destination = self.known(id)?;
        let pair = self.pair(hop, destination)?;
        self.pairs[pair as usize].attempts += 1;
        self.pair_opened(pair);
        Ok(())
    }

    /// Its end. One that was never opened is ignored.
    pub fn attempt_close(&mut self, now_us: u64, id: DestinationId, hop: u32, failed: bool) -> Result<(), Refusal> {
        self.at(now_us);
        self.hop_mut(hop)?;
        let destination = self.known(id)?;
        if let Some(pair) = self.find_pair(hop, destination)
            && let Some(others) = self.pairs[pair as usize].attempts.checked_sub(1)
        {
            self.pairs[pair as usize].attempts = others;
            self.pair_closed(pair, failed);
        }
        Ok(())
    }
}
