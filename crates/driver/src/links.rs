//! Links: connections to neighbours whose identity is proven, by QUIC's handshake between nodes and on the control stream
//! where a browser called (`web`).
//!
//! The dialer opens the first bidirectional stream, the control stream, on which the link begins (`control`). Every other
//! bidirectional stream is a session stream of TypeScript.
//!
//! Invariant: the engine hears of a link only while it is up, and TypeScript hears `link_down` for exactly the links it
//! heard `link_up` for.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use wayfare_engine::{Output, plain_packets};
use wayfare_link::{Begin, FEATURE_CREDIT, FEATURE_FAST, LinkStart, Up};
use wayfare_quic::{
    ConnectionError, ConnectionHandle, Dir, Instant, QuicEvent, Side, StreamId, WEB_ALPN, link_transport, tls,
};
use wayfare_types::{NodeId, Reason};
use wayfare_wire::Datagram;

use crate::Failure;
use crate::answer::Answer;
use crate::event::Event;
use crate::fast::FastSide;
use crate::shards::take_packet;
use crate::web::Web;
use crate::world::World;

pub type LinkId = u32;

/// A connection that has not said HELLO for so long is closed.
pub(crate) const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Refusals of connections that never became links; that one was lost is none.
const REFUSALS: [Reason; 3] = [Reason::LinkRefused, Reason::ControlMalformed, Reason::Timeout];

/// A neighbour's connection, from the first handshake datagram on.
pub(crate) struct Link {
    pub handle: ConnectionHandle,
    /// Expected when dialling, proven once connected.
    pub peer: Option<NodeId>,
    pub address: SocketAddr,
    pub incoming: bool,
    pub since: Instant,
    pub up: bool,
    /// Once it is known which stream that is.
    pub control: Option<StreamId>,
    pub start: Option<LinkStart>,
    pub backlog: VecDeque<Bytes>,
    pub backlog_bytes: usize,
    /// Of a connection that speaks WebTransport.
    pub web: Option<Box<Web>>,
    /// Where both ends take fast packets.
    pub fast: Option<Box<FastSide>>,
    /// The hash of the certificate that a caller would be shown.
    pub binding: [u8; 32],
    /// Addresses left to try, and who waits.
    others: VecDeque<SocketAddr>,
    opener: Option<Answer<LinkId>>,
    /// Streams opened before the link was up.
    pub early: Vec<StreamId>,
    /// Who waits until the peer allows another stream.
    pub waiting_to_open: Vec<Waker>,
    pub path_mtu: u16,
    pub max_datagram: usize,
    pub packets_received: u64,
    pub packets_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
}

impl Link {
    fn new(now: Instant, handle: ConnectionHandle, address: SocketAddr, incoming: bool) -> Self {
        Self {
            handle,
            peer: None,
            address,
            incoming,
            since: now,
            up: false,
            control: None,
            start: None,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            web: None,
            fast: None,
            binding: [0; 32],
            others: VecDeque::new(),
            opener: None,
            early: Vec::new(),
            waiting_to_open: Vec::new(),
            path_mtu: 0,
            max_datagram: 0,
            packets_received: 0,
            packets_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
        }
    }

    fn peer_text(&self) -> String {
        self.peer.map(|p| p.to_string()).unwrap_or_default()
    }

    /// So much went out fast.
    pub fn fast_sent(&mut self, packets: u64, bytes: u64) {
        self.packets_sent += packets;
        self.bytes_sent += bytes;
        if let Some(side) = &mut self.fast {
            side.link.sent(packets);
        }
    }

    /// How it came, as TypeScript calls it.
    pub fn transport(&self) -> &'static str {
        if self.web.is_some() { "webtransport" } else { "quic" }
    }
}

impl World {
    /// Dials `peer` at the first of `addresses` that works.
    pub fn link_open(&mut self, now: Instant, peer: NodeId, addresses: Vec<SocketAddr>, opener: Answer<LinkId>) {
        if peer == self.id() {
            return opener.give(Err(Failure::new(Reason::LinkRefused.name(), "a node does not link to itself")));
        }
        let families = |a: &SocketAddr| self.sockets.iter().any(|s| s.address().is_ipv4() == a.is_ipv4());
        let usable: VecDeque<SocketAddr> = addresses.into_iter().filter(families).collect();
        if usable.is_empty() {
            let text = "none of the peer's addresses is of a family that this node listens on";
            return opener.give(Err(Failure::new(Failure::INVALID, text)));
        }
        self.link_try(now, peer, usable, opener);
    }

    fn link_try(&mut self, now: Instant, peer: NodeId, mut addresses: VecDeque<SocketAddr>, opener: Answer<LinkId>) {
        let mut why = "it has no address".to_owned();
        while let Some(address) = addresses.pop_front() {
            let dialled = tls::link_client(&self.identity, peer, link_transport(self.link_idle_ms))
                .map_err(|e| e.to_string())
                .and_then(|c| self.quic.connect(now, c, address, tls::SERVER_NAME).map_err(|e| e.to_string()));
            match dialled {
                Ok(handle) => {
                    let id = self.next_id();
                    let mut link = Link::new(now, handle, address, false);
                    link.peer = Some(peer);
                    link.others = addresses;
                    link.opener = Some(opener);
                    self.link_insert(id, link);
                    return;
                }
                Err(error) => why = error,
            }
        }
        opener.give(Err(Failure::new(Reason::LinkRefused.name(), format!("cannot dial the peer: {why}"))));
    }

    /// Closes a link for a reason the peer is told.
    pub fn link_close(&mut self, now: Instant, id: LinkId, reason: Reason) {
        if self.attached.contains_key(&id) {
            return self.attached_end(now, id, reason);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.web.is_some() {
            self.web_close(now, id, reason);
        } else {
            let handle = link.handle;
            self.quic.close(now, handle, reason as u32, reason.name().as_bytes());
        }
        // quinn-proto says nothing of a close of our own, so this is the end of it.
        self.link_lost(now, id, reason);
    }

    pub fn link_lost(&mut self, now: Instant, id: LinkId, reason: Reason) {
        let Some(mut link) = self.links.remove(&id) else { return };
        self.by_handle.remove(&link.handle);
        if link.fast.is_some() {
            self.fast_end(id);
        }
        if link.up {
            self.engine.link_down(now, id);
            self.events.push(Event::LinkDown { link: id, peer: link.peer_text(), reason: reason.name() });
            self.sessions_gone(id);
            link.waiting_to_open.drain(..).for_each(Waker::wake);
            return;
        }
        if reason == Reason::LinkRefused || (link.incoming && REFUSALS.contains(&reason)) {
            self.count(reason);
        }
        if let (Some(opener), Some(peer)) = (link.opener.take(), link.peer) {
            if link.others.is_empty() || reason == Reason::LinkRefused {
                let text = format!("no link to {peer:?} at {}: {}", link.address, reason.name().replace('_', " "));
                opener.give(Err(Failure::new(reason.name(), text)));
            } else {
                self.link_try(now, peer, link.others, opener);
            }
        }
    }

    fn link_insert(&mut self, id: LinkId, link: Link) {
        self.watch_hello(link.since + HELLO_WITHIN);
        self.by_handle.insert(link.handle, id);
        self.links.insert(id, link);
    }

    /// Looks then for connections that never became links.
    pub fn watch_hello(&mut self, late_at: Instant) {
        self.hello_at = Some(self.hello_at.map_or(late_at, |at| at.min(late_at)));
    }

    /// Closes connections that ran out of time to become links.
    pub fn close_late_hellos(&mut self, now: Instant) {
        let waiting = |world: &Self| -> Vec<(LinkId, Instant)> {
            let links = world.links.iter().filter(|(_, l)| !l.up).map(|(&id, l)| (id, l.since + HELLO_WITHIN));
            let attached = world.attached.iter().filter(|(_, l)| !l.up).map(|(&id, l)| (id, l.since + HELLO_WITHIN));
            links.chain(attached).collect()
        };
        for (id, _) in waiting(self).into_iter().filter(|(_, at)| *at <= now) {
            self.link_close(now, id, Reason::Timeout);
        }
        self.hello_at = waiting(self).into_iter().map(|(_, at)| at).min();
    }

    /// Something happened on a connection.
    pub fn link_event(&mut self, now: Instant, handle: ConnectionHandle, event: QuicEvent) {
        if let QuicEvent::Accepted = event {
            let Some(address) = self.quic.peek(handle).map(|c| c.remote_address()) else { return };
            let id = self.next_id();
            let mut link = Link::new(now, handle, address, true);
            link.binding = self.binding;
            self.link_insert(id, link);
            return;
        }
        let Some(&id) = self.by_handle.get(&handle) else {
            if let QuicEvent::Lost(_) = event {
                self.leaving.retain(|(_, leaving)| *leaving != handle);
            }
            return;
        };
        match event {
            QuicEvent::Datagrams => self.link_datagrams(now, id),
            QuicEvent::Readable(stream) => self.link_readable(now, id, stream),
            QuicEvent::Writable(stream) => self.link_writable(now, id, stream),
            QuicEvent::Opened(dir) if self.links.get(&id).is_some_and(|l| l.web.is_some()) => {
                self.web_opened(now, id, dir);
            }
            QuicEvent::Opened(Dir::Bi) => self.link_opened(now, id),
            // Neighbours have no use for such a stream, and it would be left to fill its window.
            QuicEvent::Opened(Dir::Uni) => self.link_close(now, id, Reason::ControlMalformed),
            QuicEvent::Available(Dir::Bi) => self.sessions_available(id),
            QuicEvent::Stopped(stream, _) => self.link_writable(now, id, stream),
            QuicEvent::Connected => self.link_connected(now, id),
            QuicEvent::Lost(error) => {
                let Some(link) = self.links.get(&id) else { return };
                let reason = loss_reason(&error, link.path_mtu > 0, link.web.is_some());
                self.link_lost(now, id, reason);
            }
            QuicEvent::Accepted
            | QuicEvent::Finished(_)
            | QuicEvent::DatagramsUnblocked
            | QuicEvent::Available(Dir::Uni) => {}
        }
    }

    fn link_connected(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let handle = link.handle;
        if link.incoming && self.quic.protocol(handle).as_deref() == Some(WEB_ALPN) {
            return self.web_connected(now, id);
        }
        let proven = self.quic.peer_id(handle);
        // A dialer has checked the key already; an identity that is our own means that someone holds our key.
        let Some(peer) = proven.filter(|p| link.peer.is_none_or(|expected| expected == *p) && *p != self.identity.id())
        else {
            return self.link_close(now, id, Reason::LinkRefused);
        };
        link.peer = Some(peer);
        let control = StreamId::new(Side::Client, Dir::Bi, 0);
        link.control = Some(control);
        self.watch_mtu(now, id);
        let Some(link) = self.links.get(&id) else { return };
        if !link.incoming {
            let opened = self.quic.conn(handle).and_then(|c| c.streams().open(Dir::Bi));
            if opened != Some(control) {
                return self.link_close(now, id, Reason::LinkRefused);
            }
            self.control_begin(now, id, Begin::Proven(peer));
        }
    }

    fn link_writable(&mut self, now: Instant, id: LinkId, stream: StreamId) {
        if self.links.get(&id).is_some_and(|l| l.control == Some(stream)) {
            self.write_control(now, id);
        } else {
            self.session_wake_writer(id, stream);
        }
    }

    fn link_opened(&mut self, now: Instant, id: LinkId) {
        loop {
            let Some(link) = self.links.get_mut(&id) else { return };
            let Some(stream) = self.quic.conn(link.handle).and_then(|c| c.streams().accept(Dir::Bi)) else { return };
            match link.peer {
                Some(peer) if link.control == Some(stream) => {
                    self.control_begin(now, id, Begin::Proven(peer));
                    self.link_control(now, id);
                }
                _ => self.link_stream(id, stream),
            }
        }
    }

    /// A session stream that the peer opened.
    pub fn link_stream(&mut self, id: LinkId, stream: StreamId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.up {
            self.session_opened(id, stream);
        } else {
            link.early.push(stream);
        }
    }

    fn link_readable(&mut self, now: Instant, id: LinkId, stream: StreamId) {
        let Some(link) = self.links.get(&id) else { return };
        if link.web.as_ref().is_some_and(|web| web.wants(stream)) {
            self.web_read(now, id, stream);
        } else if link.control == Some(stream) {
            self.link_control(now, id);
        } else {
            self.session_wake_reader(id, stream);
        }
    }

    pub fn link_up(&mut self, now: Instant, id: LinkId, Up { peer, version, features }: Up) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.peer = Some(peer);
        link.up = true;
        link.start = None;
        let opener = link.opener.take();
        let early = std::mem::take(&mut link.early);
        self.events.push(Event::LinkUp {
            link: id,
            peer: link.peer_text(),
            address: link.address.to_string(),
            incoming: link.incoming,
            version,
            transport: link.transport(),
        });
        let max_datagram = link.max_datagram;
        self.engine.link_up_with(now, id, peer, max_datagram, features & FEATURE_CREDIT != 0);
        if features & FEATURE_FAST != 0 {
            self.fast_begin(now, id);
        } else {
            self.engine.link_fast(now, id, None);
        }
        early.into_iter().for_each(|stream| self.session_opened(id, stream));
        if let Some(opener) = opener {
            opener.give(Ok(id));
        }
    }

    /// Tells the engine when path MTU discovery has come to another result.
    pub fn watch_mtu(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(mtu) = self.quic.peek(link.handle).map(|c| c.current_mtu()) else { return };
        let narrower = mtu < link.path_mtu;
        self.fast_follow(now, id, narrower);
        let Some(link) = self.links.get_mut(&id) else { return };
        if mtu == link.path_mtu {
            return;
        }
        let Some(max) = self.quic.conn(link.handle).and_then(|c| c.datagrams().max_size()) else { return };
        let max = max.saturating_sub(link.web.as_ref().map_or(0, |web| web.prefix.len()));
        (link.path_mtu, link.max_datagram) = (mtu, max);
        if link.up {
            self.engine.link_mtu(id, max);
        }
    }

    fn link_datagrams(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        while let Some(mut datagram) = self.quic.receive(link.handle) {
            if let Some(web) = &link.web {
                match web.session.datagram(&datagram) {
                    Ok(prefix) => datagram.advance(prefix),
                    Err(reason) => {
                        self.engine.counters().count(reason);
                        continue;
                    }
                }
            }
            link.packets_received += 1;
            link.bytes_received += datagram.len() as u64;
            if !link.up {
                self.engine.counters().count(Reason::CircuitUnknown);
            } else if datagram.first() == Some(&Datagram::APPLICATION) {
                self.events.push(Event::Datagram { link: id, data: BASE64_STANDARD.encode(&datagram[1..]) });
            } else {
                // Each datagram came in a buffer of its own, so this is no copy.
                take_packet(self.shards.as_ref(), &mut self.engine, now, id, BytesMut::from(datagram));
            }
        }
    }

    /// Sends an application datagram of the session.
    pub fn datagram_send(&mut self, id: LinkId, data: &[u8]) {
        if self.links.get(&id).is_some_and(|l| l.up) {
            let mut framed = BytesMut::with_capacity(data.len() + 1);
            framed.extend_from_slice(&[Datagram::APPLICATION]);
            framed.extend_from_slice(data);
            self.send_datagram(id, framed.freeze());
        } else {
            self.count(Reason::LinkGone);
        }
    }

    pub fn send_datagram(&mut self, id: LinkId, data: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return self.engine.counters().count(Reason::LinkGone) };
        let Some(conn) = self.quic.conn(link.handle) else { return self.engine.counters().count(Reason::LinkGone) };
        let data = match &link.web {
            None => data,
            Some(web) => web.prefixed(&data),
        };
        let bytes = data.len();
        let mut datagrams = conn.datagrams();
        // The oldest goes: what waited longest is what its sender has given up first.
        if datagrams.send_buffer_space() < bytes {
            self.engine.counters().count(Reason::QueueFull);
        }
        match datagrams.send(data, true) {
            Ok(()) => {
                link.packets_sent += 1;
                link.bytes_sent += bytes as u64;
            }
            Err(_) => self.engine.counters().count(Reason::LinkNarrow),
        }
    }

    /// Does what the engine wants done; whether there was anything.
    pub fn take_outputs(&mut self, now: Instant) -> bool {
        let mut any = false;
        self.shards_tell();
        while let Some(output) = self.engine.poll_output(now) {
            self.shards_tell();
            any = true;
            match output {
                Output::Packet { link, data, .. } if self.attached.contains_key(&link) => {
                    self.attached_send_packet(link, data)
                }
                Output::Control { link, data } if self.attached.contains_key(&link) => {
                    self.attached_send_control(now, link, &data);
                }
                Output::Packet { link, data, payer } => self.send_packet(now, link, data, payer),
                Output::Packets { link, mut data, stride, payer } => {
                    if !self.fast_send(now, link, &mut data, (stride, payer)) {
                        plain_packets(data, stride).for_each(|packet| self.send_plain(link, packet));
                    }
                }
                Output::Control { link, data } => self.send_control(now, link, data.into()),
                Output::RememberSetup(record) => self.remember(now, &record),
                Output::CloseLink { link, reason } => self.link_close(now, link, reason),
            }
        }
        any
    }

    fn remember(&mut self, now: Instant, record: &[u8; 20]) {
        let failed = self.replay.as_mut().is_some_and(|file| file.remember(now, record).is_err());
        if failed {
            // What cannot be remembered must not be answered after a restart: that run has no file to trust.
            self.replay = None;
            self.engine.drain();
            self.count(Reason::SetupStale);
        }
    }
}

fn loss_reason(error: &ConnectionError, connected: bool, web: bool) -> Reason {
    match error {
        ConnectionError::TimedOut => Reason::Timeout,
        // The codes of HTTP/3 are none of ours.
        ConnectionError::ApplicationClosed(_) if web => Reason::LinkGone,
        ConnectionError::ApplicationClosed(close) => usize::try_from(close.error_code.into_inner())
            .ok()
            .and_then(|code| Reason::ALL.get(code))
            .copied()
            .unwrap_or(Reason::LinkGone),
        ConnectionError::LocallyClosed | ConnectionError::Reset => Reason::LinkGone,
        _ if connected => Reason::LinkGone,
        _ => Reason::LinkRefused,
    }
}
