//! Streams to this node itself: the client at the far end of a circuit asks for `<id>.wayfare`, and TypeScript answers.
//!
//! Invariant: only a node that listens takes any, every other is refused; no name under `.wayfare` reaches the resolver, no
//! such request a socket.

use std::net::{Ipv4Addr, SocketAddr};

use wayfare_engine::Status;
use wayfare_quic::Instant;

use crate::event::Event;
use crate::flows::FlowSlot;
use crate::world::World;

/// What names of nodes end in.
const ZONE: &str = "wayfare";

/// The name in front of `.wayfare`, where `host` lies there.
fn node_of(host: &str) -> Option<String> {
    let (name, zone) = host.strip_suffix('.').unwrap_or(host).rsplit_once('.')?;
    zone.eq_ignore_ascii_case(ZONE).then(|| name.to_ascii_lowercase())
}

impl World {
    /// Whether a client's request was for a node and no destination: then it is with TypeScript now, or refused.
    pub fn inbound(&mut self, now: Instant, flow: u32, host: &str, port: u16) -> bool {
        let Some(name) = node_of(host) else { return false };
        if name != self.id().to_string() {
            self.engine.flow_refuse(now, flow, Status::NameUnresolved);
        } else if !self.listens {
            self.engine.flow_refuse(now, flow, Status::Refused);
        } else {
            self.flows.insert(flow, FlowSlot::of_script());
            self.events.push(Event::InboundRequested { flow, port });
        }
        true
    }

    /// TypeScript takes it: from now on it is a flow like any that TypeScript opened.
    pub fn inbound_accept(&mut self, now: Instant, flow: u32, port: u16) {
        if !self.flow_adopt(flow) {
            return;
        }
        // There is no socket towards a destination whose address could be told.
        self.engine.flow_accept(flow, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
        self.flow_settle(now, flow);
    }

    /// TypeScript does not take it. `overloaded`: it would at another time.
    pub fn inbound_refuse(&mut self, now: Instant, flow: u32, overloaded: bool) {
        if self.flow_forget(flow) {
            let status = if overloaded { Status::Overloaded } else { Status::Refused };
            self.engine.flow_refuse(now, flow, status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_are_told_from_names_of_destinations() {
        assert_eq!(node_of("AB.wayfare").as_deref(), Some("ab"));
        assert_eq!(node_of("a.b.WayFare.").as_deref(), Some("a.b"));
        for other in ["wayfare", "a.wayfare.example", "awayfare", "", ".", "127.0.0.1", "[::1]"] {
            assert_eq!(node_of(other), None, "{other}");
        }
    }
}
