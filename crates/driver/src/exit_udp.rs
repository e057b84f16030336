//! The exit's side of UDP associations: a socket per association and family, opened when first needed.
//!
//! Every destination goes through the exit policy. A datagram is let back in only from an address that the client has sent
//! to: an association is a conversation, not a listening port that anyone may find.
//!
//! Invariant: an association that carried nothing for a minute is closed; what it may remember and have waiting is bounded.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use wayfare_engine::{Status, UdpAddress};
use wayfare_quic::Instant;
use wayfare_types::Reason;

use crate::associate::Back;
use crate::exit;
use crate::world::{Job, Shared, World};

/// RFC 4787 asks for two minutes at least of a NAT that does not know what it carries; Tor-like exits are meaner. DNS,
/// QUIC and games all speak more often than this.
const IDLE: Duration = Duration::from_secs(60);
const PEERS_MAX: usize = 1024;
const NAMES_MAX: usize = 64;
/// Datagrams that wait for their name's answer.
const WAITING_MAX: usize = 16;
const UDP_MAX: usize = 65_535;

pub(crate) type Associations = HashMap<u32, Association>;

/// One association.
pub(crate) struct Association {
    v4: Option<Rc<UdpSocket>>,
    v6: Option<Rc<UdpSocket>>,
    peers: HashSet<SocketAddr>,
    /// What names resolved to; none while the question is under way.
    names: HashMap<String, Option<IpAddr>>,
    waiting: VecDeque<(String, u16, Bytes)>,
    last: Instant,
    readers: Vec<AbortHandle>,
}

impl Drop for Association {
    fn drop(&mut self) {
        self.readers.iter().for_each(AbortHandle::abort);
    }
}

impl World {
    pub fn association_opened(&mut self, now: Instant, udp: u32) {
        let association = Association {
            v4: None,
            v6: None,
            peers: HashSet::new(),
            names: HashMap::new(),
            waiting: VecDeque::new(),
            last: now,
            readers: Vec::new(),
        };
        self.associations.insert(udp, association);
        self.jobs.push(Job::WatchUdp { udp });
    }

    pub fn association_closed(&mut self, udp: u32) {
        self.associations.remove(&udp);
        if let Some(queue) = self.proxied_udp.remove(&udp) {
            // Where it is full, the next datagram tells.
            let _ = queue.try_send(Back { udp, datagram: None });
        }
    }

    /// At an exit: to be sent there. At a client: for the program that owns the association.
    pub fn association_datagram(&mut self, now: Instant, udp: u32, address: UdpAddress, data: Bytes) {
        if let Some(queue) = self.proxied_udp.get(&udp) {
            if queue.try_send(Back { udp, datagram: Some((address, data)) }).is_err() {
                self.count(Reason::QueueFull);
            }
            return;
        }
        let Some(association) = self.associations.get_mut(&udp) else { return };
        association.last = now;
        let (host, port) = match address {
            UdpAddress::Socket(to) => return self.association_send(udp, to, &data),
            UdpAddress::Name(host, port) => (host.as_str().to_owned(), port),
        };
        match association.names.get(&host) {
            Some(Some(ip)) => {
                let to = SocketAddr::new(*ip, port);
                self.association_send(udp, to, &data);
            }
            Some(None) if association.waiting.len() < WAITING_MAX => association.waiting.push_back((host, port, data)),
            None if association.names.len() < NAMES_MAX => {
                association.names.insert(host.clone(), None);
                association.waiting.push_back((host.clone(), port, data));
                self.jobs.push(Job::ResolveUdp { udp, host, port });
            }
            _ => self.count(Reason::QueueFull),
        }
    }

    fn association_send(&mut self, udp: u32, to: SocketAddr, data: &[u8]) {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        if !self.dials {
            return self.count(Reason::ExitAddressDenied);
        }
        if let Err(denied) = self.policy.check(to) {
            return self.count(denied.reason());
        }
        if self.policy.is_silent(to.ip()) {
            return self.count(Reason::ExitAddressDenied);
        }
        let Some(association) = self.associations.get_mut(&udp) else { return };
        let slot = if to.is_ipv4() { &mut association.v4 } else { &mut association.v6 };
        let socket = match slot {
            Some(socket) => socket.clone(),
            None => match bind(to.is_ipv4()) {
                Ok(socket) => {
                    let socket = slot.insert(Rc::new(socket)).clone();
                    self.jobs.push(Job::ReadUdp { udp, socket: socket.clone() });
                    socket
                }
                Err(_) => return self.count(Reason::ExitOverloaded),
            },
        };
        if association.peers.len() >= PEERS_MAX {
            association.peers.clear();
        }
        association.peers.insert(to);
        // Not by tokio, which takes a new socket for full until it has waited for it once.
        match socket2::SockRef::from(&*socket).send_to(data, &to.into()) {
            Ok(_) => self.exit_stats.udp_out += 1,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => self.count(Reason::QueueFull),
            Err(_) => self.count(Reason::ExitUnreachable),
        }
    }

    fn association_received(&mut self, udp: u32, from: SocketAddr, data: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Some(association) = self.associations.get_mut(&udp) else { return };
        if !association.peers.contains(&from) {
            return;
        }
        association.last = Instant::now();
        // A refusal is counted by the engine.
        if self.engine.udp_send(udp, &UdpAddress::Socket(from), data).is_ok() {
            self.exit_stats.udp_in += 1;
        }
    }
}

fn bind(v4: bool) -> std::io::Result<UdpSocket> {
    let any: IpAddr = if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Brings back what arrives at a socket.
pub(crate) fn read(node: &Rc<Shared>, udp: u32, socket: Rc<UdpSocket>) {
    let own = tokio::task::spawn_local(read_on(node.clone(), udp, socket)).abort_handle();
    match node.world.borrow_mut().associations.get_mut(&udp) {
        Some(association) => association.readers.push(own),
        None => own.abort(),
    }
}

async fn read_on(node: Rc<Shared>, udp: u32, socket: Rc<UdpSocket>) {
    while socket.readable().await.is_ok() {
        let mut left = 64;
        while left > 0 {
            left -= 1;
            let buffer = &mut *node.datagram.borrow_mut();
            buffer.resize(UDP_MAX, 0);
            match socket.try_recv_from(buffer) {
                Ok((len, from)) => node.world.borrow_mut().association_received(udp, from, &buffer[..len]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                // An ICMP error of something sent before.
                Err(_) => {}
            }
        }
        node.kick();
        tokio::task::yield_now().await;
    }
}

/// Closes an association that has fallen silent.
pub(crate) async fn watch(node: Rc<Shared>, udp: u32) {
    loop {
        let Some(last) = node.world.borrow().associations.get(&udp).map(|a| a.last) else { return };
        if last.elapsed() >= IDLE {
            break;
        }
        tokio::time::sleep_until((last + IDLE).into()).await;
    }
    let world = &mut *node.world.borrow_mut();
    world.association_closed(udp);
    world.engine.udp_close(Instant::now(), udp);
}

/// Looks a name up and sends what waited for it.
pub(crate) async fn resolve(node: Rc<Shared>, udp: u32, host: String, port: u16) {
    let found = exit::allowed(&node, &host, port).await;
    let world = &mut *node.world.borrow_mut();
    let Some(association) = world.associations.get_mut(&udp) else { return };
    let (ready, waiting) = std::mem::take(&mut association.waiting).into_iter().partition(|(name, ..)| *name == host);
    association.waiting = waiting;
    let ready: VecDeque<(String, u16, Bytes)> = ready;
    match found.as_deref() {
        Ok([ip, ..]) => {
            association.names.insert(host, Some(*ip));
            for (_, port, data) in ready {
                world.association_send(udp, SocketAddr::new(*ip, port), &data);
            }
        }
        Ok([]) | Err(_) => {
            // Asked again when the client tries again.
            association.names.remove(&host);
            let reason = match found.err() {
                Some(Status::PortDenied) => Reason::ExitPortDenied,
                Some(Status::AddressDenied) => Reason::ExitAddressDenied,
                Some(Status::Malformed) => Reason::RequestMalformed,
                _ => Reason::ExitNameUnresolved,
            };
            ready.iter().for_each(|_| world.count(reason));
        }
    }
}
