//! Tuples: found, opened, counted, closed, forgotten.

use wayfare_types::Random;

use crate::draw::How;
use crate::egress::{Egress, Refusal};
use crate::groups::Connection;
use crate::ids::{DestinationId, FlowId};
use crate::interval::PacketInterval;
use crate::record::Pending;
use crate::state::{Failed, Flow, Life, NONE, Named, Source, Tuple};

/// Failures of one destination that may still be retried.
const FAILED_MAX: usize = 64;
/// Hops that a chain of retries remembers.
const CHAIN_MAX: usize = 256;

/// A connection that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub flow: FlowId,
    pub hop: u32,
    pub how: How,
    /// Connections tried to the destination in the past K, this one included.
    pub connections: u32,
    /// The most that were tried to one destination in the past L.
    pub peak: u32,
}

/// What an opening is given besides its tuple.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Instead of a draw.
    pub hop: Option<u32>,
    /// Left out of the draw as long as that leaves a hop.
    pub avoid: &'a [u32],
}

impl Egress {
    #[inline]
    pub(crate) fn live(&self, flow: FlowId) -> Option<u32> {
        let state = self.flows.get(flow.slot())?;
        (flow.is_of(state.used) && state.life != Life::Free).then_some(flow.slot() as u32)
    }

    /// The flow of a tuple, live or remembered.
    #[inline]
    pub fn flow_find(&self, source: &Source, destination: DestinationId) -> Option<FlowId> {
        self.known(destination).ok()?;
        let &slot = self.tuple_index.get(&source.tuple(destination))?;
        Some(FlowId::new(slot, self.flows[slot as usize].used))
    }

    /// A connection; see `EgressBinding.flowOpen` in ts/core/egress.ts.
    pub fn flow_open<R: Random + ?Sized>(
        &mut self,
        now_us: u64,
        source: &Source,
        destination: DestinationId,
        asked: Asked<'_>,
        random: &mut R,
    ) -> Result<Opened, Refusal> {
        self.at(now_us);
        let tuple = source.tuple(destination);
        let (id, destination) = (destination, self.known(destination)?);
        let known = self.tuple_index.get(&tuple).copied();
        if let Some(slot) = known
            && self.flows[slot as usize].life == Life::Live
        {
            return Ok(self.opened(slot, destination, How::Sticky));
        }
        if let Some(hop) = asked.hop {
            let state = self.hops.get(hop as usize).filter(|state| state.taken).ok_or(Refusal::HopUnknown)?;
            if !state.in_window() {
                return Err(Refusal::HopGone);
            }
        }
        let address = tuple.address;
        let retried = self.retried(destination, &address);
        let (hop, how) = match (known.and_then(|slot| self.kept(slot, asked.avoid)), asked.hop) {
            (Some(hop), None) if retried.is_none() => (hop, How::Sticky),
            (_, Some(hop)) => (hop, How::Given),
            _ => {
                let chain = match retried {
                    Some(at) if self.weighting.avoid_tried => {
                        self.destinations[destination as usize].failed[at].hops.clone()
                    }
                    _ => Vec::new(),
                };
                self.choose(destination, asked.avoid, &chain, random).ok_or(Refusal::WindowEmpty)?
            }
        };
        let pair = self.pair(hop, destination)?;
        let slot = match known {
            Some(slot) => slot,
            None => self.new_flow(tuple, destination)?,
        };
        if let Some(at) = retried {
            let chain = self.destinations[destination as usize].failed.remove(at).hops;
            self.chains.insert(slot, chain);
        }
        self.pair_opened(pair);
        self.counts.add(destination as usize);
        self.idle_flows.remove(slot);
        self.settle_flow(slot);
        let hop_used = self.hops[hop as usize].used;
        let named = &mut self.named[slot as usize];
        // A connection's own: whether it was answered says nothing of the next one.
        named.interval = PacketInterval::default();
        (named.hop_used, named.serial) = (hop_used, self.log_first + self.log.len() as u64);
        let state = &mut self.flows[slot as usize];
        (state.hop, state.pair, state.life, state.answered) = (hop, pair, Life::Live, false);
        self.note(Connection {
            destination: id.number(),
            address,
            hop,
            start_us: self.now_us,
            end_us: None,
            failed: false,
        });
        Ok(self.opened(slot, destination, how))
    }

    fn opened(&self, slot: u32, destination: u32, how: How) -> Opened {
        let state = &self.flows[slot as usize];
        Opened {
            flow: FlowId::new(slot, state.used),
            hop: state.hop,
            how,
            connections: self.counts.sum(destination as usize, self.k),
            peak: self.counts.largest(),
        }
    }

    /// The hop of an idle tuple, if it may have it again.
    fn kept(&self, slot: u32, avoid: &[u32]) -> Option<u32> {
        let (hop, named) = (self.flows[slot as usize].hop, &self.named[slot as usize]);
        let state = &self.hops[hop as usize];
        let excluded = state.excluded_until_us > self.now_us
            || avoid.contains(&hop)
            || self
                .find_pair(hop, named.destination)
                .is_some_and(|pair| self.pairs[pair as usize].excluded_until_us > self.now_us);
        (state.in_window() && state.used == named.hop_used && !excluded).then_some(hop)
    }

    /// Which failure of the destination a connection from this address is the retry of: the one that waits longest.
    fn retried(&mut self, destination: u32, address: &[u64; 2]) -> Option<usize> {
        let failed = &mut self.destinations[destination as usize].failed;
        if failed.is_empty() {
            return None;
        }
        let since_us = self.now_us.saturating_sub(self.weighting.retry_within_us);
        failed.retain(|one| one.end_us >= since_us);
        failed.iter().position(|one| one.address == *address)
    }

    /// The hops that a connection from this address would be a retry of.
    pub fn retry_of(&mut self, now_us: u64, source: &Source, destination: DestinationId) -> Result<Vec<u32>, Refusal> {
        self.at(now_us);
        let destination = self.known(destination)?;
        let Some(at) = self.retried(destination, &source.words()) else { return Ok(Vec::new()) };
        let hops = self.destinations[destination as usize].failed[at].hops.iter();
        Ok(hops.filter(|&&(hop, used)| self.hops[hop as usize].used == used).map(|&(hop, _)| hop).collect())
    }

    fn new_flow(&mut self, tuple: Tuple, destination: u32) -> Result<u32, Refusal> {
        let slot = match self.flow_slots.take(self.limits.tuples) {
            Some(slot) => slot,
            None => {
                let Some(oldest) = self.idle_flows.oldest() else {
                    self.counters.refused += 1;
                    return Err(Refusal::Full);
                };
                self.counters.tuples_evicted += 1;
                self.drop_flow(oldest);
                self.flow_slots.take(self.limits.tuples).ok_or(Refusal::Full)?
            }
        };
        let destination_used = self.destinations[destination as usize].used;
        let interval = PacketInterval::default();
        let named = Named { interval, tuple, destination, destination_used, hop_used: 0, serial: 0 };
        let used = self.flows.get(slot as usize).map_or(0, |old| old.used.wrapping_add(1));
        let flow = Flow {
            pending: Pending::default(),
            hop: NONE,
            pair: NONE,
            used,
            life: Life::Idle,
            answered: false,
            timed: false,
            dirty: false,
        };
        if self.flows.len() <= slot as usize {
            self.flows.push(flow);
            self.named.push(named);
        } else {
            self.flows[slot as usize] = flow;
            self.named[slot as usize] = named;
        }
        self.tuple_index.insert(tuple, slot);
        Ok(slot)
    }

    fn note(&mut self, connection: Connection) {
        if self.limits.log == 0 {
            self.log_first += 1;
            return;
        }
        if self.log.len() == self.limits.log {
            self.log.pop_front();
            self.log_first += 1;
        }
        self.log.push_back(connection);
    }

    /// Another hop for a live flow to which nothing has come; false once something has.
    pub fn flow_move(&mut self, now_us: u64, flow: FlowId, hop: u32) -> Result<bool, Refusal> {
        self.at(now_us);
        let slot = self.live(flow).ok_or(Refusal::FlowUnknown)?;
        let state = self.hops.get(hop as usize).filter(|state| state.taken).ok_or(Refusal::HopUnknown)?;
        if !state.in_window() {
            return Err(Refusal::HopGone);
        }
        let used = state.used;
        let flow = &self.flows[slot as usize];
        if flow.life != Life::Live {
            return Err(Refusal::FlowUnknown);
        }
        if flow.answered {
            return Ok(false);
        }
        self.settle_flow(slot);
        let flow = &self.flows[slot as usize];
        let (old, destination) = (flow.pair, self.named[slot as usize].destination);
        let pair = self.pair(hop, destination)?;
        if pair == old {
            return Ok(true);
        }
        self.pair_opened(pair);
        self.pair_closed(old, false);
        let state = &mut self.flows[slot as usize];
        (state.hop, state.pair) = (hop, pair);
        self.named[slot as usize].hop_used = used;
        if let Some(connection) = self.logged(slot) {
            connection.hop = hop;
        }
        Ok(true)
    }

    fn logged(&mut self, slot: u32) -> Option<&mut Connection> {
        let at = self.named[slot as usize].serial.checked_sub(self.log_first)?;
        self.log.get_mut(at as usize)
    }

    /// It has ended; the tuple stays. `failed` counts against the hop if nothing came.
    pub fn flow_close(&mut self, now_us: u64, flow: FlowId, failed: bool) -> Result<(), Refusal> {
        self.at(now_us);
        let slot = self.live(flow).ok_or(Refusal::FlowUnknown)?;
        self.close(slot, failed);
        Ok(())
    }

    fn close(&mut self, slot: u32, failed: bool) {
        let now_us = self.now_us;
        self.settle_flow(slot);
        let state = &mut self.flows[slot as usize];
        if state.life != Life::Live {
            return;
        }
        let (hop, pair) = (state.hop, std::mem::replace(&mut state.pair, NONE));
        state.life = Life::Idle;
        let silent = !state.answered;
        self.idle_flows.push(slot);
        self.pair_closed(pair, failed && silent);
        if let Some(connection) = self.logged(slot) {
            (connection.end_us, connection.failed) = (Some(now_us), failed);
        }
        let chain = self.chains.remove(&slot);
        if !failed {
            return;
        }
        let named = &self.named[slot as usize];
        let mut hops = chain.unwrap_or_default();
        if hops.len() < CHAIN_MAX {
            hops.push((hop, named.hop_used));
        }
        let waiting = &mut self.destinations[named.destination as usize].failed;
        if waiting.len() == FAILED_MAX {
            waiting.remove(0);
        }
        waiting.push(Failed { address: named.tuple.address, end_us: now_us, hops });
    }

    /// The tuple's life is over: the next connection of its name is a new choice.
    pub fn flow_forget(&mut self, flow: FlowId) -> Result<(), Refusal> {
        let slot = self.live(flow).ok_or(Refusal::FlowUnknown)?;
        self.close(slot, false);
        self.drop_flow(slot);
        Ok(())
    }

    /// An idle one.
    fn drop_flow(&mut self, slot: u32) {
        self.settle_flow(slot);
        self.idle_flows.remove(slot);
        self.tuple_index.remove(&self.named[slot as usize].tuple);
        let state = &mut self.flows[slot as usize];
        (state.life, state.hop, state.pair) = (Life::Free, NONE, NONE);
        self.flow_slots.give(slot);
    }

    /// The hop that a flow has or had.
    pub fn flow_hop(&self, flow: FlowId) -> Option<u32> {
        self.live(flow).map(|slot| self.flows[slot as usize].hop)
    }
}
