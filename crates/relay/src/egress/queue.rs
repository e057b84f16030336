//! The queue of one link.

use std::collections::VecDeque;

use wayfare_types::{Counters, Reason};

use super::codel::{Codel, Standing};
use super::flow::{Charge, Payer};
use super::order::Order;
use super::{PACKET_BYTES_MAX, Rate, Storage, TokenBucket};

/// How a link's queue behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory that the link's packets may take, whatever is free in the storage.
    pub memory_bytes: usize,
    /// CoDel: the delay that may stand.
    pub target_us: u64,
    /// CoDel: for how long, in the order of a round trip.
    pub interval_us: u64,
    /// No data packet goes out that has waited longer. To be well above the time a packet takes at the link's rate.
    pub delay_us_max: u64,
    /// What the link may send; `None` is as much as its socket takes.
    pub rate: Option<Rate>,
}

impl Default for Limits {
    /// CoDel's own constants (RFC 8289, sections 4.2 and 4.3), an interval as the longest wait, 4 MiB.
    fn default() -> Self {
        Self { memory_bytes: 4 << 20, target_us: 5_000, interval_us: 100_000, delay_us_max: 100_000, rate: None }
    }
}

/// Packets of one size, behind one another, as segmentation offload takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    pub packets: usize,
    /// Bytes of each.
    pub stride: usize,
}

/// Time as the queue counts it: a clock that is set back stands still, and goes on from there.
struct Clock {
    now_us: u64,
    seen_us: u64,
}

impl Clock {
    fn at(&mut self, seen_us: u64) -> u64 {
        self.now_us = self.now_us.saturating_add(seen_us.saturating_sub(self.seen_us));
        self.seen_us = seen_us;
        self.now_us
    }
}

/// The packets, and what they take.
#[derive(Default)]
struct Backlog {
    data: Order,
    control: VecDeque<Vec<u8>>,
    data_bytes: usize,
    control_bytes: usize,
    memory_bytes: usize,
    largest_bytes: usize,
}

impl Backlog {
    fn release(&mut self, gone: Vec<u8>, control: bool, storage: &mut Storage) {
        let bytes = gone.len();
        let sum = if control { &mut self.control_bytes } else { &mut self.data_bytes };
        *sum -= bytes;
        self.memory_bytes -= Storage::cost(bytes).unwrap_or_default();
        storage.give(gone);
    }

    fn next_bytes(&mut self) -> Option<usize> {
        match self.control.front() {
            Some(first) => Some(first.len()),
            None => self.data.next_bytes(),
        }
    }
}

/// The data that waits, where CoDel drops from it.
struct Aging<'a> {
    backlog: &'a mut Backlog,
    storage: &'a mut Storage,
    counters: &'a mut Counters,
    now_us: u64,
}

impl Standing for Aging<'_> {
    fn oldest(&self, now_us: u64) -> Option<(u64, usize)> {
        let (since_us, bytes) = self.backlog.data.oldest()?;
        Some((now_us - since_us, self.backlog.data_bytes - bytes))
    }

    fn drop_oldest(&mut self) {
        if let Some(gone) = self.backlog.data.take_oldest(self.now_us, self.storage) {
            self.counters.count(Reason::QueueDelay);
            self.backlog.release(gone, false, self.storage);
        }
    }

    fn largest_bytes(&self) -> usize {
        self.backlog.largest_bytes
    }
}

/// See the module [`egress`](super).
pub struct EgressQueue {
    limits: Limits,
    bucket: Option<TokenBucket>,
    codel: Codel,
    /// CoDel has judged for the next data packet, which then did not fit.
    judged: bool,
    backlog: Backlog,
    clock: Clock,
}

impl EgressQueue {
    /// An empty queue, which has no memory yet. A rate's burst is at least the longest packet, so that each may go.
    pub fn new(mut limits: Limits, now_us: u64) -> Self {
        if let Some(rate) = &mut limits.rate {
            rate.burst_bytes = rate.burst_bytes.max(PACKET_BYTES_MAX as u64);
        }
        Self {
            limits,
            bucket: limits.rate.map(|rate| TokenBucket::new(rate, now_us)),
            codel: Codel::new(limits.target_us, limits.interval_us),
            judged: false,
            backlog: Backlog::default(),
            clock: Clock { now_us: 0, seen_us: now_us },
        }
    }

    /// Nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.backlog.memory_bytes == 0
    }

    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.backlog.control.len() + self.backlog.data.len()
    }

    /// Bytes of the packets that wait.
    pub fn bytes(&self) -> usize {
        self.backlog.data_bytes + self.backlog.control_bytes
    }

    /// Memory that they take of the storage.
    pub fn memory_bytes(&self) -> usize {
        self.backlog.memory_bytes
    }

    /// Whether `packets` packets, of `stride` bytes each, may go past the queue at once; the rate is charged for them then. None
    /// may while others wait, and those that may not all go are to be pushed, all of them: the queue knows which go first.
    #[inline]
    pub fn admit(&mut self, now_us: u64, stride: usize, packets: usize) -> bool {
        if !self.is_empty() {
            return false;
        }
        let Some(bucket) = &mut self.bucket else { return true };
        let bytes = stride as u64 * packets as u64;
        let may = bytes <= bucket.bytes(now_us);
        if may {
            bucket.spend(bytes);
        }
        may
    }

    /// Lets a packet wait. Where there is no room, data gives way that is too old or that has a greater tag: fewer credits per
    /// byte of what its flow lets wait. It is counted here, the packet itself is the caller's to count.
    ///
    /// # Errors
    /// [`Reason::QueueFull`]; [`Reason::PacketSize`] for more than [`PACKET_BYTES_MAX`]; [`Reason::PacketTruncated`] for
    /// nothing.
    pub fn push(
        &mut self,
        now_us: u64,
        packet: &[u8],
        payer: Payer,
        storage: &mut Storage,
        counters: &mut Counters,
    ) -> Result<(), Reason> {
        let since_us = self.clock.at(now_us);
        if packet.is_empty() {
            return Err(Reason::PacketTruncated);
        }
        let cost = Storage::cost(packet.len())?;
        let control = payer.is_link();
        while !self.fits(cost, control, storage) {
            let data = &mut self.backlog.data;
            let (gone, reason) = if self.limits.stale(data.oldest(), since_us) {
                (data.take_oldest(since_us, storage), Reason::QueueDelay)
            } else if data.worst().is_some_and(|worst| control || worst > data.tag_of(payer)) {
                (data.take_worst(since_us, storage), Reason::QueueFull)
            } else {
                return Err(Reason::QueueFull);
            };
            counters.count(reason);
            gone.into_iter().for_each(|gone| self.backlog.release(gone, false, storage));
        }
        let held = storage.put(packet)?;
        self.backlog.memory_bytes += cost;
        self.backlog.largest_bytes = self.backlog.largest_bytes.max(packet.len());
        if control {
            self.backlog.control_bytes += packet.len();
            self.backlog.control.push_back(held);
        } else {
            self.backlog.data_bytes += packet.len();
            self.backlog.data.push(since_us, held, payer, storage);
        }
        Ok(())
    }

    fn fits(&self, cost: usize, control: bool, storage: &Storage) -> bool {
        let held = self.backlog.memory_bytes;
        held + cost <= self.limits.memory_bytes && storage.fits(held, cost, control)
    }

    /// Appends to `out` what goes next: as many packets of one size as `bytes_max`, `packets_max` and the rate allow,
    /// which is charged for them. `None` when none may go now; [`EgressQueue::next_at`] says when.
    pub fn fill(
        &mut self,
        now_us: u64,
        bytes_max: usize,
        packets_max: usize,
        out: &mut Vec<u8>,
        storage: &mut Storage,
        counters: &mut Counters,
    ) -> Option<Filled> {
        let now = self.clock.at(now_us);
        let tokens = self.bucket.as_mut().map_or(u64::MAX, |bucket| bucket.bytes(now_us));
        let mut left = usize::try_from(tokens).unwrap_or(usize::MAX).min(bytes_max);
        let mut filled = Filled { packets: 0, stride: 0 };
        let goes = |filled: Filled, left: usize, length: usize| {
            length <= left && (filled.packets == 0 || filled.stride == length)
        };
        while filled.packets < packets_max {
            // The queue is judged when a packet can go, and once for each that goes.
            if !self.backlog.next_bytes().is_some_and(|length| goes(filled, left, length)) {
                break;
            }
            let control = !self.backlog.control.is_empty();
            if !control {
                self.shorten(now, storage, counters);
            }
            let Some(length) = self.backlog.next_bytes().filter(|&length| goes(filled, left, length)) else { break };
            let Backlog { control: first, data, .. } = &mut self.backlog;
            let Some(taken) = first.pop_front().or_else(|| data.take_next(now, storage)) else { break };
            self.judged &= control;
            out.extend_from_slice(&taken);
            self.backlog.release(taken, control, storage);
            filled = Filled { packets: filled.packets + 1, stride: length };
            left -= length;
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.spend((filled.packets * filled.stride) as u64);
        }
        (filled.packets > 0).then_some(filled)
    }

    /// Drops what has waited too long, and what CoDel says.
    fn shorten(&mut self, now_us: u64, storage: &mut Storage, counters: &mut Counters) {
        let mut aging = Aging { backlog: &mut self.backlog, storage, counters, now_us };
        while self.limits.stale(aging.backlog.data.oldest(), now_us) {
            aging.drop_oldest();
        }
        if !self.judged {
            self.codel.dequeue(now_us, &mut aging);
            self.judged = true;
        }
    }

    /// When the next packet may go, as far as the rate is concerned; `None` while nothing waits, or if the rate is zero.
    pub fn next_at(&mut self, now_us: u64) -> Option<u64> {
        let length = self.backlog.next_bytes()? as u64;
        let Some(bucket) = &mut self.bucket else { return Some(now_us) };
        bucket.bytes(now_us);
        bucket.next_at(length)
    }

    /// Hands out what flows owe for having waited since this was last asked, and forgets flows that no longer matter. A queue that
    /// nobody asks keeps what fits, and what flows owed that it has forgotten, in one sum.
    pub fn take_charges(&mut self, now_us: u64, storage: &mut Storage, each: impl FnMut(Charge)) {
        let now = self.clock.at(now_us);
        self.backlog.data.take_charges(now, storage, each);
    }

    /// Flows that it knows: those that wait, those that have had more than their share, and those that owe.
    pub fn flows(&self) -> usize {
        self.backlog.data.flows()
    }

    /// Drops all that waits for this reason, and all that is known of flows, what they owe included. A queue must be cleared before
    /// it goes, or the storage counts on.
    pub fn clear(&mut self, reason: Reason, storage: &mut Storage, counters: &mut Counters) {
        let now = self.clock.now_us;
        let backlog = &mut self.backlog;
        while let Some(gone) = backlog.control.pop_front() {
            counters.count(reason);
            backlog.release(gone, true, storage);
        }
        while let Some(gone) = backlog.data.take_oldest(now, storage) {
            counters.count(reason);
            backlog.release(gone, false, storage);
        }
        backlog.data.take_charges(now, storage, |_| {});
    }
}

impl Limits {
    fn stale(&self, oldest: Option<(u64, usize)>, now_us: u64) -> bool {
        oldest.is_some_and(|(since_us, _)| now_us - since_us > self.delay_us_max)
    }
}
