//! Totals and one circuit's figures, in the names of `HostStats` and `CircuitStats` in ts/core/host.ts.

use std::collections::BTreeMap;

use serde::Serialize;
use wayfare_engine::{CircuitInfo, Counters};

/// Forwards is away from the client.
#[derive(Serialize)]
pub(crate) struct Carried {
    packets_forward: u64,
    packets_backward: u64,
    bytes_forward: u64,
    bytes_backward: u64,
}

#[derive(Serialize)]
struct Circuits {
    client: u32,
    relay: u32,
    exit: u32,
}

#[derive(Serialize)]
pub(crate) struct Stats {
    relayed: Carried,
    exit: Carried,
    client: Carried,
    circuits: Circuits,
    reader_bytes: u64,
    /// Every reason is there.
    drops: BTreeMap<&'static str, u64>,
}

impl Stats {
    pub fn new(s: wayfare_engine::Stats, counters: &Counters) -> Self {
        Self {
            relayed: Carried {
                packets_forward: s.relayed_packets_forward,
                packets_backward: s.relayed_packets_backward,
                bytes_forward: s.relayed_bytes_forward,
                bytes_backward: s.relayed_bytes_backward,
            },
            exit: Carried {
                packets_forward: s.exit_packets_forward,
                packets_backward: s.exit_packets_backward,
                bytes_forward: s.exit_bytes_forward,
                bytes_backward: s.exit_bytes_backward,
            },
            client: Carried {
                packets_forward: s.client_packets_forward,
                packets_backward: s.client_packets_backward,
                bytes_forward: s.client_bytes_forward,
                bytes_backward: s.client_bytes_backward,
            },
            circuits: Circuits { client: s.circuits_client, relay: s.circuits_relay, exit: s.circuits_exit },
            reader_bytes: s.reader_bytes,
            drops: counters.iter().map(|(reason, count)| (reason.name(), count)).collect(),
        }
    }
}

/// One of this node's own circuits.
#[derive(Serialize)]
pub(crate) struct CircuitStats {
    #[serde(flatten)]
    carried: Carried,
    credits_paid: u64,
    credits_home: u64,
}

impl From<CircuitInfo> for CircuitStats {
    fn from(info: CircuitInfo) -> Self {
        let CircuitInfo { packets_forward, packets_backward, bytes_forward, bytes_backward, .. } = info;
        let carried = Carried { packets_forward, packets_backward, bytes_forward, bytes_backward };
        Self { carried, credits_paid: info.credits_paid, credits_home: info.credits_home }
    }
}

/// The JSON of figures, which always have one.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
