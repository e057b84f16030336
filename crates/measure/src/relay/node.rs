//! Ours: a node of the native driver in the role of a relay.

use std::net::SocketAddr;
use std::time::Duration;

use wayfare_driver::{CircuitCredit, Node, Options, Stats, ask_blocking};
use wayfare_types::NodeId;

use super::plan::CIRCUITS_MAX;
use super::sessions::{IDLE_MS, text};
use super::{Middle, pin};
use crate::Fault;

pub const ONION_SEED: [u8; 32] = [5; 32];
const SEED: [u8; 32] = [11; 32];
/// Neighbours are not to run out of credits.
const INCREASE: u64 = 1 << 30;

pub struct Relay {
    node: Node,
    address: SocketAddr,
}

impl Relay {
    /// `link_bytes_per_s`: what each of its links may send; 0 is as much as the kernel takes.
    pub fn start(shards: usize, link_bytes_per_s: u64) -> Result<Self, Fault> {
        let options = format!(
            r#"{{ "listen": ["127.0.0.1:0"], "roles": {{ "client": false, "relay": true, "exit": false }}, "freshKeys": true,
                "credits": {{ "increase": {INCREASE}, "rent": 0 }},
                "limits": {{ "circuits": {CIRCUITS_MAX}, "setupsPerSecond": 1000000, "linkIdleMs": {IDLE_MS}, "shards": {shards},
                    "linkBytesPerSecond": {link_bytes_per_s} }} }}"#
        );
        let options = Options::from_json(&options, &SEED).map_err(text)?;
        let mut node = None;
        // Its threads stay where they are started.
        let addresses = pin::on_middle(|| ask_blocking(|started| node = Some(Node::start(options, |_| {}, started))));
        let (node, addresses) = (node.ok_or("no node")?.map_err(text)?, addresses.map_err(text)?);
        node.set_onion_keys(vec![ONION_SEED].into());
        let address = addresses.first().and_then(|a| a.parse().ok()).ok_or("the relay has no address")?;
        Ok(Self { node, address })
    }

    pub fn id(&self) -> NodeId {
        self.node.id()
    }

    /// Whether it sends packets of this size beside the sessions of so many neighbours.
    pub fn fast_on(&self, links: usize, packet_bytes: usize) -> Result<bool, Fault> {
        let stats = ask_blocking(|a| self.node.stats(a)).map_err(text)?;
        Ok(stats.links.iter().filter(|l| l.fast_bytes as usize >= packet_bytes).count() == links)
    }

    /// How many packets each of its threads passed on; none where it has but one.
    pub fn passed_by_shard(&self) -> Result<Vec<u64>, Fault> {
        let stats = ask_blocking(|a| self.node.stats(a)).map_err(text)?;
        Ok(stats.shards.iter().map(|shard| shard.relayed).collect())
    }

    /// The flows of its circuits, in the order in which they were set up.
    ///
    /// # Errors
    /// A relay that is gone.
    pub fn credits(&self) -> Result<Vec<CircuitCredit>, Fault> {
        ask_blocking(|a| self.node.circuit_credits(a)).map_err(text)
    }

    /// What it has passed on, dropped and sent so far.
    pub fn stats(&self) -> Result<Stats, Fault> {
        ask_blocking(|a| self.node.stats(a)).map_err(text)
    }

    /// What it dropped, by reason.
    pub fn drops(&self) -> Result<Vec<(&'static str, u64)>, Fault> {
        let stats = ask_blocking(|a| self.node.stats(a)).map_err(text)?;
        Ok(stats.drops.into_iter().filter(|(_, count)| *count > 0).collect())
    }
}

impl Middle for Relay {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn cpu(&self) -> Result<Duration, Fault> {
        let stats = ask_blocking(|a| self.node.stats(a)).map_err(text)?;
        Ok(Duration::from_micros(stats.cpu_us))
    }
}
