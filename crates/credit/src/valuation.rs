//! What a credit at each neighbour is worth: what is wanted there over what there is.

use crate::active::Active;
use crate::connection::{ABLE, Direction, SELF, rate_of};
use crate::ledger::Ledger;
use crate::neighbour::Neighbour;
use crate::power::{log2, times_exp2};

/// Ten octaves, in 1/2^32: values stay within.
pub(crate) const MOST: i64 = 10 << 32;
/// ln 2 in millionths: what decays of a balance in a second is this over its half-life in microseconds.
const LN_2: u128 = 693_147;

/// Periods that `value_lately` looks back on.
const LATELY: i64 = 256;

/// After so many periods in which nothing is wanted a value is none; and what becomes of what it was lately in each later one, log2 in 1/2^32.
const RESTED: u64 = 128;
const LATELY_LOG2: i64 = -24_251_804;

impl Neighbour {
    /// One period's step towards what a credit there is worth now.
    fn value_towards(&mut self, target: i64) {
        self.value = (self.value + (target - self.value) / 4).clamp(-MOST, MOST);
        self.value_lately += (self.value - self.value_lately) / LATELY;
    }
}

/// log2 of what a credit from one neighbour is worth at another: the lower of what it is and was lately at the first, over the higher of both at the
/// second. Who sends credits round whenever values have just moved gains nothing by that; where they stand it is their ratio.
pub(crate) fn gain(from: &Neighbour, to: &Neighbour) -> i64 {
    from.value.min(from.value_lately) - to.value.max(to.value_lately)
}

impl Ledger {
    /// target(n) = wanted(n) / supply(n), at least 1, which the value of n approaches by a quarter. Wanted is what goes to n, each flow
    /// at the value of where it comes from; supply is what n is taken to mint for us, what would decay of `mirror`, and what n pays here, all per second.
    ///
    /// So what is passed on to n comes to what there is of it, whatever there is. A flow from p to n lowers its own gain at both
    /// ends, as supply(p) and wanted(n) rise with it: credits that run in circles do so at every node that they pass.
    pub(crate) fn valuate(&mut self, due: &Active) {
        let Self { config, accounts, connections, .. } = self;
        for n in &mut accounts.slots {
            (n.purse, n.due) = (0, 0);
        }
        for id in due.ids() {
            let connection = &connections[id as usize];
            for direction in Direction::BOTH {
                let (payer, payee) = (connection.payer(direction), connection.payee(direction));
                let flow = &connection.flows[direction as usize];
                let mut wanted = u64::from(rate_of(flow.class_out));
                if payer != SELF {
                    let paid = u64::from(rate_of(flow.class_in)) * u64::from(flow.ability) / u64::from(ABLE);
                    let n = &mut accounts.slots[payer as usize];
                    n.due += u128::from(paid);
                    wanted = times_exp2(paid.saturating_sub(flow.load_rate.into()), n.value);
                }
                if payee != SELF {
                    accounts.slots[payee as usize].purse += u128::from(wanted);
                }
            }
        }
        for id in 0..accounts.slots.len() {
            let decays = u128::from(accounts.mirror(id as u32)) * LN_2 / u128::from(config.half_life_us);
            let n = &mut accounts.slots[id];
            let supply = decays + u128::from(n.expected) + n.due + 1;
            let target = if n.purse > supply { log2(n.purse) - log2(supply) } else { 0 };
            n.value_towards(target);
        }
    }

    /// Where no connection has anything to settle nobody does: nothing is wanted, and periods pass all the same.
    #[inline]
    pub(crate) fn rest(&mut self) {
        let periods = (self.accounts.clock.now_us - self.valued_us) / self.config.period_us;
        if periods > 0 && self.active.is_empty() {
            self.valued_us += periods * self.config.period_us;
            self.value_nothing(periods);
        }
    }

    /// As [`valuate`](Self::valuate) without connections, to the last bit for up to [`RESTED`] periods, and then but for 2^-24 octaves.
    #[inline(never)]
    fn value_nothing(&mut self, periods: u64) {
        for n in self.accounts.slots.iter_mut().filter(|n| n.value != 0 || n.value_lately != 0) {
            for _ in 0..periods.min(RESTED) {
                n.value_towards(0);
            }
            if let Some(more) = periods.checked_sub(RESTED) {
                let left = times_exp2(n.value_lately.unsigned_abs(), more.min(1 << 16) as i64 * LATELY_LOG2);
                n.value_lately = left as i64 * n.value_lately.signum();
            }
        }
    }
}
