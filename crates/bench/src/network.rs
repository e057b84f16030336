//! A client, two relays and an exit of the native driver, joined by real links on loopback; the link between the relays
//! can lead through an impaired path. What TypeScript decides in a real node, a task here decides the same way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use wayfare_driver::{
    CircuitSpec, Event, ExitRules, HopSpec, Node, OnionSecret, Options, Protocol, ProxyOptions, SizeClass, Stats, ask,
};
use wayfare_testkit::{ImpairedPath, Impairment};

use crate::load::Fault;

/// What nodes open their circuits with.
const CLASS: SizeClass = SizeClass::L;

pub struct Peer {
    node: Arc<Node>,
    address: SocketAddr,
    onion_seed: [u8; 32],
}

pub struct Network {
    /// Client, relay, relay, exit.
    pub peers: [Peer; 4],
    pub socks: SocketAddr,
    connections: tokio::sync::watch::Sender<Vec<u32>>,
    _impaired: Option<Running>,
}

fn text(e: impl std::fmt::Display) -> Fault {
    e.to_string()
}

impl Peer {
    async fn start(
        number: u8,
        role: &'static str,
        on_events: impl Fn(Vec<Event>) + Send + 'static,
    ) -> Result<Self, Fault> {
        let roles = serde_json::json!({ "client": role == "client", "relay": role == "relay", "exit": role == "exit" });
        // Links have to stand while the machine is busy with a whole network on it.
        let options = serde_json::json!({
            "listen": ["127.0.0.1:0"], "roles": roles, "freshKeys": true, "limits": { "linkIdleMs": 15_000 },
        });
        let options = Options::from_json(&options.to_string(), &[number; 32]).map_err(text)?;
        let mut node = None;
        let addresses = ask(|started| node = Some(Node::start(options, on_events, started))).await.map_err(text)?;
        let node = Arc::new(node.ok_or("no node")?.map_err(text)?);
        let onion_seed = [number + 100; 32];
        node.set_onion_keys(vec![onion_seed].into());
        let address = addresses.first().and_then(|a| a.parse().ok()).ok_or("a node has no address")?;
        Ok(Self { node, address, onion_seed })
    }

    fn hop(&self) -> HopSpec {
        HopSpec { node: self.node.id(), onion_key: OnionSecret::from_seed(self.onion_seed).public() }
    }

    async fn link(&self, to: &Self, address: SocketAddr) -> Result<(), Fault> {
        ask(|a| self.node.link_open(to.node.id(), vec![address], a)).await.map(drop).map_err(text)
    }

    pub async fn stats(&self) -> Result<Stats, Fault> {
        ask(|a| self.node.stats(a)).await.map_err(text)
    }
}

impl Network {
    /// All links up and wide enough for whole packets; no circuit yet.
    pub async fn start(impairment: Option<Impairment>) -> Result<Self, Fault> {
        let (requests, decide) = mpsc::unbounded_channel();
        let on_events = move |events: Vec<Event>| {
            for event in events {
                // The deciding task lives as long as the network.
                let _ = match event {
                    Event::ProxyRequest { request, .. } => requests.send((request, None)),
                    Event::ProxyFailed { request, reason, .. } => requests.send((request, Some(reason))),
                    _ => continue,
                };
            }
        };
        let peers = [
            Peer::start(1, "client", on_events).await?,
            Peer::start(2, "relay", |_| {}).await?,
            Peer::start(3, "relay", |_| {}).await?,
            Peer::start(4, "exit", |_| {}).await?,
        ];
        let [client, first, second, exit] = &peers;
        let rules = ExitRules { allow_loopback: true, ..ExitRules::default() };
        exit.node.set_exit_rules(&rules).map_err(text)?;
        let impaired = impairment.map(|i| Running::start(second.address, i, 1)).transpose()?;
        client.link(first, first.address).await?;
        first.link(second, impaired.as_ref().map_or(second.address, |i| i.address)).await?;
        second.link(exit, exit.address).await?;
        let listen = ProxyOptions::new("127.0.0.1:0", None).map_err(text)?;
        let socks = ask(|a| client.node.proxy_listen(Protocol::Socks5, listen, a)).await.map_err(text)?.1;
        let (connections, known) = tokio::sync::watch::channel(Vec::new());
        tokio::spawn(assign(client.node.clone(), decide, known));
        let network = Self { peers, socks, connections, _impaired: impaired };
        network.wide_enough().await?;
        Ok(network)
    }

    async fn wide_enough(&self) -> Result<(), Fault> {
        for _ in 0..1_000 {
            let mut wide = true;
            for peer in &self.peers {
                let links = peer.stats().await?.links;
                wide &= links.iter().all(|l| l.mtu as usize >= CLASS.packet_bytes());
            }
            if wide {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err("the links stay too narrow".into())
    }

    /// A new circuit and a new inner connection over it; proxied flows take the connections there are in turn.
    pub async fn connect(&self) -> Result<(), Fault> {
        let [client, hops @ ..] = &self.peers;
        let spec = CircuitSpec { hops: hops.iter().map(Peer::hop).collect(), class: CLASS, suite: None, flow: 0 };
        let circuit = ask(|a| client.node.circuit_open(spec, a)).await.map_err(text)?;
        let connection = ask(|a| client.node.connection_open(circuit, a)).await.map_err(text)?;
        self.connections.send_modify(|known| known.push(connection));
        Ok(())
    }

    /// Closes all connections; proxied flows wait for the next `connect`.
    pub fn close_connections(&self) {
        let [client, ..] = &self.peers;
        self.connections.send_replace(Vec::new()).into_iter().for_each(|c| client.node.connection_close(c));
    }
}

/// Gives every request of a proxy client a connection, once there is one, and no second one.
async fn assign(
    node: Arc<Node>,
    mut requests: mpsc::UnboundedReceiver<(u32, Option<&'static str>)>,
    mut connections: tokio::sync::watch::Receiver<Vec<u32>>,
) {
    let mut turn = 0;
    while let Some((request, failed)) = requests.recv().await {
        if let Some(reason) = failed {
            node.proxy_refuse(request, reason.into());
            continue;
        }
        let Ok(known) = connections.wait_for(|known| !known.is_empty()).await else { return };
        turn += 1;
        node.proxy_assign(request, known[turn % known.len()]);
    }
}

/// An impaired path on a thread of its own.
pub struct Running {
    pub address: SocketAddr,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Running {
    pub fn start(target: SocketAddr, impairment: Impairment, seed: u64) -> Result<Self, Fault> {
        let (started, address) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                let listen = SocketAddr::from(([127, 0, 0, 1], 0));
                let path = ImpairedPath::start(listen, target, impairment, impairment, seed).await;
                let _ = started.send(path.as_ref().map(ImpairedPath::address).map_err(text));
                // Until the other half is dropped.
                let _ = stopped.await;
            });
        });
        let address = address.recv().map_err(text)??;
        Ok(Self { address, _stop: stop })
    }
}
