//! The whole protocol of a node without I/O: links' packets and control frames in, packets and control frames out; circuits,
//! inner connections, flows and UDP associations between client and exit.
//!
//! Drive it so: hand in what arrived (`link_*`, `handle_*`) or a command; then take outputs until there are none, in order;
//! then events until there are none; then sleep until `poll_timeout`. The native driver, a browser's pump and the simulator
//! drive the same code.
//!
//! Invariant: reads no clock, draws no randomness of its own and does no I/O. What comes from outside is answered with a
//! defined reason and counted; nothing of it panics.

mod additions;
mod announcements;
mod api;
mod circles;
mod circuits;
mod connections;
mod credits;
mod credits_view;
mod engine;
mod fast;
mod flows;
mod ids;
mod inner;
mod packets;
mod requests;
mod setup;
mod udp;
mod window;

pub use additions::Additions;
pub use api::{
    CircuitId, CircuitInfo, ConnectionId, EngineConfig, Event, FREE, FlowId, FlowRead, FlowWrite, Limits, Output,
    Roles, Stats, UdpId, plain_packets,
};
pub use credits_view::{Account, CircuitCredit};
pub use engine::Engine;
pub use wayfare_credit::{Config as CreditConfig, Rule as CreditRule, share as credit_share};
pub use wayfare_onion::{HopSpec, OnionPublic, OnionSecret, Suite};
pub use wayfare_quic::Instant;
pub use wayfare_relay::LinkId;
pub use wayfare_relay::egress::{Charge, Payer};
pub use wayfare_types::{Counters, NodeId, Reason};
pub use wayfare_wire::{SizeClass, Status, datagram::UdpAddress};
