//! What a node keeps of a neighbour: two accounts, each with its books.

use crate::clock::halved;
use crate::mint::Stand;

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

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Account {
    /// In 1/2^64 credits of the neighbour's epoch.
    pub amount: u128,
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

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Neighbour {
    /// In use; false for a free slot.
    pub live: bool,
    /// Removed, and named by a connection still.
    pub leaving: bool,
    /// What epoch amounts and stands are of, and when they were last settled.
    pub epoch: u64,
    pub settled_us: u64,

    pub account: Account,
    pub weight: u64,
    pub stand: Stand,

    pub mirror: Account,
    /// The mirror's increase: per second; and at equilibrium, in 1/2^64.
    pub expected: u64,
    pub expected_limit: u128,
    /// As `Mint::base_share`, when last settled.
    pub expected_stand: u128,
    /// What we spent there, decaying; as amounts are kept.
    pub contributed: u128,

    pub report: u64,
    pub report_increase: u64,
    /// `u64::MAX` for never.
    pub reported_us: u64,

    /// log2, in 1/2^32.
    pub value: i64,
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
    /// Brings what is kept to a later epoch's units.
    #[inline]
    pub fn rescale(&mut self, epoch: u64) {
        let epochs = epoch - self.epoch;
        if epochs > 0 {
            self.account.amount = halved(self.account.amount, epochs);
            self.mirror.amount = halved(self.mirror.amount, epochs);
            self.contributed = halved(self.contributed, epochs);
            self.epoch = epoch;
        }
    }
}
