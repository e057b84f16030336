//! The fast link: onion packets beside a QUIC session, on the same socket and address pair, with one AEAD pass per packet in
//! total. Sessions, keys, migration and control stay QUIC; what is here is bytes in, bytes out.
//!
//! [`FastLink`] holds one link's keys and knows what it reaches; [`Stage`] takes the packets of one receive from many links,
//! works them where they lie and hands them on grouped by the next link. Source and argument: docs/decisions/0008.
//!
//! Invariant: reads no clock and does no I/O. Nothing is believed of a packet whose header's check bits are wrong, and no
//! packet is sent fast to where no challenge of ours has been echoed from.

mod keys;
mod link;
mod stage;
mod view;

pub use keys::{SECRET_BYTES, hardware_aes};
pub use link::{FastLink, Taken};
pub use stage::{BatchOut, Local, Relayed, Stage, seal_run};
pub use view::View;
