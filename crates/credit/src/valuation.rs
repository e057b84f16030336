//! What a credit at each neighbour is worth: what is wanted there over what there is.

use crate::connection::{Direction, SELF, rate_of};
use crate::ledger::Ledger;
use crate::power::{log2, times_exp2};

/// Ten octaves, in 1/2^32: values stay within.
pub(crate) const MOST: i64 = 10 << 32;

impl Ledger {
    /// target(n) = Σp share(p → n)·2^value(p)·account(p) / mirror(n), which the value of every n that credits flow to approaches by a
    /// quarter. Only differences of values count, so that the mean of those in use is kept at 0, where idle ones return.
    pub(crate) fn valuate(&mut self) {
        let Self { accounts, connections, .. } = self;
        for id in 0..accounts.slots.len() {
            let account = accounts.account(id as u32);
            let n = &mut accounts.slots[id];
            n.purse = 0;
            // A credit of its announced flow stands for so much, in 1/2^32.
            let worth = u128::from(times_exp2(account + 1, n.value)) << 32;
            n.due = worth.checked_div(n.announced_in.into()).unwrap_or(0);
        }
        for connection in connections.iter().filter(|connection| connection.live()) {
            for direction in Direction::BOTH {
                let (payer, payee) = (connection.payer(direction), connection.payee(direction));
                let class = connection.flows[direction as usize].class_in;
                if payer != SELF && payee != SELF && class > 0 {
                    let offer = accounts.slots[payer as usize].due;
                    accounts.slots[payee as usize].purse += offer * u128::from(rate_of(class));
                }
            }
        }
        let (mut sum, mut in_use) = (0, 0);
        for id in 0..accounts.slots.len() {
            let mirror = accounts.mirror(id as u32);
            let n = &mut accounts.slots[id];
            if n.purse > 0 {
                let target = log2(n.purse) - (32 << 32) - log2(u128::from(mirror) + 1);
                n.value += (target - n.value) / 4;
            }
            if n.purse > 0 || n.announced_in > 0 {
                sum += n.value;
                in_use += 1;
            } else {
                n.value -= n.value / 64;
            }
        }
        let mean = sum.checked_div(in_use).unwrap_or(0);
        for n in accounts.slots.iter_mut().filter(|n| n.purse > 0 || n.announced_in > 0) {
            n.value = (n.value - mean).clamp(-MOST, MOST);
        }
    }
}
