//! What one thread needs to move fast packets: the links as they are now, the batch stage, and what waits to leave.
//!
//! The main thread has one and every other shard its own; what changes about a link reaches it as another [`Side`].

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use wayfare_fast::{BatchOut, Local, Relayed, Stage, View};
use wayfare_quic::Instant;
use wayfare_relay::Slots;
use wayfare_relay::egress::Payer;
use wayfare_types::{Counters, Reason};
use wayfare_wire::fast::is_fast;

use super::send::{Batch, Egress, Payers, Route, segments_max, socket};
use crate::links::LinkId;
use crate::udp::{Filled, Udp};

/// A link's fast side, as far as packets need it.
#[derive(Clone)]
pub(crate) struct Side {
    pub view: View,
    pub route: Route,
    /// Whether the neighbour is known to be at its address.
    pub proven: bool,
}

impl Side {
    /// Whether packets to this address of ours are for this link.
    fn is_at(&self, to: Option<IpAddr>) -> bool {
        self.route.from.is_none_or(|ip| to.is_none_or(|to| to == ip))
    }
}

/// A packet in the receiver's buffers.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub buffer: usize,
    pub at: usize,
    pub bytes: usize,
}

/// See the module.
pub(crate) struct Lane {
    stage: Stage,
    sides: FxHashMap<LinkId, Side>,
    by_address: FxHashMap<SocketAddr, Vec<LinkId>>,
    /// What stays at this node.
    pub locals: Vec<(LinkId, Local, Place)>,
    /// What came in this batch, for the links' figures: packets and bytes.
    pub received: Vec<(LinkId, u64, u64)>,
    /// Bytes that came with a neighbour's headers from an address that it has to prove.
    pub heard: Vec<(LinkId, usize)>,
    /// What goes out on links that are not fast, or not for packets of this size.
    pub plain: Vec<(LinkId, Bytes)>,
    pub egress: Egress,
}

impl Lane {
    pub fn new(egress: Egress) -> Self {
        Self {
            stage: Stage::default(),
            sides: FxHashMap::default(),
            by_address: FxHashMap::default(),
            locals: Vec::new(),
            received: Vec::new(),
            heard: Vec::new(),
            plain: Vec::new(),
            egress,
        }
    }

    /// A link's fast side is this now, or gone, and with it what waited for it.
    pub fn put(&mut self, id: LinkId, side: Option<Side>, counters: &mut Counters) {
        let address = side.as_ref().map(|side| side.route.to);
        let before = match side {
            Some(side) => self.sides.insert(id, side),
            None => {
                self.egress.forget(id, counters);
                self.sides.remove(&id)
            }
        };
        let before = before.map(|side| side.route.to);
        if before == address {
            return;
        }
        if let Some(before) = before
            && let Some(links) = self.by_address.get_mut(&before)
        {
            links.retain(|link| *link != id);
            if links.is_empty() {
                self.by_address.remove(&before);
            }
        }
        if let Some(address) = address {
            self.by_address.entry(address).or_default().push(id);
        }
    }

    /// The links that have a fast side.
    pub fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.sides.keys().copied()
    }

    /// The largest packet that goes out fast on a link; 0 where none does.
    pub fn max_packet(&self, id: LinkId) -> usize {
        self.sides.get(&id).map_or(0, |side| side.view.max_packet())
    }

    /// Takes the fast packets of buffer number `buffer`, which holds `data`; hands out the others, which are QUIC's: where they
    /// begin, and their bytes.
    pub fn take(
        &mut self,
        buffer: usize,
        data: &[u8],
        filled: &Filled,
        counters: &mut Counters,
        mut others: impl FnMut(usize, &[u8]),
    ) {
        let Self { stage, sides, by_address, received, heard, .. } = self;
        let sides = &*sides;
        let from = by_address.get(&filled.remote).map_or(&[][..], Vec::as_slice);
        // Two nodes that dialled each other at once have two links between the same addresses: each packet's header tells whose
        // it is.
        let single = from.len() > 1;
        let mut at = 0;
        while at < data.len() {
            let kind = |at: usize| data.get(at).is_some_and(|&first| is_fast(first));
            if !kind(at) {
                others(at, &data[at..data.len().min(at + filled.stride)]);
                at += filled.stride;
                continue;
            }
            let begin = at;
            while at < data.len() && kind(at) && !(single && at > begin) {
                at += filled.stride;
            }
            let run = &data[begin..at.min(data.len())];
            let opens = |id: &&LinkId| {
                let header = || sides.get(id).and_then(|s| s.view.opener(run[0]));
                !single || header().is_some_and(|h| h.get(run).is_ok())
            };
            let found = from.iter().find(opens).and_then(|id| sides.get(id).map(|side| (*id, side)));
            match found {
                Some((id, side)) if side.proven && side.is_at(filled.local_ip) => {
                    stage.take(id, &side.view, (buffer, begin), run, filled.stride, counters);
                    received.push((id, run.len().div_ceil(filled.stride) as u64, run.len() as u64));
                }
                // Nothing but the answer to a challenge can make this address the neighbour's.
                Some((id, side)) if !side.proven => {
                    for (i, packet) in run.chunks(filled.stride).enumerate() {
                        let header = side.view.opener(packet[0]).map(|h| h.get(packet));
                        if let Some(Ok(_)) = header {
                            heard.push((id, packet.len()));
                        }
                        if let Some(Ok((0, _))) = header {
                            let at = (buffer, begin + i * filled.stride);
                            stage.take(id, &side.view, at, packet, filled.stride, counters);
                        } else {
                            counters.count(Reason::FastUnknown);
                        }
                    }
                }
                _ => run.chunks(filled.stride).for_each(|_| counters.count(Reason::FastUnknown)),
            }
        }
    }

    /// Nothing was taken.
    pub fn is_idle(&self) -> bool {
        self.stage.is_empty()
    }

    /// Works what was taken, where it lies; `locals` has then what stays here.
    pub fn work(
        &mut self,
        buffers: &mut [Vec<u8>],
        slots: &mut Slots,
        relaying: bool,
        counters: &mut Counters,
    ) -> Relayed {
        let Self { stage, locals, .. } = self;
        stage.work(buffers, slots, relaying, counters, |link, local, (buffer, at, bytes)| {
            locals.push((link, local, Place { buffer, at, bytes }));
        })
    }

    /// Sends what was worked for other links; `plain` has then what none of them takes fast. To how many links it goes.
    pub fn send_worked(
        &mut self,
        now: Instant,
        sockets: &[Udp],
        buffers: &mut [Vec<u8>],
        counters: &mut Counters,
    ) -> usize {
        let Self { stage, sides, plain, egress, .. } = self;
        let sides = &*sides;
        let (mut links, mut latest) = (0, None);
        stage.send(
            buffers,
            |id| sides.get(&id).map(|side| &side.view),
            |out| match out {
                BatchOut::Plain { link, packet } => plain.push((link, Bytes::copy_from_slice(packet))),
                BatchOut::Fast { link, segment, payers, slices } => {
                    let Some(side) = sides.get(&link) else { return };
                    // A link's batches come behind one another.
                    if latest.replace(link) != Some(link) {
                        links += 1;
                    }
                    let (packets, payers) = (payers.len(), Payers::Each(payers));
                    let batch = Batch { link, segment, packets, payers, slices };
                    egress.send(now, sockets, side.route, batch, counters);
                }
            },
        );
        links
    }

    /// Sends packets of one circuit with room for a fast header, `stride` bytes apart, on a link that takes them fast; `false`
    /// when it does not.
    pub fn send_run(
        &mut self,
        now: Instant,
        sockets: &[Udp],
        id: LinkId,
        (data, stride, payer): (&mut BytesMut, usize, Payer),
        counters: &mut Counters,
    ) -> bool {
        let Some(side) = self.sides.get(&id).filter(|side| stride <= side.view.max_packet()) else { return false };
        wayfare_fast::seal_run(side.view.sealer(), data, stride);
        for batch in data.chunks(segments_max(stride) * stride) {
            let packets = batch.len().div_ceil(stride);
            let (payers, slices) = (Payers::All(payer), &[IoSlice::new(batch)]);
            let batch = Batch { link: id, segment: stride, packets, payers, slices };
            self.egress.send(now, sockets, side.route, batch, counters);
        }
        true
    }

    /// Sends a probe or its echo past what waits; where the kernel has no room it waits before all data.
    pub fn send_control(&mut self, now: Instant, sockets: &[Udp], id: LinkId, packet: &[u8], counters: &mut Counters) {
        if let Some(side) = self.sides.get(&id) {
            self.egress.send_control(now, sockets, side.route, id, packet, counters);
        }
    }

    /// Sends what waited, as far as the kernel takes it; whether anything went.
    pub fn flush(&mut self, now: Instant, sockets: &[Udp], counters: &mut Counters) -> bool {
        let Self { egress, sides, .. } = self;
        // What waited for an address that its neighbour has left is not sent to another that has proven nothing.
        egress.flush(now, sockets, |id| sides.get(&id).filter(|side| side.proven).map(|side| side.route), counters)
    }

    /// Which socket fast packets wait for.
    pub fn blocked_on<'a>(&self, sockets: &'a [Udp]) -> Option<&'a Udp> {
        socket(sockets, self.sides.get(&self.egress.blocked()?)?.route.to)
    }
}
