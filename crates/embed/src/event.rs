//! What TypeScript is told, in the shape that `EngineEvent` in ts/core/engine.ts has.

use serde::Serialize;
use wayfare_engine::Event as Engine;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    LinkUp { link: u32, peer: String, version: u8 },
    LinkClose { link: u32, reason: &'static str },
    NextHopWanted { peer: String },
    CircuitUp { circuit: u32 },
    CircuitDown { circuit: u32, reason: &'static str },
    CircuitWorn { circuit: u32 },
    ConnectionUp { connection: u32 },
    ConnectionDown { connection: u32, reason: &'static str },
    ConnectionStalled { connection: u32, circuit: u32, silent_ms: u64 },
    FlowOpened { flow: u32, local: Option<String> },
    FlowRequested { flow: u32, host: String, port: u16 },
    FlowReadable { flow: u32 },
    FlowWritable { flow: u32 },
    FlowClosed { flow: u32, reason: &'static str },
}

impl Event {
    /// `None` for what this interface does not carry: UDP associations.
    pub fn of(event: Engine) -> Option<Self> {
        Some(match event {
            Engine::NextHopWanted(peer) => Self::NextHopWanted { peer: peer.to_string() },
            Engine::CircuitUp(circuit) => Self::CircuitUp { circuit },
            Engine::CircuitDown { circuit, reason } => Self::CircuitDown { circuit, reason: reason.name() },
            Engine::CircuitWorn(circuit) => Self::CircuitWorn { circuit },
            Engine::ConnectionUp(connection) => Self::ConnectionUp { connection },
            Engine::ConnectionDown { connection, reason } => Self::ConnectionDown { connection, reason: reason.name() },
            Engine::ConnectionStalled { connection, circuit, silent_ms } => {
                Self::ConnectionStalled { connection, circuit, silent_ms }
            }
            Engine::FlowOpened { flow, local } => Self::FlowOpened { flow, local: local.map(|at| at.to_string()) },
            Engine::FlowRequested { flow, host, port } => Self::FlowRequested { flow, host, port },
            Engine::FlowReadable(flow) => Self::FlowReadable { flow },
            Engine::FlowWritable(flow) => Self::FlowWritable { flow },
            Engine::FlowClosed { flow, reason } => Self::FlowClosed { flow, reason: reason.name() },
            Engine::UdpOpened(_) | Engine::UdpReceived { .. } | Engine::UdpClosed(_) => return None,
        })
    }
}
