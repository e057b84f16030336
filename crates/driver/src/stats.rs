//! A node's figures, in the shape that `HostStats` in ts/core/host.ts has.

use std::collections::BTreeMap;

use serde::Serialize;
use wayfare_quic::Instant;

use crate::world::World;

/// See `HostStats`.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    pub links: Vec<LinkStats>,
    pub relayed: Relayed,
    pub exit: ExitStats,
    pub client: ClientStats,
    pub circuits: Circuits,
    pub reader_bytes: u64,
    pub cpu_us: u64,
    pub drops: BTreeMap<&'static str, u64>,
    /// Of a node with several shards, the main thread's first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardStats>,
}

/// See `ShardStats`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ShardStats {
    /// Packets passed on.
    pub relayed: u64,
    /// Circuit ids at home there.
    pub circuit_ids: u64,
    pub cpu_us: u64,
}

/// See `LinkStats`.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStats {
    pub link: u32,
    pub peer: String,
    pub address: String,
    pub incoming: bool,
    pub transport: &'static str,
    pub rtt_us: u64,
    pub mtu: u32,
    /// The largest packet that goes beside the session, header included; 0 where all go as its datagrams.
    pub fast_bytes: u32,
    pub packets_received: u64,
    pub packets_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub age_ms: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Relayed {
    pub packets_forward: u64,
    pub packets_backward: u64,
    pub bytes_forward: u64,
    pub bytes_backward: u64,
}

/// `in` is what came from the origins, `out` what went to them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ExitStats {
    pub flows_open: u64,
    pub flows_total: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub udp_in: u64,
    pub udp_out: u64,
}

/// `in` is what came for the applications, `out` what came from them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ClientStats {
    pub flows_open: u64,
    pub flows_total: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Circuits {
    pub client: u32,
    pub relay: u32,
    pub exit: u32,
}

/// See `CircuitStats`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CircuitStats {
    pub circuit: u32,
    pub role: &'static str,
    pub packets_forward: u64,
    pub packets_backward: u64,
    pub bytes_forward: u64,
    pub bytes_backward: u64,
    pub credits_paid: u64,
    pub credits_home: u64,
}

/// CPU time of the calling thread so far.
pub(crate) fn thread_cpu_us() -> u64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    spent.tv_sec as u64 * 1_000_000 + spent.tv_nsec as u64 / 1_000
}

impl World {
    /// All figures as they are now.
    pub(crate) fn stats(&mut self, now: Instant) -> Stats {
        let mut engine = self.engine.stats();
        let mut drops = self.engine.counters().clone();
        let own = ShardStats {
            relayed: engine.relayed_packets_forward + engine.relayed_packets_backward,
            circuit_ids: self.engine.fast_parts().0.len() as u64,
            cpu_us: thread_cpu_us(),
        };
        let mut shards = Vec::new();
        if let Some(others) = &self.shards {
            others.add_drops(&mut drops);
            shards.push(own);
            for (stats, relayed) in others.stats() {
                shards.push(stats);
                engine.relayed_packets_forward += relayed.packets_forward;
                engine.relayed_packets_backward += relayed.packets_backward;
                engine.relayed_bytes_forward += relayed.bytes_forward;
                engine.relayed_bytes_backward += relayed.bytes_backward;
            }
        }
        let links = self
            .links
            .iter()
            .filter(|(_, l)| l.up)
            .map(|(&link, l)| LinkStats {
                link,
                peer: l.peer.map(|p| p.to_string()).unwrap_or_default(),
                address: l.address.to_string(),
                incoming: l.incoming,
                transport: l.transport(),
                rtt_us: self.quic.peek(l.handle).map_or(0, |c| c.rtt().as_micros() as u64),
                mtu: l.max_datagram as u32,
                fast_bytes: l.fast.as_ref().map_or(0, |side| side.link.max_packet() as u32),
                packets_received: l.packets_received,
                packets_sent: l.packets_sent,
                bytes_received: l.bytes_received,
                bytes_sent: l.bytes_sent,
                age_ms: now.saturating_duration_since(l.since).as_millis() as u64,
            })
            .chain(self.attached.iter().filter(|(_, l)| l.up).map(|(&link, l)| l.stats(now, link)))
            .collect();
        Stats {
            links,
            relayed: Relayed {
                packets_forward: engine.relayed_packets_forward,
                packets_backward: engine.relayed_packets_backward,
                bytes_forward: engine.relayed_bytes_forward,
                bytes_backward: engine.relayed_bytes_backward,
            },
            exit: self.exit_stats,
            client: self.client_stats,
            circuits: Circuits {
                client: engine.circuits_client,
                relay: engine.circuits_relay,
                exit: engine.circuits_exit,
            },
            reader_bytes: engine.reader_bytes,
            cpu_us: shards.iter().skip(1).map(|s| s.cpu_us).sum::<u64>() + own.cpu_us,
            drops: drops.iter().map(|(reason, count)| (reason.name(), count)).collect(),
            shards,
        }
    }
}
