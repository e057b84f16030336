//! What a place in the table costs, who is let in, and who has to go.

use wayfare_types::Reason;

use crate::active::Active;
use crate::config::Config;
use crate::connection::{Change, SELF};
use crate::ledger::{Ledger, Refusal};

/// So many seconds of its rent a connection's payer must hold when it begins, of all that it rents already as well.
const HELD_S: u128 = 10;
/// From this fill on, in sixteenths, those in arrears are dropped.
const PRESSURE: u64 = 15;

impl Config {
    /// rent·((fill − 1/2)·2)² for so long, with so many connections in the table.
    pub(crate) fn rent_due(&self, connections: u32, us: u64) -> u64 {
        let capacity = u128::from(self.capacity);
        let over = (2 * u128::from(connections)).saturating_sub(capacity);
        (u128::from(self.rent) * over * over * u128::from(us) / (capacity * capacity * 1_000_000)) as u64
    }
}

impl Ledger {
    /// Whether a connection from this neighbour with this flow is let in, and pays rent.
    pub(crate) fn admit(&mut self, payer: u32, per_second: u32) -> Result<bool, Refusal> {
        if self.live >= self.config.capacity {
            self.counters.count(Reason::CircuitTableFull);
            return Err(Refusal::TableFull);
        }
        let half_full = 2 * u64::from(self.live) >= u64::from(self.config.capacity);
        if !half_full || payer == SELF {
            return Ok(false);
        }
        if !self.config.free {
            let rent = self.config.rent_due(self.live + 1, 1_000_000);
            let rented = u128::from(self.accounts.slots[payer as usize].rented) + 1;
            let held = u128::from(self.accounts.account(payer));
            if rent > u64::from(per_second) || held < HELD_S * u128::from(rent) * rented {
                self.counters.count(Reason::CreditRent);
                return Err(Refusal::Rent);
            }
        }
        Ok(true)
    }

    /// Under severe pressure: the largest arrears first, of equals the newest.
    pub(crate) fn drop_debtors(&mut self, due: &Active, out: &mut Vec<Change>) {
        let severe = |live: u32, capacity: u32| 16 * u64::from(live) >= PRESSURE * u64::from(capacity);
        if self.config.free || !severe(self.live, self.config.capacity) {
            return;
        }
        let connections = due.ids().map(|id| (id, &self.connections[id as usize]));
        let mut debtors: Vec<(u64, u64, u32)> = connections
            .filter(|(_, connection)| connection.arrears > 0)
            .map(|(id, connection)| (connection.arrears, connection.opened_us, id))
            .collect();
        debtors.sort_unstable();
        while let Some((_, _, id)) = debtors.pop()
            && severe(self.live, self.config.capacity)
        {
            self.forget(id);
            self.counters.count(Reason::CreditArrears);
            out.push(Change::Drop { connection: id });
        }
    }
}
