//! Every format that crosses a link or a circuit, as checked views over bytes and as plain values.
//!
//! Invariant: parsing never panics and never allocates by a length that came from outside without a bound; whatever
//! value can be built can be emitted, and is parsed back unchanged. Integers are big-endian throughout.
//!
//! Source: packet and fast header are those of the packet model whose vectors the onion crate reproduces.

pub mod class;
pub mod control;
pub mod datagram;
pub mod fast;
pub mod halves;
pub mod host;
pub mod packet;
pub mod payload;
pub mod pieces;
pub mod request;
pub mod window;

mod read;

pub use class::SizeClass;
pub use control::{Control, ControlDecoder};
pub use fast::FastHeader;
pub use halves::Joiner;
pub use host::Host;
pub use packet::{Datagram, Header, Packet, Part};
pub use payload::{get_payload, put_payload};
pub use pieces::{Piece, PieceJoiner, PieceQuota};
pub use request::{Answer, Request, Status};
pub use window::{FlowWindow, WindowDecoder};

/// Tag slots in a body: the most hops a path can have.
pub const SLOTS: usize = 5;
/// Bytes in a tag slot.
pub const SLOT: usize = 16;
/// The slots behind the first, which the hop that owns the first decrypts.
pub const LADDER: usize = (SLOTS - 1) * SLOT;
/// All tag slots of a body; the payload begins here.
pub const TAGS: usize = SLOTS * SLOT;
/// Bytes in a link datagram before the body: version, circuit id, counter.
pub const HEADER: usize = 13;
/// One hop's part of a set-up message: encapsulated key, tag, info.
pub const SETUP_SLOT: usize = 1248;
/// A set-up message. Its size is what bounds the hops of a path.
pub const SETUP_BYTES: usize = SLOTS * SETUP_SLOT;
/// One hop's part of the reply to a set-up: tag, ephemeral key.
pub const REPLY_SLOT: usize = 48;
/// The reply to a set-up.
pub const REPLY_BYTES: usize = SLOTS * REPLY_SLOT;
