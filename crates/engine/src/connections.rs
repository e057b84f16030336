//! Inner connections: opened by a client to a circuit's exit, moved between circuits, watched while anything lives on them.

use std::time::Duration;

use wayfare_quic::tls;
use wayfare_quic::{Connection, ConnectionHandle, Dir, Instant, QuicEvent, StreamId, inner_transport};
use wayfare_types::{NodeId, Reason};
use wayfare_wire::SizeClass;
use wayfare_wire::window::{FlowWindow, WindowDecoder};

use crate::api::{CircuitId, ConnectionId, Event};
use crate::circuits::Circuit;
use crate::engine::Engine;
use crate::inner::{IDLE_MS, Side, exit_address, sizes};

/// Silence after which a sign of life is asked for.
const ASK_AFTER: Duration = Duration::from_millis(600);
/// Silence after which the circuit counts as stalled, on paths whose round trip is short.
const STALLED_AFTER: Duration = Duration::from_millis(1_800);

pub(crate) struct Conn {
    pub side: Side,
    pub handle: ConnectionHandle,
    /// Who it ends at; at the exit, itself.
    pub exit: NodeId,
    /// At a client, the circuit it sends on. At an exit quinn-proto knows, by the address.
    pub circuit: CircuitId,
    pub up: bool,
    /// At a client, the class of circuit it began on: its datagrams fill that. An exit never moves one.
    class: SizeClass,
    /// Flows and associations on it.
    pub live: usize,
    /// Since when its silence means anything: when something began to live on it, or it was moved.
    expecting_since: Instant,
    asked_at: Option<Instant>,
    stalled_told: Option<Instant>,
    /// The stream on which we tell windows, and what it has not taken yet.
    window_stream: Option<StreamId>,
    window_backlog: Vec<u8>,
    window_decoder: WindowDecoder,
}

impl Engine {
    /// Begins an inner connection to the exit of a circuit that is up; `ConnectionUp` follows once the exit has proven its
    /// identity, or `ConnectionDown`.
    ///
    /// # Errors
    /// `CircuitUnknown` when the circuit is none of ours, or not up.
    pub fn connection_open(&mut self, now: Instant, circuit: CircuitId) -> Result<ConnectionId, Reason> {
        let Some(Circuit::Client(c)) = self.circuits.get(&circuit) else { return Err(Reason::CircuitUnknown) };
        if c.path.is_none() {
            return Err(Reason::CircuitUnknown);
        }
        let (exit, class) = (c.exit, c.class);
        let transport = inner_transport(sizes(class), self.inner.windows, IDLE_MS);
        let config = tls::inner_client(exit, transport).map_err(|_| Reason::LinkRefused)?;
        let handle = self
            .inner
            .client
            .connect(now, config, exit_address(exit), tls::SERVER_NAME)
            .map_err(|_| Reason::LinkRefused)?;
        Ok(self.insert_connection(now, Side::Client, handle, exit, circuit, class))
    }

    fn insert_connection(
        &mut self,
        now: Instant,
        side: Side,
        handle: ConnectionHandle,
        exit: NodeId,
        circuit: CircuitId,
        class: SizeClass,
    ) -> ConnectionId {
        let id = self.inner.next_connection_id();
        let conn = Conn {
            side,
            handle,
            exit,
            circuit,
            up: false,
            class,
            live: 0,
            expecting_since: now,
            asked_at: None,
            stalled_told: None,
            window_stream: None,
            window_backlog: Vec::new(),
            window_decoder: WindowDecoder::default(),
        };
        self.inner.conns.insert(id, conn);
        self.inner.handles.insert((side, handle), id);
        id
    }

    /// Moves a running connection to another circuit to the same exit; its flows go on.
    ///
    /// # Errors
    /// `CircuitUnknown` when either is unknown or not up, `LinkRefused` when the circuit ends at another exit, `PacketSize`
    /// when its packets are too small.
    pub fn connection_move(&mut self, now: Instant, id: ConnectionId, circuit: CircuitId) -> Result<(), Reason> {
        let Some(Circuit::Client(to)) = self.circuits.get(&circuit) else { return Err(Reason::CircuitUnknown) };
        let Some(conn) = self.inner.conns.get_mut(&id).filter(|c| c.side == Side::Client) else {
            return Err(Reason::CircuitUnknown);
        };
        if to.path.is_none() {
            return Err(Reason::CircuitUnknown);
        }
        if to.exit != conn.exit {
            return Err(Reason::LinkRefused);
        }
        // A jumbo connection finds out anew what its path takes.
        if !conn.class.is_jumbo() && to.class.inner_bytes() < conn.class.inner_bytes() {
            return Err(Reason::PacketSize);
        }
        conn.circuit = circuit;
        conn.expecting_since = now;
        conn.asked_at = None;
        conn.stalled_told = None;
        self.inner.client.moved(now, conn.handle);
        Ok(())
    }

    /// Ends an inner connection and everything on it.
    pub fn connection_close(&mut self, now: Instant, id: ConnectionId) {
        let Some(conn) = self.inner.conns.get(&id) else { return };
        let (side, handle) = (conn.side, conn.handle);
        if let Some(host) = self.inner.host(side) {
            host.close(now, handle, 0, b"");
        }
        // While it is still known which circuit leads to the other end: else that would wait for a silent client.
        self.drive_inner(now);
        self.connection_lost(now, id, Reason::CircuitClosed);
    }

    /// Its round trip so far.
    pub fn connection_rtt(&self, id: ConnectionId) -> Option<Duration> {
        Some(self.connection_quic(id)?.rtt())
    }

    /// Bytes of the largest datagram that it sends at present.
    pub fn connection_mtu(&self, id: ConnectionId) -> Option<u16> {
        Some(self.connection_quic(id)?.current_mtu())
    }

    fn connection_quic(&self, id: ConnectionId) -> Option<&Connection> {
        let conn = self.inner.conns.get(&id)?;
        let host = match conn.side {
            Side::Client => &self.inner.client,
            Side::Exit => self.inner.exit.as_ref()?,
        };
        host.peek(conn.handle)
    }

    fn connection_lost(&mut self, now: Instant, id: ConnectionId, reason: Reason) {
        let Some(conn) = self.inner.conns.remove(&id) else { return };
        self.inner.handles.remove(&(conn.side, conn.handle));
        self.add_lost(now, id);
        self.close_flows_of(id, reason);
        self.inner.udp.close_of(id, &mut self.events);
        self.events.push_back(Event::ConnectionDown { connection: id, reason });
    }

    /// A circuit is gone; a connection without anything live on it goes with it, others wait to be moved.
    pub(crate) fn circuit_gone(&mut self, now: Instant, circuit: CircuitId) {
        let on_it: Vec<(ConnectionId, usize)> = self
            .inner
            .conns
            .iter()
            .filter(|(_, c)| c.side == Side::Client && c.circuit == circuit)
            .map(|(&id, c)| (id, c.live))
            .collect();
        for (id, live) in on_it {
            if live == 0 {
                self.connection_close(now, id);
            } else {
                self.tell_stalled(now, id, 0);
            }
        }
    }

    /// Counts what lives on a connection, so that silence can be judged.
    pub(crate) fn count_live(&mut self, now: Instant, id: ConnectionId, by: isize) {
        if let Some(conn) = self.inner.conns.get_mut(&id) {
            if conn.live == 0 {
                conn.expecting_since = now;
            }
            conn.live = conn.live.saturating_add_signed(by);
        }
    }

    /// Asks silent connections for a sign of life, and tells of those that gave none.
    pub(crate) fn watch_connections(&mut self, now: Instant) {
        let mut stalled = Vec::new();
        let Self { inner, circuits, .. } = self;
        for (&id, conn) in inner.conns.iter_mut().filter(|(_, c)| c.side == Side::Client && c.live > 0 && c.up) {
            let heard_at = match circuits.get(&conn.circuit) {
                Some(Circuit::Client(c)) => c.heard_at.max(conn.expecting_since),
                _ => conn.expecting_since,
            };
            let silent = now.saturating_duration_since(heard_at);
            if silent < ASK_AFTER {
                conn.asked_at = None;
                conn.stalled_told = None;
                continue;
            }
            let Some(quic) = inner.client.conn(conn.handle) else { continue };
            let rtt = quic.rtt();
            match conn.asked_at {
                Some(at) if now.saturating_duration_since(at) < ASK_AFTER => {}
                _ => {
                    conn.asked_at = Some(now);
                    quic.ping();
                }
            }
            if silent >= STALLED_AFTER.max(rtt * 4) {
                stalled.push((id, silent.as_millis() as u64));
            }
        }
        for (id, silent_ms) in stalled {
            self.tell_stalled(now, id, silent_ms);
        }
    }

    fn tell_stalled(&mut self, now: Instant, id: ConnectionId, silent_ms: u64) {
        let Some(conn) = self.inner.conns.get_mut(&id) else { return };
        if conn.stalled_told.is_some_and(|at| now.saturating_duration_since(at) < STALLED_AFTER) {
            return;
        }
        conn.stalled_told = Some(now);
        self.events.push_back(Event::ConnectionStalled { connection: id, circuit: conn.circuit, silent_ms });
    }

    /// What quinn-proto says of an inner connection.
    pub(crate) fn inner_event(&mut self, now: Instant, side: Side, handle: ConnectionHandle, event: QuicEvent) {
        if let QuicEvent::Accepted = event {
            self.insert_connection(now, side, handle, self.id, 0, SizeClass::M);
            return;
        }
        let Some(&id) = self.inner.handles.get(&(side, handle)) else { return };
        match event {
            QuicEvent::Accepted | QuicEvent::Finished(_) | QuicEvent::Available(_) | QuicEvent::DatagramsUnblocked => {}
            QuicEvent::Connected => {
                if let Some(conn) = self.inner.conns.get_mut(&id) {
                    conn.up = true;
                }
                if side == Side::Client {
                    self.events.push_back(Event::ConnectionUp(id));
                }
            }
            QuicEvent::Lost(error) => self.connection_lost(now, id, loss_reason(&error)),
            QuicEvent::Opened(Dir::Bi) => self.accept_flows(now, id),
            QuicEvent::Opened(Dir::Uni) => self.read_windows(id),
            QuicEvent::Readable(stream) if stream.dir() == Dir::Uni => self.read_windows(id),
            QuicEvent::Readable(stream) => self.flow_stream_readable(now, id, stream),
            QuicEvent::Writable(stream) if stream.dir() == Dir::Uni => self.write_windows(id),
            QuicEvent::Writable(stream) => self.flow_stream_writable(id, stream),
            QuicEvent::Stopped(stream, _) => self.flow_stream_stopped(id, stream),
            QuicEvent::Datagrams => self.read_datagrams(now, id),
        }
    }

    /// Tells the other end how far it may send on a stream.
    pub(crate) fn tell_window(&mut self, id: ConnectionId, stream: StreamId, limit: u64) {
        let Some(conn) = self.inner.conns.get_mut(&id) else { return };
        let message = FlowWindow { stream_id: u64::from(wayfare_quic::VarInt::from(stream)), limit };
        conn.window_backlog.extend_from_slice(&message.to_bytes());
        self.write_windows(id);
    }

    fn write_windows(&mut self, id: ConnectionId) {
        let Self { inner, .. } = self;
        let Some(conn) = inner.conns.get_mut(&id) else { return };
        let host = match conn.side {
            Side::Client => Some(&mut inner.client),
            Side::Exit => inner.exit.as_mut(),
        };
        let Some(quic) = host.and_then(|h| h.conn(conn.handle)) else { return };
        if conn.window_stream.is_none() {
            conn.window_stream = quic.streams().open(Dir::Uni);
        }
        let Some(stream) = conn.window_stream else { return };
        if let Ok(taken) = quic.send_stream(stream).write(&conn.window_backlog) {
            conn.window_backlog.drain(..taken);
        }
    }

    fn read_windows(&mut self, id: ConnectionId) {
        let mut told = Vec::new();
        {
            let Self { inner, .. } = self;
            let Some(conn) = inner.conns.get_mut(&id) else { return };
            let host = match conn.side {
                Side::Client => Some(&mut inner.client),
                Side::Exit => inner.exit.as_mut(),
            };
            let Some(quic) = host.and_then(|h| h.conn(conn.handle)) else { return };
            while quic.streams().accept(Dir::Uni).is_some() {}
            // The peer's first and only unidirectional stream (`max_concurrent_uni_streams` is 1).
            let initiator =
                if conn.side == Side::Client { wayfare_quic::Side::Server } else { wayfare_quic::Side::Client };
            let mut stream = quic.recv_stream(StreamId::new(initiator, Dir::Uni, 0));
            let Ok(mut chunks) = stream.read(true) else { return };
            while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
                let mut bytes = &chunk.bytes[..];
                while let Some(window) = conn.window_decoder.next(&mut bytes) {
                    told.push(window);
                }
            }
            let _ = chunks.finalize();
        }
        for window in told {
            self.flow_limit(id, window.stream_id, window.limit);
        }
    }
}

fn loss_reason(error: &wayfare_quic::ConnectionError) -> Reason {
    use wayfare_quic::ConnectionError as E;
    match error {
        E::TimedOut => Reason::Timeout,
        E::ApplicationClosed(_) | E::LocallyClosed | E::ConnectionClosed(_) | E::Reset => Reason::CircuitClosed,
        E::TransportError(_) | E::VersionMismatch | E::CidsExhausted => Reason::LinkRefused,
    }
}
