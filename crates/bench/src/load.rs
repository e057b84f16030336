//! Both neighbours of a node in the middle, in one thread: what one sends, the other waits for.
//!
//! The two keep a fixed number of packets on their way in each direction, so the middle is always busy and its queues
//! never overflow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use wayfare_onion::{ClientPath, ClientSetup, HopSpec, OnionSecret, Role, Suite, open_setup};
use wayfare_quic::tls::{self, Identity};
use wayfare_quic::{
    ConnectionHandle, Dir, EndpointConfig, HostConfig, Instant, QuicEvent, QuicHost, Side, StreamId, Transmit,
    link_transport,
};
use wayfare_testkit::Seeded;
use wayfare_types::NodeId;
use wayfare_wire::{Control, ControlDecoder, HEADER, Header, Part, SizeClass};

use crate::socket::Socket;

/// Packets on their way in each direction: two of the largest batches that segmentation offload takes.
const IN_FLIGHT: u64 = 128;
/// After so long without an arrival what is missing counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(200);
/// The other side of a measurement has its turn meanwhile.
pub const IDLE_MS: u32 = 600_000;
pub const CLASS: SizeClass = SizeClass::M;

/// One of the two neighbours.
struct End {
    identity: Identity,
    handle: ConnectionHandle,
    decoder: ControlDecoder,
    ready: bool,
    sent: u64,
    received: u64,
}

/// What the packets are.
enum Kind {
    /// Bytes that the middle passes on as they are.
    Plain,
    /// Packets of a circuit that the middle is a relay of.
    Circuit(Box<Circuit>),
}

struct Circuit {
    relay: HopSpec,
    exit: OnionSecret,
    suite: Suite,
    setup: Option<ClientSetup>,
    path: Option<ClientPath>,
    forward_cid: u32,
    backward_cid: u32,
    backward_counter: u64,
}

pub struct Load {
    socket: Socket,
    host: QuicHost,
    /// The client's side, then the exit's.
    ends: [End; 2],
    kind: Kind,
    random: Seeded,
    buffer: Vec<u8>,
    unsent: Option<Transmit>,
    pub lost: u64,
    heard_at: Instant,
}

/// What a run did.
pub struct Run {
    pub packets: u64,
}

pub type Fault = String;

fn text(e: impl std::fmt::Display) -> Fault {
    e.to_string()
}

impl Load {
    /// Both ends connected to a middle that passes bytes on.
    pub async fn plain(middle: SocketAddr, id: NodeId) -> Result<Self, Fault> {
        let mut load = Self::connect(middle, id, Kind::Plain)?;
        load.until("both ends connected", Duration::from_secs(5), |l| l.ends.iter().all(|e| e.ready)).await?;
        load.whole_packets_fit().await?;
        Ok(load)
    }

    /// Both ends linked to a relay, and a circuit through it.
    pub async fn circuit(relay: SocketAddr, id: NodeId, onion_seed: [u8; 32], suite: Suite) -> Result<Self, Fault> {
        let circuit = Circuit {
            relay: HopSpec { node: id, onion_key: OnionSecret::from_seed(onion_seed).public() },
            exit: OnionSecret::from_seed([77; 32]),
            suite,
            setup: None,
            path: None,
            forward_cid: 0,
            backward_cid: 0,
            backward_counter: 0,
        };
        let mut load = Self::connect(relay, id, Kind::Circuit(Box::new(circuit)))?;
        load.until("both links up", Duration::from_secs(5), |l| l.ends.iter().all(|e| e.ready)).await?;
        load.whole_packets_fit().await?;
        load.open_circuit()?;
        let up = |l: &mut Self| matches!(&l.kind, Kind::Circuit(c) if c.path.is_some());
        load.until("the circuit up", Duration::from_secs(5), up).await?;
        Ok(load)
    }

    fn connect(middle: SocketAddr, id: NodeId, kind: Kind) -> Result<Self, Fault> {
        let mut endpoint = EndpointConfig::default();
        endpoint.grease_quic_bit(false);
        let mut host = QuicHost::new(HostConfig {
            endpoint: Arc::new(endpoint),
            server: None,
            retry_above: 1,
            max_connections: 2,
            mtu_discovery: true,
            rng_seed: None,
        });
        let now = Instant::now();
        // Two loads of one relay are different neighbours to it.
        let first = if let Kind::Circuit(circuit) = &kind { 16 * circuit.suite.code() } else { 1 };
        let mut end = |seed: u8| -> Result<End, Fault> {
            let identity = Identity::from_seed(&[seed; 32]).map_err(text)?;
            let config = tls::link_client(&identity, id, link_transport(IDLE_MS)).map_err(text)?;
            let handle = host.connect(now, config, middle, tls::SERVER_NAME).map_err(text)?;
            Ok(End { identity, handle, decoder: ControlDecoder::default(), ready: false, sent: 0, received: 0 })
        };
        let ends = [end(first)?, end(first + 1)?];
        Ok(Self {
            socket: Socket::new().map_err(text)?,
            host,
            ends,
            kind,
            random: Seeded::new(first.into()),
            buffer: Vec::new(),
            unsent: None,
            lost: 0,
            heard_at: now,
        })
    }

    /// Sends both ways for `time` and then lets everything arrive.
    pub async fn run(&mut self, time: Duration) -> Result<Run, Fault> {
        let before: u64 = self.ends.iter().map(|e| e.received).sum();
        let end = Instant::now() + time;
        self.heard_at = Instant::now();
        while Instant::now() < end {
            self.fill()?;
            self.step(Some(end)).await?;
            if self.heard_at.elapsed() > LOST_AFTER {
                self.write_off();
            }
        }
        let arrived = |l: &mut Self| (0..2).all(|n| l.on_their_way(n) == 0);
        if self.until("all packets there", LOST_AFTER, arrived).await.is_err() {
            self.write_off();
        }
        Ok(Run { packets: self.ends.iter().map(|e| e.received).sum::<u64>() - before })
    }

    fn on_their_way(&self, from: usize) -> u64 {
        self.ends[from].sent - self.ends[1 - from].received
    }

    fn write_off(&mut self) {
        for from in 0..2 {
            let missing = self.on_their_way(from);
            self.lost += missing;
            self.ends[from].sent -= missing;
        }
        self.heard_at = Instant::now();
    }

    fn fill(&mut self) -> Result<(), Fault> {
        for from in 0..2 {
            while self.on_their_way(from) < IN_FLIGHT {
                let packet = self.packet(from)?;
                let end = &mut self.ends[from];
                let conn = self.host.conn(end.handle).ok_or("the connection is gone")?;
                conn.datagrams().send(packet, false).map_err(text)?;
                end.sent += 1;
            }
        }
        Ok(())
    }

    fn packet(&mut self, from: usize) -> Result<Bytes, Fault> {
        let mut packet = BytesMut::zeroed(CLASS.packet_bytes());
        packet[0] = Part::Whole as u8;
        let Kind::Circuit(circuit) = &mut self.kind else { return Ok(packet.freeze()) };
        let (cid, counter) = if from == 0 {
            let path = circuit.path.as_mut().ok_or("there is no circuit")?;
            let counter = path.wrap(&mut packet[HEADER..], &mut self.random).map_err(|r| format!("{r:?}"))?;
            (circuit.forward_cid, counter)
        } else {
            // A relay adds its layer to whatever comes; only the client could tell.
            circuit.backward_counter += 1;
            (circuit.backward_cid, circuit.backward_counter)
        };
        Header { part: Part::Whole, cid, counter }.emit(&mut packet);
        Ok(packet.freeze())
    }

    async fn whole_packets_fit(&mut self) -> Result<(), Fault> {
        let fits = |l: &mut Self| {
            let handles = l.ends.each_ref().map(|e| e.handle);
            handles.into_iter().all(|h| {
                let max = l.host.conn(h).and_then(|c| c.datagrams().max_size());
                max.is_some_and(|max| max >= CLASS.packet_bytes())
            })
        };
        self.until("path MTU found", Duration::from_secs(5), fits).await
    }

    async fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Fault> {
        let end = Instant::now() + within;
        while !done(self) {
            if Instant::now() >= end {
                return Err(format!("waited in vain: {what}"));
            }
            self.step(Some(end)).await?;
        }
        Ok(())
    }

    /// Stays responsive until `other` is done: a middle's own path MTU discovery, say, waits for our acknowledgements.
    pub async fn meanwhile(&mut self, other: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                done = &mut other => return done,
                stepped = self.step(None) => stepped?,
            }
        }
    }

    /// Moves everything on and waits for something to do.
    async fn step(&mut self, end: Option<Instant>) -> Result<(), Fault> {
        let now = Instant::now();
        let mut any = false;
        while self.socket.receive(|from, ecn, data| self.host.handle_datagram(now, from, None, ecn, data)) {
            any = true;
        }
        if self.host.poll_timeout().is_some_and(|at| at <= now) {
            self.host.handle_timeout(now);
        }
        while let Some((handle, event)) = self.host.poll_event() {
            self.event(now, handle, event)?;
        }
        loop {
            if self.unsent.is_none() {
                let segments = self.socket.max_segments();
                self.unsent = self.host.poll_transmit(now, segments, &mut self.buffer).map(|(_, t)| t);
            }
            let Some(transmit) = &self.unsent else { break };
            if !self.socket.send(transmit, &self.buffer[..transmit.size]) {
                self.socket.io.writable().await.map_err(text)?;
                continue;
            }
            self.unsent = None;
        }
        if any {
            // The runtime learns of readiness only when it is given the thread.
            tokio::task::yield_now().await;
            return Ok(());
        }
        let until = [self.host.poll_timeout(), end].into_iter().flatten().min();
        let until = until.unwrap_or(now + LOST_AFTER).min(now + LOST_AFTER);
        let _ = tokio::time::timeout_at(until.into(), self.socket.io.readable()).await;
        Ok(())
    }

    fn event(&mut self, now: Instant, handle: ConnectionHandle, event: QuicEvent) -> Result<(), Fault> {
        let Some(at) = self.ends.iter().position(|e| e.handle == handle) else { return Ok(()) };
        let control = StreamId::new(Side::Client, Dir::Bi, 0);
        match event {
            QuicEvent::Datagrams => {
                while self.host.receive(handle).is_some() {
                    self.ends[at].received += 1;
                    self.heard_at = now;
                }
            }
            QuicEvent::Connected if matches!(self.kind, Kind::Plain) => self.ends[at].ready = true,
            QuicEvent::Connected => {
                self.host.conn(handle).and_then(|c| c.streams().open(Dir::Bi));
                self.say(at, &Control::Hello { version_min: 1, version_max: 1, features: 0 })?;
            }
            QuicEvent::Readable(stream) if stream == control => {
                let mut arrived = Vec::new();
                if let Some(conn) = self.host.conn(handle)
                    && let Ok(mut chunks) = conn.recv_stream(stream).read(true)
                {
                    while let Ok(Some(chunk)) = chunks.next(1 << 16) {
                        arrived.extend_from_slice(&chunk.bytes);
                    }
                    let _ = chunks.finalize();
                }
                let mut rest = &arrived[..];
                while let Some(frame) = self.ends[at].decoder.next(&mut rest).map_err(|r| format!("{r:?}"))? {
                    self.control(at, frame)?;
                }
            }
            QuicEvent::Lost(error) => return Err(format!("the middle is gone: {error}")),
            _ => {}
        }
        Ok(())
    }

    fn say(&mut self, at: usize, frame: &Control) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        let conn = self.host.conn(self.ends[at].handle).ok_or("the connection is gone")?;
        let written = conn.send_stream(StreamId::new(Side::Client, Dir::Bi, 0)).write(&bytes).map_err(text)?;
        if written == bytes.len() { Ok(()) } else { Err("the control stream is full".into()) }
    }

    fn open_circuit(&mut self) -> Result<(), Fault> {
        let exit_id = self.ends[1].identity.id();
        let Kind::Circuit(circuit) = &mut self.kind else { return Ok(()) };
        let exit = HopSpec { node: exit_id, onion_key: circuit.exit.public() };
        let hops = [circuit.relay.clone(), exit];
        let (setup, message) = ClientSetup::build(&hops, circuit.suite, CLASS, minute(), &mut self.random)
            .map_err(|e| format!("{e:?}"))?;
        circuit.setup = Some(setup);
        self.say(0, &Control::Setup { back_cid: 1, message })
    }

    fn control(&mut self, at: usize, frame: Control) -> Result<(), Fault> {
        let wrong = || "an unexpected control frame".to_owned();
        if let Control::Hello { .. } = frame {
            self.ends[at].ready = true;
            return Ok(());
        }
        let Kind::Circuit(circuit) = &mut self.kind else { return Err(wrong()) };
        match frame {
            Control::Setup { back_cid, message } if at == 1 => {
                let opened = open_setup(&[&circuit.exit], &message, minute(), 0, &mut self.random)
                    .map_err(|r| format!("{r:?}"))?;
                if !matches!(opened.role, Role::Exit) {
                    return Err(wrong());
                }
                circuit.backward_cid = back_cid;
                let message = opened.reply.origin();
                self.say(1, &Control::Reply { back_cid, forward_cid: 1, message })
            }
            Control::Reply { forward_cid, mut message, .. } if at == 0 => {
                let setup = circuit.setup.take().ok_or_else(wrong)?;
                circuit.path = Some(setup.complete(&mut message).map_err(|r| format!("{r:?}"))?);
                circuit.forward_cid = forward_cid;
                Ok(())
            }
            other => Err(format!("{}: {other:?}", wrong())),
        }
    }
}

fn minute() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| (d.as_secs() / 60) as u32)
}
