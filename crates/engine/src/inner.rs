//! Inner QUIC, end to end between client and exit: its datagrams are what packets carry.
//!
//! Each circuit is an address to it. The exit's address is one for all circuits of a client to that exit; the client's
//! changes with the circuit, so that moving a connection is an ordinary migration (RFC 9000, section 9).

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use rustc_hash::FxHashMap;
use wayfare_quic::tls::{self, Identity};
use wayfare_quic::{
    ConnectionHandle, EndpointConfig, HostConfig, InnerSizes, InnerWindows, Instant, QuicHost,
    RandomConnectionIdGenerator, SPAN_MTU_MAX, ServerConfig, inner_transport,
};
use wayfare_types::{NodeId, Random, Reason};
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{SizeClass, TAGS};

use crate::api::{CircuitId, ConnectionId, EngineConfig};
use crate::circuits::Circuit;
use crate::connections::Conn;
use crate::engine::Engine;
use crate::flows::Flows;
use crate::ids::IdMap;
use crate::udp::UdpTable;

/// Who knows the id that an exit gave a connection may send on it, from any circuit: nobody guesses 128 bits.
const CONNECTION_ID_BYTES: usize = 16;
/// Inner idle timeout: longer than any re-routing, short enough that what a client left behind goes.
pub(crate) const IDLE_MS: u32 = 30_000;
/// Datagrams that one inner connection hands over at a time, at most.
const SEGMENTS_MAX: usize = 52;
/// What one call can send as segments: the largest payload of UDP over IPv4.
const BATCH_BYTES: usize = 65_507;
/// Outputs that may wait before the host is given its turn: few, so that what was just written is still in the cache.
const OUTPUTS_AHEAD: usize = 4;

// What congestion control takes for several packets is what circuits send in several, and nothing that goes in one.
const _: () = assert!(SizeClass::L.spanned_bytes() <= SPAN_MTU_MAX && SizeClass::J.inner_bytes() > SPAN_MTU_MAX);

/// How large datagrams on a circuit of a class are.
pub(crate) fn sizes(class: SizeClass) -> InnerSizes {
    InnerSizes { packet: class.inner_bytes() as u16, spanned: class.spanned_bytes() as u16 }
}

/// As many packets as go out with one call.
fn segments(mtu: u16) -> usize {
    let (mtu, small, large) = (usize::from(mtu), SizeClass::M, SizeClass::L);
    let bytes = if mtu == large.spanned_bytes() {
        SizeClass::SPAN * large.fast_bytes()
    } else if mtu > large.inner_bytes() && mtu < large.spanned_bytes() {
        mtu.div_ceil(small.inner_bytes()) * small.fast_bytes()
    } else {
        FAST_HEADER + TAGS + 2 + mtu
    };
    (BATCH_BYTES / bytes).min(SEGMENTS_MAX)
}

/// Which end of an inner connection this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Client,
    Exit,
}

pub(crate) struct Inner {
    pub client: QuicHost,
    pub exit: Option<QuicHost>,
    /// How an exit lets connections in, by the class of the circuit they come on.
    servers: Vec<(SizeClass, Arc<ServerConfig>)>,
    pub handles: FxHashMap<(Side, ConnectionHandle), ConnectionId>,
    pub conns: IdMap<Conn>,
    pub flows: Flows,
    pub udp: UdpTable,
    pub windows: InnerWindows,
    next_connection: ConnectionId,
    buf: Vec<u8>,
}

fn address(kind: u8, tail: &[u8]) -> SocketAddr {
    let mut ip = [0; 16];
    ip[..4].copy_from_slice(&[0xfd, 0x57, 0, kind]);
    ip[16 - tail.len()..].copy_from_slice(tail);
    SocketAddr::from((Ipv6Addr::from(ip), 1))
}

/// What stands for an exit, at its clients.
pub(crate) fn exit_address(exit: NodeId) -> SocketAddr {
    address(1, &exit.0[..8])
}

/// What stands for a client's circuit, at its exit.
fn circuit_address(id: CircuitId) -> SocketAddr {
    address(2, &id.to_be_bytes())
}

pub(crate) fn circuit_of(address: SocketAddr) -> Option<CircuitId> {
    let SocketAddr::V6(v6) = address else { return None };
    let [0xfd, 0x57, 0, 2, .., a, b, c, d] = v6.ip().octets() else { return None };
    Some(u32::from_be_bytes([a, b, c, d]))
}

impl Inner {
    pub fn new(identity: &Identity, config: &EngineConfig, random: &mut dyn Random) -> Result<Self, String> {
        let windows = InnerWindows {
            stream_bytes: config.limits.window_bytes_max,
            // Above the quota of readers who do not read: they are to be dropped before they hold up the others.
            connection_bytes: u32::try_from(config.limits.reader_bytes)
                .unwrap_or(u32::MAX)
                .saturating_add(config.limits.window_bytes_max.saturating_mul(2)),
        };
        let host = |server: Option<Arc<ServerConfig>>, random: &mut dyn Random| {
            let mut endpoint = EndpointConfig::default();
            endpoint.grease_quic_bit(false);
            if server.is_some() {
                endpoint.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID_BYTES)));
            }
            let largest = SizeClass::X.inner_bytes() as u16;
            endpoint.max_udp_payload_size(largest).expect("above QUIC's least");
            let mut seed = [0; 32];
            random.fill(&mut seed);
            QuicHost::new(HostConfig {
                endpoint: Arc::new(endpoint),
                server,
                retry_above: usize::MAX,
                max_connections: config.limits.circuits,
                // Where the transport asks for it: each datagram arrives whole or not at all.
                mtu_discovery: true,
                rng_seed: Some(seed),
            })
        };
        let mut servers = Vec::new();
        for class in SizeClass::ALL.into_iter().filter(|_| config.roles.exit) {
            let transport = inner_transport(sizes(class), windows, IDLE_MS);
            servers.push((class, Arc::new(tls::inner_server(identity, transport).map_err(|e| e.to_string())?)));
        }
        let exit = servers.first().map(|(_, server)| host(Some(server.clone()), random));
        Ok(Self {
            client: host(None, random),
            exit,
            servers,
            handles: FxHashMap::default(),
            conns: IdMap::default(),
            flows: Flows::default(),
            udp: UdpTable::default(),
            windows,
            next_connection: 1,
            buf: Vec::new(),
        })
    }

    pub fn host(&mut self, side: Side) -> Option<&mut QuicHost> {
        match side {
            Side::Client => Some(&mut self.client),
            Side::Exit => self.exit.as_mut(),
        }
    }

    pub fn next_connection_id(&mut self) -> ConnectionId {
        let id = self.next_connection;
        self.next_connection += 1;
        id
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let exit = self.exit.as_ref().and_then(QuicHost::poll_timeout);
        [self.client.poll_timeout(), exit].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        if let Some(exit) = &mut self.exit {
            exit.handle_timeout(now);
        }
    }

    /// Whether anything here has a deadline of its own.
    pub fn watched(&self) -> bool {
        self.flows.any() || self.udp.any()
    }
}

impl Engine {
    /// An inner datagram came back to this client from `exit`.
    pub(crate) fn inner_arrived_client(&mut self, now: Instant, exit: NodeId, data: BytesMut) {
        self.inner.client.handle_datagram(now, exit_address(exit), None, None, data);
    }

    /// An inner datagram reached this exit over `circuit`.
    pub(crate) fn inner_arrived_exit(&mut self, now: Instant, circuit: CircuitId, data: BytesMut) {
        let class = match self.circuits.get(&circuit) {
            Some(Circuit::Exit(c)) => c.class,
            _ => return self.counters.count(Reason::CircuitUnknown),
        };
        let Inner { exit: Some(exit), servers, .. } = &mut self.inner else {
            return self.counters.count(Reason::SetupRole);
        };
        if let Some((_, server)) = servers.iter().find(|(of, _)| *of == class) {
            exit.handle_datagram_as(now, circuit_address(circuit), data, server.clone());
        }
    }

    /// Whether a datagram takes several packets of a circuit.
    fn spans(&self, circuit: CircuitId, bytes: usize) -> bool {
        let class = match self.circuits.get(&circuit) {
            Some(Circuit::Client(c)) => c.class,
            Some(Circuit::Exit(c)) => c.class,
            Some(Circuit::Relay(_)) | None => return false,
        };
        bytes > class.inner_bytes()
    }

    /// Lets inner connections act: their events, then their datagrams as packets.
    pub(crate) fn drive_inner(&mut self, now: Instant) {
        for side in [Side::Client, Side::Exit] {
            while let Some((handle, event)) = self.inner.host(side).and_then(QuicHost::poll_event) {
                self.inner_event(now, side, handle, event);
            }
        }
        let mut buf = std::mem::take(&mut self.inner.buf);
        for side in [Side::Client, Side::Exit] {
            while self.outputs.len() < OUTPUTS_AHEAD {
                let sent = self.inner.host(side).and_then(|h| h.poll_transmit_sized(now, segments, &mut buf));
                let Some((handle, transmit)) = sent else { break };
                let circuit = match side {
                    Side::Exit => circuit_of(transmit.destination),
                    Side::Client => handle
                        .and_then(|h| self.inner.handles.get(&(side, h)))
                        .and_then(|id| self.inner.conns.get(id))
                        .map(|conn| conn.circuit),
                };
                let Some(circuit) = circuit else {
                    self.counters.count(Reason::CircuitUnknown);
                    continue;
                };
                let segment = transmit.segment_size.unwrap_or(transmit.size);
                if self.spans(circuit, segment)
                    && !handle.is_some_and(|h| self.inner.host(side).is_some_and(|host| host.may_span(now, h, segment)))
                {
                    (0..transmit.size.div_ceil(segment)).for_each(|_| self.counters.count(Reason::SpanRefused));
                    continue;
                }
                match side {
                    Side::Client => self.client_send(circuit, &buf, segment),
                    Side::Exit => self.exit_send(circuit, &buf, segment),
                }
            }
        }
        self.inner.buf = buf;
    }
}
