//! What happens to one packet at one node: look up its circuit id, work its layer, rewrite its header.
//!
//! A circuit id is the receiver's own: 3 bits of shard and 21 of index into that shard's slots, 8 bits of generation, so that
//! finding the key is one load and an old id names nothing. An id holds on the link it was given out on and on no other. Source: design of the
//! packet (docs/decisions/0002-packet.md).
//!
//! Invariant: no packet makes this table grow; only set-ups do, and they are bounded by `capacity`.

pub mod egress;
mod memory;
mod slab;
mod slots;
mod table;

pub use slots::{Arrival, Asked, Command, Duty, LinkId, Next, Peeled, SHARDS_MAX, Slot, Slots, shard_of};
pub use table::CircuitTable;
