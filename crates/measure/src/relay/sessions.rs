//! Sessions of all neighbours with one node: QUIC on a socket each, HELLO, control frames, and a fast link beside each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use wayfare_fast::{FastLink, Taken};
use wayfare_link::FEATURE_FAST;
use wayfare_quic::tls::{self, Identity};
use wayfare_quic::{
    ConnectionHandle, Dir, EndpointConfig, HostConfig, QuicEvent, QuicHost, Side, StreamId, link_transport,
};
use wayfare_testkit::Seeded;
use wayfare_types::NodeId;
use wayfare_wire::fast::{FAST_BATCH, is_fast};
use wayfare_wire::{Control, ControlDecoder};

use super::wires::Wires;
use crate::Fault;

/// Nobody is to leave while the other side has its turn.
pub const IDLE_MS: u32 = 600_000;
/// Bytes of an identity's seed that are not the neighbour's number.
const SEED: u8 = 0x5a;

/// One neighbour.
pub struct Neighbour {
    pub id: NodeId,
    pub handle: ConnectionHandle,
    decoder: ControlDecoder,
    /// Control frames that the stream has not taken.
    unsent: Vec<u8>,
    up: bool,
    pub fast: Option<FastLink>,
}

/// See the module's first paragraph.
pub struct Sessions {
    host: QuicHost,
    pub neighbours: Vec<Neighbour>,
    node: SocketAddr,
    packet_bytes: usize,
    /// Probes and answers to probes, and whose they are.
    answers: Vec<(usize, Vec<u8>)>,
    random: Seeded,
    buffer: Vec<u8>,
    /// The circuit ids and counters of packets that came, where somebody wants to know.
    pub arrived: Option<Vec<(u32, u64)>>,
}

pub fn text(e: impl std::fmt::Display) -> Fault {
    e.to_string()
}

fn control() -> StreamId {
    StreamId::new(Side::Client, Dir::Bi, 0)
}

impl Sessions {
    /// Dials `node` from every neighbour.
    pub fn dial(count: usize, node: SocketAddr, id: NodeId, packet_bytes: usize) -> Result<Self, Fault> {
        let mut endpoint = EndpointConfig::default();
        endpoint.grease_quic_bit(false);
        let mut host = QuicHost::new(HostConfig {
            endpoint: Arc::new(endpoint),
            server: None,
            retry_above: 1,
            max_connections: count,
            mtu_discovery: true,
            rng_seed: None,
        });
        let now = Instant::now();
        let neighbours = (0..count)
            .map(|n| {
                let mut seed = [SEED; 32];
                seed[0] = n as u8;
                let identity = Identity::from_seed(&seed).map_err(text)?;
                let config = tls::link_client(&identity, id, link_transport(IDLE_MS)).map_err(text)?;
                let handle = host.connect(now, config, node, tls::SERVER_NAME).map_err(text)?;
                Ok(Neighbour {
                    id: identity.id(),
                    handle,
                    decoder: ControlDecoder::default(),
                    unsent: Vec::new(),
                    up: false,
                    fast: None,
                })
            })
            .collect::<Result<_, Fault>>()?;
        Ok(Self {
            host,
            neighbours,
            node,
            packet_bytes,
            answers: Vec::new(),
            random: Seeded::new(8),
            buffer: Vec::new(),
            arrived: None,
        })
    }

    /// Whether every link takes packets of the size wanted beside its session.
    pub fn ready(&self) -> bool {
        self.neighbours.iter().all(|n| n.up && n.fast.as_ref().is_some_and(|f| f.max_packet() >= self.packet_bytes))
    }

    /// Queues a control frame.
    pub fn say(&mut self, at: usize, frame: &Control) {
        frame.encode(&mut self.neighbours[at].unsent);
    }

    /// Takes what came for a neighbour: how many circuits' packets were among it.
    pub fn take(&mut self, at: usize, bytes: &mut [u8], stride: usize) -> usize {
        let (now, node) = (Instant::now(), self.node);
        let mut came = 0;
        for run in bytes.chunks_mut(stride * FAST_BATCH) {
            let mut opened = [Ok((0, 0)); FAST_BATCH];
            let fast = self.neighbours[at].fast.as_mut();
            let Some(fast) = fast.filter(|_| is_fast(run[0])) else {
                for datagram in run.chunks(stride) {
                    self.host.handle_datagram(now, node, None, None, BytesMut::from(datagram));
                }
                continue;
            };
            let Some(header) = fast.opener(run[0]) else { continue };
            let count = header.get_run(run, stride, &mut opened);
            for (packet, header) in run.chunks_mut(stride).zip(&opened[..count]) {
                match header {
                    Ok((0, counter)) => {
                        if let Ok(Taken::Answer(answer)) = fast.take_control(now, *counter, packet) {
                            self.answers.push((at, answer));
                            break;
                        }
                    }
                    Ok((cid, counter)) => {
                        came += usize::from(packet.len() == self.packet_bytes);
                        self.arrived.iter_mut().for_each(|arrived| arrived.push((*cid, *counter)));
                    }
                    Err(_) => {}
                }
            }
        }
        came
    }

    /// Moves everything on that is no packet; `frames` gets what the node said on control streams.
    ///
    /// # Errors
    /// A link that is lost.
    pub fn keep_up(&mut self, wires: &Wires, mut frames: impl FnMut(usize, Control)) -> Result<(), Fault> {
        let now = Instant::now();
        if self.host.poll_timeout().is_some_and(|at| at <= now) {
            self.host.handle_timeout(now);
        }
        while let Some((handle, event)) = self.host.poll_event() {
            let Some(at) = self.neighbours.iter().position(|n| n.handle == handle) else { continue };
            self.event(now, at, event, &mut frames)?;
        }
        for at in 0..self.neighbours.len() {
            self.write(at)?;
        }
        // One at a time: what a burst of set-ups needs is small beside their keys.
        while let Some((Some(handle), transmit)) = self.host.poll_transmit(now, 1, &mut self.buffer) {
            if let Some(at) = self.neighbours.iter().position(|n| n.handle == handle) {
                wires.wires[at].send(self.node, &self.buffer[..transmit.size], transmit.size);
            }
        }
        for (at, neighbour) in self.neighbours.iter_mut().enumerate() {
            if let Some(fast) = &mut neighbour.fast {
                let probes = std::iter::from_fn(|| fast.poll_probe(now, &mut self.random));
                self.answers.extend(probes.map(|probe| (at, probe)));
            }
        }
        self.answer(wires);
        Ok(())
    }

    /// Sends the answers to the node's probes.
    pub fn answer(&mut self, wires: &Wires) {
        for (at, packet) in self.answers.drain(..) {
            wires.wires[at].send(self.node, &packet, packet.len());
        }
    }

    fn event(
        &mut self,
        now: Instant,
        at: usize,
        event: QuicEvent,
        frames: &mut impl FnMut(usize, Control),
    ) -> Result<(), Fault> {
        let neighbour = &mut self.neighbours[at];
        match event {
            QuicEvent::Connected => {
                self.host.conn(neighbour.handle).and_then(|c| c.streams().open(Dir::Bi));
                self.say(at, &Control::Hello { version_min: 1, version_max: 1, features: FEATURE_FAST });
            }
            QuicEvent::Datagrams => while self.host.receive(neighbour.handle).is_some() {},
            QuicEvent::Readable(stream) if stream == control() => {
                let mut arrived = Vec::new();
                if let Some(conn) = self.host.conn(neighbour.handle)
                    && let Ok(mut chunks) = conn.recv_stream(stream).read(true)
                {
                    while let Ok(Some(chunk)) = chunks.next(1 << 16) {
                        arrived.extend_from_slice(&chunk.bytes);
                    }
                    let _ = chunks.finalize();
                }
                let mut rest = &arrived[..];
                while let Some(frame) = neighbour.decoder.next(&mut rest).map_err(|r| format!("{r:?}"))? {
                    match frame {
                        Control::Hello { features, .. } if features & FEATURE_FAST == 0 => {
                            return Err("the node offers no fast link: this CPU has no AES instructions".into());
                        }
                        Control::Hello { .. } => {
                            let export =
                                |own| self.host.export(neighbour.handle, FastLink::LABEL, FastLink::context(own));
                            let (Some(own), Some(node)) = (export(true), export(false)) else {
                                return Err("the session exports no keys".into());
                            };
                            neighbour.fast = Some(FastLink::new(now, own, node, [self.packet_bytes]));
                            neighbour.up = true;
                        }
                        other => frames(at, other),
                    }
                }
            }
            QuicEvent::Lost(error) => return Err(format!("the node closed a link: {error}")),
            _ => {}
        }
        Ok(())
    }

    fn write(&mut self, at: usize) -> Result<(), Fault> {
        let neighbour = &mut self.neighbours[at];
        if neighbour.unsent.is_empty() {
            return Ok(());
        }
        let conn = self.host.conn(neighbour.handle).ok_or("a connection is gone")?;
        // What is blocked is tried again.
        let written = conn.send_stream(control()).write(&neighbour.unsent).unwrap_or(0);
        neighbour.unsent.drain(..written);
        Ok(())
    }
}
