//! Opening a circuit in one round trip, without telescoping.
//!
//! The client seals one slot per hop to that hop's onion key; each hop opens its own, forwards five slots as it received
//! five, and learns only its neighbour. The reply comes back the same way and brings an ephemeral key of every hop.
//!
//! ```text
//! SETUP = 5 x 1248   slot = X-Wing encapsulation 1120 | tag 16 | info 112
//! REPLY = 5 x 48     slot = tag 16 | hop's ephemeral X25519 key 32
//! HPKE (base mode, X-Wing, HKDF-SHA256, export only) exports "setup", "reply", "keys", "replay"
//! K = HKDF-Extract(salt: "keys", X25519(client's ephemeral, hop's ephemeral))
//! ```
//!
//! Invariants: a message's size is the hop cap; free slots are random and filled ones look random; every hop's client
//! ephemeral is another, so that hops cannot recognise a circuit together; K is bound to version, suite, class and every
//! byte of the set-up as received, so a downgrade yields no common key; the reply's key seals once.

mod client;
mod info;
mod keys;
mod ladder;
mod relay;
mod replay_cache;
mod schedule;
mod slots;

pub use client::{ClientSetup, HopSpec, SetupError};
pub use info::{MINUTES, Role};
pub use keys::{OnionPublic, OnionSecret};
pub use relay::{OpenedSetup, ReplyKey, open_setup};
pub use replay_cache::ReplayCache;

/// What set-ups and replies meet besides key agreement, which costs a thousand times as much: for `crates/fuzz` alone.
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod parts {
    pub use super::info::{INFO_BYTES, Info};
    pub use super::schedule::ENC_BYTES;
    pub use super::slots::{Slot, open_reply, open_setup, seal_reply, seal_setup};
}

/// The version of packets and set-up described here.
pub const VERSION: u8 = 1;
