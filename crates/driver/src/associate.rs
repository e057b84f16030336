//! SOCKS5 UDP ASSOCIATE: a UDP socket on the proxy's address for one client, for as long as its TCP connection lives.
//!
//! Each destination that the client sends to is a request of its own, of kind `datagrams`: TypeScript assigns it a connection,
//! and another one instead as long as nothing has come back.
//!
//! Invariant: only the host that holds the TCP connection is listened to, and only the first port it sends from; what waits for
//! a decision, and how many destinations are kept, is bounded.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use wayfare_engine::UdpAddress;
use wayfare_proxy::Failure as Refusal;
use wayfare_proxy::socks5::{self, Address, Datagram, ReplyCode, emit_datagram, parse_datagram};
use wayfare_quic::Instant;
use wayfare_types::Reason;
use wayfare_wire::Host;

use crate::event::Event;
use crate::flows::DONE;
use crate::moved::Moved;
use crate::proxy::{Decision, send};
use crate::world::Shared;

/// Datagrams from exits that wait for this task's turn.
const QUEUE: usize = 256;
const UDP_MAX: usize = 65_535;
/// Destinations of one association; the one that was used longest ago makes room.
const DESTINATIONS_MAX: usize = 256;
/// Datagrams to one destination that wait for a decision.
const WAITING_MAX: usize = 16;
/// A destination to and from which nothing went for so long is forgotten; exits forget it then too.
const IDLE: Duration = Duration::from_secs(60);
/// A refused destination is asked for again after this.
const REFUSED: Duration = Duration::from_secs(1);

/// What comes to an association from one of its engine's: a datagram, or that there will be none any more.
pub(crate) struct Back {
    pub udp: u32,
    pub datagram: Option<(UdpAddress, Bytes)>,
}

enum State {
    /// No decision yet.
    Waiting(Vec<Bytes>),
    /// Over this connection, as this association of the engine's.
    On {
        connection: u32,
        udp: u32,
        heard: bool,
    },
    Refused,
}

struct Destination {
    request: u32,
    state: State,
    last: Instant,
    moved: Rc<Moved>,
}

struct Association<'a> {
    node: &'a Rc<Shared>,
    socket: UdpSocket,
    client: SocketAddr,
    user: Option<String>,
    /// Where the client sends from, once it has.
    port: Cell<Option<u16>>,
    destinations: RefCell<HashMap<UdpAddress, Destination>>,
    decided: mpsc::UnboundedSender<(u32, Decision)>,
    back: mpsc::Sender<Back>,
    /// Of all destinations together.
    moved: &'a Moved,
}

/// Serves one association to its end, and says how it ended.
pub(crate) async fn serve(node: &Rc<Shared>, tcp: &TcpStream, user: Option<String>, moved: &Moved) -> &'static str {
    let opened = bind(tcp).and_then(|socket| Ok((socket.local_addr()?, tcp.peer_addr()?, socket)));
    let Ok((bound, client, socket)) = opened else {
        let _ = send(tcp, Refusal::Network.socks5()).await;
        return "system";
    };
    let (decided, decisions) = mpsc::unbounded_channel();
    let (back, queue) = mpsc::channel(QUEUE);
    let destinations = RefCell::new(HashMap::new());
    let association =
        Association { node, socket, client, user, port: Cell::new(None), destinations, decided, back, moved };
    if send(tcp, socks5::reply(ReplyCode::Succeeded, bound)).await.is_err() {
        return "client_left";
    }
    tokio::select! {
        () = association.outward() => "system",
        () = association.inward(queue) => "system",
        () = association.decide(decisions) => "system",
        () = association.sweep() => "system",
        () = lives(tcp) => DONE,
    }
}

/// On the address by which the client reached the proxy.
fn bind(tcp: &TcpStream) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(SocketAddr::new(tcp.local_addr()?.ip(), 0))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Until the client closes its connection. What it sends there means nothing (RFC 1928, section 6).
async fn lives(tcp: &TcpStream) {
    let mut ignored = BytesMut::new();
    while tcp.readable().await.is_ok() {
        ignored.clear();
        ignored.reserve(512);
        match tcp.try_read_buf(&mut ignored) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn destination(datagram: &Datagram<'_>) -> Result<UdpAddress, Reason> {
    Ok(match datagram.address {
        Address::Ip(ip) => UdpAddress::Socket(SocketAddr::new(ip, datagram.port)),
        Address::Name(name) => UdpAddress::Name(Host::new(name)?, datagram.port),
    })
}

impl Association<'_> {
    async fn outward(&self) {
        while self.socket.readable().await.is_ok() {
            for _ in 0..64 {
                let buffer = &mut *self.node.datagram.borrow_mut();
                buffer.resize(UDP_MAX, 0);
                let (len, from) = match self.socket.try_recv_from(buffer) {
                    Ok(received) => received,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => continue,
                };
                if from.ip() != self.client.ip() || self.port.get().is_some_and(|known| known != from.port()) {
                    continue;
                }
                match parse_datagram(&buffer[..len]).and_then(|d| Ok((destination(&d)?, d.payload))) {
                    Ok((to, payload)) => {
                        self.port.set(Some(from.port()));
                        self.take(&to, payload);
                    }
                    Err(reason) => self.node.world.borrow_mut().count(reason),
                }
            }
            self.node.kick();
            tokio::task::yield_now().await;
        }
    }

    /// A datagram of the client's.
    fn take(&self, to: &UdpAddress, payload: &[u8]) {
        let destinations = &mut *self.destinations.borrow_mut();
        if !destinations.contains_key(to) {
            if destinations.len() >= DESTINATIONS_MAX {
                let oldest = destinations.iter().min_by_key(|(_, d)| d.last).map(|(address, _)| address.clone());
                if let Some(gone) = oldest.and_then(|address| destinations.remove(&address)) {
                    self.end(gone, "idle");
                }
            }
            destinations.insert(to.clone(), self.ask(to));
        }
        let Some(known) = destinations.get_mut(to) else { return };
        known.last = Instant::now();
        match &mut known.state {
            State::Waiting(waiting) if waiting.len() < WAITING_MAX => waiting.push(Bytes::copy_from_slice(payload)),
            State::Waiting(_) => self.node.world.borrow_mut().count(Reason::QueueFull),
            State::On { udp, .. } => {
                let udp = *udp;
                if !self.send(udp, to, payload, &known.moved)
                    && let Some(gone) = destinations.remove(to)
                {
                    // The connection is gone and nothing has said so: the next datagram is a new choice.
                    self.end(gone, Reason::CircuitClosed.name());
                }
            }
            State::Refused => {}
        }
    }

    /// Whether the connection is still there. Other refusals are counted by the engine, and lose the datagram alone.
    fn send(&self, udp: u32, to: &UdpAddress, payload: &[u8], moved: &Moved) -> bool {
        let world = &mut *self.node.world.borrow_mut();
        match world.engine.udp_send(udp, to, payload) {
            Ok(()) => {
                let bytes = payload.len() as u64;
                moved.sent(bytes);
                self.moved.sent(bytes);
                world.client_stats.bytes_out += bytes;
                true
            }
            Err(reason) => reason != Reason::CircuitUnknown,
        }
    }

    /// A destination that TypeScript is to decide on.
    fn ask(&self, to: &UdpAddress) -> Destination {
        let (host, port) = match to {
            UdpAddress::Socket(address) => (address.ip().to_string(), address.port()),
            UdpAddress::Name(host, port) => (host.as_str().to_owned(), *port),
        };
        let world = &mut *self.node.world.borrow_mut();
        let request = world.next_id();
        let moved = Rc::new(Moved::default());
        world.decisions.insert(request, self.decided.clone());
        world.moved.insert(request, moved.clone());
        world.events.push(Event::ProxyRequest {
            request,
            kind: "datagrams",
            protocol: "socks5",
            host,
            port,
            user: self.user.clone(),
            source: SocketAddr::new(self.client.ip(), self.port.get().unwrap_or_default()).to_string(),
            ahead: None,
        });
        Destination { request, state: State::Waiting(Vec::new()), last: Instant::now(), moved }
    }

    async fn decide(&self, mut decisions: mpsc::UnboundedReceiver<(u32, Decision)>) {
        while let Some((request, decision)) = decisions.recv().await {
            let destinations = &mut *self.destinations.borrow_mut();
            let Some((to, known)) = destinations.iter_mut().find(|(_, d)| d.request == request) else { continue };
            match decision {
                Decision::Assign(connection) => self.assign(to, known, connection),
                Decision::Accept => {}
                Decision::Refuse(_) => {
                    self.leave(known);
                    known.state = State::Refused;
                }
            }
            self.node.kick();
        }
    }

    fn assign(&self, to: &UdpAddress, known: &mut Destination, connection: u32) {
        if matches!(known.state, State::On { heard: true, .. }) {
            return;
        }
        let opened = self.node.world.borrow_mut().engine.udp_open(Instant::now(), connection);
        let udp = match opened {
            Ok(udp) => udp,
            Err(reason) => {
                let event = Event::ProxyFailed { request: known.request, connection, reason: reason.name() };
                self.node.world.borrow_mut().events.push(event);
                return;
            }
        };
        self.node.world.borrow_mut().proxied_udp.insert(udp, self.back.clone());
        self.leave(known);
        let on = State::On { connection, udp, heard: false };
        if let State::Waiting(waiting) = std::mem::replace(&mut known.state, on) {
            for payload in waiting {
                self.send(udp, to, &payload, &known.moved);
            }
        }
    }

    /// Leaves the engine's association that it had.
    fn leave(&self, known: &Destination) {
        if let State::On { udp, .. } = known.state {
            let world = &mut *self.node.world.borrow_mut();
            world.proxied_udp.remove(&udp);
            world.engine.udp_close(Instant::now(), udp);
        }
    }

    fn end(&self, gone: Destination, reason: &'static str) {
        self.leave(&gone);
        let (received, sent) = gone.moved.total();
        let world = &mut *self.node.world.borrow_mut();
        world.decisions.remove(&gone.request);
        world.moved.remove(&gone.request);
        let moved = gone.moved.take(Instant::now());
        world.events.push(Event::ProxyClosed { request: gone.request, received, sent, reason, moved });
    }

    async fn sweep(&self) {
        loop {
            tokio::time::sleep(REFUSED).await;
            let now = Instant::now();
            let old = |_: &UdpAddress, d: &mut Destination| {
                now.saturating_duration_since(d.last) >= if matches!(d.state, State::Refused) { REFUSED } else { IDLE }
            };
            let gone: Vec<Destination> =
                self.destinations.borrow_mut().extract_if(old).map(|(_, destination)| destination).collect();
            if gone.is_empty() {
                continue;
            }
            gone.into_iter().for_each(|destination| self.end(destination, "idle"));
            self.node.kick();
        }
    }

    async fn inward(&self, mut queue: mpsc::Receiver<Back>) {
        let mut wrapped = Vec::new();
        while let Some(Back { udp, datagram }) = queue.recv().await {
            if !self.heard(udp, datagram.as_ref().map(|(_, data)| data.len() as u64)) {
                continue;
            }
            let (Some((from, data)), Some(port)) = (datagram, self.port.get()) else { continue };
            let (address, source_port) = match &from {
                UdpAddress::Socket(a) => (Address::Ip(a.ip()), a.port()),
                UdpAddress::Name(host, port) => (Address::Name(host.as_str()), *port),
            };
            wrapped.clear();
            if emit_datagram(&Datagram { address, port: source_port, payload: &data }, &mut wrapped).is_err() {
                continue;
            }
            // The last hop of all is loopback or a local network; what does not go is lost as UDP is.
            if self.socket.send_to(&wrapped, SocketAddr::new(self.client.ip(), port)).await.is_ok() {
                self.moved.received(data.len() as u64);
                self.node.world.borrow_mut().client_stats.bytes_in += data.len() as u64;
            }
        }
    }

    /// Something came for one of the destinations, or it is gone; whether there is such a one.
    fn heard(&self, udp: u32, bytes: Option<u64>) -> bool {
        let destinations = &mut *self.destinations.borrow_mut();
        let on = |d: &Destination| matches!(d.state, State::On { udp: its, .. } if its == udp);
        let Some((to, known)) = destinations.iter_mut().find(|(_, d)| on(d)) else { return false };
        let Some(bytes) = bytes else {
            let to = to.clone();
            if let Some(gone) = destinations.remove(&to) {
                self.end(gone, Reason::CircuitClosed.name());
                self.node.kick();
            }
            return false;
        };
        known.last = Instant::now();
        known.moved.received(bytes);
        if let State::On { connection, heard: heard @ false, .. } = &mut known.state {
            *heard = true;
            let event = Event::ProxyOpened { request: known.request, connection: *connection };
            self.node.world.borrow_mut().events.push(event);
            self.node.kick();
        }
        true
    }
}

impl Drop for Association<'_> {
    fn drop(&mut self) {
        let gone: Vec<Destination> = self.destinations.borrow_mut().drain().map(|(_, known)| known).collect();
        gone.into_iter().for_each(|destination| self.end(destination, "closed"));
    }
}
