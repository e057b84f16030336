//! The engine's state, its links, and the order in which it is asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use wayfare_onion::setup::MINUTES;
use wayfare_onion::{OnionSecret, ReplayCache};
use wayfare_quic::{Instant, tls::Identity};
use wayfare_relay::egress::Payer;
use wayfare_relay::{Arrival, CircuitTable, LinkId};
use wayfare_types::{Counters, NodeId, Random, Reason};
use wayfare_wire::{Control, ControlDecoder, HEADER, PieceQuota, SizeClass, halves::split};

use crate::additions::Adding;
use crate::api::{CircuitId, EngineConfig, Event, FREE, Limits, Output, Stats};
use crate::circuits::Circuit;
use crate::credits::Credits;
use crate::ids::IdMap;
use crate::inner::Inner;
use crate::packets::Room;

/// How long a jumbo set-up waits, on a new link, for packets of its size to be found to pass: far longer than where they do.
const FAST_WITHIN: Duration = Duration::from_millis(200);
/// Inner datagrams that may arrive in pieces at the same time, on all circuits: 27 MB of them.
const PIECES_HELD_MAX: usize = 4096;
/// How often housekeeping looks at deadlines while anything has one.
const TICK: Duration = Duration::from_millis(100);

/// Set-ups remembered at most: ten thousand a minute for as long as a minute is accepted, and on a node for many circuits each of
/// them twice over, so that it can be filled, and filled anew, at once.
fn replays_max(limits: &Limits) -> usize {
    (limits.circuits * 2).max(70_000)
}

/// A neighbour, as far as the engine knows it.
pub(crate) struct Link {
    pub peer: NodeId,
    max_datagram: usize,
    /// The largest packet that it carries as a fast link.
    max_fast: Option<usize>,
    /// Until when that may still be found out.
    fast_until: Option<Instant>,
    decoder: ControlDecoder,
    /// Set-ups it may still send, in thousandths.
    budget_milli: u64,
    budget_at: Instant,
    /// The neighbour's number in the ledger.
    pub neighbour: u32,
    /// It keeps accounts, too, and is told of flows.
    pub accounts: bool,
    /// The class that was announced for the set-up that follows.
    pub setup_flow: u8,
}

impl Link {
    /// Whether packets of this stride go out as they are.
    pub fn carries(&self, stride: usize) -> bool {
        stride - FREE <= self.max_datagram || self.max_fast.is_some_and(|max| stride <= max)
    }

    /// Whether it carries circuits of this class.
    pub fn takes(&self, class: SizeClass) -> bool {
        !class.is_jumbo() || self.max_fast.is_some_and(|max| class.fast_bytes() <= max)
    }

    /// Whether it may yet turn out to be fast.
    pub fn undecided(&self, now: Instant) -> bool {
        self.fast_until.is_some_and(|until| now < until)
    }
}

/// See the crate's first paragraph.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) id: NodeId,
    pub(crate) random: Box<dyn Random>,
    pub(crate) table: CircuitTable,
    pub(crate) circuits: IdMap<Circuit>,
    /// Set-ups under way by when they expire, which is the order in which they began.
    pub(crate) setups: VecDeque<(Instant, CircuitId)>,
    pub(crate) links: IdMap<Link>,
    pub(crate) inner: Inner,
    pub(crate) secrets: Vec<OnionSecret>,
    pub(crate) replays: ReplayCache,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) room: Room,
    pub(crate) events: VecDeque<Event>,
    pub(crate) counters: Counters,
    pub(crate) stats: Stats,
    pub(crate) credits: Credits,
    pub(crate) adding: Adding,
    /// Circuits that lead back here, by what their set-ups are known by when they do.
    pub(crate) circles: BTreeMap<[u8; 16], CircuitId>,
    pub(crate) draining: bool,
    pub(crate) forwarding: bool,
    /// What inner datagrams are copied into.
    pub(crate) arena: BytesMut,
    /// What inner datagrams that arrive in pieces may take.
    pub(crate) pieces: PieceQuota,
    next_circuit: CircuitId,
    clock: (Instant, u64),
    tick_at: Option<Instant>,
}

impl Engine {
    /// An engine without links. `unix_ms` is the wall clock at `now`.
    ///
    /// # Errors
    /// When the identity or the TLS configuration is refused; the text says why.
    pub fn new(
        mut config: EngineConfig,
        now: Instant,
        unix_ms: u64,
        mut random: Box<dyn Random>,
    ) -> Result<Self, String> {
        let identity = Identity::from_seed(&config.identity_seed).map_err(|e| e.to_string())?;
        let inner = Inner::new(&identity, &config, &mut *random)?;
        // The identity has it; a second copy would outlive it.
        config.identity_seed = [0; 32];
        let credits = Credits::new(&config.credits, config.limits.circuits, now, &mut *random)?;
        Ok(Self {
            id: identity.id(),
            random,
            // A circuit passing through has an id on either side.
            table: CircuitTable::with_shards(config.limits.circuits.saturating_mul(2), config.limits.shards),
            circuits: IdMap::default(),
            setups: VecDeque::new(),
            links: IdMap::default(),
            inner,
            circles: BTreeMap::new(),
            secrets: Vec::new(),
            replays: ReplayCache::new(0, replays_max(&config.limits)),
            outputs: VecDeque::new(),
            room: Room::default(),
            events: VecDeque::new(),
            counters: Counters::default(),
            stats: Stats::default(),
            credits,
            adding: Adding::default(),
            draining: false,
            forwarding: true,
            arena: BytesMut::new(),
            pieces: PieceQuota::new(PIECES_HELD_MAX),
            next_circuit: 1,
            clock: (now, unix_ms),
            tick_at: None,
            config,
        })
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Drops and refusals so far; the host counts its own here too.
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Totals so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats;
        stats.reader_bytes = self.inner.flows.reader_bytes();
        stats
    }

    /// A link that can carry packets: both identities are proven. `max_datagram` is what fits in one of its datagrams.
    pub fn link_up(&mut self, now: Instant, link: LinkId, peer: NodeId, max_datagram: usize) {
        self.link_up_with(now, link, peer, max_datagram, false);
    }

    /// The same; `accounts`: both ends have said that they keep accounts, so flows are announced to the neighbour.
    pub fn link_up_with(&mut self, now: Instant, link: LinkId, peer: NodeId, max_datagram: usize, accounts: bool) {
        let budget_milli = u64::from(self.config.limits.setups_per_s) * 2000;
        let decoder = ControlDecoder::default();
        let fast_until = Some(now + FAST_WITHIN);
        let neighbour = self.credits.join(now, peer);
        let l = Link {
            peer,
            max_datagram,
            max_fast: None,
            fast_until,
            decoder,
            budget_milli,
            budget_at: now,
            neighbour,
            accounts,
            setup_flow: 0,
        };
        self.links.insert(link, l);
        self.next_hop_reached(now, link, peer);
    }

    /// The path of a link changed what fits in a datagram.
    pub fn link_mtu(&mut self, link: LinkId, max_datagram: usize) {
        if let Some(link) = self.links.get_mut(&link) {
            link.max_datagram = max_datagram;
        }
    }

    /// The largest packet (bytes, fast header included) that a link's fast side was found to carry so far; `None` when it carries
    /// none, or will not. Set-ups of jumbo classes wait for this on a new link, for a short while; others are not held up.
    pub fn link_fast(&mut self, now: Instant, link: LinkId, max_packet_bytes: Option<usize>) {
        let Some(l) = self.links.get_mut(&link) else { return };
        l.max_fast = max_packet_bytes;
        if max_packet_bytes.is_none() {
            l.fast_until = None;
        }
        let peer = l.peer;
        self.next_hop_reached(now, link, peer);
        self.first_hop_decided(now, link);
    }

    /// A link is gone, and every circuit over it.
    pub fn link_down(&mut self, now: Instant, link: LinkId) {
        let Some(Link { peer, .. }) = self.links.remove(&link) else { return };
        self.table.home(link, 0);
        let mut gone: Vec<CircuitId> = self.table.on_link(link).collect();
        // A set-up that was passed on has no id on the link it came by before its reply.
        let came_by = |id: &CircuitId| matches!(self.circuits.get(id), Some(Circuit::Relay(c)) if c.prev.link == link);
        gone.extend(self.setups.iter().map(|&(_, id)| id).filter(came_by));
        gone.sort_unstable();
        gone.dedup();
        for circuit in gone {
            self.end_circuit(now, circuit, Reason::LinkGone, Some(link));
        }
        self.credits.leave(now, peer);
    }

    /// A link to this node, the newest.
    pub(crate) fn link_to(&self, peer: NodeId) -> Option<LinkId> {
        self.links.iter().filter(|(_, l)| l.peer == peer).map(|(&id, _)| id).max()
    }

    /// Takes one of a link's set-up allowance.
    pub(crate) fn spend_setup(&mut self, now: Instant, link: LinkId) -> bool {
        let rate = u64::from(self.config.limits.setups_per_s);
        let Some(link) = self.links.get_mut(&link) else { return false };
        let elapsed_ms = now.saturating_duration_since(link.budget_at).as_millis() as u64;
        link.budget_at += Duration::from_millis(elapsed_ms);
        link.budget_milli = link.budget_milli.saturating_add(elapsed_ms.saturating_mul(rate)).min(rate * 2000);
        let enough = link.budget_milli >= 1000;
        if enough {
            link.budget_milli -= 1000;
        }
        enough
    }

    /// Bytes of a link's control stream, in any pieces.
    ///
    /// # Errors
    /// The neighbour broke the framing: close the link for this reason.
    pub fn handle_control(&mut self, now: Instant, link: LinkId, mut bytes: &[u8]) -> Result<(), Reason> {
        loop {
            let Some(l) = self.links.get_mut(&link) else { return Ok(()) };
            let frame = match l.decoder.next(&mut bytes) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(reason) => {
                    self.counters.count(reason);
                    return Err(reason);
                }
            };
            match frame {
                Control::Setup { back_cid, message } => self.handle_setup(now, link, back_cid, &message),
                Control::Reply { back_cid, forward_cid, message } => {
                    self.handle_reply(now, link, back_cid, forward_cid, message)
                }
                Control::Destroy { cid, reason } => self.handle_destroy(now, link, cid, reason),
                Control::Flow { cid, class } => self.handle_flow(now, link, cid, class),
                Control::Credit { account, increase } => self.handle_credit(now, link, account, increase),
                Control::Hello { .. } => {
                    self.counters.count(Reason::ControlMalformed);
                    return Err(Reason::ControlMalformed);
                }
            }
        }
    }

    /// One of a link's datagrams that is a packet.
    #[inline]
    pub fn handle_packet(&mut self, now: Instant, link: LinkId, mut packet: BytesMut) {
        match self.table.work(link, &mut packet, &mut self.counters) {
            Ok(Arrival::Forward { link, payer }) => {
                if !self.forwarding {
                    return self.counters.count(Reason::ForwardingStopped);
                }
                self.stats.relayed_packets_forward += 1;
                self.stats.relayed_bytes_forward += packet.len() as u64;
                self.send_packet(link, packet, payer);
            }
            Ok(Arrival::Backward { link, payer }) => {
                if !self.forwarding {
                    return self.counters.count(Reason::ForwardingStopped);
                }
                self.stats.relayed_packets_backward += 1;
                self.stats.relayed_bytes_backward += packet.len() as u64;
                self.send_packet(link, packet, payer);
            }
            Ok(Arrival::Exit { circuit, counter }) => {
                if !self.forwarding {
                    return self.counters.count(Reason::ForwardingStopped);
                }
                packet.advance(HEADER);
                self.exit_packet(now, circuit, counter, packet);
            }
            Ok(Arrival::Client { circuit, counter }) => {
                packet.advance(HEADER);
                self.client_packet(now, circuit, counter, packet);
            }
            Ok(Arrival::Half) => {}
            Err(reason) => self.counters.count(reason),
        }
    }

    /// Queues a packet for a link, in two halves where one datagram cannot hold it.
    #[inline]
    pub(crate) fn send_packet(&mut self, link: LinkId, packet: BytesMut, payer: Payer) {
        let Some(l) = self.links.get(&link) else { return self.counters.count(Reason::LinkGone) };
        if l.carries(FREE + packet.len()) {
            self.outputs.push_back(Output::Packet { link, data: packet.freeze(), payer });
            return;
        }
        let half = HEADER + (packet.len() - HEADER) / 2;
        if half > l.max_datagram {
            return self.counters.count(Reason::LinkNarrow);
        }
        let (mut first, mut second) = (BytesMut::zeroed(half), BytesMut::zeroed(half));
        match split(&packet, &mut first, &mut second) {
            Ok(_) => {
                self.outputs.push_back(Output::Packet { link, data: first.freeze(), payer });
                self.outputs.push_back(Output::Packet { link, data: second.freeze(), payer });
            }
            Err(reason) => self.counters.count(reason),
        }
    }

    pub(crate) fn send_control(&mut self, link: LinkId, frame: &Control) {
        let mut data = Vec::new();
        frame.encode(&mut data);
        self.outputs.push_back(Output::Control { link, data });
    }

    pub(crate) fn next_circuit_id(&mut self) -> CircuitId {
        let id = self.next_circuit;
        self.next_circuit += 1;
        id
    }

    /// Whether packets are passed on and delivered; switched off for self-checks and drills, it drops and counts.
    pub fn set_forwarding(&mut self, on: bool) {
        self.forwarding = on;
    }

    /// From now on no new circuit and no new flow is taken; what runs goes on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// The keys that set-ups may be sealed to, the current one first. Others are forgotten, and wiped.
    pub fn set_onion_keys(&mut self, seeds: &[[u8; 32]]) {
        self.secrets = seeds.iter().map(|seed| OnionSecret::from_seed(*seed)).collect();
    }

    /// Set-ups seen before this start: records of 20 bytes as `Output::RememberSetup` gave them. A cut last record is one
    /// whose reply never went out, so it is left.
    pub fn load_replays(&mut self, now: Instant, records: &[u8]) {
        self.replays.prune(self.minute(now));
        self.replays.load(records.as_chunks::<20>().0.iter().map(|record| {
            let [a, b, c, d, tag @ ..] = *record;
            (u32::from_be_bytes([a, b, c, d]), tag)
        }));
    }

    /// The record of set-ups was lost while the keys were kept: refuse whatever could have been seen before this start.
    pub fn refuse_older_setups(&mut self, now: Instant) {
        self.replays = ReplayCache::new(self.minute(now) + 1 + MINUTES, replays_max(&self.config.limits));
    }

    pub(crate) fn minute(&self, now: Instant) -> u32 {
        let (at, unix_ms) = self.clock;
        ((unix_ms + now.saturating_duration_since(at).as_millis() as u64) / 60_000) as u32
    }

    /// The next thing to do, in order. Call until `None` after whatever was handed in.
    pub fn poll_output(&mut self, now: Instant) -> Option<Output> {
        if self.outputs.is_empty() {
            self.drive_inner(now);
        }
        self.outputs.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call `handle_timeout`, at the latest. Valid after outputs were taken.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        if self.has_deadlines() {
            self.tick_at.get_or_insert(now + TICK);
        }
        [self.tick_at, self.inner.poll_timeout(), self.credits.poll_timeout()].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant, unix_ms: u64) {
        self.clock = (now, unix_ms);
        self.inner.handle_timeout(now);
        self.settle_credits(now);
        if self.tick_at.is_some_and(|at| at <= now) {
            self.tick_at = None;
            self.expire_setups(now);
            self.decide_classes(now);
            self.watch_connections(now);
            self.add_follow(now);
            self.drop_worst_readers(now);
            self.inner.udp.expire(now, &mut self.counters);
        }
    }

    fn has_deadlines(&self) -> bool {
        !self.setups.is_empty() || self.inner.watched()
    }
}
