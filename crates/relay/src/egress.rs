//! What waits when a link cannot send at once: its socket is full, or the rate it may use is spent.
//!
//! A queue per link, storage for all of them. While more comes than goes, the packet with the most credits per byte goes
//! first, equal ones in the order they came; control goes before everything. Too old a queue is shortened from its old
//! end (CoDel, RFC 8289). A link that is not saturated never gets here: [`EgressQueue::admit`] is two comparisons then.
//!
//! Invariants: whatever is pushed, the queues together hold no more memory than the storage's quota; a packet that was
//! pushed comes out once or is counted under a [`Reason`](wayfare_types::Reason); no data packet comes out older than
//! `delay_us_max`; in steady state nothing is allocated.

mod bucket;
mod codel;
mod order;
mod queue;
mod storage;

pub use bucket::{Rate, TokenBucket};
pub use codel::{Codel, Standing};
pub use queue::{CONTROL, EgressQueue, Filled, Limits};
pub use storage::{PACKET_BYTES_MAX, Storage};
