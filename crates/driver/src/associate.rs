//! SOCKS5 UDP ASSOCIATE: a UDP socket on the proxy's address for one client, for as long as its TCP connection lives.
//!
//! Invariant: only the host that holds the TCP connection is listened to, and only the first port it sends from.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use wayfare_engine::UdpAddress;
use wayfare_proxy::Failure as Refusal;
use wayfare_proxy::socks5::{self, Address, Datagram, ReplyCode, emit_datagram, parse_datagram};
use wayfare_quic::Instant;
use wayfare_types::Reason;
use wayfare_wire::Host;

use crate::flows::DONE;
use crate::proxy::send;
use crate::pump::Moved;
use crate::world::Shared;

/// Datagrams from the exit that wait for this task's turn.
const QUEUE: usize = 256;
const UDP_MAX: usize = 65_535;

/// Serves one association to its end, and says how it ended.
pub(crate) async fn serve(node: &Rc<Shared>, tcp: &TcpStream, connection: u32, moved: &Moved) -> &'static str {
    let opened = bind(tcp).and_then(|socket| Ok((socket.local_addr()?, tcp.peer_addr()?, socket)));
    let Ok((bound, client, socket)) = opened else {
        let _ = send(tcp, Refusal::Network.socks5()).await;
        return "system";
    };
    let opened = node.world.borrow_mut().engine.udp_open(Instant::now(), connection);
    let udp = match opened {
        Ok(udp) => udp,
        Err(reason) => {
            let _ = send(tcp, Refusal::Network.socks5()).await;
            return reason.name();
        }
    };
    let (sender, queue) = mpsc::channel(QUEUE);
    node.world.borrow_mut().proxied_udp.insert(udp, sender);
    let ended = if send(tcp, socks5::reply(ReplyCode::Succeeded, bound)).await.is_ok() {
        // Where the client sends from, once it has.
        let port = Cell::new(None);
        tokio::select! {
            () = outward(node, udp, &socket, client, &port, moved) => "system",
            () = inward(node, queue, &socket, client, &port, moved) => Reason::CircuitClosed.name(),
            () = lives(tcp) => DONE,
        }
    } else {
        "client_left"
    };
    let world = &mut *node.world.borrow_mut();
    world.proxied_udp.remove(&udp);
    world.engine.udp_close(Instant::now(), udp);
    ended
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

async fn outward(
    node: &Rc<Shared>,
    udp: u32,
    socket: &UdpSocket,
    client: SocketAddr,
    port: &Cell<Option<u16>>,
    moved: &Moved,
) {
    while socket.readable().await.is_ok() {
        for _ in 0..64 {
            let buffer = &mut *node.datagram.borrow_mut();
            buffer.resize(UDP_MAX, 0);
            let (len, from) = match socket.try_recv_from(buffer) {
                Ok(received) => received,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => continue,
            };
            if from.ip() != client.ip() || port.get().is_some_and(|known| known != from.port()) {
                continue;
            }
            let world = &mut *node.world.borrow_mut();
            match parse_datagram(&buffer[..len]).and_then(|d| Ok((destination(&d)?, d.payload))) {
                Ok((to, payload)) => {
                    port.set(Some(from.port()));
                    // A refusal is counted by the engine.
                    if world.engine.udp_send(udp, &to, payload).is_ok() {
                        moved.sent.set(moved.sent.get() + payload.len() as u64);
                        world.client_stats.bytes_out += payload.len() as u64;
                    }
                }
                Err(reason) => world.count(reason),
            }
        }
        node.kick();
        tokio::task::yield_now().await;
    }
}

fn destination(datagram: &Datagram<'_>) -> Result<UdpAddress, Reason> {
    Ok(match datagram.address {
        Address::Ip(ip) => UdpAddress::Socket(SocketAddr::new(ip, datagram.port)),
        Address::Name(name) => UdpAddress::Name(Host::new(name)?, datagram.port),
    })
}

async fn inward(
    node: &Rc<Shared>,
    mut queue: mpsc::Receiver<(UdpAddress, Bytes)>,
    socket: &UdpSocket,
    client: SocketAddr,
    port: &Cell<Option<u16>>,
    moved: &Moved,
) {
    let mut wrapped = Vec::new();
    while let Some((from, data)) = queue.recv().await {
        let Some(port) = port.get() else { continue };
        let (address, source_port) = match &from {
            UdpAddress::Socket(a) => (Address::Ip(a.ip()), a.port()),
            UdpAddress::Name(host, port) => (Address::Name(host.as_str()), *port),
        };
        wrapped.clear();
        if emit_datagram(&Datagram { address, port: source_port, payload: &data }, &mut wrapped).is_err() {
            continue;
        }
        // The last hop of all is loopback or a local network; what does not go is lost as UDP is.
        if socket.send_to(&wrapped, SocketAddr::new(client.ip(), port)).await.is_ok() {
            moved.received.set(moved.received.get() + data.len() as u64);
            node.world.borrow_mut().client_stats.bytes_in += data.len() as u64;
        }
    }
}
