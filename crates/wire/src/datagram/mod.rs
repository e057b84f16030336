//! Proxied UDP over inner datagrams: `association u32 | packet u16 | index u8 | count u8 | address (index 0) | data`.
//!
//! A UDP payload larger than an inner datagram travels in `count` fragments. The address (`kind u8: 4, 6 or 1 for a
//! name | address, or length u8 and name | port u16`) is the destination on the way out and the source on the way back.
//!
//! Invariant: what waits for its missing fragments is bounded in number, bytes and time ([`Limits`]).

mod fragment;
mod reassembly;

pub use fragment::{Fragments, UdpAddress};
pub use reassembly::{Limits, Reassembly, Udp};

/// Bytes before address and data.
pub const FRAGMENT_HEADER: usize = 8;
/// The largest UDP payload there is (IPv4: 65,535 less both headers).
pub const UDP_MAX: usize = 65_507;
