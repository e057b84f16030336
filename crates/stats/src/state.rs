//! What is remembered of hops, destinations, pairs and tuples.

use std::hash::{Hash, Hasher};

use crate::buckets::Buckets;
use crate::ids::DestinationId;
use crate::interval::{Moved, PacketInterval};
use crate::record::Pending;
use crate::sequence::{Sequences, Sums};

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;
/// What one record adds to a window at most, so that no window's sum wraps.
const BYTES_MAX: u64 = 1 << 48;

/// Of a pair, per small window of K.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PairSums {
    pub data: u64,
    pub opened: u32,
    pub failed: u32,
}

impl PairSums {
    #[inline]
    pub fn data(bytes: u64) -> Self {
        Self { data: bytes.min(BYTES_MAX), ..Self::default() }
    }
}

impl Sums for PairSums {
    #[inline]
    fn add(&mut self, other: &Self) {
        self.data = self.data.wrapping_add(other.data);
        self.opened = self.opened.wrapping_add(other.opened);
        self.failed = self.failed.wrapping_add(other.failed);
    }

    #[inline]
    fn since(&self, earlier: &Self) -> Self {
        Self {
            data: self.data.wrapping_sub(earlier.data),
            opened: self.opened.wrapping_sub(earlier.opened),
            failed: self.failed.wrapping_sub(earlier.failed),
        }
    }

    #[inline]
    fn timed(&self) -> bool {
        self.data > 0
    }

    fn scaled(&self, part: f64) -> Self {
        let of = |value: u64| (value as f64 * part) as u64;
        Self { data: of(self.data), opened: of(self.opened.into()) as u32, failed: of(self.failed.into()) as u32 }
    }
}

/// Of a hop, per small window of L: what a pair has, and bytes each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HopSums {
    pub counted: PairSums,
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

impl HopSums {
    #[inline]
    pub fn moved(data: u64, moved: &Moved) -> Self {
        Self {
            counted: PairSums::data(data),
            sent_bytes: moved.sent_bytes.min(BYTES_MAX),
            received_bytes: moved.received_bytes.min(BYTES_MAX),
        }
    }
}

impl Sums for HopSums {
    #[inline]
    fn add(&mut self, other: &Self) {
        self.counted.add(&other.counted);
        self.sent_bytes = self.sent_bytes.wrapping_add(other.sent_bytes);
        self.received_bytes = self.received_bytes.wrapping_add(other.received_bytes);
    }

    #[inline]
    fn since(&self, earlier: &Self) -> Self {
        Self {
            counted: self.counted.since(&earlier.counted),
            sent_bytes: self.sent_bytes.wrapping_sub(earlier.sent_bytes),
            received_bytes: self.received_bytes.wrapping_sub(earlier.received_bytes),
        }
    }

    #[inline]
    fn timed(&self) -> bool {
        self.counted.timed()
    }

    fn scaled(&self, part: f64) -> Self {
        let of = |value: u64| (value as f64 * part) as u64;
        Self {
            counted: self.counted.scaled(part),
            sent_bytes: of(self.sent_bytes),
            received_bytes: of(self.received_bytes),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Hop {
    /// Which use of the slot.
    pub used: u32,
    /// In no list of free slots.
    pub taken: bool,
    /// Its place in the window, `NONE` while it drains.
    pub place: u32,
    pub dirty: bool,
    /// Live flows and attempts.
    pub flows: u32,
    pub estimate: f64,
    pub added_us: u64,
    pub last_us: Option<u64>,
    pub excluded_until_us: u64,
}

impl Hop {
    pub fn in_window(&self) -> bool {
        self.taken && self.place != NONE
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub hop: u32,
    pub hop_used: u32,
    pub destination: u32,
    /// Its place among the destination's pairs, `NONE` for a slot that is free.
    pub place: u32,
    /// In the destination's buckets, and where.
    pub weight: u64,
    pub index: u32,
    pub dirty: bool,
    /// Failed in the past K and moved nothing.
    pub failing: bool,
    /// Live flows and attempts, and the attempts among them.
    pub flows: u32,
    pub attempts: u32,
    pub last_us: Option<u64>,
    pub excluded_until_us: u64,
}

/// A failed connection that may be retried.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub address: [u64; 2],
    pub end_us: u64,
    /// Every hop of its chain, itself included, with the use of its slot.
    pub hops: Vec<(u32, u32)>,
}

pub(crate) struct Destination {
    pub used: u32,
    pub taken: bool,
    pub key: Box<[u8]>,
    /// Live flows and attempts.
    pub flows: u32,
    pub last_us: Option<u64>,
    pub pairs: Vec<u32>,
    /// Pairs with data, by weight; the ids are those of pairs.
    pub buckets: Buckets,
    pub dirty: Vec<u32>,
    /// Longest waiting first.
    pub failed: Vec<Failed>,
}

/// Who asks for a connection: the source half of a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub address: [u8; 16],
    pub port: u16,
    pub protocol: u8,
}

impl Source {
    /// Bytes of its form on the wire: address | port, big-endian | protocol.
    pub const BYTES: usize = 19;

    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut address = [0; 16];
        address.copy_from_slice(&bytes[..16]);
        Self { address, port: u16::from_be_bytes([bytes[16], bytes[17]]), protocol: bytes[18] }
    }

    #[inline]
    pub(crate) fn words(&self) -> [u64; 2] {
        let whole = u128::from_be_bytes(self.address);
        [(whole >> 64) as u64, whole as u64]
    }

    #[inline]
    pub(crate) fn tuple(&self, to: DestinationId) -> Tuple {
        let ports = u64::from(self.port) << 16 | u64::from(self.protocol);
        Tuple { address: self.words(), rest: [ports, to.number()] }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub address: [u64; 2],
    /// Port and protocol; the destination's id.
    pub rest: [u64; 2],
}

impl Hash for Tuple {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let pair = |[a, b]: [u64; 2]| u128::from(a) << 64 | u128::from(b);
        state.write_u128(pair(self.address));
        state.write_u128(pair(self.rest));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The slot is nobody's.
    Free,
    Live,
    Idle,
}

/// What a record touches of a flow: a cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Flow {
    pub pending: Pending,
    pub hop: u32,
    /// `NONE` once it is idle.
    pub pair: u32,
    pub used: u32,
    pub life: Life,
    /// Something has come for it.
    pub answered: bool,
    /// Something of what is pending weighs.
    pub timed: bool,
    /// Something is pending.
    pub dirty: bool,
}

/// The rest of it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub interval: PacketInterval,
    pub tuple: Tuple,
    pub destination: u32,
    pub destination_used: u32,
    pub hop_used: u32,
    /// Its number among all connections, for the log.
    pub serial: u64,
}

/// Slots of one kind: those that are free, and the windows of all.
pub(crate) struct Slots {
    pub free: Vec<u32>,
    pub made: u32,
}

impl Slots {
    pub fn new() -> Self {
        Self { free: Vec::new(), made: 0 }
    }

    /// A free slot, or the next one if there are fewer than `limit`.
    pub fn take(&mut self, limit: usize) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        if self.made as usize >= limit {
            return None;
        }
        self.made += 1;
        Some(self.made - 1)
    }

    pub fn give(&mut self, slot: u32) {
        self.free.push(slot);
    }

    pub fn taken(&self) -> usize {
        self.made as usize - self.free.len()
    }
}

/// Small windows of hops and of pairs.
pub(crate) type HopWindows = Sequences<HopSums>;
pub(crate) type PairWindows = Sequences<PairSums>;
