//! Links whose bytes TypeScript moves: over HTTP/2 or WebSocket, where a network lets no UDP through.
//!
//! TypeScript hands in what came on the control stream and which packets came, and takes what is to go out, both in batches
//! ([`crate::Node::link_take`], [`crate::Node::link_give`]). It gives no identity that it has not been shown: such a link begins with
//! proofs of both (docs/decisions/0005).
//!
//! Invariant: what TypeScript does not take is bounded: beyond that packets are dropped, the oldest first, and counted; a link
//! whose control bytes pile up is closed.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use wayfare_link::{Begin, FEATURE_CREDIT, LinkStart};
use wayfare_quic::Instant;
use wayfare_types::{NodeId, Random, Reason};

use crate::Failure;
use crate::answer::Answer;
use crate::event::Event;
use crate::links::{HELLO_WITHIN, LinkId};
use crate::random::SystemRandom;
use crate::stats::LinkStats;
use crate::world::World;

/// As for every other link.
const CONTROL_BACKLOG_MAX: usize = 1 << 20;
/// Packets that wait: what a carrier of 100 Mbit/s moves in a tenth of a second.
const PACKETS_BACKLOG_MAX: usize = 1 << 20;
/// What TypeScript takes in one go, so that what it holds is bounded as well.
const GIVE_MAX: usize = 64 << 10;

/// Links whose end nobody has asked after yet.
const ENDED_MAX: usize = 64;

/// Kinds of the records that are given: `kind u8 | length u32 | bytes`.
const GIVE_PACKET: u8 = 1;
const GIVE_CONTROL: u8 = 2;

/// A session that is to become a link; see `LinkAttachment` in ts/core/host.ts.
pub struct Attachment {
    /// Whom we dialled; nobody where someone called.
    pub peer: Option<NodeId>,
    /// Hashes of the certificates that the acceptor may prove: for a caller, the one it was shown.
    pub bindings: Vec<[u8; 32]>,
    pub address: String,
    pub transport: &'static str,
    /// The largest packet that the session carries.
    pub mtu: usize,
}

pub(crate) struct Attached {
    peer: Option<NodeId>,
    address: String,
    incoming: bool,
    transport: &'static str,
    mtu: usize,
    pub since: Instant,
    pub up: bool,
    start: Option<LinkStart>,
    control: Vec<u8>,
    packets: VecDeque<Bytes>,
    packets_bytes: usize,
    /// Who waits for what is to go out.
    taker: Option<Answer<Option<Bytes>>>,
    packets_received: u64,
    packets_sent: u64,
    bytes_received: u64,
    bytes_sent: u64,
}

impl Attached {
    fn peer_text(&self) -> String {
        self.peer.map(|p| p.to_string()).unwrap_or_default()
    }

    /// A batch of what waits, control bytes first.
    fn batch(&mut self) -> Option<Bytes> {
        if self.control.is_empty() && self.packets.is_empty() {
            return None;
        }
        let mut out = BytesMut::with_capacity(self.control.len() + self.packets_bytes.min(GIVE_MAX) + 64);
        let mut record = |kind: u8, bytes: &[u8]| {
            out.put_u8(kind);
            out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            out.put_slice(bytes);
            out.len()
        };
        if !self.control.is_empty() {
            record(GIVE_CONTROL, &self.control);
            self.control.clear();
        }
        while let Some(packet) = self.packets.pop_front() {
            self.packets_bytes -= packet.len();
            self.packets_sent += 1;
            self.bytes_sent += packet.len() as u64;
            if record(GIVE_PACKET, &packet) >= GIVE_MAX {
                break;
            }
        }
        Some(out.freeze())
    }

    pub fn stats(&self, now: Instant, link: LinkId) -> LinkStats {
        LinkStats {
            link,
            peer: self.peer_text(),
            address: self.address.clone(),
            incoming: self.incoming,
            transport: self.transport,
            rtt_us: 0,
            mtu: u32::try_from(self.mtu).unwrap_or(u32::MAX),
            fast_bytes: 0,
            packets_received: self.packets_received,
            packets_sent: self.packets_sent,
            bytes_received: self.bytes_received,
            bytes_sent: self.bytes_sent,
            age_ms: u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl World {
    /// A session stands: begins the link.
    pub fn attach(&mut self, now: Instant, attachment: Attachment) -> Result<LinkId, Failure> {
        let Attachment { peer, bindings, address, transport, mtu } = attachment;
        let mut nonce = [0; 32];
        SystemRandom.fill(&mut nonce);
        let incoming = peer.is_none();
        let begin = match peer {
            Some(peer) if peer == self.id() => {
                return Err(Failure::new(Reason::LinkRefused.name(), "a node does not link to itself"));
            }
            Some(peer) => Begin::Dial { peer, bindings, nonce },
            None => Begin::Accept { binding: bindings.first().copied().unwrap_or_default(), nonce },
        };
        let mut control = Vec::new();
        let start = LinkStart::new(begin, self.id(), FEATURE_CREDIT, &mut control);
        let id = self.next_id();
        let link = Attached {
            peer,
            address,
            incoming,
            transport,
            mtu,
            since: now,
            up: false,
            start: Some(start),
            control,
            packets: VecDeque::new(),
            packets_bytes: 0,
            taker: None,
            packets_received: 0,
            packets_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
        };
        self.attached.insert(id, link);
        self.watch_hello(now + HELLO_WITHIN);
        Ok(id)
    }

    /// Takes what came: bytes of the control stream, and packets, each behind its length (u16).
    pub fn attached_take(
        &mut self,
        now: Instant,
        id: LinkId,
        control: &[u8],
        mut packets: &[u8],
    ) -> Result<(), Failure> {
        if !self.attached.contains_key(&id) {
            return Err(Failure::unknown("link", id));
        }
        if !control.is_empty() {
            self.attached_control(now, id, control);
        }
        while !packets.is_empty() {
            let Some((packet, rest)) = packets
                .split_first_chunk()
                .and_then(|(len, rest)| rest.split_at_checked(u16::from_be_bytes(*len).into()))
            else {
                return Err(Failure::new(Failure::INVALID, "a batch of packets ends inside one"));
            };
            packets = rest;
            let Some(link) = self.attached.get_mut(&id) else { return Ok(()) };
            link.packets_received += 1;
            link.bytes_received += packet.len() as u64;
            if link.up {
                self.take_packet(now, id, BytesMut::from(packet));
            } else {
                self.count(Reason::CircuitUnknown);
            }
        }
        Ok(())
    }

    fn attached_control(&mut self, now: Instant, id: LinkId, mut rest: &[u8]) {
        let Some(link) = self.attached.get_mut(&id) else { return };
        if let Some(start) = &mut link.start {
            let mut out = Vec::new();
            let taken = start.take(&self.identity, &mut rest, &mut out);
            self.attached_send_control(now, id, &out);
            match taken {
                Ok(None) => return,
                Ok(Some(up)) => {
                    let Some(link) = self.attached.get_mut(&id) else { return };
                    (link.peer, link.up, link.start) = (Some(up.peer), true, None);
                    self.events.push(Event::LinkUp {
                        link: id,
                        peer: link.peer_text(),
                        address: link.address.clone(),
                        incoming: link.incoming,
                        version: up.version,
                        transport: link.transport,
                    });
                    self.engine.link_up_with(now, id, up.peer, link.mtu, up.features & FEATURE_CREDIT != 0);
                    self.engine.link_fast(now, id, None);
                }
                Err(reason) => return self.attached_end(now, id, reason),
            }
        }
        if !rest.is_empty()
            && let Err(reason) = self.engine.handle_control(now, id, rest)
        {
            self.attached_end(now, id, reason);
        }
    }

    pub fn attached_send_control(&mut self, now: Instant, id: LinkId, frame: &[u8]) {
        let Some(link) = self.attached.get_mut(&id) else { return };
        if frame.is_empty() {
            return;
        }
        link.control.extend_from_slice(frame);
        if link.control.len() > CONTROL_BACKLOG_MAX {
            self.count(Reason::QueueFull);
            return self.attached_end(now, id, Reason::QueueFull);
        }
        self.attached_changed.push(id);
    }

    pub fn attached_send_packet(&mut self, id: LinkId, packet: Bytes) {
        let Some(link) = self.attached.get_mut(&id) else { return };
        if packet.len() > link.mtu {
            return self.count(Reason::LinkNarrow);
        }
        if link.packets.is_empty() {
            self.attached_changed.push(id);
        }
        link.packets_bytes += packet.len();
        link.packets.push_back(packet);
        let mut dropped = 0;
        while link.packets_bytes > PACKETS_BACKLOG_MAX
            && let Some(oldest) = link.packets.pop_front()
        {
            link.packets_bytes -= oldest.len();
            dropped += 1;
        }
        (0..dropped).for_each(|_| self.count(Reason::QueueFull));
    }

    /// Answers with what is to go out, now or when there is something; with why the link ended, once it has.
    pub fn attached_give(&mut self, id: LinkId, answer: Answer<Option<Bytes>>) {
        let Some(link) = self.attached.get_mut(&id) else {
            let why = self.attached_ended.iter().find(|(ended, _)| *ended == id);
            return answer.give(Err(why.map_or_else(|| Failure::unknown("link", id), |(_, reason)| (*reason).into())));
        };
        match link.batch() {
            Some(batch) => answer.give(Ok(Some(batch))),
            None => link.taker = Some(answer),
        }
    }

    /// At the end of a turn: what has come together goes out at once.
    pub fn attached_hand_over(&mut self) {
        for id in std::mem::take(&mut self.attached_changed) {
            let Some(link) = self.attached.get_mut(&id) else { continue };
            if link.taker.is_some()
                && let Some(batch) = link.batch()
                && let Some(taker) = link.taker.take()
            {
                taker.give(Ok(Some(batch)));
            }
        }
    }

    /// The end of a link, whoever wanted it: TypeScript closes the session for this reason.
    pub fn attached_end(&mut self, now: Instant, id: LinkId, reason: Reason) {
        let Some(mut link) = self.attached.remove(&id) else { return };
        if link.up {
            self.engine.link_down(now, id);
            self.events.push(Event::LinkDown { link: id, peer: link.peer_text(), reason: reason.name() });
        } else if reason != Reason::LinkGone {
            self.count(reason);
        }
        match link.taker.take() {
            Some(taker) => taker.give(Err(reason.into())),
            None => {
                self.attached_ended.push_back((id, reason));
                if self.attached_ended.len() > ENDED_MAX {
                    self.attached_ended.pop_front();
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "attached_tests.rs"]
mod tests;
