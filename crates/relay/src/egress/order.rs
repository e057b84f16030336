//! Packets that wait, in three orders at once: the one to send next, the one to give up first, and the oldest.
//!
//! A flow's packets are a list in the order they came, and so are all of them by age. The flow whose first packet has the smallest
//! tag has the next turn. Orders among flows forget lazily: an entry that a later one of the same flow has replaced is skipped when
//! it comes up, and once those are more than the others they are swept out. So all that is done to a packet costs O(log flows),
//! amortised. The order of giving up is kept only while memory is short.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use rustc_hash::FxHashMap;

use super::Storage;
use super::flow::{Charge, Flow, NONE, Payer};

/// What empty orders keep of their memory, in entries.
const KEPT: usize = 64;
/// Where virtual time is set back to zero, all tags with it.
const REBASE: u64 = 1 << 62;

/// A packet in its two lists.
struct Place {
    packet: Vec<u8>,
    since_us: u64,
    flow: u32,
    older: u32,
    newer: u32,
    ahead: u32,
    behind: u32,
}

/// A flow's place in an order of flows.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Turn {
    tag: u64,
    number: u64,
    flow: u32,
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.tag, self.number).cmp(&(other.tag, other.number))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Order {
    places: Vec<Place>,
    free: Vec<u32>,
    live: usize,
    oldest: u32,
    newest: u32,
    flows: Vec<Flow>,
    free_flows: Vec<u32>,
    by_cid: FxHashMap<u32, u32>,
    /// Flows of which packets wait.
    waiting: usize,
    next: BinaryHeap<Reverse<Turn>>,
    /// By the tag of a flow's last packet, while `pressed`.
    worst: BinaryHeap<Turn>,
    pressed: bool,
    /// The tag of the packet that was sent last.
    virtual_tag: u64,
    /// Where the packet ended that ended last.
    latest: u64,
    number: u64,
    unclaimed: Charge,
}

impl Order {
    pub fn len(&self) -> usize {
        self.live
    }

    /// Flows that it knows.
    pub fn flows(&self) -> usize {
        self.by_cid.len()
    }

    /// Its packet that has waited longest: since when, and its bytes.
    pub fn oldest(&self) -> Option<(u64, usize)> {
        let place = (self.live > 0).then(|| self.places.get(self.oldest as usize))??;
        Some((place.since_us, place.packet.len()))
    }

    pub fn push(&mut self, now_us: u64, packet: Vec<u8>, payer: Payer, storage: &mut Storage) {
        let at = self.flow(now_us, payer, storage);
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        let flow = &mut self.flows[at as usize];
        let ahead = flow.last;
        flow.last = place;
        let begins = !flow.waits();
        if begins {
            (flow.first, flow.since_us) = (place, now_us);
            flow.tag = flow.tag.max(self.virtual_tag);
        } else {
            self.places[ahead as usize].behind = place;
        }
        flow.bytes += packet.len() as u64;
        let older = if self.live > 0 { self.newest } else { NONE };
        let held = Place { packet, since_us: now_us, flow: at, older, newer: NONE, ahead, behind: NONE };
        match self.places.get_mut(place as usize) {
            Some(free) => *free = held,
            None => self.places.push(held),
        }
        match older {
            NONE => self.oldest = place,
            older => self.places[older as usize].newer = place,
        }
        self.newest = place;
        self.live += 1;
        if begins {
            self.waiting += 1;
            self.take_turn(at);
        }
        self.stamp(at);
    }

    /// Where the state of a payer's flow is, which has this weight from now on.
    fn flow(&mut self, now_us: u64, payer: Payer, storage: &mut Storage) -> u32 {
        if let Some(&at) = self.by_cid.get(&payer.cid) {
            let flow = &mut self.flows[at as usize];
            if !flow.waits() {
                storage.drop_flow();
            }
            if flow.weight != payer.weight {
                flow.settle(now_us);
                flow.reweigh(payer.weight, self.virtual_tag);
                if flow.waits() {
                    self.take_turn(at);
                }
            }
            return at;
        }
        let flow = Flow::new(payer);
        let at = self.free_flows.pop().unwrap_or(self.flows.len() as u32);
        match self.flows.get_mut(at as usize) {
            Some(free) => *free = flow,
            None => self.flows.push(flow),
        }
        self.by_cid.insert(payer.cid, at);
        at
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Enters a flow in the order of turns, in place of where it was.
    fn take_turn(&mut self, at: u32) {
        let number = self.number();
        let flow = &mut self.flows[at as usize];
        flow.turn = number;
        self.next.push(Reverse(Turn { tag: flow.tag, number, flow: at }));
        if self.next.len() > 2 * self.waiting + KEPT {
            let flows = &self.flows;
            self.next.retain(|Reverse(turn)| flows[turn.flow as usize].turn == turn.number);
        }
    }

    /// Enters a flow among those to give up first.
    fn stamp(&mut self, at: u32) {
        if !self.pressed {
            return;
        }
        let number = self.number();
        let tag = self.last_tag(at);
        let flow = &mut self.flows[at as usize];
        flow.stamp = number;
        if flow.waits() {
            self.worst.push(Turn { tag, number, flow: at });
        }
        if self.worst.len() > 2 * self.waiting + KEPT {
            let flows = &self.flows;
            self.worst.retain(|turn| flows[turn.flow as usize].stamp == turn.number);
        }
    }

    /// The tag of a flow's last packet.
    fn last_tag(&self, at: u32) -> u64 {
        let flow = &self.flows[at as usize];
        let last = self.places.get(flow.last as usize).map_or(0, |place| place.packet.len() as u64);
        flow.tag.saturating_add(flow.span(flow.bytes.saturating_sub(last)))
    }

    /// The tag that a payer's next packet would have.
    pub fn tag_of(&self, payer: Payer) -> u64 {
        match self.by_cid.get(&payer.cid).map(|&at| &self.flows[at as usize]) {
            Some(flow) => flow.tag.max(self.virtual_tag).saturating_add(flow.span(flow.bytes)),
            None => self.virtual_tag,
        }
    }

    /// The bytes of the packet to send next.
    pub fn next_bytes(&mut self) -> Option<usize> {
        while let Some(&Reverse(turn)) = self.next.peek() {
            let flow = &self.flows[turn.flow as usize];
            if flow.turn == turn.number {
                return self.places.get(flow.first as usize).map(|place| place.packet.len());
            }
            self.next.pop();
        }
        None
    }

    pub fn take_next(&mut self, now_us: u64, storage: &mut Storage) -> Option<Vec<u8>> {
        let bytes = self.next_bytes()? as u64;
        let number = self.number();
        let mut top = self.next.peek_mut()?;
        let Turn { tag, flow: at, .. } = top.0;
        let flow = &mut self.flows[at as usize];
        let place = flow.first;
        self.virtual_tag = tag;
        flow.tag = tag.saturating_add(flow.span(bytes));
        flow.owed.bytes += bytes;
        self.latest = self.latest.max(flow.tag);
        if flow.last == place {
            PeekMut::pop(top);
        } else {
            flow.turn = number;
            *top = Reverse(Turn { tag: flow.tag, number, flow: at });
            drop(top);
        }
        if self.virtual_tag > REBASE {
            self.rebase();
        }
        self.remove(now_us, place, storage)
    }

    pub fn take_oldest(&mut self, now_us: u64, storage: &mut Storage) -> Option<Vec<u8>> {
        let place = (self.live > 0).then_some(self.oldest)?;
        let at = self.places[place as usize].flow;
        let packet = self.remove(now_us, place, storage);
        self.stamp(at);
        packet
    }

    /// The greatest tag there is.
    pub fn worst(&mut self) -> Option<u64> {
        if !self.pressed {
            self.pressed = true;
            self.worst.clear();
            (0..self.flows.len() as u32).for_each(|at| self.stamp(at));
        }
        while let Some(&Turn { tag, number, flow }) = self.worst.peek() {
            if self.flows[flow as usize].stamp == number {
                return Some(tag);
            }
            self.worst.pop();
        }
        None
    }

    /// Takes the packet with the greatest tag.
    pub fn take_worst(&mut self, now_us: u64, storage: &mut Storage) -> Option<Vec<u8>> {
        self.worst()?;
        let at = self.worst.pop()?.flow;
        let packet = self.remove(now_us, self.flows[at as usize].last, storage);
        self.stamp(at);
        packet
    }

    /// Takes the first or the last packet of a flow.
    fn remove(&mut self, now_us: u64, at: u32, storage: &mut Storage) -> Option<Vec<u8>> {
        let place = self.places.get_mut(at as usize)?;
        let packet = std::mem::take(&mut place.packet);
        let Place { flow: flow_at, older, newer, ahead, behind, .. } = *place;
        let flow = &mut self.flows[flow_at as usize];
        flow.bytes -= packet.len() as u64;
        if flow.first == at && flow.last == at {
            flow.settle(now_us);
            (flow.first, flow.last) = (NONE, NONE);
            (flow.turn, flow.stamp) = (0, 0);
            self.waiting -= 1;
        } else if flow.first == at {
            flow.first = behind;
            self.places[behind as usize].ahead = NONE;
        } else {
            flow.last = ahead;
            self.places[ahead as usize].behind = NONE;
        }
        match older {
            NONE => self.oldest = newer,
            older => self.places[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.places[newer as usize].older = older,
        }
        self.free.push(at);
        self.live -= 1;
        if !self.flows[flow_at as usize].waits() && !storage.keep_flow() {
            self.forget_some(flow_at, storage);
        }
        if self.live == 0 {
            self.rest();
        }
        Some(packet)
    }

    /// Nothing waits: a busy period is over, and nobody has had too much.
    fn rest(&mut self) {
        self.virtual_tag = self.latest;
        self.next.clear();
        self.worst.clear();
        self.pressed = false;
        self.places.clear();
        self.free.clear();
        self.next.shrink_to(KEPT);
        self.worst.shrink_to(KEPT);
        self.places.shrink_to(KEPT);
        self.free.shrink_to(KEPT);
    }

    /// There is no memory to keep the state of flow `last`, too, of which nothing waits: gives up those of the half that is
    /// nearest to having had no more than the others.
    fn forget_some(&mut self, last: u32, storage: &mut Storage) {
        let mut idle: Vec<(u64, u32)> = self.by_cid.values().map(|&at| (self.flows[at as usize].tag, at)).collect();
        idle.retain(|&(_, at)| at != last && !self.flows[at as usize].waits());
        let half = idle.len().div_ceil(2);
        if half < idle.len() {
            idle.select_nth_unstable(half);
        }
        for &(_, at) in &idle[..half] {
            let owed = self.forget(at);
            self.unclaimed.add(&owed);
            storage.drop_flow();
        }
        if !storage.keep_flow() {
            let owed = self.forget(last);
            self.unclaimed.add(&owed);
        }
    }

    fn forget(&mut self, at: u32) -> Charge {
        let owed = self.flows[at as usize].owed;
        self.by_cid.remove(&owed.cid);
        self.free_flows.push(at);
        owed
    }

    /// Hands out what flows owe since they were last asked, and forgets those that have had no more than virtual time allows.
    pub fn take_charges(&mut self, now_us: u64, storage: &mut Storage, mut each: impl FnMut(Charge)) {
        let mut gone = Vec::new();
        for &at in self.by_cid.values() {
            let flow = &mut self.flows[at as usize];
            flow.settle(now_us);
            let owed = flow.owed;
            flow.owed = Charge { cid: owed.cid, ..Charge::default() };
            if !owed.is_zero() {
                each(owed);
            }
            if !flow.waits() && flow.tag <= self.virtual_tag {
                gone.push(at);
            }
        }
        for at in gone {
            self.forget(at);
            storage.drop_flow();
        }
        if self.by_cid.is_empty() {
            self.flows.clear();
            self.free_flows.clear();
            self.flows.shrink_to(KEPT);
            self.free_flows.shrink_to(KEPT);
            self.by_cid.shrink_to(KEPT);
        }
        let unclaimed = std::mem::take(&mut self.unclaimed);
        if !unclaimed.is_zero() {
            each(unclaimed);
        }
    }

    fn rebase(&mut self) {
        let by = self.virtual_tag;
        self.flows.iter_mut().for_each(|flow| flow.tag = flow.tag.saturating_sub(by));
        let back = |turn: Turn| Turn { tag: turn.tag.saturating_sub(by), ..turn };
        self.next = std::mem::take(&mut self.next).into_iter().map(|Reverse(turn)| Reverse(back(turn))).collect();
        self.worst = std::mem::take(&mut self.worst).into_iter().map(back).collect();
        (self.latest, self.virtual_tag) = (self.latest - by, 0);
    }
}
