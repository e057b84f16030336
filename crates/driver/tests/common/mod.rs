//! Nodes on loopback with a small policy of their own: dial who is wanted, give every proxy client the one connection.

#![allow(dead_code)]

pub mod forwarder;
pub mod line;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use wayfare_driver::{
    CircuitSpec, Event, ExitRules, Failure, HopSpec, Node, NodeId, OnionSecret, Options, Protocol, ProxyOptions,
    Resolver, SizeClass, Stats, SystemResolver, ask,
};
use zeroize::Zeroizing;

pub const RELAY: &str = r#"{"client":false,"relay":true,"exit":false}"#;
pub const EXIT: &str = r#"{"client":false,"relay":false,"exit":true}"#;
pub const CLIENT: &str = r#"{"client":true,"relay":false,"exit":false}"#;

/// What should happen at once fails after this instead of hanging.
pub async fn soon<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wanted).await.expect("it takes too long")
}

/// A client's side of SOCKS5 without credentials (RFC 1928): the reply's code and address.
pub async fn socks(proxy: SocketAddr, command: u8, host: &str, port: u16) -> (TcpStream, u8, SocketAddr) {
    let mut tcp = TcpStream::connect(proxy).await.unwrap();
    let mut request = vec![5, 1, 0, 5, command, 0, 3, host.len() as u8];
    request.extend(host.as_bytes());
    request.extend(port.to_be_bytes());
    tcp.write_all(&request).await.unwrap();
    let mut reply = [0; 12];
    soon(tcp.read_exact(&mut reply)).await.unwrap();
    assert_eq!((reply[..3].to_vec(), reply[4], reply[5]), (vec![5, 0, 5], 0, 1), "an IPv4 reply");
    let ip: [u8; 4] = reply[6..10].try_into().unwrap();
    (tcp, reply[3], SocketAddr::new(ip.into(), u16::from_be_bytes([reply[10], reply[11]])))
}

/// Addresses by id, and the connection that proxies are given.
#[derive(Clone, Default)]
pub struct Book(
    #[allow(clippy::type_complexity, reason = "a test's own book-keeping")]
    Arc<Mutex<(HashMap<NodeId, SocketAddr>, Option<u32>)>>,
);

pub struct Peer {
    pub node: Arc<Node>,
    pub address: SocketAddr,
    pub onion: OnionSecret,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub book: Book,
}

impl Peer {
    pub async fn start(seed: u8, roles: &str, book: &Book) -> Self {
        Self::start_with(seed, roles, "127.0.0.1:0", book, Arc::new(SystemResolver)).await
    }

    pub async fn start_with(seed: u8, roles: &str, listen: &str, book: &Book, resolver: Arc<dyn Resolver>) -> Self {
        Self::start_limited(seed, roles, listen, book, resolver, "{}").await
    }

    pub async fn start_limited(
        seed: u8,
        roles: &str,
        listen: &str,
        book: &Book,
        resolver: Arc<dyn Resolver>,
        limits: &str,
    ) -> Self {
        let json = format!(r#"{{"listen":["{listen}"],"roles":{roles},"freshKeys":true,"limits":{limits}}}"#);
        Self::start_as(seed, Options::from_json(&json, &[seed; 32]).unwrap(), book, resolver).await
    }

    pub async fn start_as(seed: u8, options: Options, book: &Book, resolver: Arc<dyn Resolver>) -> Self {
        let (sender, mut from_node) = mpsc::unbounded_channel::<Vec<Event>>();
        let mut started = None;
        let addresses = ask(|answer| {
            started = Some(Node::start_with(options, resolver, move |events| drop(sender.send(events)), answer));
        })
        .await
        .unwrap();
        let node = Arc::new(started.unwrap().unwrap());
        let address: SocketAddr = addresses[0].parse().unwrap();
        book.0.lock().unwrap().0.insert(node.id(), address);
        let onion = OnionSecret::from_seed([seed ^ 0x80; 32]);
        node.set_onion_keys(Zeroizing::new(vec![[seed ^ 0x80; 32]]));
        // Commands are done in their order: whoever finds this node from here on finds it with its keys.
        soon(ask(|answer| node.stats(answer))).await.unwrap();
        let (told, events) = mpsc::unbounded_channel();
        let (policy, peers) = (node.clone(), book.clone());
        tokio::spawn(async move {
            while let Some(batch) = from_node.recv().await {
                for event in batch {
                    peers.follow(&policy, &event);
                    let _ = told.send(event);
                }
            }
        });
        Self { node, address, onion, events, book: book.clone() }
    }

    pub async fn link(&self, to: &Peer) -> Result<u32, Failure> {
        soon(ask(|answer| self.node.link_open(to.node.id(), vec![to.address], answer))).await
    }

    /// Waits for an event that `wanted` takes.
    pub async fn event<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        soon(async {
            loop {
                let event = self.events.recv().await.expect("the node has closed");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        })
        .await
    }

    pub async fn stats(&self) -> Stats {
        soon(ask(|answer| self.node.stats(answer))).await.unwrap()
    }

    pub async fn drops(&self, reason: &str) -> u64 {
        self.stats().await.drops[reason]
    }

    pub async fn close(self) {
        soon(ask(|answer| self.node.close(answer))).await.unwrap();
    }
}

impl Book {
    fn follow(&self, node: &Arc<Node>, event: &Event) {
        match event {
            Event::NextHopWanted { peer } => {
                let peer: NodeId = peer.parse().unwrap();
                match self.0.lock().unwrap().0.get(&peer) {
                    Some(&address) => {
                        let dialler = node.clone();
                        tokio::spawn(async move {
                            let _ = ask(|answer| dialler.link_open(peer, vec![address], answer)).await;
                        });
                    }
                    None => node.next_hop_unreachable(peer),
                }
            }
            Event::ProxyRequest { request, kind: "udp", .. } => node.proxy_accept(*request),
            // Decided on before it came.
            Event::ProxyRequest { ahead: Some(_), .. } => {}
            Event::ProxyRequest { request, .. } => match self.0.lock().unwrap().1 {
                Some(connection) => node.proxy_assign(*request, connection),
                None => node.proxy_refuse(*request, "no_path".into()),
            },
            Event::ProxyFailed { request, reason, .. } => node.proxy_refuse(*request, (*reason).into()),
            _ => {}
        }
    }

    pub fn connection(&self, connection: Option<u32>) {
        self.0.lock().unwrap().1 = connection;
    }
}

/// Client, two relays and an exit that may dial loopback, joined by a circuit and a connection over it.
pub struct Chain {
    pub client: Peer,
    pub relays: [Peer; 2],
    pub exit: Peer,
    pub circuit: u32,
    pub connection: u32,
    pub socks: SocketAddr,
    pub http: SocketAddr,
}

impl Chain {
    pub async fn start() -> Self {
        Self::start_with(Arc::new(SystemResolver), ExitRules { allow_loopback: true, ..ExitRules::default() }).await
    }

    pub async fn start_with(resolver: Arc<dyn Resolver>, rules: ExitRules) -> Self {
        let book = Book::default();
        let client = Peer::start(1, CLIENT, &book).await;
        let relays = [Peer::start(2, RELAY, &book).await, Peer::start(3, RELAY, &book).await];
        let exit = Peer::start_with(4, EXIT, "127.0.0.1:0", &book, resolver).await;
        exit.node.set_exit_rules(&rules).unwrap();
        client.link(&relays[0]).await.unwrap();
        let hops = [&relays[0], &relays[1], &exit]
            .map(|peer| HopSpec { node: peer.node.id(), onion_key: peer.onion.public() })
            .to_vec();
        let spec = CircuitSpec { hops, class: SizeClass::M, suite: None, flow: 0 };
        let circuit = soon(ask(|answer| client.node.circuit_open(spec, answer))).await.unwrap();
        let connection = soon(ask(|answer| client.node.connection_open(circuit, answer))).await.unwrap();
        book.connection(Some(connection));
        let listen = || ProxyOptions::new("127.0.0.1:0", None).unwrap();
        let (_, socks) = soon(ask(|a| client.node.proxy_listen(Protocol::Socks5, listen(), a))).await.unwrap();
        let (_, http) = soon(ask(|a| client.node.proxy_listen(Protocol::Http, listen(), a))).await.unwrap();
        Self { client, relays, exit, circuit, connection, socks, http }
    }

    pub async fn close(self) {
        self.client.close().await;
        for relay in self.relays {
            relay.close().await;
        }
        self.exit.close().await;
    }
}
