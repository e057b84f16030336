//! Which exit takes a flow: what is counted of hops, destinations and tuples, and the draw by what was counted. Terms and formulas
//! are in docs/decisions/0009-egress-choice.md.
//!
//! Invariant: no clock and no randomness of its own, no I/O; the same calls give the same results on every host. Nothing from
//! outside panics or makes memory grow beyond [`Limits`]; a live flow is never forgotten and never given another hop.

mod buckets;
mod counts;
mod draw;
mod egress;
mod flows;
mod groups;
mod hash;
mod hops;
mod idle;
mod ids;
mod interval;
mod record;
mod rows;
mod sequence;
mod state;
mod steps;
mod weigh;
mod weighting;

pub use buckets::{Buckets, ENTRIES_MAX, WEIGHT_MAX, WeightedIds, Within, below};
pub use counts::Counts;
pub use draw::How;
pub use egress::{Config, Counters, Egress, Limits, Refusal};
pub use flows::{Asked, Opened};
pub use groups::{Chain, Connection, Event, Group, Groups, groups, order};
pub use ids::{DestinationId, FlowId};
pub use interval::{INTERVAL_MIN_US, Moved, PacketInterval, speed};
pub use rows::{DestinationRow, FlowRow, Held, HopRow, PairRow};
pub use sequence::{Answer, Recorded, STEPS_MAX, Sequences, Sums};
pub use state::Source;
pub use steps::Steps;
pub use weighting::{Combine, Measure, Weighting, Weights};
