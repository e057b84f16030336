//! A node that does I/O: UDP sockets for its links, TCP and UDP sockets for its exit and its proxies, one thread for all.
//!
//! This is the only crate that opens sockets, reads clocks and draws randomness; it hands them to the engine and does what
//! the engine's outputs say. No packet leaves the thread. What decides (which peers, which paths) is outside, in TypeScript:
//! it sends commands ([`Node`]) and hears [`Event`]s in batches.
//!
//! Invariant: what a thread holds belongs to it alone; no lock is taken on a packet's way.
#![allow(clippy::disallowed_methods, reason = "this crate stands on the machine: it reads the clock for the others")]

mod answer;
mod associate;
mod attached;
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
mod links;
mod node;
mod options;
mod proxy;
mod pump;
mod random;
mod replay;
mod resolve;
mod sessions;
mod stats;
mod thread;
mod udp;
mod web;
mod world;

pub use answer::{Answer, ask, ask_blocking};
pub use attached::Attachment;
pub use certificate::{NewCertificate, new_certificate};
pub use event::Event;
pub use failure::Failure;
pub use node::{CircuitSpec, Node};
pub use options::{ExitRules, Limits, Options, ProxyOptions, Roles};
pub use proxy::Protocol;
pub use resolve::{Resolver, Resolving, SystemResolver};
pub use stats::{CircuitStats, Circuits, ClientStats, ExitStats, LinkStats, Relayed, Stats};
pub use wayfare_engine::{HopSpec, OnionPublic, OnionSecret, SizeClass, Suite};
pub use wayfare_types::{NodeId, Reason};
