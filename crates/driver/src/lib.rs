//! A node that does I/O: UDP sockets for its links, TCP and UDP sockets for its exit and its proxies, one thread for all.
//!
//! This is the only crate that opens sockets, reads clocks and draws randomness; it hands them to the engine and does what
//! the engine's outputs say. Fast packets are moved by as many threads as the node has shards (`shards`); each has
//! its own circuits, and a packet stays on the thread that received it unless its circuit is another's. What decides (which peers, which paths) is outside, in TypeScript:
//! it sends commands ([`Node`]) and hears [`Event`]s in batches.
//!
//! Invariant: what a thread holds belongs to it alone; no lock is taken on a packet's way, and with one shard no atomic is.
#![allow(clippy::disallowed_methods, reason = "this crate stands on the machine: it reads the clock for the others")]

mod ahead;
mod alarm;
mod answer;
mod associate;
mod attached;
mod attempts;
mod certificate;
mod control;
mod event;
mod exit;
mod exit_udp;
mod failure;
mod fast;
mod flows;
mod gather;
mod inbound;
mod later;
mod links;
mod moved;
mod node;
mod options;
mod parking;
mod polled;
mod proxy;
mod pump;
mod random;
mod replay;
mod resolve;
mod sessions;
mod shards;
mod stats;
mod thread;
mod udp;
mod web;
mod world;

pub use ahead::Wanted;
pub use answer::{Answer, ask, ask_blocking};
pub use attached::Attachment;
pub use certificate::{NewCertificate, new_certificate};
pub use event::{Event, MovedSince};
pub use failure::Failure;
pub use node::{CircuitSpec, Node};
pub use options::{Credits, ExitRules, Limits, Options, ProxyOptions, Roles};
pub use proxy::Protocol;
pub use resolve::{Resolver, Resolving, SystemResolver};
pub use stats::{CircuitStats, Circuits, ClientStats, ExitStats, LinkStats, Relayed, ShardStats, Stats};
pub use wayfare_engine::{Account, CircuitCredit, HopSpec, OnionPublic, OnionSecret, SizeClass, Suite};
pub use wayfare_types::{NodeId, Reason};
