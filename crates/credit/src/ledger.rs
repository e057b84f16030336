//! One node's accounts with its neighbours, and what is asked of them. Its connections are in `connections`.

use std::fmt;

use wayfare_types::{Counters, Reason};

use crate::accounts::Accounts;
use crate::active::Active;
use crate::config::{Config, ConfigError, rate_fits};
use crate::connection::Connection;
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
}
