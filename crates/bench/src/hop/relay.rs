//! Ours: a node of the native driver in the role of a relay.

use std::net::SocketAddr;
use std::time::Duration;

use wayfare_driver::{Node, Options, ask};
use wayfare_types::NodeId;

use super::Middle;
use crate::load::{CLASS, Fault, IDLE_MS};

pub const ONION_SEED: [u8; 32] = [5; 32];

pub struct Relay {
    node: Node,
    address: SocketAddr,
}

impl Relay {
    pub async fn start() -> Result<Self, Fault> {
        let options = format!(
            r#"{{ "listen": ["127.0.0.1:0"], "roles": {{ "client": false, "relay": true, "exit": false }}, "freshKeys": true,
                "limits": {{ "linkIdleMs": {IDLE_MS} }} }}"#
        );
        let options = Options::from_json(&options, &[11; 32]).map_err(|f| f.to_string())?;
        let mut node = None;
        let addresses = ask(|started| node = Some(Node::start(options, |_| {}, started))).await;
        let (node, addresses) =
            (node.ok_or("no node")?.map_err(|f| f.to_string())?, addresses.map_err(|f| f.to_string())?);
        node.set_onion_keys(vec![ONION_SEED].into());
        let address = addresses.first().and_then(|a| a.parse().ok()).ok_or("the relay has no address")?;
        Ok(Self { node, address })
    }

    /// Waits until whole packets fit both ways.
    pub async fn ready(&self, links: usize) -> Result<(), Fault> {
        for _ in 0..1_000 {
            let stats = ask(|a| self.node.stats(a)).await.map_err(|f| f.to_string())?;
            if stats.links.len() == links && stats.links.iter().all(|l| l.mtu as usize >= CLASS.packet_bytes()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err("the relay's links stay too narrow".into())
    }
}

impl Middle for Relay {
    fn address(&self) -> SocketAddr {
        self.address
    }
    fn id(&self) -> NodeId {
        self.node.id()
    }
    async fn cpu(&self) -> Result<Duration, Fault> {
        let stats = ask(|a| self.node.stats(a)).await.map_err(|f| f.to_string())?;
        Ok(Duration::from_micros(stats.cpu_us))
    }
}
