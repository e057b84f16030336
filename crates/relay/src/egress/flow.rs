//! Who pays for the packets that wait, and the tags that this earns them.
//!
//! Start-time fair queueing: a flow's first packet has as its tag where the flow's last one ended, or virtual time if that is
//! later; it ends bytes / weight further on. Virtual time is the tag of the packet that was sent last. The smallest tag goes
//! first, so flows that wait are served in proportion to their weights, within a packet of each.
//!
//! Source: Goyal, Vin, Cheng, "Start-time fair queuing" (1996). A tag is given to a flow's first packet only, so that what is
//! dropped behind it costs the flow nothing, and a weight that changes counts for all that waits.

/// A tag's unit is 2^-32 bytes per credit per second.
const SHIFT: u32 = 32;

/// Who a packet's way is paid by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// A circuit's direction: the id that this node gave out for it. 0 is the link itself: control traffic, before all data and
    /// never dropped for its age.
    pub cid: u32,
    /// Credits per second that it is willing to pay here while it has to wait. 0 is served as 1 is, and pays nothing.
    pub weight: u32,
}

impl Payer {
    /// The link itself.
    pub const LINK: Self = Self { cid: 0, weight: 0 };

    /// Whether it is the link itself.
    #[inline]
    pub const fn is_link(self) -> bool {
        self.cid == 0
    }
}

/// What a flow owes for having waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// The flow; 0 is flows whose state was given up for want of memory, all in one.
    pub cid: u32,
    /// Its weight over the time that packets of it waited: credits per second times microseconds.
    pub credit_us: u64,
    /// Bytes of its packets that left after they had waited.
    pub bytes: u64,
}

impl Charge {
    pub(super) fn is_zero(&self) -> bool {
        self.credit_us == 0 && self.bytes == 0
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.credit_us = self.credit_us.saturating_add(other.credit_us);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// No place, no turn.
pub(super) const NONE: u32 = u32::MAX;

/// A flow of which packets wait, or which has had more than virtual time allows.
pub(super) struct Flow {
    pub weight: u32,
    /// The tag of its first packet; where its last one ended while none waits.
    pub tag: u64,
    /// The number of its turn; of an older one, what stands in the order holds no more. 0 while none waits.
    pub turn: u64,
    /// Likewise among those to give up first.
    pub stamp: u64,
    /// Its packets' places.
    pub first: u32,
    pub last: u32,
    pub bytes: u64,
    /// Since when it has waited, as far as it is charged.
    pub since_us: u64,
    pub owed: Charge,
}

impl Flow {
    pub fn new(payer: Payer) -> Self {
        let owed = Charge { cid: payer.cid, ..Charge::default() };
        Self { weight: payer.weight, tag: 0, turn: 0, stamp: 0, first: NONE, last: NONE, bytes: 0, since_us: 0, owed }
    }

    pub fn waits(&self) -> bool {
        self.first != NONE
    }

    /// How much further its tag is after so many bytes.
    #[inline]
    pub fn span(&self, bytes: u64) -> u64 {
        // A packet's bytes fit by far; of a backlog that does not, no more is asked than that it is large.
        (bytes.min(u64::MAX >> SHIFT) << SHIFT) / u64::from(self.weight.max(1))
    }

    /// Charges it for the time until now.
    pub fn settle(&mut self, now_us: u64) {
        if self.waits() {
            let waited_us = now_us.saturating_sub(self.since_us);
            self.owed.credit_us = self.owed.credit_us.saturating_add(waited_us.saturating_mul(u64::from(self.weight)));
            self.since_us = now_us;
        }
    }

    /// It pays this from now on. What it has had stays what it was in bytes, and is paid off at the new weight.
    pub fn reweigh(&mut self, weight: u32, virtual_tag: u64) {
        let ahead = u128::from(self.tag.saturating_sub(virtual_tag)) * u128::from(self.weight.max(1));
        self.weight = weight;
        let ahead = u64::try_from(ahead / u128::from(weight.max(1))).unwrap_or(u64::MAX >> 2);
        self.tag = self.tag.min(virtual_tag).saturating_add(ahead.min(u64::MAX >> 2));
    }
}
