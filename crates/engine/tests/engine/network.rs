//! Engines joined by links in memory, on virtual time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use bytes::BytesMut;
use wayfare_engine::*;
use wayfare_types::Random;

/// A reproducible stream of bytes (SplitMix64).
pub struct Seeded(pub u64);

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)) as u8;
        }
    }
}

/// So many bytes that no part of the code would guess, the same each time.
pub fn random(bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    Seeded(7).fill(&mut out);
    out
}

enum Cargo {
    Packet(Vec<u8>),
    Control(Vec<u8>),
}

/// What a link does to packets on their way; control frames always arrive, in order.
pub struct Wire {
    pub delay: Duration,
    /// Of every hundred packets.
    pub loss_percent: u64,
    pub mtu: usize,
    /// The largest packet of a fast link.
    pub fast: usize,
}

impl Default for Wire {
    fn default() -> Self {
        Self { delay: Duration::from_millis(5), loss_percent: 0, mtu: 1420, fast: 0 }
    }
}

pub const START_MS: u64 = 1_800_000_000_000;

pub struct Network {
    pub now: Instant,
    pub start: Instant,
    pub nodes: Vec<Engine>,
    pub events: Vec<Vec<Event>>,
    pub remembered: Vec<Vec<[u8; 20]>>,
    pub closed: Vec<(usize, Reason)>,
    /// Every packet put on a link: from, to, bytes.
    pub seen: Vec<(usize, usize, Vec<u8>)>,
    pub watch: bool,
    wires: HashMap<(usize, usize), Wire>,
    dead: Vec<bool>,
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    cargo: HashMap<u64, (usize, usize, Cargo)>,
    order: u64,
    chance: Seeded,
}

pub fn seed(node: usize) -> [u8; 32] {
    [node as u8 + 1; 32]
}

pub fn onion_seed(node: usize) -> [u8; 32] {
    [node as u8 + 101; 32]
}

/// Links are numbered by the node at the other end.
fn link_to(node: usize) -> LinkId {
    node as LinkId
}

impl Network {
    /// Node 0 is the client, the last `exits` are exits, those between are relays; every pair is linked.
    pub fn new(relays: usize, exits: usize, limits: Limits) -> Self {
        Self::with_credits(relays, exits, limits, CreditConfig::default())
    }

    pub fn with_credits(relays: usize, exits: usize, limits: Limits, credits: CreditConfig) -> Self {
        let count = 1 + relays + exits;
        let now = Instant::now();
        let nodes: Vec<Engine> = (0..count)
            .map(|i| {
                let roles = Roles { client: i == 0, relay: (1..=relays).contains(&i), exit: i > relays };
                let config = EngineConfig { identity_seed: seed(i), roles, limits, credits: credits.clone() };
                let mut engine = Engine::new(config, now, START_MS, Box::new(Seeded(i as u64))).unwrap();
                engine.set_onion_keys(&[onion_seed(i)]);
                engine
            })
            .collect();
        let mut network = Self {
            now,
            start: now,
            events: (0..count).map(|_| Vec::new()).collect(),
            remembered: (0..count).map(|_| Vec::new()).collect(),
            closed: Vec::new(),
            seen: Vec::new(),
            watch: false,
            wires: HashMap::new(),
            dead: vec![false; count],
            queue: BinaryHeap::new(),
            cargo: HashMap::new(),
            order: 0,
            chance: Seeded(99),
            nodes,
        };
        for a in 0..count {
            for b in 0..count {
                if a != b {
                    network.join(a, b, Wire::default());
                }
            }
        }
        network
    }

    /// The link from `a`, as `a` sees it.
    pub fn join(&mut self, a: usize, b: usize, wire: Wire) {
        self.join_with(a, b, wire, true);
    }

    /// The same; `accounts`: `b` has said that it keeps accounts.
    pub fn join_with(&mut self, a: usize, b: usize, wire: Wire, accounts: bool) {
        let peer = self.nodes[b].id();
        self.nodes[a].link_up_with(self.now, link_to(b), peer, wire.mtu, accounts);
        self.wires.insert((a, b), wire);
    }

    /// Both ends find that the link between them carries packets of so many bytes, or is not fast.
    pub fn fast(&mut self, a: usize, b: usize, bytes: Option<usize>) {
        for (a, b) in [(a, b), (b, a)] {
            self.wire(a, b).fast = bytes.unwrap_or(0);
            self.nodes[a].link_fast(self.now, link_to(b), bytes);
        }
    }

    pub fn all_fast(&mut self, bytes: Option<usize>) {
        for a in 0..self.nodes.len() {
            (0..a).for_each(|b| self.fast(a, b, bytes));
        }
    }

    pub fn wire(&mut self, a: usize, b: usize) -> &mut Wire {
        self.wires.get_mut(&(a, b)).unwrap()
    }

    /// Falls silent, as a killed process does. Its neighbours' links go on for `lose_links` to end.
    pub fn kill(&mut self, node: usize) {
        self.dead[node] = true;
    }

    pub fn lose_links(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            if other != node {
                self.nodes[other].link_down(self.now, link_to(node));
            }
        }
    }

    pub fn hop(&self, node: usize) -> HopSpec {
        HopSpec { node: self.nodes[node].id(), onion_key: OnionSecret::from_seed(onion_seed(node)).public() }
    }

    /// Puts a packet of our making on the link from `a` to `b`.
    pub fn inject(&mut self, a: usize, b: usize, packet: &[u8]) {
        self.send(a, b, Cargo::Packet(packet.to_vec()));
    }

    pub fn inject_control(&mut self, a: usize, b: usize, bytes: &[u8]) {
        self.send(a, b, Cargo::Control(bytes.to_vec()));
    }

    fn send(&mut self, a: usize, b: usize, cargo: Cargo) {
        let Some(wire) = self.wires.get(&(a, b)) else { return };
        if let Cargo::Packet(data) = &cargo {
            assert!(data.len() <= wire.mtu.max(wire.fast.saturating_sub(FREE)), "a packet larger than its link");
            if self.watch {
                self.seen.push((a, b, data.clone()));
            }
            if self.chance.next_u64() % 100 < wire.loss_percent {
                return;
            }
        }
        self.order += 1;
        self.queue.push(Reverse((self.now + wire.delay, self.order)));
        self.cargo.insert(self.order, (a, b, cargo));
    }

    fn collect(&mut self, node: usize) {
        if self.dead[node] {
            return;
        }
        while let Some(output) = self.nodes[node].poll_output(self.now) {
            match output {
                Output::Packet { link, data, .. } => self.send(node, link as usize, Cargo::Packet(data.to_vec())),
                Output::Packets { link, data, stride, .. } => {
                    for packet in plain_packets(data, stride) {
                        self.send(node, link as usize, Cargo::Packet(packet.to_vec()));
                    }
                }
                Output::Control { link, data } => self.send(node, link as usize, Cargo::Control(data)),
                Output::RememberSetup(record) => self.remembered[node].push(record),
                Output::CloseLink { reason, .. } => self.closed.push((node, reason)),
            }
        }
        while let Some(event) = self.nodes[node].poll_event() {
            self.events[node].push(event);
        }
    }

    /// Runs until nothing is due before `until`, or `stop` says so after a step.
    pub fn run(&mut self, until: Duration, mut stop: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + until;
        loop {
            for node in 0..self.nodes.len() {
                self.collect(node);
            }
            if stop(self) {
                return true;
            }
            for node in 0..self.nodes.len() {
                self.collect(node);
            }
            let arrival = self.queue.peek().map(|Reverse((at, _))| *at);
            let now = self.now;
            let timer =
                (0..self.nodes.len()).filter(|&i| !self.dead[i]).filter_map(|i| self.nodes[i].poll_timeout(now)).min();
            let Some(next) = [arrival, timer].into_iter().flatten().min().filter(|&at| at <= end) else {
                self.now = end;
                return false;
            };
            self.now = next.max(self.now);
            let unix_ms = START_MS + (self.now - self.start).as_millis() as u64;
            for (i, node) in self.nodes.iter_mut().enumerate() {
                if !self.dead[i] {
                    node.handle_timeout(self.now, unix_ms);
                }
            }
            while let Some(&Reverse((at, order))) = self.queue.peek() {
                if at > self.now {
                    break;
                }
                self.queue.pop();
                let (from, to, cargo) = self.cargo.remove(&order).unwrap();
                if self.dead[to] {
                    continue;
                }
                match cargo {
                    Cargo::Packet(data) => {
                        self.nodes[to].handle_packet(self.now, link_to(from), BytesMut::from(&data[..]))
                    }
                    Cargo::Control(data) => {
                        if let Err(reason) = self.nodes[to].handle_control(self.now, link_to(from), &data) {
                            self.closed.push((to, reason));
                        }
                    }
                }
            }
        }
    }

    /// Runs until an event of this node satisfies `want`, and takes that event out.
    pub fn wait(&mut self, node: usize, what: &str, want: impl Fn(&Event) -> bool) -> Event {
        let mut found = None;
        self.run(Duration::from_secs(20), |n| {
            let at = n.events[node].iter().position(&want);
            found = at.map(|i| n.events[node].remove(i));
            found.is_some()
        });
        found.unwrap_or_else(|| panic!("{what} never came; had {:?}", self.events[node]))
    }

    /// A circuit through these nodes, up.
    pub fn circuit(&mut self, path: &[usize]) -> CircuitId {
        self.circuit_of(SizeClass::M, path)
    }

    pub fn circuit_of(&mut self, class: SizeClass, path: &[usize]) -> CircuitId {
        let hops: Vec<HopSpec> = path.iter().map(|&i| self.hop(i)).collect();
        let id = self.nodes[0].circuit_open(self.now, &hops, class, None).unwrap();
        self.wait(0, "the circuit", |e| *e == Event::CircuitUp(id));
        id
    }

    /// An inner connection over a circuit, up.
    pub fn connection(&mut self, circuit: CircuitId) -> ConnectionId {
        let id = self.nodes[0].connection_open(self.now, circuit).unwrap();
        self.wait(0, "the connection", |e| *e == Event::ConnectionUp(id));
        id
    }

    /// A flow that the exit accepted: its ids at the client and at the exit.
    pub fn flow(&mut self, connection: ConnectionId, exit: usize) -> (FlowId, FlowId) {
        let id = self.nodes[0].flow_open(self.now, connection, "origin.example", 80).unwrap();
        let asked = self.wait(exit, "the request", |e| matches!(e, Event::FlowRequested { .. }));
        let Event::FlowRequested { flow, host, port } = asked else { unreachable!() };
        assert_eq!((host.as_str(), port), ("origin.example", 80));
        self.nodes[exit].flow_accept(flow, "192.0.2.1:4000".parse().unwrap());
        let opened = self.wait(0, "the answer", |e| matches!(e, Event::FlowOpened { .. }));
        assert_eq!(opened, Event::FlowOpened { flow: id, local: Some("192.0.2.1:4000".parse().unwrap()) });
        (id, flow)
    }

    /// Sends `data` from one end's flow to the other's and returns what arrived within `within`.
    pub fn transfer(&mut self, from: (usize, FlowId), to: (usize, FlowId), data: &[u8], within: Duration) -> Vec<u8> {
        let mut rest = [bytes::Bytes::copy_from_slice(data)];
        let mut got = Vec::new();
        let total = data.len();
        self.run(within, |n| {
            let now = n.now;
            while !rest[0].is_empty() {
                match n.nodes[from.0].flow_write(from.1, &mut rest) {
                    FlowWrite::Wrote(_) => {}
                    FlowWrite::Blocked => break,
                    FlowWrite::Closed(reason) => panic!("closed while writing: {reason:?}"),
                }
            }
            loop {
                match n.nodes[to.0].flow_read(to.1, 64 << 10) {
                    FlowRead::Data(bytes) => {
                        got.extend_from_slice(&bytes);
                        n.nodes[to.0].flow_consumed(now, to.1, bytes.len());
                    }
                    FlowRead::Blocked => break,
                    other => panic!("{other:?} after {} bytes", got.len()),
                }
            }
            got.len() >= total
        });
        got
    }
}
