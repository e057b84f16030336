//! Client, relay and exit, and a stream through them to which a test adds as it goes.

#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wayfare_driver::{
    CircuitSpec, ExitRules, HopSpec, LinkStats, Protocol, ProxyOptions, SizeClass, SystemResolver, ask,
};

use super::{Book, CLIENT, EXIT, Peer, RELAY, soon};

pub struct Line {
    pub client: Peer,
    pub relay: Peer,
    pub exit: Peer,
    pub socks: SocketAddr,
}

/// A stream through the network, its two ends in a test's hands.
pub struct Flow {
    near: TcpStream,
    far: TcpStream,
    passed: usize,
}

impl Line {
    /// Nodes with these limits (JSON) on these addresses, not linked yet.
    pub async fn start(limits: [&str; 3], listen: [&str; 3]) -> Self {
        let book = Book::default();
        let node = async |seed: u8, roles, n: usize| {
            Peer::start_limited(seed, roles, listen[n], &book, Arc::new(SystemResolver), limits[n]).await
        };
        let (client, relay, exit) = (node(1, CLIENT, 0).await, node(2, RELAY, 1).await, node(3, EXIT, 2).await);
        exit.node.set_exit_rules(&ExitRules { allow_loopback: true, ..ExitRules::default() }).unwrap();
        let options = ProxyOptions::new("127.0.0.1:0", None).unwrap();
        let (_, socks) = soon(ask(|a| client.node.proxy_listen(Protocol::Socks5, options, a))).await.unwrap();
        Self { client, relay, exit, socks }
    }

    pub async fn on_loopback() -> Self {
        Self::start(["{}"; 3], ["127.0.0.1:0"; 3]).await
    }

    pub async fn link_at(&self, address: SocketAddr) -> u32 {
        soon(ask(|a| self.client.node.link_open(self.relay.node.id(), vec![address], a))).await.unwrap()
    }

    /// A stream over a new circuit.
    pub async fn flow(&self, class: SizeClass) -> Flow {
        let hops = [&self.relay, &self.exit]
            .map(|peer| HopSpec { node: peer.node.id(), onion_key: peer.onion.public() })
            .to_vec();
        let spec = CircuitSpec { hops, class, suite: None, flow: 0 };
        let circuit = soon(ask(|a| self.client.node.circuit_open(spec, a))).await.unwrap();
        let connection = soon(ask(|a| self.client.node.connection_open(circuit, a))).await.unwrap();
        self.client.book.connection(Some(connection));
        let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(self.socks).await.unwrap();
        let mut request = vec![5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1];
        request.extend(origin.local_addr().unwrap().port().to_be_bytes());
        near.write_all(&request).await.unwrap();
        let (far, _) = soon(origin.accept()).await.unwrap();
        let mut reply = [0; 12];
        soon(near.read_exact(&mut reply)).await.unwrap();
        assert_eq!(reply[3], 0, "the proxy's reply");
        Flow { near, far, passed: 0 }
    }

    /// The links between two nodes, as the first has them.
    pub async fn links(at: &Peer, to: &Peer) -> Vec<LinkStats> {
        let peer = to.node.id().to_string();
        at.stats().await.links.into_iter().filter(|link| link.peer == peer).collect()
    }

    /// Waits until all links between two nodes say this of themselves, at both ends.
    pub async fn until_links(a: &Peer, b: &Peer, wanted: impl Fn(&LinkStats) -> bool) {
        soon(async {
            for (at, to) in [(a, b), (b, a)] {
                loop {
                    let links = Self::links(at, to).await;
                    if !links.is_empty() && links.iter().all(&wanted) {
                        break;
                    }
                }
            }
        })
        .await;
    }

    pub async fn close(self) {
        self.client.close().await;
        self.relay.close().await;
        self.exit.close().await;
    }
}

impl Flow {
    /// So many bytes come down, and are what was sent.
    pub async fn down(&mut self, bytes: usize) {
        let from = self.passed;
        let sent: Vec<u8> = (from..from + bytes).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect();
        let mut got = vec![0; bytes];
        let (writing, reading) =
            soon(async { tokio::join!(self.far.write_all(&sent), self.near.read_exact(&mut got)) }).await;
        writing.unwrap();
        reading.unwrap();
        assert!(got == sent, "after {from} bytes");
        self.passed += bytes;
    }
}
