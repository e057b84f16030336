//! What is to be read of a node's accounts, and what of them is kept through a restart.

use std::fmt::{Display, Write};

use wayfare_credit::{ConfigError, ConnectionRow, Direction, Flow, NeighbourRow, Opening, SELF};
use wayfare_quic::Instant;
use wayfare_types::NodeId;

use crate::api::CircuitId;
use crate::circuits::Circuit;
use crate::engine::Engine;

/// What is kept of a neighbour: amounts in credits, `expected` credits per second, `value` octaves in 1/2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub peer: NodeId,
    /// What it may spend here.
    pub account: u64,
    /// What we may spend there.
    pub mirror: u64,
    /// Bytes that it carried for us, decayed.
    pub contributed: u64,
    pub value: i64,
    pub expected: u64,
}

impl Account {
    /// JSON of `KeptAccount[]` in ts/core.
    pub fn to_json(accounts: &[Self]) -> String {
        array(accounts.iter().map(|kept| {
            Json::object(|j| {
                j.set("peer", format_args!("\"{}\"", kept.peer))
                    .set("account", kept.account)
                    .set("mirror", kept.mirror);
                j.set("contributed", kept.contributed).set("value", octaves(kept.value)).set("expected", kept.expected);
            })
        }))
    }

    /// One that was kept: amounts are whole numbers up to 2^53, `value` octaves. `None` for what is none.
    pub fn from_numbers(peer: NodeId, [account, mirror, contributed, value, expected]: [f64; 5]) -> Option<Self> {
        let amount = |n: f64| (n.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&n)).then_some(n as u64);
        let value = (value.abs() <= 10.0).then_some((value * (1u64 << 32) as f64) as i64)?;
        let [account, mirror, contributed] = [amount(account)?, amount(mirror)?, amount(contributed)?];
        // A rate beyond what is kept would be refused with the account it came with.
        Some(Self { peer, account, mirror, contributed, value, expected: amount(expected)?.min(1 << 32) })
    }
}

/// JSON objects, an entry at a time.
struct Json(String);

impl Json {
    fn object(write: impl FnOnce(&mut Self)) -> String {
        let mut json = Self("{".into());
        write(&mut json);
        json.0.push('}');
        json.0
    }

    fn set(&mut self, name: &str, value: impl Display) -> &mut Self {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        // A string takes whatever is written to it.
        let _ = write!(self.0, "\"{name}\":{value}");
        self
    }
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn octaves(value: i64) -> f64 {
    value as f64 / (1u64 << 32) as f64
}

fn quoted(peer: Option<NodeId>) -> String {
    peer.map_or("null".into(), |peer| format!("\"{peer}\""))
}

fn flow(flow: &Flow) -> String {
    Json::object(|j| {
        j.set("in", flow.class_in).set("out", flow.class_out).set("weight", flow.weight());
        j.set("paid", flow.paid).set("throttled", flow.throttled).set("rent", flow.rent);
        j.set("always", flow.always).set("load", flow.load).set("rest", flow.rest()).set("passed", flow.passed);
        j.set("charged", flow.charged).set("bytes", flow.bytes);
    })
}

fn neighbour(peer: NodeId, row: &NeighbourRow, waited_bytes: u64) -> String {
    Json::object(|j| {
        j.set("peer", format_args!("\"{peer}\"")).set("account", row.account).set("mirror", row.mirror);
        j.set("contributed", row.contributed).set("value", octaves(row.value)).set("expected", row.expected);
        j.set("valueLately", octaves(row.value_lately));
        j.set("increase", row.increase).set("connections", row.connections);
        // What it said of `mirror`: the other view of the same account.
        j.set("report", row.reported_us.map_or("null".into(), |_| row.report.to_string()));
        j.set("reportIncrease", row.reported_us.map_or("null".into(), |_| row.report_increase.to_string()));
        j.set("price", row.price as f64 / 65_536.0);
        j.set("announcedIn", row.announced_in).set("announcedOut", row.announced_out);
        let (account, mirror) = (&row.account_books, &row.mirror_books);
        for (name, books) in [("books", account), ("mirrorBooks", mirror)] {
            let books = Json::object(|j| {
                j.set("opening", books.opening).set("minted", books.minted).set("decayed", books.decayed);
                j.set("spent", books.spent).set("earned", books.earned);
            });
            j.set(name, books);
        }
        j.set("throttled", row.throttled).set("overdrawn", row.overdrawn).set("carry", row.carry);
        j.set("rent", row.rent).set("always", row.always).set("load", row.load).set("waitedBytes", waited_bytes);
    })
}

/// A circuit's flows.
#[derive(Clone, Copy, Debug)]
pub struct CircuitCredit {
    pub circuit: CircuitId,
    /// Forward and backward, as of the latest settlement.
    pub flows: [Flow; 2],
}

impl Engine {
    /// The flows of all circuits.
    pub fn circuit_credits(&self) -> Vec<CircuitCredit> {
        let (mut all, mut from) = (Vec::new(), 0);
        while let Some(row) = self.credits.ledger.connection_from(from) {
            from = row.connection + 1;
            all.push(CircuitCredit { circuit: self.credits.circuit_of(row.connection), flows: row.flows });
        }
        all
    }

    /// JSON of the flows of all circuits (`CircuitCredits[]` in ts/core).
    pub fn credits_circuits(&self) -> String {
        let members = self.credits.members();
        let peer = |id: u32| {
            let found = members.binary_search_by_key(&id, |&(_, neighbour)| neighbour);
            found.ok().map(|at| members[at].0)
        };
        let mut circuits = Vec::new();
        let mut from = 0;
        while let Some(row) = self.credits.ledger.connection_from(from) {
            from = row.connection + 1;
            let circuit = self.credits.circuit_of(row.connection);
            let role = match self.circuits.get(&circuit) {
                Some(Circuit::Relay(_)) => "\"relay\"",
                Some(Circuit::Exit(_)) => "\"exit\"",
                Some(Circuit::Client(_)) => "\"client\"",
                None => "null",
            };
            let ConnectionRow { previous, next, rented, arrears, own, flows, .. } = &row;
            let end = |id: u32| quoted((id != SELF).then(|| peer(id)).flatten());
            circuits.push(Json::object(|j| {
                j.set("circuit", circuit).set("role", role).set("previous", end(*previous)).set("next", end(*next));
                j.set("rented", rented).set("arrears", arrears).set("own", own);
                j.set("forward", flow(&flows[Direction::Forward as usize]));
                j.set("backward", flow(&flows[Direction::Backward as usize]));
            }));
        }
        array(circuits.into_iter())
    }

    /// JSON of all accounts, prices and books (`NodeCredits` in ts/core).
    pub fn credits(&mut self, now: Instant) -> String {
        let now_us = self.credits.us(now);
        let mut neighbours = Vec::new();
        for (peer, id) in self.credits.members() {
            let waited_bytes = self.credits.waited_bytes(id);
            neighbours.extend(self.credits.ledger.neighbour(now_us, id).map(|row| neighbour(peer, &row, waited_bytes)));
        }
        let books = self.credits.ledger.books(now_us);
        let (accounts, totals) = (&books.accounts, &books.totals);
        let books = Json::object(|j| {
            j.set("opening", accounts.books.opening).set("minted", accounts.books.minted);
            j.set("decayed", accounts.books.decayed).set("spent", accounts.books.spent);
            j.set("earned", accounts.books.earned).set("burned", accounts.burned);
            j.set("paid", totals.paid).set("own", totals.own).set("rent", totals.rent).set("always", totals.always);
            j.set("load", totals.load).set("turned", totals.turned).set("home", totals.home).set("rest", totals.rest);
            j.set("valuedUp", totals.valued_up).set("valuedDown", totals.valued_down).set("passed", totals.passed);
            j.set("carry", books.carry).set("kept", totals.kept).set("overdrawn", totals.overdrawn);
        });
        let (config, held) = (self.credits.ledger.config().clone(), self.credits.ledger.held());
        Json::object(|j| {
            j.set("now_us", now_us).set("increase", config.increase).set("halfLife_us", config.half_life_us);
            j.set("free", config.free).set("fill", f64::from(held.2) / f64::from(config.capacity));
            j.set("neighbours", array(neighbours.into_iter()));
            j.set("books", books);
        })
    }

    /// The accounts of all neighbours, those that are away included, as they are now.
    pub fn credits_export(&mut self, now: Instant) -> Vec<Account> {
        let now_us = self.credits.us(now);
        let mut all = Vec::new();
        for (peer, id) in self.credits.members() {
            all.extend(self.credits.opening(now_us, id).map(|opening| (peer, opening)));
        }
        all.extend(self.credits.kept(now_us));
        let account = |(peer, Opening { account, mirror, contributed, value, expected, .. })| Account {
            peer,
            account,
            mirror,
            contributed,
            value,
            expected,
        };
        all.into_iter().map(account).collect()
    }

    /// Takes accounts as they were so many microseconds ago, before links to those neighbours are up: what they hold has decayed since.
    /// Whose link is up keeps what it has. How many were taken.
    pub fn credits_restore(&mut self, now: Instant, ago_us: u64, accounts: &[Account]) -> usize {
        let left_us = i64::try_from(self.credits.us(now)).unwrap_or(i64::MAX).saturating_sub_unsigned(ago_us);
        let away = |account: &&Account| account.peer != self.id && !self.credits.is_member(account.peer);
        let away: Vec<Account> = accounts.iter().filter(away).copied().collect();
        for &Account { peer, account, mirror, contributed, value, expected } in &away {
            self.credits.keep(peer, left_us, Opening { account, mirror, contributed, value, expected });
        }
        away.len()
    }

    /// Other settings from now on; half-life, periods and capacity stay.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn credits_configure(&mut self, now: Instant, config: wayfare_credit::Config) -> Result<(), ConfigError> {
        let now_us = self.credits.us(now);
        self.credits.ledger.configure(now_us, config)
    }
}
