//! A shard's thread.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use wayfare_fast::{Local, Relayed};
use wayfare_quic::Instant;
use wayfare_relay::{Arrival, Slots};
use wayfare_types::{Counters, Reason};
use wayfare_wire::HEADER;
use wayfare_wire::fast::FAST_HEADER;

use super::{Figures, Kind, PENDING_BYTES_MAX, Published, ToShard, Up, body};
use crate::alarm::Alarm;
use crate::fast::{Egress, Lane, Place, QUEUED_BYTES_MAX, roomy};
use crate::links::LinkId;
use crate::stats::thread_cpu_us;
use crate::udp::{Filled, Receiver, Udp};
use crate::{Failure, parking};

/// Receives per socket before the main thread's word is heard again.
const RECEIVES_PER_TURN: usize = 4;
/// How often the main thread hears what links have carried.
const FIGURES_EVERY: Duration = Duration::from_millis(100);
/// What circuits moved is told once in a period of accounts.
const MOVED_EVERY: Duration = Duration::from_secs(1);
/// How often this thread asks what it has spent, while it has something to do.
const CPU_EVERY: Duration = Duration::from_millis(10);

/// What a shard begins with.
pub(super) struct Start {
    pub shard: usize,
    pub shards: usize,
    pub addresses: Vec<SocketAddr>,
    pub offload: bool,
    /// What each link may send here; 0 is as much as the kernel takes.
    pub bytes_per_s: u64,
    pub from_main: mpsc::UnboundedReceiver<ToShard>,
    pub down: Arc<AtomicUsize>,
    pub to_main: mpsc::UnboundedSender<Up>,
    pub up: Arc<AtomicUsize>,
    pub published: Arc<Published>,
}

/// See the module.
pub(super) struct Worker {
    shard: usize,
    sockets: Vec<Udp>,
    receiver: Receiver,
    filled: Vec<Filled>,
    lane: Lane,
    slots: Slots,
    forwarding: bool,
    counters: Counters,
    relayed: Relayed,
    figures: FxHashMap<LinkId, Figures>,
    figures_at: Option<Instant>,
    moved_at: Option<Instant>,
    cpu_at: Option<Instant>,
    /// What is to go up: of the receiver's buffers, and else.
    placed: Vec<(Kind, Place)>,
    owned: Vec<(Kind, Bytes)>,
    from_main: mpsc::UnboundedReceiver<ToShard>,
    down: Arc<AtomicUsize>,
    to_main: mpsc::UnboundedSender<Up>,
    up: Arc<AtomicUsize>,
    published: Arc<Published>,
    /// The main thread has let go of this one.
    closed: bool,
}

impl Worker {
    /// Runs a shard to its end, on the calling thread.
    pub fn run(start: Start, ready: &std::sync::mpsc::Sender<Result<(), Failure>>) {
        let runtime = parking::runtime();
        let begun = runtime
            .map_err(|e| Failure::new(Failure::SYSTEM, format!("the system gives no event queue: {e}")))
            .and_then(|runtime| {
                let inside = runtime.enter();
                let worker = Self::new(start)?;
                drop(inside);
                Ok((runtime, worker))
            });
        match begun {
            Ok((runtime, worker)) => {
                // Who started this one waits for the answer.
                let _ = ready.send(Ok(()));
                runtime.block_on(worker.main());
            }
            Err(failure) => drop(ready.send(Err(failure))),
        }
    }

    fn new(start: Start) -> Result<Self, Failure> {
        let Start { shard, shards, addresses, offload, bytes_per_s, from_main, down, to_main, up, published } = start;
        let bind = |&address: &SocketAddr| {
            Udp::bind(address, offload, true).map_err(|e| Failure::bind(&format!("UDP {address}"), &e))
        };
        Ok(Self {
            shard,
            sockets: addresses.iter().map(bind).collect::<Result<_, _>>()?,
            receiver: Receiver::new(),
            filled: Vec::new(),
            lane: Lane::new(Egress::new(bytes_per_s, QUEUED_BYTES_MAX / shards)),
            slots: Slots::new(shard, shards),
            forwarding: true,
            counters: Counters::default(),
            relayed: Relayed::default(),
            figures: FxHashMap::default(),
            figures_at: None,
            moved_at: None,
            cpu_at: None,
            placed: Vec::new(),
            owned: Vec::new(),
            from_main,
            down,
            to_main,
            up,
            published,
            closed: false,
        })
    }

    async fn main(mut self) {
        let mut alarm = Alarm::new();
        while !self.closed {
            if self.turn() {
                tokio::task::yield_now().await;
            } else if let Some(what) = self.wait(&mut alarm).await {
                self.take(Instant::now(), what);
            }
        }
    }

    /// Sleeps until something is to be done; the main thread's word, if that is what it was.
    async fn wait(&mut self, alarm: &mut Alarm) -> Option<ToShard> {
        let deadline = self.figures_at.into_iter().chain(self.lane.egress.deadline()).min();
        alarm.set(Instant::now(), deadline);
        let Self { sockets, lane, from_main, closed, .. } = self;
        let (sockets, lane) = (&*sockets, &*lane);
        let ready = poll_fn(|cx| {
            // All are polled, so that each one's waker is registered.
            let readable = sockets.iter().filter(|s| s.poll_readable(cx).is_ready()).count() > 0;
            let writable = lane.blocked_on(sockets).is_some_and(|s| s.poll_writable(cx).is_ready());
            if readable || writable { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            () = ready => None,
            what = from_main.recv() => {
                *closed = what.is_none();
                what
            }
            () = poll_fn(|cx| alarm.poll(cx)) => None,
        }
    }

    /// Hears all that the main thread has said so far.
    fn hear(&mut self, now: Instant) {
        loop {
            match self.from_main.try_recv() {
                Ok(what) => self.take(now, what),
                Err(mpsc::error::TryRecvError::Empty) => return,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    fn take(&mut self, now: Instant, what: ToShard) {
        match what {
            ToShard::Circuit(command) => self.slots.apply(command),
            ToShard::Link(link, side) => self.lane.put(link, side.map(|side| *side), &mut self.counters),
            ToShard::Forwarding(on) => self.forwarding = on,
            ToShard::Packet(link, packet) => {
                self.down.fetch_sub(packet.len(), Relaxed);
                self.packet(now, link, packet);
            }
        }
    }

    /// A packet of one of this shard's circuits that arrived elsewhere.
    fn packet(&mut self, now: Instant, link: LinkId, mut packet: BytesMut) {
        let (bytes, relayed) = (packet.len() as u64, &mut self.relayed);
        let (next, payer) = match self.slots.work(link, &mut packet, &mut self.counters) {
            Ok(Arrival::Client { circuit, counter }) => {
                return self.owned.push((Kind::Client { circuit, counter }, body(packet).freeze()));
            }
            Ok(Arrival::Half) => return,
            Err(reason) => return self.counters.count(reason),
            Ok(_) if !self.forwarding => return self.counters.count(Reason::ForwardingStopped),
            Ok(Arrival::Exit { circuit, counter }) => {
                return self.owned.push((Kind::Exit { circuit, counter }, body(packet).freeze()));
            }
            Ok(Arrival::Forward { link, payer }) => {
                relayed.packets_forward += 1;
                relayed.bytes_forward += bytes;
                (link, payer)
            }
            Ok(Arrival::Backward { link, payer }) => {
                relayed.packets_backward += 1;
                relayed.bytes_backward += bytes;
                (link, payer)
            }
        };
        let mut data = roomy(&packet);
        let stride = data.len();
        if !self.lane.send_run(now, &self.sockets, next, (&mut data, stride, payer), &mut self.counters) {
            self.owned.push((Kind::Plain { link: next }, packet.freeze()));
        }
    }

    /// Moves everything on; whether more is waiting.
    fn turn(&mut self) -> bool {
        let mut now = Instant::now();
        self.hear(now);
        self.lane.flush(now, &self.sockets, &mut self.counters);
        let mut more = false;
        for index in 0..self.sockets.len() {
            for receive in 0..RECEIVES_PER_TURN {
                if !self.receive(now, index) {
                    break;
                }
                now = Instant::now();
                more |= receive + 1 == RECEIVES_PER_TURN;
            }
        }
        self.hand_up(now);
        self.publish(now);
        more
    }

    fn receive(&mut self, now: Instant, index: usize) -> bool {
        let count = self.sockets[index].receive(&mut self.receiver);
        if count == 0 {
            return false;
        }
        // What a neighbour sends because of what the main thread told it finds what this shard was told before.
        self.hear(now);
        let Self { lane, receiver, filled, slots, counters, placed, sockets, .. } = self;
        filled.clear();
        filled.extend((0..count).map(|buffer| receiver.filled(buffer)));
        for (buffer, of) in filled.iter().enumerate() {
            let Filled { remote, local_ip, ecn, bytes, .. } = *of;
            lane.take(buffer, &receiver.buffers[buffer][..bytes], of, counters, |at, datagram| {
                let place = Place { buffer, at, bytes: datagram.len() };
                placed.push((Kind::Quic { remote, local_ip, ecn }, place));
            });
        }
        // At once: the main thread may send as much again thrice, to have the address proven.
        self.owned.extend(lane.heard.drain(..).map(|(link, from)| (Kind::Heard { link, from }, Bytes::new())));
        if !lane.is_idle() {
            let relayed = lane.work(&mut receiver.buffers, slots, self.forwarding, counters);
            let links = lane.send_worked(now, sockets, &mut receiver.buffers, counters);
            receiver.passed_on(links);
            self.relayed.packets_forward += relayed.packets_forward;
            self.relayed.packets_backward += relayed.packets_backward;
            self.relayed.bytes_forward += relayed.bytes_forward;
            self.relayed.bytes_backward += relayed.bytes_backward;
        }
        for (link, local, Place { buffer, at, bytes }) in lane.locals.drain(..) {
            let (kind, skip) = match local {
                Local::Control { counter } => (Kind::Control { link, counter, local_ip: filled[buffer].local_ip }, 0),
                Local::Exit { circuit, counter } => (Kind::Exit { circuit, counter }, FAST_HEADER),
                Local::Client { circuit, counter } => (Kind::Client { circuit, counter }, FAST_HEADER),
                Local::Away { .. } => (Kind::Away { link }, FAST_HEADER - HEADER),
            };
            placed.push((kind, Place { buffer, at: at + skip, bytes: bytes - skip }));
        }
        self.hand_up(now);
        true
    }

    /// Hands everything up that is to go, in one piece of memory.
    fn hand_up(&mut self, now: Instant) {
        self.account(now);
        let figures_due = self.figures_at.is_some_and(|at| at <= now);
        let Self { lane, slots, receiver, counters, placed, owned, figures, .. } = self;
        owned.extend(lane.plain.drain(..).map(|(link, packet)| (Kind::Plain { link }, packet)));
        if placed.is_empty() && owned.is_empty() && !figures_due {
            return;
        }
        let pending = self.up.load(Relaxed);
        let mut total = 0;
        let mut fits = |kind: Kind, bytes: usize| {
            let most = if kind.is_links_own() { 2 * PENDING_BYTES_MAX } else { PENDING_BYTES_MAX };
            let fits = pending + total + bytes <= most;
            total += if fits { bytes } else { 0 };
            if !fits {
                counters.count(Reason::QueueFull);
            }
            fits
        };
        placed.retain(|&(kind, place)| fits(kind, place.bytes));
        owned.retain(|(kind, bytes)| fits(*kind, bytes.len()));
        let mut data = BytesMut::with_capacity(total);
        let mut items = Vec::with_capacity(placed.len() + owned.len());
        for (kind, Place { buffer, at, bytes }) in placed.drain(..) {
            data.extend_from_slice(&receiver.buffers[buffer][at..][..bytes]);
            items.push((kind, bytes));
        }
        for (kind, bytes) in owned.drain(..) {
            data.extend_from_slice(&bytes);
            items.push((kind, bytes.len()));
        }
        let figures = if figures_due { figures.drain().collect() } else { Vec::new() };
        if figures_due {
            self.figures_at = None;
        }
        let mut charges = Vec::new();
        if figures_due && lane.egress.has_charges() {
            lane.egress.take_charges(now, &mut charges);
            // What waits still is charged when it has gone, or then.
            self.figures_at = lane.egress.has_charges().then_some(now + FIGURES_EVERY);
        }
        let mut moved = Vec::new();
        if figures_due && self.moved_at.is_none_or(|at| at <= now) {
            slots.take_moved(|cid, bytes| moved.push((cid, bytes)));
            self.moved_at = Some(now + MOVED_EVERY);
        } else if figures_due && slots.has_moved() {
            self.figures_at = self.figures_at.or(self.moved_at);
        }
        self.up.fetch_add(total, Relaxed);
        // The main thread is there until this one has ended.
        let _ = self.to_main.send(Up { shard: self.shard, data, items, figures, charges, moved });
    }

    fn account(&mut self, now: Instant) {
        let Self { lane, figures, figures_at, .. } = self;
        if lane.received.is_empty() && lane.egress.sent.is_empty() && !lane.egress.has_charges() {
            return;
        }
        figures_at.get_or_insert(now + FIGURES_EVERY);
        for (link, packets, bytes) in lane.received.drain(..) {
            let of = figures.entry(link).or_default();
            of.packets_received += packets;
            of.bytes_received += bytes;
        }
        for (link, packets, bytes) in lane.egress.sent.drain(..) {
            let of = figures.entry(link).or_default();
            of.packets_sent += packets;
            of.bytes_sent += bytes;
        }
    }

    /// Writes this shard's totals where others can read them.
    fn publish(&mut self, now: Instant) {
        if self.cpu_at.is_none_or(|at| at <= now) {
            self.cpu_at = Some(now + CPU_EVERY);
            self.published.cpu_us.store(thread_cpu_us(), Relaxed);
        }
        let Published { drops, relayed, circuit_ids, .. } = &*self.published;
        drops.iter().zip(self.counters.iter()).for_each(|(to, (_, count))| to.store(count, Relaxed));
        let Relayed { packets_forward, packets_backward, bytes_forward, bytes_backward } = self.relayed;
        let totals = [packets_forward, bytes_forward, packets_backward, bytes_backward];
        relayed.iter().zip(totals).for_each(|(to, total)| to.store(total, Relaxed));
        circuit_ids.store(self.slots.len(), Relaxed);
    }
}
