//! Circuits and their packets: set-up in one round trip, layers, replay windows.
//!
//! A packet's body is five tag slots of 16 bytes and the payload, the same length at every hop and in both directions,
//! so that no hop learns its position or the path's length. Forwards every hop authenticates the whole body; backwards
//! only the client can, since the relays add their layers without knowing what is inside.
//!
//! Invariant: no nonce is ever used twice to seal, whoever chooses the counters; nothing is kept from a packet that does
//! not verify; no heap allocation per packet. No clock and no randomness of its own.
//!
//! Source: the packet model whose vectors `tests/vectors` holds; RFC 5116 (AEAD), RFC 8439, RFC 5869, RFC 9180 with
//! X-Wing (draft-connolly-cfrg-xwing-kem) for the set-up.

mod cipher;
pub mod hop;
pub mod path;
pub mod replay;
pub mod setup;
pub mod suite;
#[cfg(feature = "vectors")]
pub mod vectors;

pub use cipher::Gcm;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub use cipher::parts as gcm;
pub use hop::{BackwardHop, DirectionKeys, ForwardHop, HopKeys};
pub use path::{ClientPath, OpenFailed};
pub use replay::ReplayWindow;
pub use setup::{
    ClientSetup, HopSpec, OnionPublic, OnionSecret, OpenedSetup, ReplayCache, ReplyKey, Role, SetupError, open_setup,
};
pub use suite::Suite;

/// Packets after which a key is due for renewal by a new circuit.
pub const WORN: u64 = 1 << 27;
/// Packets after which a key refuses to work.
pub const WORN_OUT: u64 = 1 << 28;
