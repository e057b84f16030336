//! A node's connections: opened, announced, charged and closed.

use wayfare_types::Reason;

use crate::connection::{Change, Connection, Direction, Flow, SELF, rate, rate_of};
use crate::ledger::{Ledger, Refusal};

impl Ledger {
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
        n.announced_in = n.announced_in + u64::from(per_second) - u64::from(rate_of(before));
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
