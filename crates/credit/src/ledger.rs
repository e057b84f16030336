//! One node's accounts and connections, and what is asked of them.

use std::fmt;

use wayfare_types::{Counters, Reason};

use crate::accounts::Accounts;
use crate::active::Active;
use crate::config::{Config, ConfigError, rate_fits};
use crate::connection::{Change, Connection, Direction, Flow, SELF, rate};
use crate::neighbour::BALANCE_MOST;
use crate::rows::Totals;
use crate::weigh::weigh;

/// Why a call was refused. Nothing else changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NeighbourUnknown,
    /// More neighbours than allowed.
    Full,
    ConnectionUnknown,
    /// This node is at both ends, or at neither where it must be at one.
    Ends,
    /// There is no such class. Counted.
    Class,
    /// The table of connections is full. Counted.
    TableFull,
    /// The flow or the payer's account does not cover the rent. Counted.
    Rent,
    /// An amount or a rate beyond what is kept.
    Amount,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeighbourUnknown => "there is no such neighbour",
            Self::Full => "there are as many neighbours as there may be",
            Self::ConnectionUnknown => "there is no such connection",
            Self::Ends => "this node is at one end of such a connection, and at one only",
            Self::Class => "there is no such class",
            Self::TableFull => "the table of connections is full",
            Self::Rent => "the rent is not covered",
            Self::Amount => "credits are at most 2^53, rates 2^40",
        })
    }
}

impl std::error::Error for Refusal {}

/// What a neighbour's accounts are opened with, as it was kept. `value` in 1/2^32 octaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    pub account: u64,
    pub mirror: u64,
    pub contributed: u64,
    pub value: i64,
    pub expected: u64,
}

/// What was counted beside reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tallies {
    pub throttled: u64,
    pub flows_unknown: u64,
    pub charges_unknown: u64,
    pub clock_fell: u64,
    pub clock_leapt: u64,
    pub saturated: u64,
}

/// See the crate's first paragraph. Calls that take `now_us` bring everything to that time; an earlier one counts as the latest.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) config: Config,
    pub(crate) accounts: Accounts,
    pub(crate) connections: Vec<Connection>,
    pub(crate) free: Vec<u32>,
    pub(crate) live: u32,
    pub(crate) active: Active,
    /// What the latest settlement settled.
    pub(crate) settled: Active,
    pub(crate) settled_us: u64,
    /// When values were last brought up to.
    pub(crate) valued_us: u64,
    pub(crate) weighed_us: u64,
    pub(crate) totals: Totals,
    pub(crate) tallies: Tallies,
    pub(crate) counters: Counters,
    pub(crate) seed: u64,
    pub(crate) opened: u64,
}

impl Ledger {
    /// `seed` is for the thresholds at which flows are rounded: unpredictable in a real node.
    pub fn new(config: Config, seed: u64, now_us: u64) -> Result<Self, ConfigError> {
        config.check()?;
        let accounts = Accounts::new(config.half_life_us, config.increase, now_us);
        let now_us = accounts.clock.now_us;
        Ok(Self {
            config,
            accounts,
            connections: Vec::new(),
            free: Vec::new(),
            live: 0,
            active: Active::default(),
            settled: Active::default(),
            settled_us: now_us,
            valued_us: now_us,
            weighed_us: now_us,
            totals: Totals::default(),
            tallies: Tallies::default(),
            counters: Counters::default(),
            seed,
            opened: 0,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Another configuration from now on; half-life, capacity and periods stay as they were.
    pub fn configure(&mut self, now_us: u64, config: Config) -> Result<(), ConfigError> {
        let Config { half_life_us, weigh_us, period_us, capacity, neighbours, .. } = self.config;
        let config = Config { half_life_us, weigh_us, period_us, capacity, neighbours, ..config };
        config.check()?;
        self.accounts.advance(now_us);
        let Accounts { clock, mint, .. } = &mut self.accounts;
        mint.change(clock, half_life_us, config.increase, mint.weights());
        let weigh_anew = config.rule != self.config.rule || config.newcomer_share != self.config.newcomer_share;
        self.config = config;
        if weigh_anew {
            weigh(&mut self.accounts, self.config.rule, self.config.newcomer_share);
        }
        if !self.config.valuation {
            self.accounts.slots.iter_mut().for_each(|n| (n.value, n.value_lately) = (0, 0));
        }
        Ok(())
    }

    /// Whether a neighbour has this id.
    pub(crate) fn known(&self, id: u32) -> Result<u32, Refusal> {
        match self.accounts.holdings.get(id as usize) {
            Some(holding) if holding.is_open() => Ok(id),
            _ => Err(Refusal::NeighbourUnknown),
        }
    }

    /// A neighbour, and its id. Amounts beyond 2^53 count as that, values beyond ten octaves as those.
    pub fn neighbour_add(&mut self, now_us: u64, opening: Opening) -> Result<u32, Refusal> {
        self.accounts.advance(now_us);
        if !rate_fits(opening.expected, self.config.half_life_us) {
            return Err(Refusal::Amount);
        }
        if self.accounts.live >= self.config.neighbours {
            return Err(Refusal::Full);
        }
        self.rest();
        let Opening { account, mirror, contributed, value, expected } = opening;
        let id = self.accounts.open(account, mirror, contributed);
        self.accounts.expect(id, expected);
        if self.config.valuation {
            let value = value.clamp(-crate::valuation::MOST, crate::valuation::MOST);
            let n = &mut self.accounts.slots[id as usize];
            (n.value, n.value_lately) = (value, value);
        }
        Ok(id)
    }

    /// Gone: nothing is minted for it or paid by it any more. Its id is free once no connection names it.
    pub fn neighbour_remove(&mut self, now_us: u64, id: u32) -> Result<(), Refusal> {
        self.accounts.advance(now_us);
        self.known(id)?;
        self.accounts.close(id);
        self.release(id);
        Ok(())
    }

    /// Frees the id of a neighbour that left, once nothing names it.
    pub(crate) fn release(&mut self, id: u32) {
        let n = &mut self.accounts.slots[id as usize];
        if n.leaving && n.connections == 0 {
            self.totals.carry_left += i128::from(n.carry);
            *n = Default::default();
            self.accounts.free.push(id);
        }
    }

    /// What a neighbour is thought to mint for us from now on, credits per second.
    pub fn neighbour_expect(&mut self, now_us: u64, id: u32, per_second: u64) -> Result<(), Refusal> {
        self.accounts.advance(now_us);
        self.known(id)?;
        if !rate_fits(per_second, self.config.half_life_us) {
            return Err(Refusal::Amount);
        }
        self.accounts.expect(id, per_second);
        Ok(())
    }

    /// What a neighbour said of our account there and of what it mints for us: kept, and nothing else. `false` and counted if these are
    /// no amounts.
    pub fn neighbour_report(&mut self, now_us: u64, id: u32, balance: u64, per_second: u64) -> Result<bool, Refusal> {
        self.accounts.advance(now_us);
        self.known(id)?;
        if balance > BALANCE_MOST || per_second > BALANCE_MOST {
            self.counters.count(Reason::CreditReport);
            return Ok(false);
        }
        let n = &mut self.accounts.slots[id as usize];
        (n.report, n.report_increase, n.reported_us) = (balance, per_second, self.accounts.clock.now_us);
        Ok(true)
    }

    /// What a neighbour may spend here.
    #[inline]
    pub fn account(&mut self, now_us: u64, id: u32) -> Result<u64, Refusal> {
        self.accounts.advance(now_us);
        self.accounts.read(id).ok_or(Refusal::NeighbourUnknown)
    }

    /// What we may spend at a neighbour, by our calculation.
    #[inline]
    pub fn mirror(&mut self, now_us: u64, id: u32) -> Result<u64, Refusal> {
        self.accounts.advance(now_us);
        self.known(id)?;
        Ok(self.accounts.mirror(id))
    }

    /// A neighbour pays here for something else than a connection, and we may spend that there: what of it there was.
    pub fn spend(&mut self, now_us: u64, id: u32, credits: u64) -> Result<u64, Refusal> {
        self.accounts.advance(now_us);
        self.known(id)?;
        Ok(self.accounts.paid_by(id, credits))
    }

    /// We pay a neighbour for something else than a connection: what of it we had there. It counts as so many bytes that it carried.
    pub fn earn(&mut self, now_us: u64, id: u32, credits: u64) -> Result<u64, Refusal> {
        self.accounts.advance(now_us);
        self.known(id)?;
        let paid = self.accounts.paid_to(id, credits);
        self.accounts.carried_by(id, paid);
        Ok(paid)
    }

    /// What the scheduler charged for load since it last said, and the bytes it sent, uncharged ones included. `false` and counted if
    /// there is no such connection. Nothing is settled: that is for [`settle`](Self::settle).
    #[inline]
    pub fn charge(&mut self, id: u32, direction: Direction, credits: u64, bytes: u64) -> bool {
        if self.active.is_empty() {
            self.rest();
        }
        match self.connections.get_mut(id as usize) {
            Some(connection) if connection.live() => {
                let flow = &mut connection.flows[direction as usize];
                flow.claimed = flow.claimed.saturating_add(credits);
                flow.moved = flow.moved.saturating_add(bytes.min(u32::MAX.into()) as u32);
                flow.bytes = flow.bytes.saturating_add(bytes);
                self.active.insert(id);
                true
            }
            _ => {
                self.tallies.charges_unknown += 1;
                false
            }
        }
    }

    /// Credits per second a connection is willing to pay here, as its weight among those that wait: 0 counts as 1 there. 0 for no connection.
    #[inline]
    pub fn weight(&self, id: u32, direction: Direction) -> u32 {
        self.connections.get(id as usize).map_or(0, |connection| connection.flows[direction as usize].weight())
    }

    /// Of both directions of every id up to the largest in use.
    pub fn weights(&self) -> impl ExactSizeIterator<Item = [u32; 2]> + '_ {
        self.connections.iter().map(|connection| connection.flows.map(|flow| flow.weight()))
    }

    /// A connection between two neighbours, or with this node at one end ([`SELF`]). `announced` is the class announced with it,
    /// forward; at the client it is the class of its own.
    pub fn connection_open(
        &mut self,
        now_us: u64,
        previous: u32,
        next: u32,
        announced: u8,
        out: &mut Vec<Change>,
    ) -> Result<u32, Refusal> {
        self.accounts.advance(now_us);
        if previous == SELF && next == SELF {
            return Err(Refusal::Ends);
        }
        for id in [previous, next] {
            if id != SELF {
                self.known(id)?;
            }
        }
        let Some(per_second) = rate(announced) else {
            self.counters.count(Reason::CreditClass);
            return Err(Refusal::Class);
        };
        self.rest();
        let rented = self.admit(previous, per_second)?;
        self.opened += 1;
        let now_us = self.accounts.clock.now_us;
        let mut connection = Connection {
            previous,
            next,
            opened_us: now_us,
            settled_us: now_us,
            threshold: threshold(self.seed, self.opened),
            rented,
            ..Connection::free()
        };
        if previous == SELF {
            connection.own = announced;
        } else {
            connection.flows[0].class_in = announced;
        }
        let id = self.free.pop().unwrap_or(self.connections.len() as u32);
        match self.connections.get_mut(id as usize) {
            Some(slot) => *slot = connection,
            None => self.connections.push(connection),
        }
        self.live += 1;
        if rented || announced > 0 {
            self.active.insert(id);
        }
        for end in [previous, next] {
            if end != SELF {
                self.accounts.slots[end as usize].connections += 1;
            }
        }
        if previous != SELF {
            let n = &mut self.accounts.slots[previous as usize];
            n.rented += u32::from(rented);
            n.announced_in += u64::from(per_second);
        }
        self.judge(id, Direction::Forward);
        self.announce(id, false, out);
        Ok(id)
    }

    pub(crate) fn connection(&self, id: u32) -> Result<&Connection, Refusal> {
        self.connections.get(id as usize).filter(|connection| connection.live()).ok_or(Refusal::ConnectionUnknown)
    }

    /// A neighbour announced another class: false and counted if there is no such class or connection, or nobody to announce it.
    pub fn connection_announced(
        &mut self,
        now_us: u64,
        id: u32,
        direction: Direction,
        class: u8,
        out: &mut Vec<Change>,
    ) -> bool {
        self.accounts.advance(now_us);
        let Some(per_second) = rate(class) else {
            self.counters.count(Reason::CreditClass);
            return false;
        };
        let payer = self.connection(id).map_or(SELF, |connection| connection.payer(direction));
        if payer == SELF {
            self.tallies.flows_unknown += 1;
            return false;
        }
        self.rest();
        self.settle_connection(id, false);
        let flow = &mut self.connections[id as usize].flows[direction as usize];
        let before = std::mem::replace(&mut flow.class_in, class);
        self.active.insert(id);
        let n = &mut self.accounts.slots[payer as usize];
        n.announced_in = n.announced_in + u64::from(per_second) - u64::from(crate::connection::rate_of(before));
        self.judge(id, direction);
        self.announce(id, false, out);
        true
    }

    /// The class this node adds: the client's own flow, or the server's beside what turns round.
    pub fn connection_own(&mut self, now_us: u64, id: u32, class: u8, out: &mut Vec<Change>) -> Result<(), Refusal> {
        self.accounts.advance(now_us);
        let connection = self.connection(id)?;
        if connection.previous != SELF && connection.next != SELF {
            return Err(Refusal::Ends);
        }
        rate(class).ok_or(Refusal::Class)?;
        self.rest();
        self.settle_connection(id, false);
        self.connections[id as usize].own = class;
        self.active.insert(id);
        self.announce(id, false, out);
        Ok(())
    }

    /// What comes to this connection's end, which is this node, stays here from now on instead of turning round: a circle of its own.
    pub fn connection_keep(&mut self, now_us: u64, id: u32, out: &mut Vec<Change>) -> Result<(), Refusal> {
        self.accounts.advance(now_us);
        if self.connection(id)?.next != SELF {
            return Err(Refusal::Ends);
        }
        self.rest();
        self.settle_connection(id, false);
        self.connections[id as usize].keeps = true;
        self.active.insert(id);
        self.announce(id, false, out);
        Ok(())
    }

    /// Settled to now and forgotten.
    pub fn connection_close(&mut self, now_us: u64, id: u32) -> Result<(), Refusal> {
        self.accounts.advance(now_us);
        self.connection(id)?;
        self.settle_connection(id, false);
        self.forget(id);
        Ok(())
    }

    /// A connection's flow in one direction, as of its latest settlement.
    pub fn flow(&self, id: u32, direction: Direction) -> Result<&Flow, Refusal> {
        self.connection(id).map(|connection| &connection.flows[direction as usize])
    }
}

/// Where between two classes a connection is rounded: its own, of a seed nobody else has (splitmix64).
fn threshold(seed: u64, number: u64) -> u32 {
    let mut x = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 32) as u32
}
