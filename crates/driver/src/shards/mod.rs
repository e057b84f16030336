//! Threads beside the main one that move fast packets, each with its own sockets and its own circuits (docs/decisions/0008).
//!
//! All sockets are bound to the node's address; the kernel decides by the addresses of a packet whose it is. A shard passes on
//! what belongs to its circuits. Everything else goes up to the main thread in batches: QUIC's datagrams, links' own
//! messages, packets for this node, and packets of circuits that are at home in another shard.
//!
//! Invariants: shards share no memory but figures that one writes and others read; what is on its way between two threads
//! is bounded, and what goes beyond is counted as `queue_full`.

mod worker;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use bytes::{Buf, BytesMut};
use tokio::sync::mpsc;
use wayfare_engine::Engine;
use wayfare_fast::Relayed;
use wayfare_quic::{EcnCodepoint, Instant};
use wayfare_relay::egress::Charge;
use wayfare_relay::{Command, shard_of};
use wayfare_types::{Counters, Reason};
use wayfare_wire::{HEADER, Header};

use crate::Failure;
use crate::fast::Side;
use crate::links::LinkId;
use crate::options::Limits;
use crate::stats::ShardStats;
use crate::world::World;
use worker::Worker;

/// Bytes on their way from one thread to another beyond which packets are dropped; QUIC and links' own messages have as much
/// again to themselves.
const PENDING_BYTES_MAX: usize = 4 << 20;
/// Batches taken from the shards in one turn.
const BATCHES_PER_TURN: usize = 64;

/// What the main thread says to a shard. It is heard in order.
pub(crate) enum ToShard {
    Circuit(Command),
    /// A link's fast side is this now, or gone.
    Link(LinkId, Option<Box<Side>>),
    /// Whether packets are passed on.
    Forwarding(bool),
    /// A plain packet of one of the shard's circuits that arrived elsewhere.
    Packet(LinkId, BytesMut),
}

/// What a shard hands up.
pub(crate) struct Up {
    shard: usize,
    /// What the items hold, one behind the other.
    data: BytesMut,
    items: Vec<(Kind, usize)>,
    figures: Vec<(LinkId, Figures)>,
    /// What its circuits owe for having waited.
    charges: Vec<Charge>,
    /// What came by its circuits' ids, in bytes.
    moved: Vec<(u32, u64)>,
}

/// Bytes of an [`Up`].
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Quic {
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        ecn: Option<EcnCodepoint>,
    },
    /// A fast packet of circuit id 0.
    Control {
        link: LinkId,
        counter: u64,
        local_ip: Option<IpAddr>,
    },
    /// So many bytes came with a neighbour's headers from an address that it has to prove.
    Heard {
        link: LinkId,
        from: usize,
    },
    /// A body for this exit.
    Exit {
        circuit: u32,
        counter: u64,
    },
    /// A body for this client.
    Client {
        circuit: u32,
        counter: u64,
    },
    /// A plain packet of a circuit that is at home in another shard.
    Away {
        link: LinkId,
    },
    /// A plain packet that goes out on a link, not fast.
    Plain {
        link: LinkId,
    },
}

impl Kind {
    /// Without these links break.
    fn is_links_own(self) -> bool {
        matches!(self, Self::Quic { .. } | Self::Control { .. } | Self::Heard { .. })
    }
}

/// What a shard has moved over a link since it last said so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
}

/// A shard's totals, which it alone writes.
struct Published {
    drops: [AtomicU64; Reason::ALL.len()],
    /// Packets and bytes forwards, packets and bytes backwards.
    relayed: [AtomicU64; 4],
    circuit_ids: AtomicUsize,
    cpu_us: AtomicU64,
}

impl Published {
    fn new() -> Self {
        Self {
            drops: [const { AtomicU64::new(0) }; Reason::ALL.len()],
            relayed: [const { AtomicU64::new(0) }; 4],
            circuit_ids: AtomicUsize::new(0),
            cpu_us: AtomicU64::new(0),
        }
    }

    fn relayed(&self) -> Relayed {
        let [packets_forward, bytes_forward, packets_backward, bytes_backward] =
            std::array::from_fn(|i| self.relayed[i].load(Relaxed));
        Relayed { packets_forward, packets_backward, bytes_forward, bytes_backward }
    }
}

/// The main thread's end of one shard.
struct Handle {
    /// `None` when it is to end.
    sender: Option<mpsc::UnboundedSender<ToShard>>,
    /// Bytes of packets on their way to it, and from it.
    down: Arc<AtomicUsize>,
    up: Arc<AtomicUsize>,
    published: Arc<Published>,
    thread: Option<JoinHandle<()>>,
}

/// The main thread's end of all shards but its own.
pub(crate) struct Shards {
    /// Number 1 and on.
    handles: Vec<Handle>,
    receiver: mpsc::UnboundedReceiver<Up>,
    /// What came while the main thread slept.
    woken_by: Option<Up>,
}

impl Shards {
    /// Starts shards 1 to `shards - 1`, with sockets at these addresses.
    pub fn start(limits: &Limits, addresses: &[SocketAddr]) -> Result<Option<Self>, Failure> {
        let &Limits { shards, offload, link_bytes_per_second: bytes_per_s, .. } = limits;
        if shards < 2 {
            return Ok(None);
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut all = Self { handles: Vec::new(), receiver, woken_by: None };
        for shard in 1..shards {
            let (commands, from_main) = mpsc::unbounded_channel();
            let handle = Handle {
                sender: Some(commands),
                down: Arc::default(),
                up: Arc::default(),
                published: Arc::new(Published::new()),
                thread: None,
            };
            let start = worker::Start {
                shard,
                shards,
                addresses: addresses.to_vec(),
                offload,
                bytes_per_s,
                from_main,
                down: handle.down.clone(),
                to_main: sender.clone(),
                up: handle.up.clone(),
                published: handle.published.clone(),
            };
            let (ready, started) = std::sync::mpsc::channel();
            let thread = std::thread::Builder::new()
                .name(format!("shard {shard}"))
                .spawn(move || Worker::run(start, &ready))
                .map_err(|e| Failure::new(Failure::SYSTEM, format!("the system gives no thread: {e}")))?;
            all.handles.push(Handle { thread: Some(thread), ..handle });
            started.recv().map_err(|_| Failure::new(Failure::SYSTEM, "a shard's thread broke"))??;
        }
        Ok(Some(all))
    }

    fn tell(&self, shard: usize, what: ToShard) {
        if let Some(sender) = self.handles.get(shard - 1).and_then(|h| h.sender.as_ref()) {
            // One that has ended takes nothing more.
            let _ = sender.send(what);
        }
    }

    /// Says it to every shard.
    pub fn tell_all(&self, what: impl Fn() -> ToShard) {
        (1..=self.handles.len()).for_each(|shard| self.tell(shard, what()));
    }

    /// Hands a plain packet to the shard that its circuit is at home in; gives it back where that is the main thread.
    fn hand_over(&self, link: LinkId, packet: BytesMut, counters: &mut Counters) -> Option<BytesMut> {
        let shard = Header::parse(&packet).map_or(0, |header| shard_of(header.cid));
        let Some(handle) = shard.checked_sub(1).and_then(|at| self.handles.get(at)) else { return Some(packet) };
        let bytes = packet.len();
        if handle.down.fetch_add(bytes, Relaxed) + bytes > PENDING_BYTES_MAX {
            handle.down.fetch_sub(bytes, Relaxed);
            counters.count(Reason::QueueFull);
        } else {
            self.tell(shard, ToShard::Packet(link, packet));
        }
        None
    }

    /// Whether a shard has handed something up.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.woken_by.is_none() {
            match self.receiver.poll_recv(cx) {
                Poll::Ready(Some(up)) => self.woken_by = Some(up),
                _ => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    fn next_up(&mut self) -> Option<Up> {
        let up = self.woken_by.take().or_else(|| self.receiver.try_recv().ok())?;
        if let Some(handle) = self.handles.get(up.shard - 1) {
            handle.up.fetch_sub(up.data.len(), Relaxed);
        }
        Some(up)
    }

    /// Adds what the shards dropped.
    pub fn add_drops(&self, counters: &mut Counters) {
        for handle in &self.handles {
            Reason::ALL.iter().zip(&handle.published.drops).for_each(|(&r, n)| counters.add(r, n.load(Relaxed)));
        }
    }

    /// The figures of shards 1 and on.
    pub fn stats(&self) -> impl Iterator<Item = (ShardStats, Relayed)> + '_ {
        self.handles.iter().map(|Handle { published, .. }| {
            let relayed = published.relayed();
            let stats = ShardStats {
                relayed: relayed.packets_forward + relayed.packets_backward,
                circuit_ids: published.circuit_ids.load(Relaxed) as u64,
                cpu_us: published.cpu_us.load(Relaxed),
            };
            (stats, relayed)
        })
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.handles.iter_mut().for_each(|handle| handle.sender = None);
        // A thread that broke has said so on standard error.
        self.handles.iter_mut().filter_map(|handle| handle.thread.take()).for_each(|thread| drop(thread.join()));
    }
}

impl World {
    /// Tells the shards what the engine has changed of their circuits. To be called before what it wants sent is.
    pub fn shards_tell(&mut self) {
        let Some(shards) = &self.shards else { return };
        self.engine.shard_commands().for_each(|(shard, command)| shards.tell(shard, ToShard::Circuit(command)));
    }

    /// Whether packets are passed on and delivered, by all shards.
    pub fn set_forwarding(&mut self, on: bool) {
        self.engine.set_forwarding(on);
        if let Some(shards) = &self.shards {
            shards.tell_all(|| ToShard::Forwarding(on));
        }
    }

    /// Takes a plain packet, wherever its circuit is at home.
    pub fn take_packet(&mut self, now: Instant, link: LinkId, packet: BytesMut) {
        take_packet(self.shards.as_ref(), &mut self.engine, now, link, packet);
    }

    /// Takes what the shards have handed up; whether more may be waiting.
    pub fn shards_take(&mut self, now: Instant) -> bool {
        for _ in 0..BATCHES_PER_TURN {
            let Some(up) = self.shards.as_mut().and_then(Shards::next_up) else { return false };
            self.shards_take_one(now, up);
        }
        true
    }

    fn shards_take_one(&mut self, now: Instant, up: Up) {
        let Up { shard, mut data, items, figures, charges, moved } = up;
        let mut quic = false;
        for (kind, bytes) in items {
            let mut item = data.split_to(bytes);
            // What QUIC says of a circuit was sent before the circuit's packets.
            if std::mem::replace(&mut quic, matches!(kind, Kind::Quic { .. })) && !quic {
                self.settle(now);
                self.flush(now);
            }
            match kind {
                Kind::Quic { remote, local_ip, ecn } => self.quic.handle_datagram(now, remote, local_ip, ecn, item),
                Kind::Control { link, counter, local_ip } => {
                    self.fast_control(now, link, counter, &mut item, (shard, local_ip));
                }
                Kind::Heard { link, from } => self.fast_heard(now, link, from),
                Kind::Exit { circuit, counter } => self.engine.handle_exit_body(now, circuit, counter, &item),
                Kind::Client { circuit, counter } => self.engine.handle_client_body(now, circuit, counter, &mut item),
                Kind::Away { link } => self.take_packet(now, link, item),
                Kind::Plain { link } => self.send_plain(link, item.freeze()),
            }
        }
        figures.into_iter().for_each(|(link, figures)| self.fast_figures(now, link, figures));
        self.engine.charge(now, charges);
        self.engine.moved(moved);
        self.settle(now);
        self.flush(now);
    }
}

/// [`World::take_packet`], where the rest of the world is in use.
pub(crate) fn take_packet(shards: Option<&Shards>, engine: &mut Engine, now: Instant, link: LinkId, packet: BytesMut) {
    let here = match shards {
        None => Some(packet),
        Some(shards) => shards.hand_over(link, packet, engine.counters()),
    };
    if let Some(packet) = here {
        engine.handle_packet(now, link, packet);
    }
}

/// A plain packet's body.
fn body(mut packet: BytesMut) -> BytesMut {
    packet.advance(HEADER);
    packet
}
