//! The batch stage: packets of one receive are worked where they lie, and handed on grouped by the next link.
//!
//! Headers are opened a batch at a time; circuits are asked of memory some packets ahead; a layer is opened or added in place;
//! then each next link's packets get their headers, a batch at a time, and go out from the buffers they came in. Nothing is
//! allocated per packet and nothing is copied.

use std::io::IoSlice;
use std::ops::Range;

use rustc_hash::FxHashMap;
use wayfare_relay::egress::Payer;
use wayfare_relay::{Asked, LinkId, Peeled, Slots};
use wayfare_types::{Counters, Reason};
use wayfare_wire::fast::{FAST_BATCH, FAST_HEADER};
use wayfare_wire::{FastHeader, HEADER, Header, Part, SLOT};

use crate::View;

/// How many packets ahead a circuit is asked of memory.
const AHEAD: usize = 8;
/// For how many packets at a time the pages of circuits are asked for. One by one, each wait would be as long as all of them together.
const PAGES: usize = 16;
/// Datagrams that one send can hold (Linux, `UDP_MAX_SEGMENTS`).
const SEGMENTS_MAX: usize = 64;
/// Bytes that one send can hold: an IPv4 packet less its headers.
const BYTES_MAX: usize = 65_507;
const NONE: u32 = u32::MAX;

/// A packet and where it lies.
#[derive(Clone, Copy)]
struct Job {
    buffer: u32,
    at: u32,
    bytes: u32,
    link: LinkId,
    cid: u32,
    counter: u64,
    /// Who pays, once it is known whose it is.
    payer: Payer,
    /// The next of its group.
    next: u32,
}

/// The packets that go out on one link, a list through the jobs.
struct Group {
    link: LinkId,
    first: u32,
    last: u32,
}

/// What was passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    pub packets_forward: u64,
    pub packets_backward: u64,
    pub bytes_forward: u64,
    pub bytes_backward: u64,
}

/// A packet that stays at this node.
#[derive(Debug, PartialEq, Eq)]
pub enum Local {
    /// Circuit id 0: the link's own ([`FastLink::take_control`]).
    Control { counter: u64 },
    /// The payload, for this exit, begins at `FAST_HEADER + TAGS`.
    Exit { circuit: u32, counter: u64 },
    /// All its layers are still on.
    Client { circuit: u32, counter: u64 },
    /// Its circuit is at home in another shard. It is as it came, with a plain header at `FAST_HEADER - HEADER`.
    Away { cid: u32 },
}

/// What goes out.
pub enum BatchOut<'a> {
    /// Datagrams of `segment` bytes each, behind one another in the slices, and who pays for each, which matters only where they
    /// have to wait.
    Fast { link: LinkId, segment: usize, payers: &'a [Payer], slices: &'a [IoSlice<'a>] },
    /// A link that is not fast, or not for packets of this size: a plain packet, header and body.
    Plain { link: LinkId, packet: &'a [u8] },
}

/// See the module's first paragraph. Its lists are kept from receive to receive.
#[derive(Default)]
pub struct Stage {
    jobs: Vec<Job>,
    groups: Vec<Group>,
    by_link: FxHashMap<LinkId, u32>,
}

impl Stage {
    /// Takes a run of fast packets that came over `link`: they stand `stride` bytes apart at `at` in buffer number `buffer`, of
    /// which `run` is that part; the last may be shorter. What is no packet of this link is counted.
    #[inline]
    pub fn take(
        &mut self,
        link: LinkId,
        view: &View,
        (buffer, at): (usize, usize),
        run: &[u8],
        stride: usize,
        counters: &mut Counters,
    ) {
        let stride = stride.max(1);
        let mut opened = [Ok((0, 0)); FAST_BATCH];
        for (chunk_at, chunk) in run.chunks(stride * FAST_BATCH).enumerate() {
            // A packet that shows no epoch we know must not take its neighbours with it.
            let Some(opener) = chunk.chunks(stride).find_map(|packet| view.opener(packet[0])) else {
                chunk.chunks(stride).for_each(|_| counters.count(Reason::PacketVersion));
                continue;
            };
            let count = opener.get_run(chunk, stride, &mut opened);
            for (i, (packet, header)) in chunk.chunks(stride).zip(&opened[..count]).enumerate() {
                let header = match header {
                    // A run in which the neighbour began another epoch.
                    Err(Reason::PacketVersion) => {
                        view.opener(packet[0]).ok_or(Reason::PacketVersion).and_then(|h| h.get(packet))
                    }
                    header => *header,
                };
                match header {
                    Ok((cid, counter)) => self.jobs.push(Job {
                        buffer: buffer as u32,
                        at: (at + (chunk_at * FAST_BATCH + i) * stride) as u32,
                        bytes: packet.len() as u32,
                        link,
                        cid,
                        counter,
                        payer: Payer::LINK,
                        next: NONE,
                    }),
                    Err(reason) => counters.count(reason),
                }
            }
        }
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Works everything that was taken, in place. `local` gets what stays here, in the order in which it came: the buffer's
    /// number, where the packet begins in it with its fast header, and its bytes. Without `relaying`, what is neither the link's own nor a client's is dropped and counted.
    #[inline]
    pub fn work(
        &mut self,
        buffers: &mut [Vec<u8>],
        slots: &mut Slots,
        relaying: bool,
        counters: &mut Counters,
        mut local: impl FnMut(LinkId, Local, (usize, usize, usize)),
    ) -> Relayed {
        let mut relayed = Relayed::default();
        self.ask_pages(slots, 0..AHEAD);
        for i in 0..self.jobs.len().min(AHEAD) {
            self.ask(slots, i, Asked::First);
            self.ask(slots, i, Asked::Second);
        }
        for i in 0..self.jobs.len() {
            if i.is_multiple_of(PAGES) {
                self.ask_pages(slots, i + AHEAD..i + AHEAD + PAGES);
            }
            let job = self.jobs[i];
            let place = (job.buffer as usize, job.at as usize, job.bytes as usize);
            if job.cid == 0 {
                local(job.link, Local::Control { counter: job.counter }, place);
                continue;
            }
            let packet = &mut buffers[place.0][place.1..][..place.2];
            if slots.away(job.cid) {
                Header { part: Part::Whole, cid: job.cid, counter: job.counter }
                    .emit(&mut packet[FAST_HEADER - HEADER..]);
                local(job.link, Local::Away { cid: job.cid }, place);
                continue;
            }
            // Half of it comes while this packet is worked, and half while it is accounted for.
            self.ask(slots, i + AHEAD, Asked::First);
            if let Some(soon) = self.jobs.get(i + AHEAD / 2) {
                slots.prefetch_window(soon.cid, soon.counter);
            }
            let peeled = slots.peel(job.link, job.cid, job.counter, &mut packet[FAST_HEADER..]);
            self.ask(slots, i + AHEAD, Asked::Second);
            let (next, counter, weight) = match peeled {
                Ok(Peeled::Client { circuit }) => {
                    local(job.link, Local::Client { circuit, counter: job.counter }, place);
                    continue;
                }
                Ok(_) if !relaying => {
                    counters.count(Reason::ForwardingStopped);
                    continue;
                }
                Ok(Peeled::Exit { circuit }) => {
                    local(job.link, Local::Exit { circuit, counter: job.counter }, place);
                    continue;
                }
                Ok(Peeled::Forward { next, counter, weight }) => {
                    relayed.packets_forward += 1;
                    relayed.bytes_forward += u64::from(job.bytes);
                    (next, counter, weight)
                }
                Ok(Peeled::Backward { next, counter, weight }) => {
                    relayed.packets_backward += 1;
                    relayed.bytes_backward += u64::from(job.bytes);
                    (next, counter, weight)
                }
                Err(reason) => {
                    counters.count(reason);
                    continue;
                }
            };
            let job = &mut self.jobs[i];
            job.payer = Payer { cid: job.cid, weight };
            (job.cid, job.counter) = (next.cid, counter);
            self.group(next.link, i as u32);
        }
        relayed
    }

    #[inline]
    fn ask_pages(&self, slots: &Slots, jobs: Range<usize>) {
        jobs.for_each(|job| self.ask(slots, job, Asked::Pages));
    }

    /// Asks memory for a packet's circuit.
    #[inline]
    fn ask(&self, slots: &Slots, job: usize, asked: Asked) {
        let Some(cid) = self.jobs.get(job).map(|job| job.cid) else { return };
        // Packets of a circuit often come together.
        if job == 0 || self.jobs[job - 1].cid != cid {
            slots.prefetch(cid, asked);
        }
    }

    #[inline]
    fn group(&mut self, link: LinkId, job: u32) {
        let group = match self.groups.last_mut() {
            Some(group) if group.link == link => group,
            _ => {
                let at = *self.by_link.entry(link).or_insert(self.groups.len() as u32);
                if at as usize == self.groups.len() {
                    self.groups.push(Group { link, first: NONE, last: NONE });
                }
                &mut self.groups[at as usize]
            }
        };
        match group.last {
            NONE => group.first = job,
            last => self.jobs[last as usize].next = job,
        }
        group.last = job;
    }

    /// Gives what [`Self::work`] left for other links its headers and hands it out, then forgets everything.
    #[inline]
    pub fn send<'a>(
        &mut self,
        buffers: &mut [Vec<u8>],
        view: impl Fn(LinkId) -> Option<&'a View>,
        mut out: impl FnMut(BatchOut<'_>),
    ) {
        for group in 0..self.groups.len() {
            let Group { link, first, .. } = self.groups[group];
            let sealer = view(link).map(|v| (v.sealer(), v.max_packet()));
            let mut at = first;
            while at != NONE {
                let bytes = self.jobs[at as usize].bytes as usize;
                match sealer {
                    Some((sealer, max)) if bytes <= max => {
                        at = self.send_fast(buffers, link, sealer, at, &mut out);
                    }
                    _ => {
                        let job = self.jobs[at as usize];
                        let packet = &mut buffers[job.buffer as usize][job.at as usize..][..bytes];
                        let packet = &mut packet[FAST_HEADER - HEADER..];
                        Header { part: Part::Whole, cid: job.cid, counter: job.counter }.emit(packet);
                        out(BatchOut::Plain { link, packet });
                        at = job.next;
                    }
                }
            }
        }
        self.jobs.clear();
        self.groups.clear();
        self.by_link.clear();
    }

    /// Sends as many of a group's packets, from `first`, as one send can hold; returns the one after them.
    fn send_fast(
        &mut self,
        buffers: &mut [Vec<u8>],
        link: LinkId,
        sealer: &FastHeader,
        first: u32,
        out: &mut impl FnMut(BatchOut<'_>),
    ) -> u32 {
        let segment = self.jobs[first as usize].bytes;
        let most = SEGMENTS_MAX.min(BYTES_MAX / segment as usize).max(1);
        let (mut chosen, mut payers) = ([0; SEGMENTS_MAX], [Payer::LINK; SEGMENTS_MAX]);
        let (mut count, mut at) = (0, first);
        while at != NONE && count < most && self.jobs[at as usize].bytes == segment {
            let job = &self.jobs[at as usize];
            (chosen[count], payers[count]) = (at, job.payer);
            (count, at) = (count + 1, job.next);
        }
        let mut sealed = [[0; FAST_HEADER]; FAST_BATCH];
        for chunk in chosen[..count].chunks(FAST_BATCH) {
            let mut headers = [(0, 0, [0; SLOT]); FAST_BATCH];
            for (header, &job) in headers.iter_mut().zip(chunk) {
                let job = &self.jobs[job as usize];
                let body = &buffers[job.buffer as usize][job.at as usize + FAST_HEADER..];
                let slot = body.first_chunk::<SLOT>().copied().unwrap_or_default();
                *header = (job.cid, job.counter, slot);
            }
            sealer.seal_batch(&headers[..chunk.len()], &mut sealed);
            for (header, &job) in sealed.iter().zip(chunk) {
                let job = &self.jobs[job as usize];
                buffers[job.buffer as usize][job.at as usize..][..FAST_HEADER].copy_from_slice(header);
            }
        }
        // Packets that lie behind one another are one slice.
        let mut slices = [IoSlice::new(&[]); SEGMENTS_MAX];
        let (mut used, mut begin) = (0, 0);
        for i in 1..=count {
            let (from, to) = (&self.jobs[chosen[begin] as usize], &self.jobs[chosen[i - 1] as usize]);
            let follows = chosen[..count].get(i).is_some_and(|&job| {
                let job = &self.jobs[job as usize];
                job.buffer == to.buffer && job.at == to.at + segment
            });
            if !follows {
                let bytes = (to.at - from.at + segment) as usize;
                slices[used] = IoSlice::new(&buffers[from.buffer as usize][from.at as usize..][..bytes]);
                (used, begin) = (used + 1, i);
            }
        }
        let (payers, slices) = (&payers[..count], &slices[..used]);
        out(BatchOut::Fast { link, segment: segment as usize, payers, slices });
        at
    }
}

/// Gives packets that stand `stride` bytes apart their fast headers, in place of the plain ones that end where the bodies begin.
#[inline]
pub fn seal_run(sealer: &FastHeader, data: &mut [u8], stride: usize) {
    let stride = stride.max(1);
    let mut sealed = [[0; FAST_HEADER]; FAST_BATCH];
    for batch in data.chunks_mut(stride * FAST_BATCH) {
        let mut headers = [(0, 0, [0; SLOT]); FAST_BATCH];
        let mut count = 0;
        for (header, packet) in headers.iter_mut().zip(batch.chunks(stride)) {
            let plain = Header::parse(packet.get(FAST_HEADER - HEADER..).unwrap_or_default());
            let slot = packet.get(FAST_HEADER..).and_then(|body| body.first_chunk::<SLOT>().copied());
            // Whoever made the packets made them whole.
            if let (Ok(Header { cid, counter, .. }), Some(slot)) = (plain, slot) {
                *header = (cid, counter, slot);
            }
            count += 1;
        }
        sealer.seal_batch(&headers[..count], &mut sealed);
        for (packet, header) in batch.chunks_mut(stride).zip(&sealed) {
            if let Some(room) = packet.first_chunk_mut::<FAST_HEADER>() {
                *room = *header;
            }
        }
    }
}
