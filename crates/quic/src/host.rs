//! The table of connections, what is due, and the order in which to ask.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::HandshakeData;
use quinn_proto::{
    ClientConfig, ConnectError, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, EcnCodepoint,
    Endpoint, EndpointConfig, Event, Incoming, ServerConfig, StreamEvent, StreamId, Transmit, VarInt,
};
use rustc_hash::FxHashMap;
use rustls::pki_types::CertificateDer;
use wayfare_types::NodeId;

use crate::spans::{Spans, Verdict};
use crate::{Instant, tls};

/// What a host is made of.
pub struct HostConfig {
    pub endpoint: Arc<EndpointConfig>,
    /// Without one, nobody is let in.
    pub server: Option<Arc<ServerConfig>>,
    /// With more handshakes than this under way, a caller must first prove its address (Retry, RFC 9000 section 8.1.2).
    pub retry_above: usize,
    /// Connections beyond this are refused.
    pub max_connections: usize,
    /// Whether the socket keeps datagrams from being fragmented, so that path MTU discovery means something.
    pub mtu_discovery: bool,
    /// A seed for replayable runs.
    pub rng_seed: Option<[u8; 32]>,
}

/// What happened on a connection.
#[derive(Debug)]
pub enum QuicEvent {
    /// A peer began a handshake; `Connected` follows, or `Lost`.
    Accepted,
    Connected,
    Lost(ConnectionError),
    Opened(Dir),
    Readable(StreamId),
    Writable(StreamId),
    Available(Dir),
    Finished(StreamId),
    Stopped(StreamId, VarInt),
    Datagrams,
    DatagramsUnblocked,
}

struct Slot {
    conn: Connection,
    handshaking: bool,
    lost: bool,
    /// In `touched`, to be asked for events.
    touched: bool,
    /// In `sendable`, to be asked for datagrams.
    sendable: bool,
    /// When the heap will look at it next.
    timer: Option<Instant>,
    spans: Spans,
}

/// See the crate's first paragraph.
pub struct QuicHost {
    endpoint: Endpoint,
    slots: FxHashMap<ConnectionHandle, Slot>,
    touched: VecDeque<ConnectionHandle>,
    sendable: VecDeque<ConnectionHandle>,
    events: VecDeque<(ConnectionHandle, QuicEvent)>,
    responses: VecDeque<(Transmit, Vec<u8>)>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    handshakes: usize,
    retry_above: usize,
    max_connections: usize,
}

impl QuicHost {
    /// A host without connections.
    pub fn new(config: HostConfig) -> Self {
        Self {
            endpoint: Endpoint::new(config.endpoint, config.server, config.mtu_discovery, config.rng_seed),
            slots: FxHashMap::default(),
            touched: VecDeque::new(),
            sendable: VecDeque::new(),
            events: VecDeque::new(),
            responses: VecDeque::new(),
            timers: BinaryHeap::new(),
            handshakes: 0,
            retry_above: config.retry_above,
            max_connections: config.max_connections,
        }
    }

    /// From now on nobody new is let in; what runs goes on.
    pub fn stop_accepting(&mut self) {
        self.endpoint.set_server_config(None);
    }

    /// From now on whoever is new is let in as `server` says.
    pub fn accept_as(&mut self, server: Arc<ServerConfig>) {
        self.endpoint.set_server_config(Some(server));
    }

    /// Connections that have not drained.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// No connection is left.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Begins a handshake; `Connected` or `Lost` follows.
    pub fn connect(
        &mut self,
        now: Instant,
        config: ClientConfig,
        remote: SocketAddr,
        name: &str,
    ) -> Result<ConnectionHandle, ConnectError> {
        let (handle, conn) = self.endpoint.connect(now, config, remote, name)?;
        self.insert(handle, conn);
        Ok(handle)
    }

    fn insert(&mut self, handle: ConnectionHandle, conn: Connection) {
        let (timer, spans) = (None, Spans::default());
        let slot = Slot { conn, handshaking: true, lost: false, touched: false, sendable: false, timer, spans };
        self.slots.insert(handle, slot);
        self.handshakes += 1;
        self.touch(handle);
    }

    /// Takes one UDP payload.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        ecn: Option<EcnCodepoint>,
        data: BytesMut,
    ) {
        self.handle(now, remote, local_ip, ecn, data, None);
    }

    /// Takes one UDP payload; a connection that begins with it is let in as `server` says.
    pub fn handle_datagram_as(&mut self, now: Instant, remote: SocketAddr, data: BytesMut, server: Arc<ServerConfig>) {
        self.handle(now, remote, None, None, data, Some(server));
    }

    fn handle(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        ecn: Option<EcnCodepoint>,
        data: BytesMut,
        server: Option<Arc<ServerConfig>>,
    ) {
        let mut buf = Vec::new();
        match self.endpoint.handle(now, remote, local_ip, ecn, data, &mut buf) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(slot) = self.slots.get_mut(&handle) {
                    slot.conn.handle_event(event);
                    self.touch(handle);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.incoming(now, incoming, buf, server),
            Some(DatagramEvent::Response(transmit)) => self.responses.push_back((transmit, buf)),
            None => {}
        }
    }

    fn incoming(&mut self, now: Instant, incoming: Incoming, mut buf: Vec<u8>, server: Option<Arc<ServerConfig>>) {
        buf.clear();
        if self.slots.len() >= self.max_connections {
            let transmit = self.endpoint.refuse(incoming, &mut buf);
            self.responses.push_back((transmit, buf));
            return;
        }
        if self.handshakes > self.retry_above && !incoming.remote_address_validated() && incoming.may_retry() {
            if let Ok(transmit) = self.endpoint.retry(incoming, &mut buf) {
                self.responses.push_back((transmit, buf));
            }
            return;
        }
        match self.endpoint.accept(incoming, now, &mut buf, server) {
            Ok((handle, conn)) => {
                self.insert(handle, conn);
                self.events.push_back((handle, QuicEvent::Accepted));
            }
            Err(refused) => {
                if let Some(transmit) = refused.response {
                    self.responses.push_back((transmit, buf));
                }
            }
        }
    }

    /// A connection to read from, write to or ask. Whatever is done to it, it will be asked for events and datagrams.
    pub fn conn(&mut self, handle: ConnectionHandle) -> Option<&mut Connection> {
        if !self.slots.contains_key(&handle) {
            return None;
        }
        self.touch(handle);
        self.slots.get_mut(&handle).map(|s| &mut s.conn)
    }

    /// A connection to look at.
    pub fn peek(&self, handle: ConnectionHandle) -> Option<&Connection> {
        self.slots.get(&handle).map(|s| &s.conn)
    }

    /// Takes the next datagram that arrived, without marking the connection: for the packet path.
    #[inline]
    pub fn receive(&mut self, handle: ConnectionHandle) -> Option<Bytes> {
        self.slots.get_mut(&handle)?.conn.datagrams().recv()
    }

    /// Whether a datagram of several packets, or a batch of them, is to be sent: a connection that loses much goes back to small ones. It begins
    /// anew then, as on another path; what it still probes with is not to be sent.
    pub fn may_span(&mut self, now: Instant, handle: ConnectionHandle, bytes: usize) -> bool {
        let Some(Slot { conn, spans, .. }) = self.slots.get_mut(&handle) else { return false };
        let path = conn.stats().path;
        match spans.judge(now, path.rtt, path.sent_packets, path.congestion_events) {
            Verdict::Allowed => true,
            Verdict::Ended => {
                conn.path_changed(now);
                true
            }
            // No probe: a peer whose new path failed has gone back to the one before, and to its datagrams.
            Verdict::Refused if bytes <= usize::from(conn.current_mtu()) => {
                conn.path_changed(now);
                true
            }
            Verdict::Refused => false,
        }
    }

    /// A connection goes on over another path: what was found out about the one before means nothing, and a new connection id keeps the two apart
    /// for others.
    pub fn moved(&mut self, now: Instant, handle: ConnectionHandle) {
        if let Some(conn) = self.conn(handle) {
            conn.path_changed(now);
            conn.local_address_changed();
        }
        if let Some(slot) = self.slots.get_mut(&handle) {
            let path = slot.conn.stats().path;
            slot.spans = Spans::since(path.sent_packets, path.congestion_events);
        }
    }

    /// Who is at the other end, once connected.
    pub fn peer_id(&self, handle: ConnectionHandle) -> Option<NodeId> {
        let identity = self.slots.get(&handle)?.conn.crypto_session().peer_identity()?;
        let keys = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        tls::node_id(keys.first()?)
    }

    /// Keying material that both ends of a connection can compute and nobody else (TLS exporter, RFC 8446 section 7.5).
    pub fn export(&self, handle: ConnectionHandle, label: &[u8], context: &[u8]) -> Option<[u8; 32]> {
        let mut out = [0; 32];
        let session = self.slots.get(&handle)?.conn.crypto_session();
        session.export_keying_material(&mut out, label, context).ok().map(|()| out)
    }

    /// The protocol that both ends agreed on (ALPN), once connected.
    pub fn protocol(&self, handle: ConnectionHandle) -> Option<Vec<u8>> {
        let data = self.slots.get(&handle)?.conn.crypto_session().handshake_data()?;
        data.downcast::<HandshakeData>().ok()?.protocol
    }

    /// Closes with an application code; what is queued to be sent is not waited for.
    pub fn close(&mut self, now: Instant, handle: ConnectionHandle, code: u32, reason: &[u8]) {
        if let Some(conn) = self.conn(handle) {
            conn.close(now, VarInt::from_u32(code), Bytes::copy_from_slice(reason));
        }
    }

    fn touch(&mut self, handle: ConnectionHandle) {
        let Some(slot) = self.slots.get_mut(&handle) else { return };
        if !slot.touched {
            slot.touched = true;
            self.touched.push_back(handle);
        }
        if !slot.sendable {
            slot.sendable = true;
            self.sendable.push_back(handle);
        }
    }

    /// What happened next, if anything did.
    pub fn poll_event(&mut self) -> Option<(ConnectionHandle, QuicEvent)> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let handle = self.touched.pop_front()?;
            self.collect(handle);
        }
    }

    /// Moves endpoint events between a connection and the endpoint, and application events into our queue.
    fn collect(&mut self, handle: ConnectionHandle) {
        let Some(slot) = self.slots.get_mut(&handle) else { return };
        slot.touched = false;
        let mut drained = false;
        while let Some(event) = slot.conn.poll_endpoint_events() {
            drained |= event.is_drained();
            if let Some(reply) = self.endpoint.handle_event(handle, event) {
                slot.conn.handle_event(reply);
            }
        }
        while let Some(event) = slot.conn.poll() {
            let event = match event {
                Event::HandshakeDataReady => continue,
                Event::Connected => {
                    slot.handshaking = false;
                    self.handshakes -= 1;
                    QuicEvent::Connected
                }
                Event::ConnectionLost { reason } => {
                    slot.lost = true;
                    QuicEvent::Lost(reason)
                }
                Event::DatagramReceived => QuicEvent::Datagrams,
                Event::DatagramsUnblocked => QuicEvent::DatagramsUnblocked,
                Event::Stream(StreamEvent::Opened { dir }) => QuicEvent::Opened(dir),
                Event::Stream(StreamEvent::Readable { id }) => QuicEvent::Readable(id),
                Event::Stream(StreamEvent::Writable { id }) => QuicEvent::Writable(id),
                Event::Stream(StreamEvent::Finished { id }) => QuicEvent::Finished(id),
                Event::Stream(StreamEvent::Stopped { id, error_code }) => QuicEvent::Stopped(id, error_code),
                Event::Stream(StreamEvent::Available { dir }) => QuicEvent::Available(dir),
            };
            self.events.push_back((handle, event));
        }
        if drained {
            if slot.handshaking {
                self.handshakes -= 1;
            }
            if !slot.lost {
                self.events.push_back((handle, QuicEvent::Lost(ConnectionError::LocallyClosed)));
            }
            self.slots.remove(&handle);
        }
    }

    /// Writes the next datagram, or several of one size behind one another (`segment_size`), into `buf`.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Option<(Option<ConnectionHandle>, Transmit)> {
        self.poll_transmit_sized(now, |_| max_segments, buf)
    }

    /// As `poll_transmit`; how many datagrams at most is a matter of the connection's MTU.
    pub fn poll_transmit_sized(
        &mut self,
        now: Instant,
        max_segments: impl Fn(u16) -> usize,
        buf: &mut Vec<u8>,
    ) -> Option<(Option<ConnectionHandle>, Transmit)> {
        if let Some((transmit, data)) = self.responses.pop_front() {
            buf.clear();
            buf.extend_from_slice(&data[..transmit.size]);
            return Some((None, transmit));
        }
        while let Some(&handle) = self.sendable.front() {
            let Some(slot) = self.slots.get_mut(&handle) else {
                self.sendable.pop_front();
                continue;
            };
            buf.clear();
            let max_segments = max_segments(slot.conn.current_mtu()).max(1);
            let sent = slot.conn.poll_transmit(now, max_segments, buf);
            // One batch each in turn, so that a busy connection does not hold up the others.
            self.sendable.pop_front();
            if let Some(transmit) = sent {
                self.sendable.push_back(handle);
                return Some((Some(handle), transmit));
            }
            slot.sendable = false;
            if let Some(due) = slot.conn.poll_timeout()
                && slot.timer.is_none_or(|at| due < at)
            {
                slot.timer = Some(due);
                self.timers.push(Reverse((due, handle.0)));
            }
            // Sending can bring events of its own (new connection ids, a connection that has drained).
            if !slot.touched {
                slot.touched = true;
                self.touched.push_back(handle);
            }
        }
        None
    }

    /// When to call `handle_timeout`, at the latest. Valid after transmits were taken.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Lets every connection whose time has come act.
    ///
    /// Deadlines move back with every packet, so the heap is not kept exact: an entry that comes up early is put back.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&Reverse((at, index))) = self.timers.peek() {
            if at > now {
                return;
            }
            self.timers.pop();
            let handle = ConnectionHandle(index);
            let Some(slot) = self.slots.get_mut(&handle) else { continue };
            if slot.timer != Some(at) {
                continue;
            }
            slot.timer = None;
            match slot.conn.poll_timeout() {
                Some(due) if due <= now => {
                    slot.conn.handle_timeout(now);
                    self.touch(handle);
                }
                Some(due) => {
                    slot.timer = Some(due);
                    self.timers.push(Reverse((due, index)));
                }
                None => {}
            }
        }
    }
}
