//! Everything a node holds, on its one thread, and the turn in which it all moves on.
//!
//! A [`World`] is only ever borrowed between two awaits. Tasks (pumps, proxies, the exit's dials) work on it through
//! [`Shared`] and then call [`Shared::kick`], so that the main task takes the engine's outputs to the links.
//!
//! Invariant: after a turn no event and no output is left waiting, unless the socket's buffer is full.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use wayfare_engine::{Engine, EngineConfig};
use wayfare_exit::ExitPolicy;
use wayfare_quic::tls::Identity;
use wayfare_quic::{
    ConnectionHandle, EndpointConfig, HostConfig, Instant, QuicHost, Transmit, link_transport, listener,
};
use wayfare_types::{NodeId, Reason};

use crate::Failure;
use crate::ahead::SharedAhead;
use crate::answer::Answer;
use crate::associate::Back;
use crate::attached::Attached;
use crate::event::Event;
use crate::exit_udp::Associations;
use crate::fast::FastPath;
use crate::flows::FlowSlot;
use crate::later::Later;
use crate::links::{Link, LinkId};
use crate::moved::Moved;
use crate::options::Options;
use crate::parking::BULK_BYTES;
use crate::proxy::Decision;
use crate::random::{SystemRandom, unix_ms};
use crate::replay::ReplayFile;
use crate::resolve::Resolver;
use crate::sessions::Session;
use crate::shards::Shards;
use crate::stats::{ClientStats, ExitStats};
use crate::udp::{Filled, Receiver, Udp};

/// Handshakes under way above which a caller must prove its address first.
const RETRY_ABOVE: usize = 64;
const LINKS_MAX: usize = 8192;
/// Receives per socket and turn of what comes in small pieces; a burst ends the turn, so that the pumps are not starved.
const RECEIVES_PER_TURN: usize = 4;

/// Datagrams taken in before what they led to is sent.
const PORTION: usize = 256;

/// Something the engine asked for that needs a task of its own.
pub(crate) enum Job {
    Dial { flow: u32, host: String, port: u16 },
    WatchUdp { udp: u32 },
    ReadUdp { udp: u32, socket: Rc<tokio::net::UdpSocket> },
    ResolveUdp { udp: u32, host: String, port: u16 },
}

/// A node's state.
pub(crate) struct World {
    pub engine: Engine,
    pub quic: QuicHost,
    pub identity: Identity,
    pub link_idle_ms: u32,
    pub sockets: Vec<Udp>,
    pub receiver: Receiver,
    /// What the last receive put into the receiver's buffers.
    filled: Vec<Filled>,
    /// QUIC's datagrams of it.
    arrived: Vec<(usize, BytesMut)>,
    pub fast: FastPath,
    /// The other threads that move fast packets, if there are any.
    pub shards: Option<Shards>,
    transmit: Vec<u8>,
    /// A datagram batch that the kernel had no room for.
    unsent: Option<(usize, Transmit)>,

    pub links: FxHashMap<LinkId, Link>,
    pub by_handle: FxHashMap<ConnectionHandle, LinkId>,
    /// Links whose bytes TypeScript moves, and those of them that have had something to send since it was last handed over.
    pub attached: FxHashMap<LinkId, Attached>,
    pub attached_changed: Vec<LinkId>,
    pub attached_ended: VecDeque<(LinkId, Reason)>,
    /// When to look for connections that never became links.
    pub hello_at: Option<Instant>,
    /// The hash of the certificate that new callers are shown, or zeros.
    pub binding: [u8; 32],
    /// Connections whose sessions were closed, which their clients should close until then.
    pub leaving: VecDeque<(Instant, ConnectionHandle)>,
    pub sessions: FxHashMap<u32, Session>,
    pub session_ids: FxHashMap<(LinkId, wayfare_quic::StreamId), u32>,
    pub flows: FxHashMap<u32, FlowSlot>,
    pub associations: Associations,
    /// Associations of proxy clients, whose tasks wait for what comes back.
    pub proxied_udp: HashMap<u32, tokio::sync::mpsc::Sender<Back>>,
    pub circuit_waits: HashMap<u32, Answer<u32>>,
    pub connection_waits: HashMap<u32, Answer<u32>>,
    /// Requests of proxy clients on which TypeScript may still decide something.
    pub decisions: HashMap<u32, tokio::sync::mpsc::UnboundedSender<(u32, Decision)>>,
    pub ahead: SharedAhead,
    /// What each request that runs has moved.
    pub moved: HashMap<u32, Rc<Moved>>,
    pub proxies: HashMap<u32, tokio::task::AbortHandle>,
    /// Whether destinations are dialled here, and whether streams to this node itself are taken.
    pub dials: bool,
    pub listens: bool,
    pub policy: Rc<ExitPolicy>,
    pub replay: Option<ReplayFile>,
    pub exit_stats: ExitStats,
    pub client_stats: ClientStats,
    pub jobs: Vec<Job>,
    pub events: Vec<Event>,
    last_id: u32,
}

/// What the node's tasks share.
pub(crate) struct Shared {
    pub world: RefCell<World>,
    pub work: Notify,
    /// What can wait.
    pub later: Later,
    pub resolver: Arc<dyn Resolver>,
    /// Whether the main task knows that there is work.
    kicked: Cell<bool>,
    /// Where every pump reads into; see [`crate::pump`].
    pub arena: RefCell<BytesMut>,
    /// Where every UDP task receives.
    pub datagram: RefCell<Vec<u8>>,
}

impl Shared {
    /// There may be outputs to take.
    pub fn kick(&self) {
        if !self.kicked.replace(true) {
            self.work.notify_one();
        }
    }

    /// There may be outputs to take that nobody waits for: they go with what goes out next, or a little later.
    pub fn kick_soon(&self) {
        self.later.want(Instant::now());
    }

    pub(crate) fn new(world: World, resolver: Arc<dyn Resolver>) -> Rc<Self> {
        Rc::new(Self {
            world: RefCell::new(world),
            work: Notify::new(),
            later: Later::default(),
            resolver,
            kicked: Cell::new(false),
            arena: RefCell::new(BytesMut::new()),
            datagram: RefCell::new(Vec::new()),
        })
    }

    /// One turn; whether there is more to do at once.
    pub(crate) fn turn(&self) -> bool {
        self.kicked.set(false);
        self.world.borrow_mut().turn()
    }
}

impl World {
    /// Binds the sockets and reads the replay file.
    pub fn new(options: &Options) -> Result<Self, Failure> {
        let sockets = options
            .addresses()?
            .into_iter()
            .map(|address| {
                let bound = Udp::bind(address, options.limits.offload, options.limits.shards > 1);
                bound.map_err(|e| Failure::bind(&format!("UDP {address}"), &e))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let addresses: Vec<_> = sockets.iter().map(Udp::address).collect();
        let shards = Shards::start(&options.limits, &addresses)?;
        let now = Instant::now();
        let system = |text: String| Failure::new(Failure::SYSTEM, text);
        let config = EngineConfig {
            identity_seed: *options.identity_seed,
            roles: wayfare_engine::Roles {
                client: options.roles.client,
                relay: options.roles.relay,
                // Whoever listens is the last hop of a path too.
                exit: options.roles.exit || options.roles.listener,
            },
            limits: wayfare_engine::Limits {
                circuits: options.limits.circuits as usize,
                setups_per_s: options.limits.setups_per_second,
                reader_bytes: options.limits.reader_bytes,
                window_bytes_max: u32::try_from(options.limits.window_bytes_max).unwrap_or(u32::MAX),
                shards: options.limits.shards,
                ..wayfare_engine::Limits::default()
            },
            credits: options.credits.config(),
        };
        let mut engine = Engine::new(config, now, unix_ms(), Box::new(SystemRandom)).map_err(system)?;
        let (replay, known) = match &options.replay_file {
            None => (None, None),
            Some(path) => {
                let (file, known) = ReplayFile::open(path, now)
                    .map_err(|e| system(format!("cannot open the replay file {}: {e}", path.display())))?;
                (Some(file), known)
            }
        };
        match known {
            Some(records) => engine.load_replays(now, &records),
            // Keys that this run made can have answered nothing before it.
            None if options.fresh_keys => {}
            None => engine.refuse_older_setups(now),
        }
        let identity = Identity::from_seed(&options.identity_seed).map_err(|e| system(e.to_string()))?;
        let server = listener(&identity, None, link_transport(options.limits.link_idle_ms))
            .map_err(|e| system(e.to_string()))?;
        let mut endpoint = EndpointConfig::default();
        // Packets of other kinds can come to share the socket, told apart by QUIC's fixed bit (RFC 9000, section 17).
        endpoint.grease_quic_bit(false);
        let quic = QuicHost::new(HostConfig {
            endpoint: Arc::new(endpoint),
            server: Some(Arc::new(server)),
            retry_above: RETRY_ABOVE,
            max_connections: LINKS_MAX,
            mtu_discovery: sockets.iter().all(Udp::keeps_whole),
            rng_seed: None,
        });
        Ok(Self {
            engine,
            quic,
            identity,
            link_idle_ms: options.limits.link_idle_ms,
            sockets,
            receiver: Receiver::new(),
            filled: Vec::new(),
            arrived: Vec::new(),
            fast: FastPath::new(options.limits.fast_links, options.limits.link_bytes_per_second, options.limits.shards),
            shards,
            transmit: Vec::new(),
            unsent: None,
            links: FxHashMap::default(),
            by_handle: FxHashMap::default(),
            attached: FxHashMap::default(),
            attached_changed: Vec::new(),
            attached_ended: VecDeque::new(),
            hello_at: None,
            binding: [0; 32],
            leaving: VecDeque::new(),
            sessions: FxHashMap::default(),
            session_ids: FxHashMap::default(),
            flows: FxHashMap::default(),
            associations: Associations::default(),
            proxied_udp: HashMap::new(),
            circuit_waits: HashMap::new(),
            connection_waits: HashMap::new(),
            decisions: HashMap::new(),
            ahead: SharedAhead::default(),
            moved: HashMap::new(),
            proxies: HashMap::new(),
            dials: options.roles.exit,
            listens: options.roles.listener,
            policy: Rc::new(ExitPolicy::default()),
            replay,
            exit_stats: ExitStats::default(),
            client_stats: ClientStats::default(),
            jobs: Vec::new(),
            events: Vec::new(),
            last_id: 0,
        })
    }

    pub fn id(&self) -> NodeId {
        self.identity.id()
    }

    /// The next id of a link, stream, proxy or request.
    pub fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    pub fn count(&mut self, reason: Reason) {
        self.engine.counters().count(reason);
    }

    fn turn(&mut self) -> bool {
        let mut now = Instant::now();
        if self.quic.poll_timeout().is_some_and(|at| at <= now) {
            self.quic.handle_timeout(now);
        }
        self.fast_charge(now);
        if self.engine.poll_timeout(now).is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now, unix_ms());
        }
        if self.hello_at.is_some_and(|at| at <= now) {
            self.close_late_hellos(now);
        }
        self.close_leaving(now, now);
        self.fast_flush(now);
        self.fast_probe(now);
        let mut more = self.shards_take(now);
        for index in 0..self.sockets.len() {
            for receive in 0..RECEIVES_PER_TURN {
                let Some(bytes) = self.receive(now, index) else { break };
                now = Instant::now();
                // The pumps take what a burst has brought before there is more of it than a cache holds.
                if receive + 1 == RECEIVES_PER_TURN || bytes >= BULK_BYTES {
                    more = true;
                    break;
                }
            }
        }
        while self.settle(now) | self.flush(now) {}
        self.attached_hand_over();
        more
    }

    /// One receive, and all that comes of it; how many bytes came, if anything did.
    fn receive(&mut self, now: Instant, index: usize) -> Option<usize> {
        let count = self.sockets[index].receive(&mut self.receiver);
        let mut filled = std::mem::take(&mut self.filled);
        let mut arrived = std::mem::take(&mut self.arrived);
        filled.clear();
        filled.extend((0..count).map(|buffer| self.receiver.filled(buffer)));
        for (buffer, of) in filled.iter().enumerate() {
            self.fast_take(now, buffer, of, |datagram| arrived.push((buffer, BytesMut::from(datagram))));
        }
        // QUIC's first: what it says of a circuit was sent before the circuit's packets. In portions, so that what is forwarded
        // leaves before a link's queue is full, and the cache as well.
        let mut left = arrived.drain(..);
        while left.len() > 0 {
            for (buffer, data) in left.by_ref().take(PORTION) {
                let Filled { remote, local_ip, ecn, .. } = filled[buffer];
                self.quic.handle_datagram(now, remote, local_ip, ecn, data);
            }
            self.settle(now);
            self.flush(now);
        }
        drop(left);
        if self.fast_work(now, &filled) {
            self.settle(now);
            self.flush(now);
        }
        let bytes = filled.iter().map(|of| of.bytes).sum();
        (self.filled, self.arrived) = (filled, arrived);
        (count > 0).then_some(bytes)
    }

    /// Lets links and engine talk to each other until both are quiet; whether they had anything to say.
    pub fn settle(&mut self, now: Instant) -> bool {
        let mut any = false;
        loop {
            let mut quiet = true;
            while let Some((handle, event)) = self.quic.poll_event() {
                quiet = false;
                self.link_event(now, handle, event);
            }
            quiet &= !self.take_outputs(now);
            while let Some(event) = self.engine.poll_event() {
                quiet = false;
                self.engine_event(now, event);
            }
            if quiet {
                return any;
            }
            any = true;
        }
    }

    /// Sends until there is nothing more to send or the kernel's buffer is full; whether anything went out. Sending
    /// brings events of its own: new connection ids, a connection that has drained.
    pub fn flush(&mut self, now: Instant) -> bool {
        let mut any = self.fast_flush(now);
        loop {
            if let Some((index, transmit)) = &self.unsent {
                if !self.sockets[*index].send(transmit, &self.transmit[..transmit.size]) {
                    return any;
                }
                self.unsent = None;
                any = true;
            }
            let segments = self.sockets.iter().map(Udp::max_segments).min().unwrap_or(1);
            let Some((handle, transmit)) = self.quic.poll_transmit(now, segments, &mut self.transmit) else {
                return any;
            };
            if let Some(link) = handle.and_then(|h| self.by_handle.get(&h)).copied() {
                self.watch_mtu(now, link);
            }
            let v4 = transmit.destination.is_ipv4();
            // A peer of a family that no socket is of cannot have been dialled or have called.
            let Some(index) = self.sockets.iter().position(|s| s.address().is_ipv4() == v4) else { continue };
            self.unsent = Some((index, transmit));
        }
    }

    /// Which socket to wait for before sending on.
    pub fn blocked_on(&self) -> Option<&Udp> {
        let quic = self.unsent.as_ref().map(|(index, _)| &self.sockets[*index]);
        quic.or_else(|| self.fast_blocked_on())
    }

    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let leaving = self.leaving.front().map(|(at, _)| *at);
        [self.quic.poll_timeout(), self.engine.poll_timeout(now), self.hello_at, leaving, self.fast.deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}
