//! What leaves on fast links: at once where the kernel and the link's rate allow, else through the link's queue.
//!
//! Invariant: all queues together hold no more than their share of [`QUEUED_BYTES_MAX`]; a packet is sent, or waits, or is counted.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustc_hash::FxHashMap;
use wayfare_quic::Instant;
use wayfare_relay::egress::{Charge, EgressQueue, Filled, Limits, Payer, Rate, Storage};
use wayfare_types::{Counters, Reason};

use crate::links::LinkId;
use crate::udp::Udp;

/// What one send can hold: segments of Linux's UDP_MAX_SEGMENTS, bytes of an IPv4 packet less its headers.
pub(super) const SEGMENTS_MAX: usize = 64;
const UDP_BYTES_MAX: usize = 65_507;
/// The memory of all queues of a node.
pub(crate) const QUEUED_BYTES_MAX: usize = 16 << 20;
/// What a link with a rate may send at once after a pause.
const BURST: Duration = Duration::from_millis(5);

/// How many packets of this size one send holds.
pub(super) fn segments_max(packet_bytes: usize) -> usize {
    (UDP_BYTES_MAX / packet_bytes.max(1)).clamp(1, SEGMENTS_MAX)
}

/// Where a link's packets go, and from which of our addresses.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub to: SocketAddr,
    pub from: Option<IpAddr>,
}

/// Who pays for the packets of a batch.
#[derive(Clone, Copy)]
pub(crate) enum Payers<'a> {
    All(Payer),
    Each(&'a [Payer]),
}

impl Payers<'_> {
    fn of(self, packet: usize) -> Option<Payer> {
        match self {
            Self::All(payer) => Some(payer),
            Self::Each(payers) => payers.get(packet).copied(),
        }
    }
}

/// Packets of one size, behind one another in slices; the last may be shorter.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub link: LinkId,
    pub segment: usize,
    pub packets: usize,
    pub payers: Payers<'a>,
    pub slices: &'a [IoSlice<'a>],
}

/// A batch that the kernel had no room for when it came out of its queue, or none for all of it.
struct Held {
    link: LinkId,
    filled: Filled,
    bytes: Vec<u8>,
    /// How many of its packets have gone.
    gone: usize,
}

/// See the module.
pub(crate) struct Egress {
    start: Instant,
    rate: Option<Rate>,
    queues: FxHashMap<LinkId, EgressQueue>,
    /// Links whose queues hold something, in the order of their turns.
    turns: VecDeque<LinkId>,
    storage: Storage,
    held: Option<Held>,
    /// When a queue's rate lets the next packet go.
    due_at: Option<Instant>,
    buffer: Vec<u8>,
    /// What is owed by circuits that waited for links that are gone.
    charges: Vec<Charge>,
    /// Something has waited since charges were taken.
    owing: bool,
    /// What was sent since it was last asked: packets and bytes.
    pub sent: Vec<(LinkId, u64, u64)>,
}

impl Egress {
    /// `bytes_per_s`: what each link may send; 0 is as much as the kernel takes. `queued_bytes_max`: of all its queues.
    pub fn new(bytes_per_s: u64, queued_bytes_max: usize) -> Self {
        let burst_bytes = bytes_per_s.saturating_mul(BURST.as_millis() as u64) / 1000;
        Self {
            start: Instant::now(),
            rate: (bytes_per_s > 0).then_some(Rate { rate_bytes_per_s: bytes_per_s, burst_bytes }),
            queues: FxHashMap::default(),
            turns: VecDeque::new(),
            storage: Storage::new(queued_bytes_max),
            held: None,
            due_at: None,
            buffer: Vec::new(),
            charges: Vec::new(),
            owing: false,
            sent: Vec::new(),
        }
    }

    fn micros(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_micros() as u64
    }

    fn limits(&self) -> Limits {
        Limits { rate: self.rate, ..Limits::default() }
    }

    /// Sends a batch; what the kernel has no room for waits, and all of it where not all may go: who goes first then is the queue's
    /// to say.
    pub fn send(&mut self, now: Instant, sockets: &[Udp], route: Route, batch: Batch<'_>, counters: &mut Counters) {
        let Batch { link, segment, packets, payers, slices } = batch;
        let now_us = self.micros(now);
        // Only links that have had to wait, or have a rate, have a queue at all.
        if self.rate.is_some() {
            let limits = self.limits();
            self.queues.entry(link).or_insert_with(|| EgressQueue::new(limits, now_us));
        }
        let may = self.queues.get_mut(&link).is_none_or(|queue| queue.admit(now_us, segment, packets));
        let gone = if may { transmit(sockets, route, batch) } else { 0 };
        if gone > 0 {
            let bytes: usize = slices.iter().map(|s| s.len()).sum();
            self.sent.push((link, gone as u64, bytes.min(gone * segment) as u64));
        }
        if gone < packets {
            let each = slices.iter().flat_map(|s| s.chunks(segment.max(1))).enumerate().skip(gone);
            self.wait(now_us, link, each.filter_map(|(at, packet)| Some((packet, payers.of(at)?))), counters);
        }
    }

    /// Sends a control message past what waits, and past the rate; where the kernel has no room it waits before all data.
    pub fn send_control(
        &mut self,
        now: Instant,
        sockets: &[Udp],
        route: Route,
        link: LinkId,
        packet: &[u8],
        counters: &mut Counters,
    ) {
        let (payers, slices) = (Payers::All(Payer::LINK), &[IoSlice::new(packet)]);
        let batch = Batch { link, segment: packet.len(), packets: 1, payers, slices };
        if transmit(sockets, route, batch) == 0 {
            self.wait(self.micros(now), link, std::iter::once((packet, Payer::LINK)), counters);
        }
    }

    fn wait<'a>(
        &mut self,
        now_us: u64,
        link: LinkId,
        packets: impl Iterator<Item = (&'a [u8], Payer)>,
        counters: &mut Counters,
    ) {
        let limits = self.limits();
        let queue = self.queues.entry(link).or_insert_with(|| EgressQueue::new(limits, now_us));
        let idle = queue.is_empty();
        self.owing = true;
        for (packet, payer) in packets {
            if let Err(reason) = queue.push(now_us, packet, payer, &mut self.storage, counters) {
                counters.count(reason);
            }
        }
        if idle && !queue.is_empty() {
            self.turns.push_back(link);
            if let Some(at) = queue.next_at(now_us) {
                self.due(at);
            }
        }
    }

    fn due(&mut self, at_us: u64) {
        let at = self.start + Duration::from_micros(at_us);
        self.due_at = Some(self.due_at.map_or(at, |due| due.min(at)));
    }

    /// Sends what waits, as far as kernel and rates allow, a batch of each link in turn; whether anything went. `route` says
    /// where a link's packets go, if it still has a fast side.
    pub fn flush(
        &mut self,
        now: Instant,
        sockets: &[Udp],
        route: impl Fn(LinkId) -> Option<Route>,
        counters: &mut Counters,
    ) -> bool {
        if self.held.is_none() && self.turns.is_empty() {
            return false;
        }
        let now_us = self.micros(now);
        let mut any = false;
        self.due_at = None;
        loop {
            if let Some(held) = &mut self.held {
                let Held { link, filled: Filled { packets, stride }, bytes, gone } = held;
                let left = *packets - *gone;
                match route(*link) {
                    None => (0..left).for_each(|_| counters.count(Reason::LinkGone)),
                    Some(route) => {
                        let slices = &[IoSlice::new(&bytes[*gone * *stride..])];
                        // Out of its queue it waits for the kernel alone.
                        let payers = Payers::All(Payer::LINK);
                        let batch = Batch { link: *link, segment: *stride, packets: left, payers, slices };
                        let went = transmit(sockets, route, batch);
                        *gone += went;
                        if went > 0 {
                            self.sent.push((*link, went as u64, (went * *stride) as u64));
                        }
                        if went < left {
                            return any || went > 0;
                        }
                    }
                }
                any = true;
                self.buffer = self.held.take().map(|held| held.bytes).unwrap_or_default();
            }
            if !self.next(now_us, counters) {
                return any;
            }
        }
    }

    /// Takes the next batch out of a queue whose turn it is; `false` when none may go now.
    fn next(&mut self, now_us: u64, counters: &mut Counters) -> bool {
        for _ in 0..self.turns.len() {
            let Some(link) = self.turns.pop_front() else { return false };
            let Some(queue) = self.queues.get_mut(&link) else { continue };
            let mut bytes = std::mem::take(&mut self.buffer);
            bytes.clear();
            let filled = queue.fill(now_us, UDP_BYTES_MAX, SEGMENTS_MAX, &mut bytes, &mut self.storage, counters);
            if !queue.is_empty() {
                self.turns.push_back(link);
            }
            let Some(filled) = filled else {
                let next_at = queue.next_at(now_us);
                self.buffer = bytes;
                next_at.into_iter().for_each(|at| self.due(at));
                continue;
            };
            self.held = Some(Held { link, filled, bytes, gone: 0 });
            return true;
        }
        false
    }

    /// What circuits owe for having waited, since it was last asked.
    pub fn take_charges(&mut self, now: Instant, charges: &mut Vec<Charge>) {
        let now_us = self.micros(now);
        charges.append(&mut self.charges);
        for queue in self.queues.values_mut().filter(|queue| queue.flows() > 0) {
            queue.take_charges(now_us, &mut self.storage, |charge| charges.push(charge));
        }
        self.owing = self.queues.values().any(|queue| queue.flows() > 0);
    }

    /// Whether circuits may owe something.
    pub fn has_charges(&self) -> bool {
        self.owing
    }

    /// A link is gone, and what waited for it.
    pub fn forget(&mut self, link: LinkId, counters: &mut Counters) {
        if let Some(mut queue) = self.queues.remove(&link) {
            queue.take_charges(0, &mut self.storage, |charge| self.charges.push(charge));
            queue.clear(Reason::LinkGone, &mut self.storage, counters);
            self.turns.retain(|waiting| *waiting != link);
        }
    }

    /// Memory that packets take which wait, and buffers that are kept for those to come.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.storage.held_bytes()
    }

    /// When a rate lets more go.
    pub fn deadline(&self) -> Option<Instant> {
        self.due_at
    }

    /// The link whose batch waits for the kernel's buffer.
    pub fn blocked(&self) -> Option<LinkId> {
        self.held.as_ref().map(|held| held.link)
    }
}

pub(super) fn socket(sockets: &[Udp], to: SocketAddr) -> Option<&Udp> {
    sockets.iter().find(|s| s.address().is_ipv4() == to.is_ipv4())
}

/// Sends a batch past all queues; how many of its packets are gone, from the first on.
fn transmit(sockets: &[Udp], route: Route, batch: Batch<'_>) -> usize {
    let Batch { segment, packets, slices, .. } = batch;
    // A neighbour of a family that no socket is of has no session either.
    socket(sockets, route.to).map_or(packets, |s| s.send_gathered(route.to, route.from, segment, packets, slices))
}
