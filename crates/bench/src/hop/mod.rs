//! CPU time per forwarded packet over QUIC's datagrams, both directions at once: a relay against a bare quinn hop that only passes datagrams on.
//!
//! Equal for both: the generating ends, the datagrams' size, TLS suite and provider, transport parameters, buffers,
//! segmentation offload, one thread. What counts is the middle thread's CPU time alone.

mod bare;
mod relay;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use wayfare_onion::Suite;
use wayfare_types::NodeId;

use crate::load::{Fault, Load};

const ROUNDS: usize = 5;
const RUN: Duration = Duration::from_millis(1_000);

/// A node in the middle, on a thread of its own.
trait Middle {
    fn address(&self) -> SocketAddr;
    fn id(&self) -> NodeId;
    /// What its thread has spent so far.
    async fn cpu(&self) -> Result<Duration, Fault>;
}

async fn measure(middle: &impl Middle, load: &mut Load) -> Result<f64, Fault> {
    load.run(RUN / 10).await?;
    let before = middle.cpu().await?;
    let run = load.run(RUN).await?;
    let spent = middle.cpu().await? - before;
    Ok(spent.as_nanos() as f64 / run.packets as f64)
}

/// The bare hop by itself, for other measurements to stand beside.
pub struct Quinn {
    hop: bare::Bare,
    load: Load,
}

impl Quinn {
    pub async fn start() -> Result<Self, Fault> {
        let hop = bare::Bare::start()?;
        let mut load = Load::plain(hop.address(), hop.id()).await?;
        load.meanwhile(hop.ready()).await?;
        Ok(Self { hop, load })
    }

    /// CPU nanoseconds per packet.
    pub async fn round(&mut self) -> Result<f64, Fault> {
        measure(&self.hop, &mut self.load).await
    }
}

pub async fn run() -> Result<Value, Fault> {
    let mut quinn = Quinn::start().await?;
    let relay = relay::Relay::start().await?;
    let mut ours = Vec::new();
    for suite in [Suite::preferred(), Suite::ChaCha20Poly1305] {
        let mut load = Load::circuit(relay.address(), relay.id(), relay::ONION_SEED, suite).await?;
        load.meanwhile(relay.ready(2 * ours.len() + 2)).await?;
        ours.push((load, Vec::new()));
    }
    let mut floor_ns = Vec::new();
    for _ in 0..ROUNDS {
        floor_ns.push(quinn.round().await?);
        for (load, ns) in &mut ours {
            ns.push(measure(&relay, load).await?);
        }
    }
    let lost: Vec<u64> = ours.iter().map(|(load, _)| load.lost).collect();
    let mut ours_ns = ours.into_iter().map(|(_, ns)| ns);
    Ok(json!({
        "floor_ns": floor_ns, "ours_ns": ours_ns.next(), "chacha_ns": ours_ns.next(),
        "lost_floor": quinn.load.lost, "lost_ours": lost,
    }))
}
