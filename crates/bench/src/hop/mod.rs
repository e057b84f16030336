//! CPU time per forwarded packet, both directions at once: a relay against a bare quinn hop that only passes datagrams on.
//!
//! Equal for both: the generating ends, the datagrams' size, TLS suite and provider, transport parameters, buffers,
//! segmentation offload, one thread. What counts is the middle thread's CPU time alone.

mod bare;
mod relay;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
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

pub async fn run() -> Result<Value, Fault> {
    let bare = bare::Bare::start()?;
    let relay = relay::Relay::start().await?;
    let mut plain = Load::plain(bare.address(), bare.id()).await?;
    plain.meanwhile(bare.ready()).await?;
    let mut circuit = Load::circuit(relay.address(), relay.id(), relay::ONION_SEED).await?;
    circuit.meanwhile(relay.ready()).await?;
    let (mut floor_ns, mut ours_ns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor_ns.push(measure(&bare, &mut plain).await?);
        ours_ns.push(measure(&relay, &mut circuit).await?);
    }
    Ok(json!({ "floor_ns": floor_ns, "ours_ns": ours_ns, "lost_floor": plain.lost, "lost_ours": circuit.lost }))
}
