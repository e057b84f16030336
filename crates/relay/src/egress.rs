//! What waits when a link cannot send at once: its socket is full, or the rate it may use is spent.
//!
//! A queue per link, storage for all of them. While more comes than goes, a circuit's direction is a flow with a weight, the
//! credits per second that it is willing to pay, and flows are served in proportion to that: the packet with the most credits per
//! byte goes first, and whose packet went has spent them (start-time fair queueing). A flow is charged its weight for the time that
//! it waits. Control goes before everything. Too old a queue is shortened from its old end (CoDel, RFC 8289). A link that is not
//! saturated never gets here: [`EgressQueue::admit`] is two comparisons then, and charges nothing.
//!
//! Invariants: whatever is pushed, the queues together hold no more memory than the storage's quota; a packet that was
//! pushed comes out once or is counted under a [`Reason`](wayfare_types::Reason); no data packet comes out older than
//! `delay_us_max`; in steady state nothing is allocated; whatever a flow owes is handed out once.

mod bucket;
mod codel;
mod flow;
mod order;
mod queue;
mod storage;

pub use bucket::{Rate, TokenBucket};
pub use codel::{Codel, Standing};
pub use flow::{Charge, Payer};
pub use queue::{EgressQueue, Filled, Limits};
pub use storage::{PACKET_BYTES_MAX, Storage};
