//! This node's accounts with its neighbours, and the flows of the circuits that it has (docs/decisions/0011).
//!
//! A neighbour is a member while a link to it is up; after that its accounts are kept for when it comes back. A circuit is a connection
//! of the ledger from where both its ends are known. What the ledger wants announced goes out as frames, what it wants as weights
//! goes to the circuits' ids, and what the queues charged comes back to it.

use std::collections::HashMap;
use std::time::Duration;

use wayfare_credit::{Change, Config, Direction, Ledger, Opening, Refusal, SELF, times_exp2};
use wayfare_quic::Instant;
use wayfare_relay::LinkId;
use wayfare_relay::egress::Charge;
use wayfare_types::{NodeId, Random, Reason};
use wayfare_wire::Control;

use crate::api::CircuitId;
use crate::circuits::Circuit;
use crate::engine::Engine;

/// Accounts kept of neighbours that are away, at most.
const KEPT_MAX: usize = 10_000;

/// What a circuit has to do with credits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Credit {
    /// Its number in the ledger, once both ends are known.
    pub connection: Option<u32>,
    /// The class announced with its set-up.
    pub announced: u8,
    /// The class to be announced away from the client, and the one that was.
    pub wanted: u8,
    pub told: u8,
}

/// A neighbour with a link up.
struct Member {
    neighbour: u32,
    links: u32,
}

/// A circuit that the ledger has as a connection.
#[derive(Clone, Copy, Debug)]
struct Entered {
    circuit: CircuitId,
    /// Its neighbours, backward and forward: [`SELF`] where this node is that end.
    ends: [u32; 2],
    /// By direction: what was charged that is no whole credit yet, in millionths.
    rests: [u64; 2],
    /// Likewise: what left after it had waited has been told this period, so that what came is not to be: some of that was dropped.
    queued: [bool; 2],
}

impl Entered {
    const NONE: Self = Self { circuit: 0, ends: [SELF; 2], rests: [0; 2], queued: [false; 2] };
}

/// See the module.
pub(crate) struct Credits {
    pub ledger: Ledger,
    origin: Instant,
    members: HashMap<NodeId, Member>,
    /// Accounts of neighbours that are away, and when they left: below zero, before this node started.
    kept: HashMap<NodeId, (i64, Opening)>,
    /// By connection.
    circuits: Vec<Entered>,
    /// By neighbour: bytes that waited for the link to it.
    waited: Vec<u64>,
    /// Circuits that begin or end here and have moved something since that was told.
    pub touched: Vec<CircuitId>,
    pub changes: Vec<Change>,
    settle_at: Option<Instant>,
}

impl Credits {
    pub fn new(config: &Config, circuits: usize, now: Instant, random: &mut dyn Random) -> Result<Self, String> {
        let mut seed = [0; 8];
        random.fill(&mut seed);
        let capacity = circuits.clamp(2, 1 << 24) as u32;
        let ledger = Ledger::new(Config { capacity, ..config.clone() }, u64::from_be_bytes(seed), 0);
        Ok(Self {
            ledger: ledger.map_err(|e| e.to_string())?,
            origin: now,
            members: HashMap::new(),
            kept: HashMap::new(),
            circuits: Vec::new(),
            waited: Vec::new(),
            touched: Vec::new(),
            changes: Vec::new(),
            settle_at: None,
        })
    }

    /// The ledger's time.
    pub fn us(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_micros() as u64
    }

    /// A link to a neighbour is up; its number.
    pub fn join(&mut self, now: Instant, peer: NodeId) -> u32 {
        if let Some(member) = self.members.get_mut(&peer) {
            member.links += 1;
            return member.neighbour;
        }
        let now_us = self.us(now);
        let kept = self.kept.remove(&peer).map(|kept| self.aged(now_us, kept));
        // More neighbours than there may be: their circuits are refused.
        let Ok(neighbour) = self.ledger.neighbour_add(now_us, kept.unwrap_or_default()) else { return SELF };
        if kept.is_none() {
            // Until it has said, it is taken to mint for us what we mint for it.
            let increase = self.ledger.neighbour(now_us, neighbour).map_or(0, |row| row.increase);
            let _ = self.ledger.neighbour_expect(now_us, neighbour, increase);
        }
        self.members.insert(peer, Member { neighbour, links: 1 });
        if let Some(waited) = self.waited.get_mut(neighbour as usize) {
            *waited = 0;
        }
        neighbour
    }

    /// What accounts of one that is away are worth now: nothing is minted for them.
    fn aged(&self, now_us: u64, (left_us, opening): (i64, Opening)) -> Opening {
        let us = i64::try_from(now_us).unwrap_or(i64::MAX).saturating_sub(left_us).max(0).unsigned_abs();
        let half_lives = (u128::from(us) << 32) / u128::from(self.ledger.config().half_life_us);
        let by = -i64::try_from(half_lives).unwrap_or(i64::MAX);
        let aged = |amount| times_exp2(amount, by.max(-(127 << 32)));
        Opening {
            account: aged(opening.account),
            mirror: aged(opening.mirror),
            contributed: aged(opening.contributed),
            ..opening
        }
    }

    /// A link to a neighbour is gone, and the circuits over it.
    pub fn leave(&mut self, now: Instant, peer: NodeId) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        member.links -= 1;
        if member.links > 0 {
            return;
        }
        let neighbour = member.neighbour;
        let now_us = self.us(now);
        self.members.remove(&peer);
        if let Some(opening) = self.opening(now_us, neighbour) {
            self.keep(peer, i64::try_from(now_us).unwrap_or(i64::MAX), opening);
        }
        let _ = self.ledger.neighbour_remove(now_us, neighbour);
    }

    pub fn opening(&mut self, now_us: u64, neighbour: u32) -> Option<Opening> {
        let row = self.ledger.neighbour(now_us, neighbour).ok()?;
        let [account, mirror, contributed] = [row.account, row.mirror, row.contributed];
        Some(Opening { account, mirror, contributed, value: row.value, expected: row.expected })
    }

    /// Keeps the accounts of one that is away; of too many, those that left first go.
    pub fn keep(&mut self, peer: NodeId, left_us: i64, opening: Opening) {
        if self.kept.len() >= KEPT_MAX
            && let Some(first) = self.kept.iter().min_by_key(|(peer, (left_us, _))| (*left_us, peer.0)).map(|(p, _)| *p)
        {
            self.kept.remove(&first);
        }
        self.kept.insert(peer, (left_us, opening));
    }

    /// Neighbours with links up, and their numbers.
    pub fn members(&self) -> Vec<(NodeId, u32)> {
        let mut all: Vec<_> = self.members.iter().map(|(&peer, member)| (peer, member.neighbour)).collect();
        all.sort_unstable_by_key(|&(_, neighbour)| neighbour);
        all
    }

    pub fn is_member(&self, peer: NodeId) -> bool {
        self.members.contains_key(&peer)
    }

    /// Those that are away, and what accounts are worth now.
    pub fn kept(&self, now_us: u64) -> Vec<(NodeId, Opening)> {
        let mut all: Vec<_> = self.kept.iter().map(|(&peer, &kept)| (peer, self.aged(now_us, kept))).collect();
        all.sort_unstable_by_key(|(peer, _)| peer.0);
        all
    }

    pub fn circuit_of(&self, connection: u32) -> CircuitId {
        self.circuits.get(connection as usize).map_or(0, |entered| entered.circuit)
    }

    /// Bytes that waited for the link to a neighbour since it came up.
    pub fn waited_bytes(&self, neighbour: u32) -> u64 {
        self.waited.get(neighbour as usize).copied().unwrap_or(0)
    }

    /// Settles a period from now on, if nothing is to be settled before.
    pub fn wake(&mut self, now: Instant) {
        self.settle_at.get_or_insert(now + Duration::from_micros(self.ledger.config().period_us));
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.settle_at
    }

    /// A circuit has moved so much since it was last told.
    fn moved(&mut self, connection: u32, direction: Direction, bytes: u64) {
        let queued = self.circuits.get(connection as usize).is_some_and(|entered| entered.queued[direction as usize]);
        if bytes > 0 && !queued {
            self.ledger.charge(connection, direction, 0, bytes);
        }
    }
}

impl Engine {
    /// Enters a circuit in the ledger: between the neighbours on these links, `None` where this node is that end.
    pub(crate) fn credit_open(
        &mut self,
        now: Instant,
        id: CircuitId,
        (previous, next): (Option<LinkId>, Option<LinkId>),
        class: u8,
    ) -> Result<u32, Reason> {
        let neighbour = |link: Option<LinkId>| match link {
            None => Ok(SELF),
            Some(link) => match self.links.get(&link).map(|link| link.neighbour) {
                Some(SELF) => Err(Reason::CircuitTableFull),
                Some(neighbour) => Ok(neighbour),
                None => Err(Reason::LinkGone),
            },
        };
        let (previous, next) = (neighbour(previous)?, neighbour(next)?);
        let credits = &mut self.credits;
        let now_us = credits.us(now);
        let opened = credits.ledger.connection_open(now_us, previous, next, class, &mut credits.changes);
        let connection = opened.map_err(|refusal| match refusal {
            Refusal::Rent => Reason::CreditRent,
            Refusal::Class => Reason::CreditClass,
            Refusal::NeighbourUnknown => Reason::LinkGone,
            _ => Reason::CircuitTableFull,
        })?;
        let at = connection as usize;
        if credits.circuits.len() <= at {
            credits.circuits.resize(at + 1, Entered::NONE);
        }
        credits.circuits[at] = Entered { circuit: id, ends: [previous, next], ..Entered::NONE };
        // Who pays rent pays it each period.
        if credits.ledger.is_busy() {
            credits.wake(now);
        }
        Ok(connection)
    }

    /// A circuit has ended.
    pub(crate) fn credit_close(&mut self, now: Instant, credit: Credit) {
        if let Some(connection) = credit.connection {
            let now_us = self.credits.us(now);
            let _ = self.credits.ledger.connection_close(now_us, connection);
        }
    }

    /// A neighbour said what we have there.
    pub(crate) fn handle_credit(&mut self, now: Instant, link: LinkId, account: u64, increase: u64) {
        let Some(neighbour) = self.links.get(&link).map(|link| link.neighbour) else { return };
        let credits = &mut self.credits;
        let now_us = credits.us(now);
        match credits.ledger.neighbour_report(now_us, neighbour, account, increase) {
            Ok(true) => {
                // It moves no account; how ours there is thought to rise by itself is not believed beyond what we mint ourselves.
                let expected = increase.min(credits.ledger.config().increase);
                let _ = credits.ledger.neighbour_expect(now_us, neighbour, expected);
            }
            _ => self.counters.count(Reason::CreditReport),
        }
    }

    /// What circuits owe for having waited for a saturated link, from the host's queues.
    pub fn charge(&mut self, now: Instant, charges: impl IntoIterator<Item = Charge>) {
        for Charge { cid, credit_us, bytes } in charges {
            // One that has ended meanwhile, and flows that a queue had no memory for, pay no more.
            let Some((connection, direction)) = self.flow_of(cid) else { continue };
            let credits = &mut self.credits;
            let Some(Entered { ends, rests, queued, .. }) = credits.circuits.get_mut(connection as usize) else {
                continue;
            };
            let rest = &mut rests[direction as usize];
            let owed = rest.saturating_add(credit_us);
            *rest = owed % 1_000_000;
            queued[direction as usize] |= bytes > 0;
            let to = ends[1 - direction as usize] as usize;
            if to != SELF as usize {
                if credits.waited.len() <= to {
                    credits.waited.resize(to + 1, 0);
                }
                credits.waited[to] = credits.waited[to].saturating_add(bytes);
            }
            credits.ledger.charge(connection, direction, owed / 1_000_000, bytes);
            credits.wake(now);
        }
    }

    /// What came by these ids and is paid for, in bytes, from slots of the host's: where nothing waited, all of it has left.
    pub fn moved(&mut self, moved: impl IntoIterator<Item = (u32, u64)>) {
        for (cid, bytes) in moved {
            if let Some((connection, direction)) = self.flow_of(cid) {
                self.credits.moved(connection, direction, bytes);
            }
        }
    }

    /// The connection, and its direction, whose packets this id's slot pays for.
    fn flow_of(&self, cid: u32) -> Option<(u32, Direction)> {
        let circuit = self.circuits.get(&self.table.owner(cid)?)?;
        let direction = match circuit {
            Circuit::Relay(c) if c.backward_cid == Some(cid) => Direction::Backward,
            Circuit::Relay(_) | Circuit::Client(_) => Direction::Forward,
            Circuit::Exit(_) => Direction::Backward,
        };
        Some((circuit.credit().connection?, direction))
    }

    /// What this node's own slots and ends have moved.
    fn tell_moved(&mut self) {
        let mut moved = Vec::new();
        self.table.slots().take_moved(|cid, bytes| moved.push((cid, bytes)));
        self.moved(moved);
        for id in std::mem::take(&mut self.credits.touched) {
            let (moved, credit) = match self.circuits.get_mut(&id) {
                Some(Circuit::Client(c)) => (std::mem::take(&mut c.moved), c.credit),
                Some(Circuit::Exit(c)) => (std::mem::take(&mut c.moved), c.credit),
                _ => continue,
            };
            let Some(connection) = credit.connection else { continue };
            for (direction, bytes) in Direction::BOTH.into_iter().zip(moved) {
                self.credits.moved(connection, direction, bytes);
            }
        }
    }

    /// A period is over.
    pub(crate) fn settle_credits(&mut self, now: Instant) {
        if self.credits.settle_at.is_none_or(|at| at > now) {
            return;
        }
        self.tell_moved();
        let credits = &mut self.credits;
        credits.settle_at = None;
        let now_us = credits.us(now);
        if credits.ledger.settle(now_us, &mut credits.changes) {
            for connection in credits.ledger.settled() {
                if let Some(entered) = credits.circuits.get_mut(connection as usize) {
                    entered.queued = [false; 2];
                }
            }
        }
        self.credit_apply(now);
        for connection in self.credits.ledger.settled().collect::<Vec<_>>() {
            self.credit_weigh(connection);
        }
        if self.credits.ledger.is_busy() {
            self.credits.wake(now);
        }
    }

    /// Tells the neighbours with circuits what they have here. To be called once that is where a crash cannot take it back.
    pub fn credits_report(&mut self, now: Instant) {
        let now_us = self.credits.us(now);
        for (peer, neighbour) in self.credits.members() {
            let Ok(row) = self.credits.ledger.neighbour(now_us, neighbour) else { continue };
            let Some(link) = self.link_to(peer).filter(|link| self.links.get(link).is_some_and(|l| l.accounts)) else {
                continue;
            };
            if row.connections > 0 {
                self.send_control(link, &Control::Credit { account: row.account, increase: row.increase });
            }
        }
    }
}
