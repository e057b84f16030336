//! What there is to read: of a neighbour, of a connection, of the whole node.

use wayfare_types::Counters;

use crate::accounts::Sum;
use crate::connection::{Connection, Flow, SELF};
use crate::ledger::{Ledger, Refusal, Tallies};
use crate::neighbour::{Books, Holding, Neighbour};

/// What connections moved, over the whole node: paid + own = rent + always + load + home + rest, and
/// rest + valued_up − valued_down = passed + carry + kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    pub paid: u128,
    pub own: u128,
    pub rent: u128,
    pub always: u128,
    pub load: u128,
    pub turned: u128,
    pub home: u128,
    pub rest: u128,
    pub valued_up: u128,
    pub valued_down: u128,
    pub passed: u128,
    pub overdrawn: u128,
    pub kept: i128,
    /// What was carried towards neighbours that left.
    pub carry_left: i128,
}

/// A node's books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeBooks {
    pub accounts: Sum,
    pub mirrors: Sum,
    pub totals: Totals,
    /// Towards all neighbours, those that left included.
    pub carry: i128,
}

/// All that is kept of a neighbour. Value and price in 1/2^32 octaves and 1/2^16 credits per byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeighbourRow {
    pub neighbour: u32,
    pub account: u64,
    pub mirror: u64,
    pub contributed: u64,
    pub value: i64,
    /// What it was lately: credits pass at the less favourable of both.
    pub value_lately: i64,
    pub expected: u64,
    /// Minted for it per second, rounded down.
    pub increase: u64,
    pub report: u64,
    pub report_increase: u64,
    pub reported_us: Option<u64>,
    pub price: u64,
    pub announced_in: u64,
    pub announced_out: u64,
    pub connections: u32,
    pub account_books: Books,
    pub mirror_books: Books,
    pub throttled: u64,
    pub overdrawn: u64,
    pub carry: i64,
    pub rent: u64,
    pub always: u64,
    pub load: u64,
    pub leaving: bool,
}

/// All that is kept of a connection, as of its latest settlement; ends are [`SELF`] for this node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConnectionRow {
    pub connection: u32,
    pub previous: u32,
    pub next: u32,
    pub opened_us: u64,
    pub rented: bool,
    pub arrears: u64,
    pub own: u8,
    pub flows: [Flow; 2],
}

impl Ledger {
    fn row(&mut self, id: u32) -> NeighbourRow {
        self.rest();
        self.accounts.settle(id);
        let weights = u128::from(self.accounts.mint.weights().max(1));
        let contributed = self.accounts.contributed(id);
        let n = &self.accounts.slots[id as usize];
        let weight = u128::from(self.accounts.holdings[id as usize].weight);
        let increase = u128::from(self.accounts.mint.per_second()) * weight / weights;
        NeighbourRow {
            neighbour: id,
            account: n.account.balance,
            mirror: n.mirror.balance,
            contributed,
            value: n.value,
            value_lately: n.value_lately,
            expected: n.expected,
            increase: increase as u64,
            report: n.report,
            report_increase: n.report_increase,
            reported_us: Some(n.reported_us).filter(|&us| us < u64::MAX),
            price: ((u128::from(n.price_credits) << 16) / u128::from(n.price_bytes.max(1))) as u64,
            announced_in: n.announced_in,
            announced_out: n.announced_out,
            connections: n.connections,
            account_books: n.account.books(),
            mirror_books: n.mirror.books(),
            throttled: n.throttled,
            overdrawn: n.overdrawn,
            carry: n.carry,
            rent: n.rent,
            always: n.always,
            load: n.load,
            leaving: n.leaving,
        }
    }

    /// A neighbour's record, settled to now. One that leaves has one as long as a connection names it.
    pub fn neighbour(&mut self, now_us: u64, id: u32) -> Result<NeighbourRow, Refusal> {
        self.accounts.advance(now_us);
        if self.accounts.named(id) { Ok(self.row(id)) } else { Err(Refusal::NeighbourUnknown) }
    }

    /// The first neighbour from an id on that there is.
    pub fn neighbour_from(&mut self, now_us: u64, from: u32) -> Option<NeighbourRow> {
        self.accounts.advance(now_us);
        let id = (from..self.accounts.slots.len() as u32).find(|&id| self.accounts.named(id))?;
        Some(self.row(id))
    }

    /// A connection's record.
    pub fn connection_row(&self, id: u32) -> Result<ConnectionRow, Refusal> {
        let &Connection { previous, next, opened_us, rented, arrears, own, flows, .. } = self.connection(id)?;
        Ok(ConnectionRow { connection: id, previous, next, opened_us, rented, arrears, own, flows })
    }

    /// The first connection from an id on that there is.
    pub fn connection_from(&self, from: u32) -> Option<ConnectionRow> {
        (from..self.connections.len() as u32).find_map(|id| self.connection_row(id).ok())
    }

    /// The whole node's books, settled to now.
    pub fn books(&mut self, now_us: u64) -> NodeBooks {
        self.accounts.advance(now_us);
        let [accounts, mirrors] = self.accounts.sums();
        let carried: i128 = self.accounts.slots.iter().map(|n| i128::from(n.carry)).sum();
        NodeBooks { accounts, mirrors, totals: self.totals, carry: carried + self.totals.carry_left }
    }

    /// Neighbours, those of them that left and are named still, and connections.
    pub fn held(&self) -> (u32, u32, u32) {
        let used = self.accounts.slots.len() - self.accounts.free.len();
        (self.accounts.live, used as u32 - self.accounts.live, self.live)
    }

    /// What was refused or dropped, by reason.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn tallies(&self) -> Tallies {
        Tallies { clock_fell: self.accounts.clock_fell, saturated: self.accounts.saturated, ..self.tallies }
    }

    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.accounts.holdings.capacity() * size_of::<Holding>()
            + self.accounts.slots.capacity() * size_of::<Neighbour>()
            + self.connections.capacity() * size_of::<Connection>()
            + (self.accounts.free.capacity() + self.free.capacity()) * size_of::<u32>()
            + self.active.memory_bytes()
            + self.settled.memory_bytes()
    }

    /// Whether this node is that end of a connection.
    pub fn is_self(end: u32) -> bool {
        end == SELF
    }
}

/// The most that [`Ledger::memory_bytes`] grows by with each.
pub const NEIGHBOUR_BYTES: usize = size_of::<Holding>() + size_of::<Neighbour>() + size_of::<u32>();
pub const CONNECTION_BYTES: usize = size_of::<Connection>() + size_of::<u32>() + 1;

const _: () = assert!(NEIGHBOUR_BYTES <= 512 && CONNECTION_BYTES <= 256);
