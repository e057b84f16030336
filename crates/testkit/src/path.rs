//! An impaired path between real sockets: a UDP address that passes on, late and not always, what is sent to it.
//!
//! Each client address gets its own socket towards the target, as behind a NAT. Packets are read, kept and sent in
//! trains of one size (GRO, GSO), so that the path costs little of the CPU that a bench wants to measure.
//! The timer has a grain of 1 ms: a packet comes up to that much later than its delay, never earlier.
//!
//! Invariant: at most [`CLIENTS_MAX`] clients; dropping the path closes all of it.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::line::{Counts, Impairment, Line, Train};

/// Packets of further clients are not passed on.
const CLIENTS_MAX: usize = 1024;
/// Asked of the kernel, which grants what it is set up to: drops in its buffers would be loss nobody ordered.
const SOCKET_BUFFER_LEN: usize = 4 << 20;
/// One GRO train.
const BUFFER_LEN: usize = 64 * 1024;
/// What one GSO send may hold beside its headers.
const SEND_LEN_MAX: usize = 65_000;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the clients to the target.
    Out,
    /// From the target to the clients.
    Back,
}

/// A running path. Lives until it is dropped; needs a tokio runtime.
#[derive(Debug)]
pub struct ImpairedPath {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    out: Impairment,
    back: Impairment,
    clients: Vec<[Arc<Lane>; 2]>,
}

/// A line and who waits for it.
#[derive(Debug)]
struct Lane {
    line: Mutex<Line>,
    filled: Notify,
}

#[derive(Debug)]
struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
}

impl ImpairedPath {
    /// Listens on `listen` (port 0: any) for packets to `target`. The impairments are of each client's own lines.
    pub async fn start(
        listen: SocketAddr,
        target: SocketAddr,
        out: Impairment,
        back: Impairment,
        seed: u64,
    ) -> io::Result<Self> {
        let front = Arc::new(Socket::bind(listen).await?);
        let address = front.io.local_addr()?;
        let shared = Arc::new(Shared { target, state: Mutex::new(State { out, back, clients: Vec::new() }) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(front, shared.clone(), seed));
        Ok(Self { address, shared, _tasks: tasks })
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes a direction for all packets from now on; a loss of 1 cuts it.
    pub fn set(&self, way: Way, impairment: Impairment) {
        let mut state = lock(&self.shared.state);
        match way {
            Way::Out => state.out = impairment,
            Way::Back => state.back = impairment,
        }
        state.clients.iter().for_each(|lanes| lock(&lanes[way as usize].line).set(impairment));
    }

    /// What became of all clients' packets in this direction.
    pub fn counts(&self, way: Way) -> Counts {
        let mut sum = Counts::default();
        for lanes in &lock(&self.shared.state).clients {
            let counts = lock(&lanes[way as usize].line).counts;
            sum.packets_in += counts.packets_in;
            sum.bytes_in += counts.bytes_in;
            sum.packets_out += counts.packets_out;
            sum.bytes_out += counts.bytes_out;
            sum.packets_lost += counts.packets_lost;
            sum.packets_queue_full += counts.packets_queue_full;
        }
        sum
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads what clients send and hands it to their lines. Ends with the path, and its clients' tasks with it.
async fn accept(front: Arc<Socket>, shared: Arc<Shared>, seed: u64) {
    let mut tasks = JoinSet::new();
    let mut lanes: HashMap<SocketAddr, Arc<Lane>> = HashMap::new();
    let mut buffers = Buffers::new();
    loop {
        let Ok(count) = front.receive(&mut buffers).await else { return };
        let now = Instant::now();
        for (bytes, meta) in buffers.filled(count) {
            if !lanes.contains_key(&meta.addr) && lanes.len() < CLIENTS_MAX {
                let number = lanes.len() as u64;
                let Ok(lane) = open(&mut tasks, &front, &shared, meta.addr, seed.wrapping_add(number << 32)).await
                else {
                    continue;
                };
                lanes.insert(meta.addr, lane);
            }
            if let Some(lane) = lanes.get(&meta.addr) {
                lane.push(now, bytes, meta);
            }
        }
    }
}

/// A new client's socket, its two lines and the three tasks that serve them.
async fn open(
    tasks: &mut JoinSet<()>,
    front: &Arc<Socket>,
    shared: &Arc<Shared>,
    client: SocketAddr,
    seed: u64,
) -> io::Result<Arc<Lane>> {
    let any = match shared.target {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let behind = Arc::new(Socket::bind(any).await?);
    let mut state = lock(&shared.state);
    let lane =
        |impairment, seed| Arc::new(Lane { line: Mutex::new(Line::new(impairment, seed)), filled: Notify::new() });
    let (out, back) = (lane(state.out, seed), lane(state.back, seed.wrapping_add(1)));
    state.clients.push([out.clone(), back.clone()]);
    tasks.spawn(deliver(out.clone(), behind.clone(), shared.target));
    tasks.spawn(deliver(back.clone(), front.clone(), client));
    tasks.spawn(answer(behind, back, shared.target));
    Ok(out)
}

/// Reads what the target sends to one client.
async fn answer(behind: Arc<Socket>, lane: Arc<Lane>, target: SocketAddr) {
    let mut buffers = Buffers::new();
    while let Ok(count) = behind.receive(&mut buffers).await {
        let now = Instant::now();
        for (bytes, meta) in buffers.filled(count) {
            if meta.addr == target {
                lane.push(now, bytes, meta);
            }
        }
    }
}

/// Sends what a line lets through when it is due.
async fn deliver(lane: Arc<Lane>, socket: Arc<Socket>, to: SocketAddr) {
    loop {
        let due = lock(&lane.line).due();
        match due {
            None => lane.filled.notified().await,
            Some(due) if due > Instant::now() => tokio::time::sleep_until(due.into()).await,
            Some(_) => {
                let train = lock(&lane.line).pop(Instant::now());
                if let Some(train) = train {
                    socket.send(&train, to).await;
                }
            }
        }
    }
}

impl Lane {
    fn push(&self, now: Instant, bytes: &[u8], meta: &RecvMeta) {
        lock(&self.line).push(now, bytes, meta.stride, meta.ecn);
        self.filled.notify_one();
    }
}

impl Socket {
    async fn bind(address: SocketAddr) -> io::Result<Self> {
        let io = UdpSocket::bind(address).await?;
        let state = UdpSocketState::new((&io).into())?;
        state.set_recv_buffer_size((&io).into(), SOCKET_BUFFER_LEN)?;
        state.set_send_buffer_size((&io).into(), SOCKET_BUFFER_LEN)?;
        Ok(Self { io, state })
    }

    async fn receive(&self, buffers: &mut Buffers) -> io::Result<usize> {
        loop {
            let mut slices = buffers.bytes.each_mut().map(|bytes| IoSliceMut::new(bytes));
            let metas = &mut buffers.metas;
            let received =
                self.io.async_io(Interest::READABLE, || self.state.recv((&self.io).into(), &mut slices, metas)).await;
            match received {
                // The echo of an ICMP message that a packet found no socket: a path loses those in silence.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                other => return other,
            }
        }
    }

    /// Packets that the kernel refuses are lost, as on a path whose next hop does not take them.
    async fn send(&self, train: &Train, to: SocketAddr) {
        let segment_len = train.segment_len.max(1);
        let step = (SEND_LEN_MAX / segment_len).clamp(1, self.state.max_gso_segments().max(1)) * segment_len;
        let empty = train.bytes.is_empty().then_some(&train.bytes[..]);
        for contents in train.bytes.chunks(step).chain(empty) {
            let segment_size = (contents.len() > train.segment_len).then_some(train.segment_len);
            let transmit = Transmit { destination: to, ecn: train.ecn, contents, segment_size, src_ip: None };
            let sending = || self.state.try_send((&self.io).into(), &transmit);
            let _ = self.io.async_io(Interest::WRITABLE, sending).await;
        }
    }
}

struct Buffers {
    bytes: Box<[Vec<u8>; BATCH]>,
    metas: [RecvMeta; BATCH],
}

/// Trains at a time.
const BATCH: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };

impl Buffers {
    fn new() -> Self {
        Self { bytes: Box::new(std::array::from_fn(|_| vec![0; BUFFER_LEN])), metas: [RecvMeta::default(); BATCH] }
    }

    fn filled(&self, count: usize) -> impl Iterator<Item = (&[u8], &RecvMeta)> {
        self.bytes.iter().zip(&self.metas).take(count).map(|(bytes, meta)| (&bytes[..meta.len], meta))
    }
}
