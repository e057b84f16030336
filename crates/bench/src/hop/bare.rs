//! The floor: asynchronous quinn on one thread, every datagram of one connection sent on the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint, EndpointConfig, TokioRuntime};
use tokio::sync::{mpsc, oneshot};
use wayfare_measure::cpu;
use wayfare_quic::link_transport;
use wayfare_quic::tls::{self, Identity};
use wayfare_types::NodeId;

use super::Middle;
use crate::load::{CLASS, Fault, IDLE_MS};
use crate::socket;

enum Ask {
    Cpu(oneshot::Sender<Duration>),
    Ready(oneshot::Sender<()>),
}

pub struct Bare {
    address: SocketAddr,
    id: NodeId,
    asks: mpsc::UnboundedSender<Ask>,
}

impl Bare {
    pub fn start() -> Result<Self, Fault> {
        let identity = Identity::from_seed(&[10; 32]).map_err(|e| e.to_string())?;
        let server = tls::link_server(&identity, link_transport(IDLE_MS)).map_err(|e| e.to_string())?;
        let socket = socket::bind().map_err(|e| e.to_string())?;
        let address = socket.local_addr().map_err(|e| e.to_string())?;
        let (asks, receiver) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(serve(socket, server, receiver));
            }
        });
        Ok(Self { address, id: identity.id(), asks })
    }

    /// Waits until whole packets fit both ways.
    pub async fn ready(&self) -> Result<(), Fault> {
        self.ask(Ask::Ready).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Fault> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.asks.send(ask(sender));
        let answer = tokio::time::timeout(Duration::from_secs(5), receiver).await;
        answer.ok().and_then(Result::ok).ok_or_else(|| "the bare hop does not answer".into())
    }
}

impl Middle for Bare {
    fn address(&self) -> SocketAddr {
        self.address
    }
    fn id(&self) -> NodeId {
        self.id
    }
    async fn cpu(&self) -> Result<Duration, Fault> {
        self.ask(Ask::Cpu).await
    }
}

async fn pass_on(from: Connection, to: Connection) {
    while let Ok(datagram) = from.read_datagram().await {
        if to.send_datagram(datagram).is_err() {
            return;
        }
    }
}

async fn serve(socket: std::net::UdpSocket, server: quinn::ServerConfig, mut asks: mpsc::UnboundedReceiver<Ask>) {
    let mut config = EndpointConfig::default();
    config.grease_quic_bit(false);
    let Ok(endpoint) = Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime)) else { return };
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let Some(incoming) = endpoint.accept().await else { return };
        if let Ok(connection) = incoming.await {
            ends.push(connection);
        }
    }
    let fits = |c: &Connection| c.max_datagram_size().is_some_and(|max| max >= CLASS.packet_bytes());
    while !ends.iter().all(fits) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::spawn(pass_on(ends[0].clone(), ends[1].clone()));
    tokio::spawn(pass_on(ends[1].clone(), ends[0].clone()));
    while let Some(ask) = asks.recv().await {
        match ask {
            Ask::Cpu(answer) => drop(answer.send(cpu::thread())),
            Ask::Ready(answer) => drop(answer.send(())),
        }
    }
}
