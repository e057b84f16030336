//! Links: QUIC connections to neighbours whose identity the handshake has proven.
//!
//! The dialer opens the first bidirectional stream, the control stream. Both sides say HELLO on it first; the version of
//! the link is the highest both speak, and where there is none the link is closed. After HELLO the stream is the
//! engine's. Every other bidirectional stream is a session stream of TypeScript.
//!
//! Invariant: the engine hears of a link only while it is up, and TypeScript hears `link_down` for exactly the links it
//! heard `link_up` for.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use wayfare_engine::Output;
use wayfare_quic::{ConnectionError, ConnectionHandle, Dir, Instant, QuicEvent, Side, StreamId, link_transport, tls};
use wayfare_types::{NodeId, Reason};
use wayfare_wire::{Control, ControlDecoder, Datagram};

use crate::Failure;
use crate::answer::Answer;
use crate::event::Event;
use crate::world::World;

pub type LinkId = u32;

/// Link versions this node speaks, which are those of the packets on it.
const VERSION_MIN: u8 = 1;
const VERSION_MAX: u8 = 1;
/// A neighbour that takes less off its control stream than this behind is stuck or hostile.
const CONTROL_BACKLOG_MAX: usize = 1 << 20;
/// A connection that has not said HELLO for so long is closed.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of the control stream taken in one go, so that a neighbour's set-ups do not hold up a turn.
const CONTROL_READ: usize = 64 << 10;

/// A neighbour's connection, from the first handshake datagram on.
pub(crate) struct Link {
    pub handle: ConnectionHandle,
    /// Expected when dialling, proven once connected.
    pub peer: Option<NodeId>,
    pub address: SocketAddr,
    pub incoming: bool,
    pub since: Instant,
    pub up: bool,
    control: StreamId,
    hello: ControlDecoder,
    backlog: VecDeque<Bytes>,
    backlog_bytes: usize,
    /// Addresses left to try, and who waits.
    others: VecDeque<SocketAddr>,
    opener: Option<Answer<LinkId>>,
    /// Streams opened before the link was up.
    early: Vec<StreamId>,
    /// Who waits until the peer allows another stream.
    pub waiting_to_open: Vec<Waker>,
    path_mtu: u16,
    pub max_datagram: usize,
    /// Why this side closed it.
    closed_for: Option<Reason>,
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
            control: StreamId::new(Side::Client, Dir::Bi, 0),
            hello: ControlDecoder::default(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            others: VecDeque::new(),
            opener: None,
            early: Vec::new(),
            waiting_to_open: Vec::new(),
            path_mtu: 0,
            max_datagram: 0,
            closed_for: None,
            packets_received: 0,
            packets_sent: 0,
            bytes_received: 0,
            bytes_sent: 0,
        }
    }

    fn peer_text(&self) -> String {
        self.peer.map(|p| p.to_string()).unwrap_or_default()
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
        let Some(link) = self.links.get_mut(&id) else { return };
        link.closed_for.get_or_insert(reason);
        let handle = link.handle;
        self.quic.close(now, handle, reason as u32, reason.name().as_bytes());
        // quinn-proto says nothing of a close of our own, so this is the end of it.
        self.link_lost(now, id, reason);
    }

    fn link_lost(&mut self, now: Instant, id: LinkId, reason: Reason) {
        let Some(mut link) = self.links.remove(&id) else { return };
        self.by_handle.remove(&link.handle);
        if link.up {
            self.engine.link_down(now, id);
            self.events.push(Event::LinkDown { link: id, peer: link.peer_text(), reason: reason.name() });
            self.sessions_gone(id);
            link.waiting_to_open.drain(..).for_each(Waker::wake);
            return;
        }
        if reason == Reason::LinkRefused {
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
        let late_at = link.since + HELLO_WITHIN;
        self.hello_at = Some(self.hello_at.map_or(late_at, |at| at.min(late_at)));
        self.by_handle.insert(link.handle, id);
        self.links.insert(id, link);
    }

    /// Closes connections that ran out of time to become links.
    pub fn close_late_hellos(&mut self, now: Instant) {
        let late = |l: &Link| !l.up && l.since + HELLO_WITHIN <= now;
        let ids: Vec<LinkId> = self.links.iter().filter(|(_, l)| late(l)).map(|(&id, _)| id).collect();
        ids.into_iter().for_each(|id| self.link_close(now, id, Reason::Timeout));
        self.hello_at = self.links.values().filter(|l| !l.up).map(|l| l.since + HELLO_WITHIN).min();
    }

    /// Something happened on a connection.
    pub fn link_event(&mut self, now: Instant, handle: ConnectionHandle, event: QuicEvent) {
        if let QuicEvent::Accepted = event {
            let Some(address) = self.quic.peek(handle).map(|c| c.remote_address()) else { return };
            let id = self.next_id();
            self.link_insert(id, Link::new(now, handle, address, true));
            return;
        }
        let Some(&id) = self.by_handle.get(&handle) else { return };
        match event {
            QuicEvent::Datagrams => self.link_datagrams(now, id),
            QuicEvent::Readable(stream) => self.link_readable(now, id, stream),
            QuicEvent::Writable(stream) => self.link_writable(now, id, stream),
            QuicEvent::Opened(Dir::Bi) => self.link_opened(now, id),
            QuicEvent::Available(Dir::Bi) => self.sessions_available(id),
            QuicEvent::Stopped(stream, _) => self.link_writable(now, id, stream),
            QuicEvent::Connected => self.link_connected(now, id),
            QuicEvent::Lost(error) => {
                let connected = self.links.get(&id).is_some_and(|l| l.path_mtu > 0);
                self.link_lost(now, id, loss_reason(&error, connected));
            }
            QuicEvent::Accepted
            | QuicEvent::Finished(_)
            | QuicEvent::DatagramsUnblocked
            | QuicEvent::Opened(Dir::Uni)
            | QuicEvent::Available(Dir::Uni) => {}
        }
    }

    fn link_connected(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let handle = link.handle;
        let proven = self.quic.peer_id(handle);
        // A dialer has checked the key already; an identity that is our own means that someone holds our key.
        if proven.is_none()
            || link.peer.is_some_and(|expected| Some(expected) != proven)
            || proven == Some(self.identity.id())
        {
            return self.link_close(now, id, Reason::LinkRefused);
        }
        link.peer = proven;
        self.watch_mtu(id);
        let Some(link) = self.links.get(&id) else { return };
        if !link.incoming {
            let opened = self.quic.conn(handle).and_then(|c| c.streams().open(Dir::Bi));
            if opened != Some(link.control) {
                return self.link_close(now, id, Reason::LinkRefused);
            }
            self.say_hello(now, id);
        }
    }

    fn say_hello(&mut self, now: Instant, id: LinkId) {
        let mut hello = Vec::new();
        Control::Hello { version_min: VERSION_MIN, version_max: VERSION_MAX, features: 0 }.encode(&mut hello);
        self.send_control(now, id, hello.into());
    }

    fn send_control(&mut self, now: Instant, id: LinkId, frame: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return self.engine.counters().count(Reason::LinkGone) };
        link.backlog_bytes += frame.len();
        link.backlog.push_back(frame);
        if link.backlog_bytes > CONTROL_BACKLOG_MAX {
            self.count(Reason::QueueFull);
            return self.link_close(now, id, Reason::QueueFull);
        }
        self.write_control(now, id);
    }

    fn write_control(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(conn) = self.quic.conn(link.handle) else { return };
        let mut stream = conn.send_stream(link.control);
        while !link.backlog.is_empty() {
            match stream.write_chunks(link.backlog.make_contiguous()) {
                Ok(written) => {
                    link.backlog_bytes -= written.bytes;
                    link.backlog.drain(..written.chunks);
                    if written.bytes == 0 {
                        return;
                    }
                }
                Err(wayfare_quic::WriteError::Blocked) => return,
                Err(_) => return self.link_close(now, id, Reason::ControlMalformed),
            }
        }
    }

    fn link_writable(&mut self, now: Instant, id: LinkId, stream: StreamId) {
        if self.links.get(&id).is_some_and(|l| l.control == stream) {
            self.write_control(now, id);
        } else {
            self.session_wake_writer(id, stream);
        }
    }

    fn link_opened(&mut self, now: Instant, id: LinkId) {
        loop {
            let Some(link) = self.links.get_mut(&id) else { return };
            let Some(stream) = self.quic.conn(link.handle).and_then(|c| c.streams().accept(Dir::Bi)) else { return };
            if stream == link.control {
                self.say_hello(now, id);
                self.link_control(now, id);
            } else if link.up {
                self.session_opened(id, stream);
            } else {
                link.early.push(stream);
            }
        }
    }

    fn link_readable(&mut self, now: Instant, id: LinkId, stream: StreamId) {
        if self.links.get(&id).is_some_and(|l| l.control == stream) {
            self.link_control(now, id);
        } else {
            self.session_wake_reader(id, stream);
        }
    }

    /// Takes what the control stream has: HELLO for us, the rest for the engine.
    fn link_control(&mut self, now: Instant, id: LinkId) {
        let mut arrived: Vec<Bytes> = Vec::new();
        let mut ended = false;
        {
            let Some(link) = self.links.get(&id) else { return };
            let control = link.control;
            let Some(conn) = self.quic.conn(link.handle) else { return };
            let mut stream = conn.recv_stream(control);
            let Ok(mut chunks) = stream.read(true) else { return };
            loop {
                match chunks.next(CONTROL_READ) {
                    Ok(Some(chunk)) => arrived.push(chunk.bytes),
                    Err(wayfare_quic::ReadError::Blocked) => break,
                    Ok(None) | Err(_) => {
                        ended = true;
                        break;
                    }
                }
            }
            let _ = chunks.finalize();
        }
        for bytes in arrived {
            let mut rest = &bytes[..];
            let Some(link) = self.links.get_mut(&id) else { return };
            if !link.up {
                match link.hello.next(&mut rest) {
                    Ok(None) => continue,
                    Ok(Some(Control::Hello { version_min, version_max, .. })) => {
                        let version = version_max.min(VERSION_MAX);
                        if version < version_min.max(VERSION_MIN) {
                            return self.link_close(now, id, Reason::LinkRefused);
                        }
                        self.link_up(now, id, version);
                    }
                    Ok(Some(_)) | Err(_) => {
                        self.count(Reason::ControlMalformed);
                        return self.link_close(now, id, Reason::ControlMalformed);
                    }
                }
            }
            if !rest.is_empty()
                && let Err(reason) = self.engine.handle_control(now, id, rest)
            {
                return self.link_close(now, id, reason);
            }
        }
        if ended {
            self.link_close(now, id, Reason::LinkGone);
        }
    }

    fn link_up(&mut self, now: Instant, id: LinkId, version: u8) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(peer) = link.peer else { return };
        link.up = true;
        let opener = link.opener.take();
        let early = std::mem::take(&mut link.early);
        self.events.push(Event::LinkUp {
            link: id,
            peer: link.peer_text(),
            address: link.address.to_string(),
            incoming: link.incoming,
            version,
        });
        let max_datagram = link.max_datagram;
        self.engine.link_up(now, id, peer, max_datagram);
        early.into_iter().for_each(|stream| self.session_opened(id, stream));
        if let Some(opener) = opener {
            opener.give(Ok(id));
        }
    }

    /// Tells the engine when path MTU discovery has come to another result.
    pub fn watch_mtu(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(mtu) = self.quic.peek(link.handle).map(|c| c.current_mtu()) else { return };
        if mtu == link.path_mtu {
            return;
        }
        let Some(max) = self.quic.conn(link.handle).and_then(|c| c.datagrams().max_size()) else { return };
        (link.path_mtu, link.max_datagram) = (mtu, max);
        if link.up {
            self.engine.link_mtu(id, max);
        }
    }

    fn link_datagrams(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        while let Some(datagram) = self.quic.receive(link.handle) {
            link.packets_received += 1;
            link.bytes_received += datagram.len() as u64;
            if !link.up {
                self.engine.counters().count(Reason::CircuitUnknown);
            } else if datagram.first() == Some(&Datagram::APPLICATION) {
                self.events.push(Event::Datagram { link: id, data: BASE64_STANDARD.encode(&datagram[1..]) });
            } else {
                // Each datagram came in a buffer of its own, so this is no copy.
                self.engine.handle_packet(now, id, BytesMut::from(datagram));
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

    fn send_datagram(&mut self, id: LinkId, data: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return self.engine.counters().count(Reason::LinkGone) };
        let Some(conn) = self.quic.conn(link.handle) else { return self.engine.counters().count(Reason::LinkGone) };
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
            Err(_) => self.engine.counters().count(Reason::PacketSize),
        }
    }

    /// Does what the engine wants done; whether there was anything.
    pub fn take_outputs(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(output) = self.engine.poll_output(now) {
            any = true;
            match output {
                Output::Packet { link, data } => self.send_datagram(link, data),
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

fn loss_reason(error: &ConnectionError, connected: bool) -> Reason {
    match error {
        ConnectionError::TimedOut => Reason::Timeout,
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
