//! What a node keeps of a neighbour: what its balance is read from, and apart from that two accounts with their books.

use crate::mint::Given;

/// A link's price in parts of a credit per byte from which on it counts as full.
const PRICE_LEAST: u64 = 1024;

/// The most credits an account holds.
pub const BALANCE_MOST: u64 = 1 << 53;

/// What moved on an account since it was opened: balance = opening + minted − decayed − spent + earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Books {
    pub opening: u64,
    pub minted: u128,
    /// The rest of the change. Below zero by no more than a unit's rounding.
    pub decayed: i128,
    pub spent: u128,
    pub earned: u128,
}

impl Books {
    /// What they come to; an account holds this, to the unit.
    pub fn balance(&self) -> i128 {
        i128::from(self.opening) + self.minted as i128 - self.decayed - self.spent as i128 + self.earned as i128
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.opening = self.opening.saturating_add(other.opening);
        self.minted += other.minted;
        self.decayed += other.decayed;
        self.spent += other.spent;
        self.earned += other.earned;
    }
}

/// Where there is no neighbour.
pub(crate) const CLOSED: u64 = u64::MAX;

/// All that a balance is read from, two to a cache line: reading many in any order costs a line for each.
#[derive(Clone, Debug, Hash)]
#[repr(align(32))]
pub(crate) struct Holding {
    /// a − w·M as it is kept (see clock.rs): time does nothing to it but halve it from epoch to epoch.
    pub apart: i128,
    pub weight: u64,
    /// Which this and the neighbour's other amounts are of; [`CLOSED`] for a free place and for a neighbour that left.
    pub epoch: u64,
}

impl Default for Holding {
    fn default() -> Self {
        Self { apart: 0, weight: 0, epoch: CLOSED }
    }
}

const _: () = assert!(size_of::<Holding>() == 32);

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Account {
    /// As of when it was last settled.
    pub balance: u64,
    pub opening: u64,
    pub minted: u128,
    pub decayed: i128,
    pub spent: u128,
    pub earned: u128,
}

impl Account {
    pub fn books(&self) -> Books {
        let &Self { opening, minted, decayed, spent, earned, .. } = self;
        Books { opening, minted, decayed, spent, earned }
    }
}

/// The rest.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Neighbour {
    /// Removed, and named by a connection still.
    pub leaving: bool,
    pub settled_us: u64,

    pub account: Account,
    /// N when it was last settled, and what of it was not booked yet, in 1/2^48.
    pub given: Given,
    pub part: u64,

    pub mirror: Account,
    /// The mirror's increase: per second; and what it converges to, in 1/2^64.
    pub expected: u64,
    pub limit: u128,
    /// What it is more than that, as `Holding::apart`.
    pub mirror_apart: i128,
    /// Bytes that it carried for us, decaying; as amounts are kept.
    pub contributed: u128,

    pub report: u64,
    pub report_increase: u64,
    /// `u64::MAX` for never.
    pub reported_us: u64,

    /// log2, in 1/2^32; and what it was lately.
    pub value: i64,
    pub value_lately: i64,
    /// Credits per second that it paid for connections in the latest period.
    pub pays: u64,
    /// Credits charged on the link to it and bytes they were for, decaying over a minute, in 1/2^16.
    pub price_credits: u64,
    pub price_bytes: u64,
    pub announced_in: u64,
    pub announced_out: u64,
    pub connections: u32,
    pub rented: u32,
    pub carry: i64,
    pub throttled: u64,
    pub overdrawn: u64,
    pub rent: u64,
    pub always: u64,
    pub load: u64,

    /// For the settlement that runs: what is due from it; then what it pays here, per second.
    pub due: u128,
    /// What it has; then what is wanted there, per second.
    pub purse: u128,
}

impl Neighbour {
    /// Whether connections have been charged for waiting for the link to it, over the latest minute.
    pub fn is_full(&self) -> bool {
        self.price_credits > self.price_bytes / PRICE_LEAST
    }
}
