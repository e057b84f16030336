//! Fast packets beside the sessions (docs/decisions/0008): which links have them, what comes and goes, and what waits.
//!
//! Invariant: packets are taken from the address pair only at which the session's neighbour was validated, by QUIC's handshake
//! or, once that address has changed, by a challenge of ours that came back from there.

mod send;

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use wayfare_engine::SizeClass;
use wayfare_fast::{BatchOut, FastLink, Local, SECRET_BYTES, Stage, Taken, hardware_aes};
use wayfare_quic::Instant;
use wayfare_types::Reason;
use wayfare_wire::fast::{FAST_HEADER, is_fast};
use wayfare_wire::{HEADER, Part};

use crate::links::LinkId;
use crate::random::SystemRandom;
use crate::udp::{Filled, Udp};
use crate::world::World;
use send::{Batch, Egress, Route, segments_max, socket};

/// How often probes are looked at while fast packets go.
const PROBE_TICK: Duration = Duration::from_millis(250);

/// A link's fast side.
pub(crate) struct FastSide {
    pub link: FastLink,
    /// Where its neighbour is, as the session has it.
    pub address: SocketAddr,
    /// Our own address that the neighbour uses: the one that it called, or that its packets have shown.
    local_ip: Option<IpAddr>,
}

impl FastSide {
    fn route(&self) -> Route {
        Route { to: self.address, from: self.local_ip }
    }

    /// Whether packets to this address of ours are for this link.
    fn is_at(&self, to: Option<IpAddr>) -> bool {
        self.local_ip.is_none_or(|ip| to.is_none_or(|to| to == ip))
    }
}

/// What a node has of fast links.
pub(crate) struct FastPath {
    /// Whether neighbours are told that this node takes fast packets.
    pub offered: bool,
    stage: Stage,
    by_address: FxHashMap<SocketAddr, Vec<LinkId>>,
    probe_at: Option<Instant>,
    locals: Vec<(LinkId, Local, Place)>,
    /// What came in this batch, for the links' figures: packets and bytes.
    received: Vec<(LinkId, u64, u64)>,
    plain: Vec<(LinkId, Bytes)>,
    egress: Egress,
}

/// A packet in the receiver's buffers.
#[derive(Clone, Copy)]
struct Place {
    buffer: usize,
    at: usize,
    bytes: usize,
}

impl FastPath {
    /// `bytes_per_s`: what each link may send; 0 is as much as the kernel takes.
    pub fn new(wanted: bool, bytes_per_s: u64) -> Self {
        Self {
            offered: wanted && hardware_aes(),
            stage: Stage::default(),
            by_address: FxHashMap::default(),
            probe_at: None,
            locals: Vec::new(),
            received: Vec::new(),
            plain: Vec::new(),
            egress: Egress::new(bytes_per_s),
        }
    }

    /// When probes are due, or a link may send more.
    pub fn deadline(&self) -> Option<Instant> {
        self.probe_at.into_iter().chain(self.egress.deadline()).min()
    }

    fn probe_by(&mut self, at: Instant) {
        self.probe_at = Some(self.probe_at.map_or(at, |due| due.min(at)));
    }

    fn drop_address(&mut self, address: SocketAddr, id: LinkId) {
        if let Some(links) = self.by_address.get_mut(&address) {
            links.retain(|link| *link != id);
            if links.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }
}

fn packet_sizes() -> impl Iterator<Item = usize> {
    SizeClass::ALL.into_iter().map(|class| FAST_HEADER + class.body_bytes())
}

impl World {
    /// A link is up whose both ends can do fast packets.
    pub fn fast_begin(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let export = |from_dialler| -> Option<[u8; SECRET_BYTES]> {
            self.quic.export(link.handle, FastLink::LABEL, FastLink::context(from_dialler))
        };
        let (Some(own), Some(neighbours)) = (export(!link.incoming), export(link.incoming)) else { return };
        let side = FastLink::new(now, own, neighbours, packet_sizes());
        let local_ip = self.quic.peek(link.handle).and_then(|conn| conn.local_ip());
        link.fast = Some(Box::new(FastSide { link: side, address: link.address, local_ip }));
        self.fast.by_address.entry(link.address).or_default().push(id);
        self.fast.probe_by(now);
    }

    /// A link is gone.
    pub fn fast_end(&mut self, id: LinkId, address: SocketAddr) {
        self.fast.drop_address(address, id);
        self.fast.egress.forget(id, self.engine.counters());
    }

    /// Looks whether a session's neighbour is at another address now; `narrower`: its path takes less than before.
    pub fn fast_follow(&mut self, now: Instant, id: LinkId, narrower: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (Some(side), Some(conn)) = (&mut link.fast, self.quic.peek(link.handle)) else { return };
        let address = conn.remote_address();
        let moved = address != side.address;
        if moved {
            self.fast.drop_address(side.address, id);
            self.fast.by_address.entry(address).or_default().push(id);
            (side.address, side.local_ip) = (address, conn.local_ip());
            link.address = address;
            side.link.moved(now);
        } else if narrower {
            side.link.path_changed(now);
        }
        if moved || narrower {
            self.fast.probe_by(now);
            self.fast_told(now, id);
        }
    }

    /// Tells the engine what a link's fast side carries.
    fn fast_told(&mut self, now: Instant, id: LinkId) {
        let Some(side) = self.links.get(&id).and_then(|l| l.fast.as_ref()) else { return };
        let max = side.link.max_packet();
        self.engine.link_fast(now, id, (max > 0).then_some(max));
    }

    /// Takes the fast packets of a filled buffer; hands out the others, which are QUIC's.
    pub fn fast_take(&mut self, now: Instant, buffer: usize, filled: &Filled, mut others: impl FnMut(&[u8])) {
        let Self { fast, links, engine, receiver, .. } = self;
        let from = fast.by_address.get(&filled.remote).map_or(&[][..], Vec::as_slice);
        let mut heard = None;
        let data = &receiver.buffers[buffer][..filled.bytes];
        let (_, counters, _) = engine.fast_parts();
        let mut at = 0;
        while at < data.len() {
            let kind = |at: usize| data.get(at).is_some_and(|&first| is_fast(first));
            if !kind(at) {
                others(&data[at..data.len().min(at + filled.stride)]);
                at += filled.stride;
                continue;
            }
            let begin = at;
            // Two nodes that dialled each other at once have two links between the same addresses: each packet's header tells whose
            // it is.
            let single = from.len() > 1;
            while at < data.len() && kind(at) && !(single && at > begin) {
                at += filled.stride;
            }
            let run = &data[begin..at.min(data.len())];
            let side_of = |id: &LinkId| links.get(id).and_then(|l| l.fast.as_deref());
            let opens = |id: &&LinkId| {
                !single || side_of(id).and_then(|s| s.link.opener(run[0])).is_some_and(|h| h.get(run).is_ok())
            };
            let found = from.iter().find(opens).and_then(|id| side_of(id).map(|side| (*id, side)));
            match found {
                Some((id, side)) if side.link.is_proven() && side.is_at(filled.local_ip) => {
                    fast.stage.take(id, &side.link, (buffer, begin), run, filled.stride, counters);
                    fast.received.push((id, run.len().div_ceil(filled.stride) as u64, run.len() as u64));
                }
                // Nothing but the answer to a challenge can make this address the neighbour's.
                Some((id, side)) if !side.link.is_proven() => {
                    for (i, packet) in run.chunks(filled.stride).enumerate() {
                        let header = side.link.opener(packet[0]).map(|h| h.get(packet));
                        if let Some(Ok(_)) = header {
                            heard = Some((id, heard.map_or(0, |(_, bytes)| bytes) + packet.len()));
                        }
                        if let Some(Ok((0, _))) = header {
                            let at = (buffer, begin + i * filled.stride);
                            fast.stage.take(id, &side.link, at, packet, filled.stride, counters);
                        } else {
                            counters.count(Reason::FastUnknown);
                        }
                    }
                }
                _ => run.chunks(filled.stride).for_each(|_| counters.count(Reason::FastUnknown)),
            }
        }
        if let Some((id, bytes)) = heard
            && let Some(side) = links.get_mut(&id).and_then(|l| l.fast.as_deref_mut())
        {
            side.link.heard(bytes);
            fast.probe_at = Some(now);
        }
    }

    /// Works all fast packets that were taken: passes on, and delivers what stays here; whether anything did.
    pub fn fast_work(&mut self, now: Instant, buffers_to: &[Filled]) -> bool {
        if self.fast.stage.is_empty() {
            return false;
        }
        {
            let Self { fast, engine, receiver, .. } = self;
            let (table, counters, relaying) = engine.fast_parts();
            let relayed = fast.stage.work(
                &mut receiver.buffers,
                table,
                relaying,
                counters,
                |link, local, (buffer, at, bytes)| {
                    fast.locals.push((link, local, Place { buffer, at, bytes }));
                },
            );
            engine.relayed(
                (relayed.packets_forward, relayed.bytes_forward),
                (relayed.packets_backward, relayed.bytes_backward),
            );
        }
        for (id, packets, bytes) in self.fast.received.drain(..) {
            if let Some(link) = self.links.get_mut(&id) {
                link.packets_received += packets;
                link.bytes_received += bytes;
            }
        }
        self.fast_send_stage(now);
        let mut locals = std::mem::take(&mut self.fast.locals);
        let any = !locals.is_empty();
        for (link, local, place) in locals.drain(..) {
            let local_ip = buffers_to.get(place.buffer).and_then(|f| f.local_ip);
            self.fast_local(now, link, local, place, local_ip);
        }
        self.fast.locals = locals;
        any
    }

    fn fast_local(&mut self, now: Instant, id: LinkId, local: Local, place: Place, local_ip: Option<IpAddr>) {
        let packet = &mut self.receiver.buffers[place.buffer][place.at..][..place.bytes];
        let Some(side) = self.links.get_mut(&id).and_then(|l| l.fast.as_mut()) else {
            return self.count(Reason::LinkGone);
        };
        if let Local::Control { counter } = local {
            return match side.link.take_control(now, counter, packet) {
                Ok(Taken::Answer(answer)) => self.fast_send_control(now, id, &answer),
                Ok(Taken::Reach) => {
                    side.local_ip = local_ip;
                    self.fast_told(now, id);
                }
                Err(reason) => self.count(reason),
            };
        }
        let body = &mut packet[FAST_HEADER..];
        match local {
            Local::Exit { circuit } => self.engine.handle_exit_body(now, circuit, body),
            Local::Client { circuit, counter } => self.engine.handle_client_body(now, circuit, counter, body),
            Local::Control { .. } => {}
        }
    }

    fn fast_send_stage(&mut self, now: Instant) {
        let Self { fast, links, receiver, sockets, engine, .. } = self;
        let FastPath { stage, plain, egress, .. } = fast;
        let side_of = |id: LinkId| links.get(&id).and_then(|l| l.fast.as_deref());
        stage.send(
            &mut receiver.buffers,
            |id| side_of(id).map(|side| &side.link),
            |out| match out {
                BatchOut::Plain { link, packet } => plain.push((link, Bytes::copy_from_slice(packet))),
                BatchOut::Fast { link, segment, packets, slices } => {
                    let Some(side) = side_of(link) else { return };
                    egress.send(
                        now,
                        sockets,
                        side.route(),
                        Batch { link, segment, packets, slices },
                        engine.counters(),
                    );
                }
            },
        );
        self.fast_account(now);
        let mut plain = std::mem::take(&mut self.fast.plain);
        plain.drain(..).for_each(|(link, packet)| self.send_plain(link, packet));
        self.fast.plain = plain;
    }

    fn fast_account(&mut self, now: Instant) {
        if self.fast.egress.sent.is_empty() {
            return;
        }
        self.fast.probe_by(now + PROBE_TICK);
        for (id, packets, bytes) in self.fast.egress.sent.drain(..) {
            let Some(link) = self.links.get_mut(&id) else { continue };
            link.packets_sent += packets;
            link.bytes_sent += bytes;
            if let Some(side) = &mut link.fast {
                side.link.sent(packets);
            }
        }
    }

    /// Sends packets that the engine made, `stride` bytes apart, on a link whose fast side takes them; `false` when it does not.
    pub fn fast_send(&mut self, now: Instant, id: LinkId, data: &mut BytesMut, stride: usize) -> bool {
        let Some(side) = self.links.get(&id).and_then(|l| l.fast.as_deref()) else { return false };
        if stride > side.link.max_packet() {
            return false;
        }
        wayfare_fast::seal_run(side.link.sealer(), data, stride);
        for batch in data.chunks(segments_max(stride) * stride) {
            let packets = batch.len().div_ceil(stride);
            let batch = Batch { link: id, segment: stride, packets, slices: &[IoSlice::new(batch)] };
            self.fast.egress.send(now, &self.sockets, side.route(), batch, self.engine.counters());
        }
        self.fast_account(now);
        true
    }

    /// Sends a packet in the shape that QUIC's datagrams have.
    pub fn send_plain(&mut self, id: LinkId, packet: Bytes) {
        if self.attached.contains_key(&id) {
            self.attached_send_packet(id, packet)
        } else {
            self.send_datagram(id, packet)
        }
    }

    /// Sends a whole packet that came by some other way than a fast link, or half of one.
    pub fn send_packet(&mut self, now: Instant, id: LinkId, packet: Bytes) {
        let fast = self.links.get(&id).and_then(|l| l.fast.as_deref()).map_or(0, |side| side.link.max_packet());
        let stride = FAST_HEADER - HEADER + packet.len();
        if stride > fast || packet.first() != Some(&(Part::Whole as u8)) {
            return self.send_datagram(id, packet);
        }
        let mut roomy = BytesMut::with_capacity(stride);
        roomy.extend_from_slice(&[0; FAST_HEADER - HEADER]);
        roomy.extend_from_slice(&packet);
        self.fast_send(now, id, &mut roomy, stride);
    }

    fn fast_send_control(&mut self, now: Instant, id: LinkId, packet: &[u8]) {
        if let Some(side) = self.links.get(&id).and_then(|l| l.fast.as_deref()) {
            let counters = self.engine.counters();
            self.fast.egress.send_control(now, &self.sockets, side.route(), id, packet, counters);
        }
    }

    /// Sends the probes that are due.
    pub fn fast_probe(&mut self, now: Instant) {
        if self.fast.probe_at.is_none_or(|at| at > now) {
            return;
        }
        self.fast.probe_at = None;
        let with_fast: Vec<LinkId> = self.fast.by_address.values().flatten().copied().collect();
        for id in with_fast {
            let Some(link) = self.links.get_mut(&id) else { continue };
            let rtt = self.quic.peek(link.handle).map(|c| c.rtt());
            let Some(side) = &mut link.fast else { continue };
            side.link.set_rtt(rtt.unwrap_or_default());
            let before = side.link.max_packet();
            while let Some(probe) = side.link.poll_probe(now, &mut SystemRandom) {
                let (route, counters) = (side.route(), self.engine.counters());
                self.fast.egress.send_control(now, &self.sockets, route, id, &probe, counters);
            }
            if let Some(at) = side.link.poll_timeout() {
                self.fast.probe_by(at.max(now + Duration::from_millis(1)));
            }
            if side.link.max_packet() != before {
                self.fast_told(now, id);
            }
        }
    }

    /// Sends what waited, as far as the kernel takes it; whether anything went.
    pub fn fast_flush(&mut self, now: Instant) -> bool {
        let Self { fast, links, sockets, engine, .. } = self;
        // What waited for an address that its neighbour has left is not sent to another that has proven nothing.
        let side = |id: LinkId| links.get(&id).and_then(|l| l.fast.as_deref()).filter(|side| side.link.is_proven());
        let route = |id: LinkId| side(id).map(FastSide::route);
        let any = fast.egress.flush(now, sockets, route, engine.counters());
        self.fast_account(now);
        any
    }

    /// Which socket fast packets wait for.
    pub fn fast_blocked_on(&self) -> Option<&Udp> {
        socket(&self.sockets, self.links.get(&self.fast.egress.blocked()?)?.address)
    }
}
