//! A relay of several shards between many neighbours: every packet finds its circuit, whichever shard it arrives at.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use common::{Book, CLIENT, EXIT, Peer, RELAY, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use wayfare_driver::{CircuitSpec, ExitRules, HopSpec, Protocol, ProxyOptions, SizeClass, Stats, SystemResolver, ask};
use wayfare_wire::fast::is_fast;

const SHARDS: usize = 3;
const CLIENTS: u8 = 24;
const EXITS: u8 = 8;
const BYTES: usize = 1 << 20;

fn pattern(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|i| (((i + salt) * 2_654_435_761) >> 13) as u8).collect()
}

async fn relay() -> Peer {
    let limits = format!(r#"{{"shards":{SHARDS},"setupsPerSecond":1000}}"#);
    let resolver = Arc::new(SystemResolver);
    Peer::start_limited(200, RELAY, "127.0.0.1:0", &Book::default(), resolver, &limits).await
}

async fn exit(number: u8) -> Peer {
    let exit = Peer::start(100 + number, EXIT, &Book::default()).await;
    exit.node.set_exit_rules(&ExitRules { allow_loopback: true, ..ExitRules::default() }).unwrap();
    exit
}

/// Waits until figures are so.
async fn until(peer: &Peer, mut wanted: impl FnMut(&Stats) -> bool) -> Stats {
    soon(async {
        loop {
            let stats = peer.stats().await;
            if wanted(&stats) {
                return stats;
            }
            // Others need the CPU meanwhile.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

fn all_fast(stats: &Stats, links: usize) -> bool {
    stats.links.len() == links && stats.links.iter().all(|link| link.fast_bytes > 0)
}

/// A client with a circuit over the relay to an exit, and a proxy over that.
struct Client {
    peer: Peer,
    circuit: u32,
    socks: SocketAddr,
}

impl Client {
    async fn begin(peer: Peer, relay: &Peer, exit: &Peer) -> Self {
        let hops = [relay, exit].map(|p| HopSpec { node: p.node.id(), onion_key: p.onion.public() }).to_vec();
        let spec = CircuitSpec { hops, class: SizeClass::M, suite: None, flow: 0 };
        let circuit = soon(ask(|answer| peer.node.circuit_open(spec, answer))).await.unwrap();
        let connection = soon(ask(|answer| peer.node.connection_open(circuit, answer))).await.unwrap();
        peer.book.connection(Some(connection));
        let listen = ProxyOptions::new("127.0.0.1:0", None).unwrap();
        let (_, socks) = soon(ask(|a| peer.node.proxy_listen(Protocol::Socks5, listen, a))).await.unwrap();
        Self { peer, circuit, socks }
    }

    /// Sends bytes there and gets others back.
    async fn transfer(&self, origin: SocketAddr, salt: usize) {
        let mut tcp = TcpStream::connect(self.socks).await.unwrap();
        let mut request = vec![5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1];
        request.extend(origin.port().to_be_bytes());
        tcp.write_all(&request).await.unwrap();
        let mut reply = [0; 12];
        soon(tcp.read_exact(&mut reply)).await.unwrap();
        assert_eq!(reply[3], 0, "the exit connects");
        let (mut reader, mut writer) = tcp.into_split();
        let sending = tokio::spawn(async move {
            writer.write_all(&salt.to_be_bytes()).await.unwrap();
            writer.write_all(&pattern(BYTES / 4, salt)).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        soon(reader.read_to_end(&mut got)).await.unwrap();
        assert!(got == pattern(BYTES, salt + 1), "{} bytes came back", got.len());
        sending.await.unwrap();
    }
}

/// Answers a salt and its pattern with another pattern.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut got = Vec::new();
                tcp.read_to_end(&mut got).await.unwrap();
                let (salt, rest) = got.split_at(8);
                let salt = usize::from_be_bytes(salt.try_into().unwrap());
                // What came wrong is not answered.
                if rest == pattern(BYTES / 4, salt) {
                    tcp.write_all(&pattern(BYTES, salt + 1)).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn many_neighbours_are_served_by_all_shards_and_nothing_is_left_of_it() {
    let relay = relay().await;
    let origin = origin().await;
    let mut exits = Vec::new();
    for number in 0..EXITS {
        exits.push(exit(number).await);
        relay.link(&exits[usize::from(number)]).await.unwrap();
    }
    let mut peers = Vec::new();
    for number in 0..CLIENTS {
        let peer = Peer::start(1 + number, CLIENT, &Book::default()).await;
        peer.link(&relay).await.unwrap();
        peers.push(peer);
    }
    until(&relay, |stats| all_fast(stats, usize::from(CLIENTS + EXITS))).await;
    let mut clients = Vec::new();
    for (at, peer) in peers.into_iter().enumerate() {
        clients.push(Client::begin(peer, &relay, &exits[at % exits.len()]).await);
    }
    let ids = until(&relay, |s| s.shards.iter().map(|s| s.circuit_ids).sum::<u64>() == 2 * u64::from(CLIENTS)).await;
    assert!(ids.shards.len() == SHARDS && ids.shards.iter().all(|s| s.circuit_ids > 0), "{:?}", ids.shards);

    let clients = Arc::new(clients);
    let transfers: Vec<_> = (0..clients.len())
        .map(|at| {
            let clients = clients.clone();
            tokio::spawn(async move { clients[at].transfer(origin, at).await })
        })
        .collect();
    for transfer in transfers {
        transfer.await.unwrap();
    }
    // Acknowledgements may still be under way.
    let stats = relay.stats().await;
    let relayed: u64 = stats.shards.iter().map(|s| s.relayed).sum();
    assert_eq!(relayed, stats.relayed.packets_forward + stats.relayed.packets_backward);
    assert!(stats.shards.iter().all(|s| s.relayed > 100), "{:?}", stats.shards);
    let least = (usize::from(CLIENTS) * BYTES) as u64;
    assert!(stats.relayed.bytes_backward > least && stats.relayed.bytes_forward > least / 4);
    // Packets that no link sent, at whichever shard they arrive.
    let before = stats.drops["fast_unknown"];
    for _ in 0..30 {
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for packet in 0..10 {
            let packet = [[0x10 | packet & 3; 1].as_slice(), &[packet; 1299]].concat();
            stranger.send_to(&packet, relay.address).await.unwrap();
        }
    }
    until(&relay, |stats| stats.drops["fast_unknown"] >= before + 300).await;
    assert_eq!(relay.drops("fast_unknown").await, before + 300);
    let figures = until(&relay, |stats| stats.shards.iter().all(|s| s.cpu_us > 0)).await;
    assert!(figures.cpu_us >= figures.shards.iter().skip(1).map(|s| s.cpu_us).sum());
    // Links' own figures come from all shards, a little later.
    until(&relay, |stats| stats.links.iter().map(|link| link.bytes_received).sum::<u64>() > least).await;

    // Half are closed, of the others the links go.
    let mut clients = Arc::into_inner(clients).unwrap();
    for client in &clients[..clients.len() / 2] {
        client.peer.node.circuit_close(client.circuit);
    }
    let rest = clients.split_off(clients.len() / 2);
    until(&relay, |s| s.shards.iter().map(|s| s.circuit_ids).sum::<u64>() == u64::from(CLIENTS)).await;
    for client in rest {
        client.peer.close().await;
    }
    let end = until(&relay, |stats| stats.shards.iter().all(|s| s.circuit_ids == 0)).await;
    assert_eq!(end.circuits.relay, 0);
    relay.close().await;
}

/// What is between a client and the relay: it can give the client another port, and lose fast packets.
struct Between {
    address: SocketAddr,
    rebind: mpsc::UnboundedSender<()>,
    lossy: Arc<AtomicBool>,
}

impl Between {
    async fn start(to: SocketAddr) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = near.local_addr().unwrap();
        let (rebind, mut wanted) = mpsc::unbounded_channel();
        let lossy = Arc::new(AtomicBool::new(false));
        let loses = lossy.clone();
        tokio::spawn(async move {
            let mut far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let (mut there, mut here) = (vec![0; 65_536], vec![0; 65_536]);
            let mut client = None;
            let passes = |datagram: &[u8]| !(loses.load(Relaxed) && is_fast(datagram[0]));
            loop {
                tokio::select! {
                    Ok((bytes, from)) = near.recv_from(&mut there) => {
                        client = Some(from);
                        if passes(&there[..bytes]) {
                            let _ = far.send_to(&there[..bytes], to).await;
                        }
                    }
                    Ok((bytes, _)) = far.recv_from(&mut here) => {
                        if let Some(client) = client && passes(&here[..bytes]) {
                            let _ = near.send_to(&here[..bytes], client).await;
                        }
                    }
                    asked = wanted.recv() => match asked {
                        Some(()) => far = UdpSocket::bind("127.0.0.1:0").await.unwrap(),
                        None => return,
                    },
                }
            }
        });
        Self { address, rebind, lossy }
    }
}

async fn through_between() -> (Peer, Peer, Client, Between, SocketAddr) {
    let relay = relay().await;
    let exit = exit(0).await;
    relay.link(&exit).await.unwrap();
    let between = Between::start(relay.address).await;
    let peer = Peer::start(1, CLIENT, &Book::default()).await;
    soon(ask(|answer| peer.node.link_open(relay.node.id(), vec![between.address], answer))).await.unwrap();
    until(&relay, |stats| all_fast(stats, 2)).await;
    let client = Client::begin(peer, &relay, &exit).await;
    let origin = origin().await;
    client.transfer(origin, 1).await;
    (relay, exit, client, between, origin)
}

#[tokio::test]
async fn a_neighbour_goes_on_whose_packets_come_to_arrive_at_other_shards() {
    let (relay, exit, client, between, origin) = through_between().await;
    let at = |stats: &Stats| stats.links.iter().find(|link| link.incoming).map(|link| link.address.clone());
    // One in three ports is heard by the same shard as the one before.
    for salt in 2..7 {
        let before = at(&relay.stats().await);
        between.rebind.send(()).unwrap();
        client.transfer(origin, salt).await;
        until(&relay, |stats| at(stats) != before && all_fast(stats, 2)).await;
        client.transfer(origin, salt + 20).await;
    }
    let stats = relay.stats().await;
    assert_eq!((stats.drops["circuit_unknown"], stats.circuits.relay), (0, 1), "the circuit is where it was");
    drop(exit);
}

#[tokio::test]
async fn circuits_of_a_shard_are_served_over_quics_datagrams_too() {
    let (relay, exit, client, between, origin) = through_between().await;
    between.lossy.store(true, Relaxed);
    // What goes shows that it is lost.
    client.transfer(origin, 2).await;
    until(&relay, |stats| stats.links.iter().any(|link| link.incoming && link.fast_bytes == 0)).await;
    client.transfer(origin, 3).await;
    assert!(!all_fast(&relay.stats().await, 2), "it stays so");
    between.lossy.store(false, Relaxed);
    client.transfer(origin, 4).await;
    assert_eq!(relay.drops("circuit_unknown").await, 0);
    drop(exit);
}
