//! Fast packets beside the sessions (docs/decisions/0008): which links have them, what comes and goes, and what waits.
//!
//! Invariant: packets are taken from the address pair only at which the session's neighbour was validated, by QUIC's handshake
//! or, once that address has changed, by a challenge of ours that came back from there.

mod lane;
mod send;
#[cfg(test)]
mod send_tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wayfare_engine::SizeClass;
use wayfare_fast::{FastLink, Local, SECRET_BYTES, Taken, hardware_aes};
use wayfare_quic::Instant;
use wayfare_relay::egress::Payer;
use wayfare_types::Reason;
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{HEADER, Part};

pub(crate) use lane::{Lane, Place, Side};
use send::Route;
pub(crate) use send::{Egress, QUEUED_BYTES_MAX};

use crate::links::LinkId;
use crate::random::SystemRandom;
use crate::shards::{Figures, ToShard};
use crate::udp::{Filled, Udp};
use crate::world::World;

/// How often circuits are charged for having waited: well within the ledger's period.
const CHARGE_EVERY: Duration = Duration::from_millis(250);
/// How often probes are looked at while fast packets go.
const PROBE_TICK: Duration = Duration::from_millis(250);

/// A link's fast side.
pub(crate) struct FastSide {
    pub link: FastLink,
    /// Where its neighbour is, as the session has it.
    pub address: SocketAddr,
    /// Our own address that the neighbour uses: the one that it called, or that its packets have shown.
    local_ip: Option<IpAddr>,
    /// What the lanes were last told of.
    told: Option<(u64, SocketAddr, Option<IpAddr>, bool)>,
}

impl FastSide {
    fn side(&self) -> Side {
        let route = Route { to: self.address, from: self.local_ip };
        Side { view: self.link.view().clone(), route, proven: self.link.is_proven() }
    }

    /// What tells one [`Self::side`] from another.
    fn state(&self) -> (u64, SocketAddr, Option<IpAddr>, bool) {
        (self.link.view().revision(), self.address, self.local_ip, self.link.is_proven())
    }
}

/// What a node has of fast links.
pub(crate) struct FastPath {
    /// Whether neighbours are told that this node takes fast packets.
    pub offered: bool,
    pub lane: Lane,
    probe_at: Option<Instant>,
    charge_at: Option<Instant>,
}

impl FastPath {
    /// `bytes_per_s`: what each link may send; 0 is as much as the kernel takes. Of `shards` threads this is one.
    pub fn new(wanted: bool, bytes_per_s: u64, shards: usize) -> Self {
        Self {
            offered: wanted && hardware_aes(),
            lane: Lane::new(Egress::new(bytes_per_s, QUEUED_BYTES_MAX / shards)),
            probe_at: None,
            charge_at: None,
        }
    }

    /// When probes are due, or a link may send more.
    pub fn deadline(&self) -> Option<Instant> {
        self.probe_at.into_iter().chain(self.charge_at).chain(self.lane.egress.deadline()).min()
    }

    pub fn probe_by(&mut self, at: Instant) {
        self.probe_at = Some(self.probe_at.map_or(at, |due| due.min(at)));
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
        link.fast = Some(Box::new(FastSide { link: side, address: link.address, local_ip, told: None }));
        self.fast.probe_by(now);
        self.fast_tell_lanes(id);
    }

    /// A link is gone.
    pub fn fast_end(&mut self, id: LinkId) {
        self.fast.lane.put(id, None, self.engine.counters());
        if let Some(shards) = &self.shards {
            shards.tell_all(|| ToShard::Link(id, None));
        }
    }

    /// Tells the lanes of all threads what has changed of a link's fast side.
    fn fast_tell_lanes(&mut self, id: LinkId) {
        let Some(side) = self.links.get_mut(&id).and_then(|l| l.fast.as_deref_mut()) else { return };
        let state = side.state();
        if side.told == Some(state) {
            return;
        }
        side.told = Some(state);
        let side = side.side();
        if let Some(shards) = &self.shards {
            shards.tell_all(|| ToShard::Link(id, Some(Box::new(side.clone()))));
        }
        self.fast.lane.put(id, Some(side), self.engine.counters());
    }

    /// Looks whether a session's neighbour is at another address now; `narrower`: its path takes less than before.
    pub fn fast_follow(&mut self, now: Instant, id: LinkId, narrower: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (Some(side), Some(conn)) = (&mut link.fast, self.quic.peek(link.handle)) else { return };
        let address = conn.remote_address();
        let moved = address != side.address;
        if moved {
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
        self.fast_tell_lanes(id);
        let Some(side) = self.links.get(&id).and_then(|l| l.fast.as_ref()) else { return };
        let max = side.link.max_packet();
        self.engine.link_fast(now, id, (max > 0).then_some(max));
    }

    /// Takes the fast packets of a filled buffer; hands out the others, which are QUIC's.
    pub fn fast_take(&mut self, now: Instant, buffer: usize, filled: &Filled, mut others: impl FnMut(&[u8])) {
        let Self { fast, engine, receiver, .. } = self;
        let data = &receiver.buffers[buffer][..filled.bytes];
        let (_, counters, _) = engine.fast_parts();
        fast.lane.take(buffer, data, filled, counters, |_, datagram| others(datagram));
        for (id, bytes) in std::mem::take(&mut self.fast.lane.heard) {
            self.fast_heard(now, id, bytes);
        }
    }

    /// So many bytes of packets whose headers are the neighbour's came from an address that it has to prove.
    pub fn fast_heard(&mut self, now: Instant, id: LinkId, bytes: usize) {
        if let Some(side) = self.links.get_mut(&id).and_then(|l| l.fast.as_deref_mut()) {
            side.link.heard(bytes);
            self.fast.probe_at = Some(now);
        }
    }

    /// Works all fast packets that were taken: passes on, and delivers what stays here; whether anything did.
    pub fn fast_work(&mut self, now: Instant, buffers_to: &[Filled]) -> bool {
        if self.fast.lane.is_idle() {
            return false;
        }
        {
            let Self { fast, engine, receiver, sockets, .. } = self;
            let (slots, counters, relaying) = engine.fast_parts();
            let relayed = fast.lane.work(&mut receiver.buffers, slots, relaying, counters);
            let links = fast.lane.send_worked(now, sockets, &mut receiver.buffers, counters);
            receiver.passed_on(links);
            engine.relayed(
                (relayed.packets_forward, relayed.bytes_forward),
                (relayed.packets_backward, relayed.bytes_backward),
            );
        }
        for (id, packets, bytes) in self.fast.lane.received.drain(..) {
            if let Some(link) = self.links.get_mut(&id) {
                link.packets_received += packets;
                link.bytes_received += bytes;
            }
        }
        self.fast_account(now);
        let mut plain = std::mem::take(&mut self.fast.lane.plain);
        plain.drain(..).for_each(|(link, packet)| self.send_plain(link, packet));
        self.fast.lane.plain = plain;
        let mut locals = std::mem::take(&mut self.fast.lane.locals);
        let any = !locals.is_empty();
        for (link, local, place) in locals.drain(..) {
            let local_ip = buffers_to.get(place.buffer).and_then(|f| f.local_ip);
            self.fast_local(now, link, local, place, local_ip);
        }
        self.fast.lane.locals = locals;
        any
    }

    fn fast_local(&mut self, now: Instant, id: LinkId, local: Local, place: Place, local_ip: Option<IpAddr>) {
        let Place { buffer, at, bytes } = place;
        let packet = &mut self.receiver.buffers[buffer][at..][..bytes];
        match local {
            Local::Exit { circuit, counter } => {
                self.engine.handle_exit_body(now, circuit, counter, &packet[FAST_HEADER..])
            }
            Local::Client { circuit, counter } => {
                self.engine.handle_client_body(now, circuit, counter, &mut packet[FAST_HEADER..]);
            }
            Local::Control { counter } => {
                let mut packet = BytesMut::from(&*packet);
                self.fast_control(now, id, counter, &mut packet, (0, local_ip));
            }
            Local::Away { .. } => {
                let packet = BytesMut::from(&packet[FAST_HEADER - HEADER..]);
                self.take_packet(now, id, packet);
            }
        }
    }

    /// A probe or an echo has come, to this shard and address of ours.
    pub fn fast_control(
        &mut self,
        now: Instant,
        id: LinkId,
        counter: u64,
        packet: &mut [u8],
        (shard, local_ip): (usize, Option<IpAddr>),
    ) {
        let Some(side) = self.links.get_mut(&id).and_then(|l| l.fast.as_deref_mut()) else {
            return self.count(Reason::LinkGone);
        };
        let taken = side.link.take_control(now, counter, packet);
        if taken.is_ok() && self.shards.is_some() {
            self.engine.link_home(id, shard);
        }
        match taken {
            Ok(Taken::Answer(answer)) => {
                self.fast_tell_lanes(id);
                self.fast.lane.send_control(now, &self.sockets, id, &answer, self.engine.counters());
            }
            Ok(Taken::Reach) => {
                side.local_ip = local_ip;
                self.fast_told(now, id);
            }
            Err(reason) => self.count(reason),
        }
    }

    fn fast_account(&mut self, now: Instant) {
        if self.fast.lane.egress.sent.is_empty() {
            return;
        }
        self.fast.probe_by(now + PROBE_TICK);
        for (id, packets, bytes) in self.fast.lane.egress.sent.drain(..) {
            let Some(link) = self.links.get_mut(&id) else { continue };
            link.fast_sent(packets, bytes);
        }
    }

    /// Has circuits charged for having waited for saturated links.
    pub fn fast_charge(&mut self, now: Instant) {
        let Self { fast, engine, .. } = self;
        if !fast.lane.egress.has_charges() {
            fast.charge_at = None;
        } else if fast.charge_at.is_some_and(|at| at <= now) {
            let mut charges = Vec::new();
            fast.lane.egress.take_charges(now, &mut charges);
            engine.charge(now, charges);
            fast.charge_at = fast.lane.egress.has_charges().then_some(now + CHARGE_EVERY);
        } else {
            fast.charge_at.get_or_insert(now + CHARGE_EVERY);
        }
    }

    /// What another shard has moved over a link.
    pub fn fast_figures(&mut self, now: Instant, id: LinkId, figures: Figures) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.packets_received += figures.packets_received;
        link.bytes_received += figures.bytes_received;
        if figures.packets_sent > 0 {
            link.fast_sent(figures.packets_sent, figures.bytes_sent);
            self.fast.probe_by(now + PROBE_TICK);
        }
    }

    /// Sends packets that the engine made, `stride` bytes apart, on a link whose fast side takes them; `false` when it does not.
    pub fn fast_send(
        &mut self,
        now: Instant,
        id: LinkId,
        data: &mut BytesMut,
        (stride, payer): (usize, Payer),
    ) -> bool {
        let Self { fast, sockets, engine, .. } = self;
        let sent = fast.lane.send_run(now, sockets, id, (data, stride, payer), engine.counters());
        self.fast_account(now);
        sent
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
    pub fn send_packet(&mut self, now: Instant, id: LinkId, packet: Bytes, payer: Payer) {
        let stride = FAST_HEADER - HEADER + packet.len();
        if stride > self.fast.lane.max_packet(id) || packet.first() != Some(&(Part::Whole as u8)) {
            return self.send_datagram(id, packet);
        }
        let mut roomy = roomy(&packet);
        self.fast_send(now, id, &mut roomy, (stride, payer));
    }

    /// Sends the probes that are due.
    pub fn fast_probe(&mut self, now: Instant) {
        if self.fast.probe_at.is_none_or(|at| at > now) {
            return;
        }
        self.fast.probe_at = None;
        let with_fast: Vec<LinkId> = self.fast.lane.links().collect();
        for id in with_fast {
            let Some(link) = self.links.get_mut(&id) else { continue };
            let rtt = self.quic.peek(link.handle).map(|c| c.rtt());
            let Some(side) = &mut link.fast else { continue };
            side.link.set_rtt(rtt.unwrap_or_default());
            let before = side.link.max_packet();
            while let Some(probe) = side.link.poll_probe(now, &mut SystemRandom) {
                self.fast.lane.send_control(now, &self.sockets, id, &probe, self.engine.counters());
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
        let Self { fast, sockets, engine, .. } = self;
        let any = fast.lane.flush(now, sockets, engine.counters());
        self.fast_account(now);
        any
    }

    /// Which socket fast packets wait for.
    pub fn fast_blocked_on(&self) -> Option<&Udp> {
        self.fast.lane.blocked_on(&self.sockets)
    }
}

/// A packet's copy with room in front for a fast header.
pub(crate) fn roomy(packet: &[u8]) -> BytesMut {
    let mut roomy = BytesMut::with_capacity(FAST_HEADER - HEADER + packet.len());
    roomy.extend_from_slice(&[0; FAST_HEADER - HEADER]);
    roomy.extend_from_slice(packet);
    roomy
}
