//! A connection's period: what is paid, kept, turned round and passed on, and what is announced from then on.

use crate::active::Active;
use crate::clock::flowed;
use crate::config::Config;
use crate::connection::{ABLE, CLASSES, Change, Connection, Direction, Flow, SELF, lately, rate_of};
use crate::ledger::Ledger;
use crate::power::{exp2_fraction, times_exp2};
use crate::valuation::gain;
use crate::weigh::weigh;

/// What time flows may be settled for at once: a clock that leapt on is not paid for.
const SPAN_MOST_US: u64 = 60_000_000;
/// How many seconds of the upper class all rounding towards a neighbour may come to.
const CARRY_S: i64 = 8;
/// Seconds of all that comes in that may be owed for load.
const DEBT_S: u64 = 8;
/// What is beyond is not carried.
const CARRY_MOST: i64 = 1 << 28;
/// A minute's average: 60 s · ln 2.
const PRICE_HALF_LIFE_US: u64 = 41_588_831;

impl Config {
    fn span_most_us(&self) -> u64 {
        SPAN_MOST_US.max(self.period_us.saturating_mul(2))
    }
}

impl Ledger {
    /// Settles all connections with anything to settle, valuates neighbours and drops who owes rent in a table that is nearly full;
    /// false, and nothing, before a period has passed.
    pub fn settle(&mut self, now_us: u64, out: &mut Vec<Change>) -> bool {
        self.accounts.advance(now_us);
        let now_us = self.accounts.clock.now_us;
        let us = now_us - self.settled_us;
        if us < self.config.period_us {
            return false;
        }
        self.tallies.clock_leapt += u64::from(us > self.config.span_most_us());
        self.rest();
        let mut due = std::mem::take(&mut self.settled);
        due.clone_from(&self.active);
        self.demand(now_us, us, &due);
        for id in due.ids() {
            self.settle_connection(id, true);
        }
        self.settled_us = now_us;
        self.age_prices(us);
        if now_us - self.weighed_us >= self.config.weigh_us {
            self.weighed_us = now_us;
            weigh(&mut self.accounts, self.config.rule, self.config.newcomer_share);
        }
        if !due.is_empty() {
            self.valued_us = now_us;
            if self.config.valuation {
                self.valuate(&due);
            }
        }
        self.drop_debtors(&due, out);
        for id in due.ids() {
            if self.connections[id as usize].live() {
                self.announce(id, true, out);
                if self.connections[id as usize].is_idle() {
                    self.active.remove(id);
                }
            }
        }
        self.settled = due;
        true
    }

    /// The connections that the latest settlement settled, dropped ones included: nothing of the others has changed since the one before.
    pub fn settled(&self) -> impl Iterator<Item = u32> + '_ {
        self.settled.ids()
    }

    /// Whether there is anything to settle.
    pub fn is_busy(&self) -> bool {
        !self.active.is_empty()
    }

    /// What is due from each neighbour by now, and what it has, so that all its connections are throttled alike.
    fn demand(&mut self, now_us: u64, us: u64, due: &Active) {
        for n in &mut self.accounts.slots {
            (n.due, n.pays) = (0, 0);
        }
        let span_us = self.config.span_most_us();
        for id in due.ids() {
            let connection = &self.connections[id as usize];
            let from_us = connection.settled_us.max(self.settled_us).max(now_us.saturating_sub(span_us));
            for direction in Direction::BOTH {
                let (payer, class) = (connection.payer(direction), connection.flows[direction as usize].class_in);
                if payer != SELF && class > 0 {
                    self.accounts.slots[payer as usize].due += u128::from(flowed(rate_of(class), from_us, now_us));
                }
            }
        }
        for id in 0..self.accounts.slots.len() {
            if self.accounts.slots[id].due > 0 {
                let purse = self.accounts.account(id as u32).into();
                let n = &mut self.accounts.slots[id];
                n.purse = purse;
                n.pays = (purse.min(n.due) * 1_000_000 / u128::from(us)) as u64;
            }
        }
    }

    /// Everything up to now; `shared`: as one of all, after `demand`.
    pub(crate) fn settle_connection(&mut self, id: u32, shared: bool) {
        let now_us = self.accounts.clock.now_us;
        let Self { config, accounts, totals, tallies, connections, live, settled_us, .. } = self;
        let connection = &mut connections[id as usize];
        // An idle one was passed over by the latest settlement, which would have changed nothing of it.
        let from_us = connection.settled_us.max(*settled_us).max(now_us.saturating_sub(config.span_most_us()));
        let us = now_us - from_us;
        if us == 0 {
            return;
        }
        connection.settled_us = now_us;
        // What is measured over less says little.
        let measured = us.saturating_mul(2) >= config.period_us;
        if connection.rented && !config.free {
            connection.arrears = connection.arrears.saturating_add(config.rent_due(*live, us));
        }
        // The next hop works for whoever the connection comes from, both ways, and so for us. Who is paid and moves nothing has done nothing.
        let moved = |flow: &Flow| if flow.ceiling > 0 { u64::from(flow.moved) } else { 0 };
        let bytes = connection.flows.iter().map(moved).sum();
        if connection.next != SELF && bytes > 0 {
            accounts.carried_by(connection.next, bytes);
        }
        let mut turned = 0;
        for direction in Direction::BOTH {
            let (payer, payee) = (connection.payer(direction), connection.payee(direction));
            let flow = &mut connection.flows[direction as usize];
            let mut left;
            if payer == SELF {
                let own = flowed(rate_of(connection.own), from_us, now_us);
                totals.own += u128::from(own);
                left = own + turned;
                flow.paid += left;
            } else {
                let due = flowed(rate_of(flow.class_in), from_us, now_us);
                let n = &accounts.slots[payer as usize];
                let due_now = match shared && n.purse < n.due {
                    true => (u128::from(due) * n.purse / n.due) as u64,
                    false => due,
                };
                left = accounts.paid_by(payer, due_now);
                let n = &mut accounts.slots[payer as usize];
                n.throttled += due - left;
                flow.throttled += due - left;
                tallies.throttled += due - left;
                if measured && due > 0 {
                    flow.ability = (u128::from(left) * u128::from(ABLE) / u128::from(due)) as u16;
                }
                flow.paid += left;
                totals.paid += u128::from(left);

                let rent = left.min(connection.arrears);
                connection.arrears -= rent;
                // What comes home was not carried for anybody.
                let home = payee == SELF && (direction == Direction::Backward || connection.keeps);
                let always = if config.free || home { 0 } else { share_of(left, config.always_share).min(left - rent) };
                left -= rent + always;
                (flow.rent, flow.always) = (flow.rent + rent, flow.always + always);
                (n.rent, n.always) = (n.rent + rent, n.always + always);
                (totals.rent, totals.always) = (totals.rent + u128::from(rent), totals.always + u128::from(always));
            }

            // Nobody is charged by himself.
            let own_first = payer == SELF && direction == Direction::Forward;
            let claimed = flow.due(us, measured).saturating_add(flow.debt.into());
            let load = if config.free || own_first { 0 } else { claimed.min(left) };
            left -= load;
            let most = u64::from(flow.ceiling) * DEBT_S;
            flow.debt =
                if config.free || own_first { 0 } else { (claimed - load).min(most).min(u32::MAX.into()) as u32 };
            flow.load += load;
            totals.load += u128::from(load);
            if payer != SELF {
                accounts.slots[payer as usize].load += load;
            }
            if measured {
                let rate = (u128::from(load) * 1_000_000 / u128::from(us)).min(u32::MAX.into()) as u32;
                flow.load_rate = if flow.load_rate == 0 { rate } else { lately(flow.load_rate, rate) };
                flow.adjust(us);
            }
            if payee != SELF {
                let n = &mut accounts.slots[payee as usize];
                n.price_credits = n.price_credits.saturating_add(load.saturating_mul(1 << 16));
                n.price_bytes = n.price_bytes.saturating_add(u64::from(flow.moved) << 16);
            }
            flow.charged = flow.charged.saturating_add(std::mem::take(&mut flow.claimed));
            flow.moved = 0;

            if payee == SELF {
                if direction == Direction::Forward && !connection.keeps {
                    turned = left;
                    totals.turned += u128::from(left);
                } else {
                    totals.home += u128::from(left);
                }
                continue;
            }
            totals.rest += u128::from(left);
            let gain =
                if payer == SELF { 0 } else { gain(&accounts.slots[payer as usize], &accounts.slots[payee as usize]) };
            let worth = times_exp2(left, gain);
            totals.valued_up += u128::from(worth.saturating_sub(left));
            totals.valued_down += u128::from(left.saturating_sub(worth));
            let passed = flowed(rate_of(flow.class_out), from_us, now_us);
            let covered = accounts.paid_to(payee, passed);
            flow.passed += passed;
            totals.passed += u128::from(passed);
            totals.overdrawn += u128::from(passed - covered);
            let n = &mut accounts.slots[payee as usize];
            n.overdrawn += passed - covered;
            let more = i128::from(worth) - i128::from(passed);
            let (_, upper) = between(rate_of(flow.class_out).into());
            let most = i128::from(i64::from(rate_of(upper)) * CARRY_S);
            flow.residue = (i128::from(flow.residue) + more).clamp(-most, most) as i32;
            let carry = i128::from(n.carry) + more;
            let carried = carry.clamp(-i128::from(CARRY_MOST), i128::from(CARRY_MOST));
            totals.kept += carry - carried;
            n.carry = carried as i64;
        }
    }

    /// A flow began or changed: how much of it its payer can be expected to pay until that is measured: what it has, or this one's share
    /// of what it pays for all.
    pub(crate) fn judge(&mut self, id: u32, direction: Direction) {
        let connection = &self.connections[id as usize];
        let (payer, payee) = (connection.payer(direction), connection.payee(direction));
        let first = connection.flows[direction as usize].ceiling == 0;
        if payer != SELF {
            let n = &self.accounts.slots[payer as usize];
            let (period_us, pays) = (u128::from(self.config.period_us), u128::from(n.pays));
            let has = (u128::from(self.accounts.account(payer)) * 1_000_000).max(pays * period_us) * u128::from(ABLE);
            let wanted = u128::from(n.announced_in) * period_us;
            let able = has.checked_div(wanted).unwrap_or(ABLE.into()).min(ABLE.into());
            let flow = &mut self.connections[id as usize].flows[direction as usize];
            flow.ability = able as u16;
            // Where others wait it will, too; what it is charged is not passed on meanwhile.
            if first && payee != SELF && self.accounts.slots[payee as usize].is_full() {
                flow.load_rate = rate_of(flow.class_in) / 4 * 3;
            }
        }
    }

    /// Which weights and which announcements follow from what comes in now.
    pub(crate) fn announce(&mut self, id: u32, periodic: bool, out: &mut Vec<Change>) {
        let Self { config, accounts, connections, live, .. } = self;
        let connection = &mut connections[id as usize];
        let Connection { own, rented, keeps, threshold, .. } = *connection;
        let mut rent = if rented && !config.free { config.rent_due(*live, 1_000_000) } else { 0 };
        let mut turned = 0;
        for direction in Direction::BOTH {
            let (payer, payee) = (connection.payer(direction), connection.payee(direction));
            let flow = &mut connection.flows[direction as usize];
            let announced = rate_of(flow.class_in);
            // From nothing, and to nothing, at once.
            flow.inflow = match (flow.inflow, announced) {
                (0, _) | (_, 0) => announced,
                (before, _) if periodic => lately(before, announced),
                (before, _) => before,
            };
            let rent_here = if payer == SELF { 0 } else { rent.min(able(announced, flow.ability)) };
            rent -= rent_here;
            // What is left of what comes in, for load and for those beyond: now, and lately.
            let [now, lately] = [announced, flow.inflow].map(|inflow| {
                if payer == SELF {
                    return u64::from(rate_of(own)) + turned;
                }
                let inflow = able(inflow, flow.ability);
                let always = if config.free { 0 } else { share_of(inflow, config.always_share) };
                inflow.saturating_sub(rent_here + always)
            });
            flow.limit(lately.min(u32::MAX.into()) as u32);
            let left = if flow.is_split() { lately } else { now }.saturating_sub(flow.load_rate.into());
            let class = match (payee, payer, direction) {
                (SELF, _, Direction::Forward) => {
                    turned = if keeps { 0 } else { left };
                    0
                }
                (SELF, _, Direction::Backward) => 0,
                (_, SELF, Direction::Forward) => own,
                _ => {
                    let to = &accounts.slots[payee as usize];
                    let gain = if payer == SELF { 0 } else { gain(&accounts.slots[payer as usize], to) };
                    let worth = times_exp2(left, gain);
                    if flow.is_split() {
                        alternating(worth, flow.residue, to.carry)
                    } else {
                        rounded(worth, threshold, to.carry)
                    }
                }
            };
            if class != flow.class_out {
                let n = &mut accounts.slots[payee as usize];
                n.announced_out = n.announced_out + u64::from(rate_of(class)) - u64::from(rate_of(flow.class_out));
                flow.class_out = class;
                out.push(Change::Announce { connection: id, direction, class });
            }
        }
    }

    /// Out of the table, its books closed.
    pub(crate) fn forget(&mut self, id: u32) {
        let connection = std::mem::replace(&mut self.connections[id as usize], Connection::free());
        for direction in Direction::BOTH {
            let flow = &connection.flows[direction as usize];
            let (payer, payee) = (connection.payer(direction), connection.payee(direction));
            if payer != SELF {
                self.accounts.slots[payer as usize].announced_in -= u64::from(rate_of(flow.class_in));
            }
            if payee != SELF {
                self.accounts.slots[payee as usize].announced_out -= u64::from(rate_of(flow.class_out));
            }
        }
        if connection.previous != SELF {
            self.accounts.slots[connection.previous as usize].rented -= u32::from(connection.rented);
        }
        for end in [connection.previous, connection.next] {
            if end != SELF {
                self.accounts.slots[end as usize].connections -= 1;
                self.release(end);
            }
        }
        self.live -= 1;
        self.active.remove(id);
        self.free.push(id);
    }

    fn age_prices(&mut self, us: u64) {
        let phase = ((u128::from(us % PRICE_HALF_LIFE_US) << 64) / u128::from(PRICE_HALF_LIFE_US)) as u64;
        let whole = us / PRICE_HALF_LIFE_US;
        let factor = u128::from(exp2_fraction(phase));
        // Divided by a factor from 1 to 2 in 1/2^63, and halved so often.
        let aged = |amount: u64| if whole < 64 { ((u128::from(amount) << 63) / factor) as u64 >> whole } else { 0 };
        for n in self.accounts.slots.iter_mut().filter(|n| n.price_bytes > 0 || n.price_credits > 0) {
            n.price_credits = aged(n.price_credits);
            n.price_bytes = aged(n.price_bytes);
        }
    }
}

/// What a payer of this ability pays of so much.
fn able(announced: u32, ability: u16) -> u64 {
    u64::from(announced) * u64::from(ability) / u64::from(ABLE)
}

/// A part in 1/2^32 of an amount.
fn share_of(amount: u64, share: u32) -> u64 {
    ((u128::from(amount) * u128::from(share)) >> 32) as u64
}

/// Which classes what is worth so many credits per second is between: the lower one, and the next.
fn between(worth: u64) -> (u8, u8) {
    let lower = (1..CLASSES).rev().find(|&class| u64::from(rate_of(class)) <= worth).unwrap_or(0);
    (lower, (lower + 1).min(CLASSES - 1))
}

/// Of what is shared between a full link here and those beyond: one of the classes next to it, so that over some periods it comes to that.
fn alternating(worth: u64, residue: i32, carry: i64) -> u8 {
    let (lower, upper) = between(worth);
    if allowed(upper, carry).unwrap_or(residue > 0) { upper } else { lower }
}

/// Whether what rounding towards a neighbour has come to says that it has to be the upper class, or that it cannot be.
fn allowed(upper: u8, carry: i64) -> Option<bool> {
    let most = CARRY_S * i64::from(rate_of(upper));
    if carry.abs() > most { Some(carry > 0) } else { None }
}

/// A class next to what is worth so many credits per second: the upper one if it is further up between both than the connection's own
/// threshold, unless what rounding has come to says otherwise.
fn rounded(worth: u64, threshold: u32, carry: i64) -> u8 {
    let (lower, upper) = between(worth);
    if worth == 0 || upper == lower {
        return lower;
    }
    let (from, to) = (u64::from(rate_of(lower)), u64::from(rate_of(upper)));
    let up = ((worth - from) << 32) / (to - from) > u64::from(threshold);
    if allowed(upper, carry).unwrap_or(up) { upper } else { lower }
}
