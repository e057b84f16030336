//! All neighbours' accounts: settled when read, changed by what is paid.

use crate::clock::{Clock, flowed_credits, halved};
use crate::mint::{Mint, WEIGHT_LEAST};
use crate::neighbour::{Account, BALANCE_MOST, Books, Neighbour};
use crate::power::{equilibrium, scaled};

/// Of a node's books, what is summed over accounts that are no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sum {
    /// What they hold now.
    pub balance: u128,
    pub books: Books,
    /// What those held whose neighbour left: balance + burned is what the books come to.
    pub burned: u128,
}

/// Two neighbours' ids never differ from their places in `slots`.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Accounts {
    pub clock: Clock,
    pub mint: Mint,
    pub half_life_us: u64,
    pub slots: Vec<Neighbour>,
    pub free: Vec<u32>,
    pub live: u32,
    pub gone: [Sum; 2],
    /// Of contributors, as of the latest weighing: each newcomer's part.
    pub newcomer: u64,
    pub clock_fell: u64,
    pub saturated: u64,
}

/// An amount in 1/2^64 as a balance: rounded down but for what rounding itself may have taken.
#[inline]
fn whole(amount: u128, down: u64) -> u64 {
    ((scaled(amount, down) + (1 << 56)) >> 64) as u64
}

/// A decaying sum with so much more in it; it saturates as balances do.
fn grown(sum: u128, credits: u64, clock: &Clock) -> u128 {
    let most = scaled(u128::from(BALANCE_MOST) << 64, clock.up);
    (sum + scaled(u128::from(credits) << 64, clock.up)).min(most)
}

impl Accounts {
    pub fn new(half_life_us: u64, increase: u64, now_us: u64) -> Self {
        let clock = Clock::new(half_life_us, now_us);
        Self {
            mint: Mint::new(increase, &clock),
            clock,
            half_life_us,
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            gone: [Sum::default(); 2],
            newcomer: WEIGHT_LEAST << 10,
            clock_fell: 0,
            saturated: 0,
        }
    }

    /// The time of what follows.
    #[inline]
    pub fn advance(&mut self, now_us: u64) {
        if self.clock.advance(now_us) {
            self.mint.advance(&self.clock);
        } else if now_us < self.clock.now_us {
            self.clock_fell += 1;
        }
    }

    /// What a neighbour may spend here now.
    #[inline]
    pub fn account(&self, id: u32) -> u64 {
        let n = &self.slots[id as usize];
        let epochs = self.clock.epoch - n.epoch;
        let more = self.mint.decaying_since(&n.stand, epochs, n.weight);
        whole(halved(n.account.amount, epochs) + more, self.clock.down).min(BALANCE_MOST)
    }

    /// What we may spend at a neighbour now, by our calculation.
    #[inline]
    pub fn mirror(&self, id: u32) -> u64 {
        let n = &self.slots[id as usize];
        let epochs = self.clock.epoch - n.epoch;
        let more = scaled(n.expected_limit, self.clock.up).saturating_sub(halved(n.expected_stand, epochs));
        whole(halved(n.mirror.amount, epochs) + more, self.clock.down).min(BALANCE_MOST)
    }

    /// What we spent at a neighbour, decayed.
    pub fn contributed(&self, id: u32) -> u64 {
        let n = &self.slots[id as usize];
        whole(halved(n.contributed, self.clock.epoch - n.epoch), self.clock.down)
    }

    /// Brings a neighbour to now and books what time has done.
    pub fn settle(&mut self, id: u32) {
        let Self { clock, mint, slots, saturated, .. } = self;
        let n = &mut slots[id as usize];
        if n.settled_us == clock.now_us {
            return;
        }
        let epochs = clock.epoch - n.epoch;
        n.rescale(clock.epoch);
        n.account.amount += mint.decaying_since(&n.stand, epochs, n.weight);
        let stand = mint.stand(clock);
        let given = Mint::given_between(&n.stand, &stand, n.weight) + u128::from(n.stand.part);
        n.stand = stand;
        n.stand.part = (given & ((1 << 48) - 1)) as u64;
        *saturated += n.account.book(given >> 48, clock);

        let full = scaled(n.expected_limit, clock.up);
        n.mirror.amount += full.saturating_sub(halved(n.expected_stand, epochs));
        n.expected_stand = full;
        let given = flowed_credits(n.expected, n.settled_us, clock.now_us);
        *saturated += n.mirror.book(given, clock);
        n.settled_us = clock.now_us;
    }

    /// A neighbour pays here: what of it there was. What we may spend there grows by that.
    pub fn paid_by(&mut self, id: u32, credits: u64) -> u64 {
        self.settle(id);
        let Self { clock, slots, saturated, .. } = self;
        let n = &mut slots[id as usize];
        let paid = n.account.take(credits, clock);
        *saturated += n.mirror.put(paid, clock);
        paid
    }

    /// We pay a neighbour: what of it we had there by our calculation. Its account here grows by that.
    pub fn paid_to(&mut self, id: u32, credits: u64) -> u64 {
        self.settle(id);
        let Self { clock, slots, saturated, .. } = self;
        let n = &mut slots[id as usize];
        let paid = n.mirror.take(credits, clock);
        *saturated += n.account.put(paid, clock);
        n.contributed = grown(n.contributed, paid, clock);
        paid
    }

    /// Another increase of what we may spend there.
    pub fn expect(&mut self, id: u32, per_second: u64) {
        self.settle(id);
        let n = &mut self.slots[id as usize];
        n.expected = per_second;
        n.expected_limit = equilibrium(per_second, self.half_life_us);
        n.expected_stand = scaled(n.expected_limit, self.clock.up);
    }

    /// A neighbour with what was kept of it.
    pub fn open(&mut self, account: u64, mirror: u64, contributed: u64) -> u32 {
        let id = self.free.pop().unwrap_or(self.slots.len() as u32);
        let clock = &self.clock;
        let neighbour = Neighbour {
            live: true,
            epoch: clock.epoch,
            settled_us: clock.now_us,
            account: Account::open(account, clock),
            mirror: Account::open(mirror, clock),
            contributed: grown(0, contributed.min(BALANCE_MOST), clock),
            stand: self.mint.stand(clock),
            reported_us: u64::MAX,
            ..Neighbour::default()
        };
        match self.slots.get_mut(id as usize) {
            Some(slot) => *slot = neighbour,
            None => self.slots.push(neighbour),
        }
        self.live += 1;
        id
    }

    /// Its accounts are no more: what they held is burned.
    pub fn close(&mut self, id: u32) {
        self.settle(id);
        let n = &mut self.slots[id as usize];
        for (sum, account) in self.gone.iter_mut().zip([&mut n.account, &mut n.mirror]) {
            sum.books.add(&account.books());
            sum.burned += u128::from(account.balance);
            *account = Account::default();
        }
        (n.expected, n.expected_limit, n.expected_stand, n.weight, n.stand.part) = (0, 0, 0, 0, 0);
        n.contributed = 0;
        n.leaving = true;
        self.live -= 1;
    }

    /// Sums of all accounts, and of all mirrors, settled to now.
    pub fn sums(&mut self) -> [Sum; 2] {
        let mut sums = self.gone;
        for id in 0..self.slots.len() {
            if self.slots[id].live && !self.slots[id].leaving {
                self.settle(id as u32);
                let n = &self.slots[id];
                for (sum, account) in sums.iter_mut().zip([&n.account, &n.mirror]) {
                    sum.books.add(&account.books());
                    sum.balance += u128::from(account.balance);
                }
            }
        }
        sums
    }
}

impl Account {
    fn open(credits: u64, clock: &Clock) -> Self {
        let opening = credits.min(BALANCE_MOST);
        let amount = scaled(u128::from(opening) << 64, clock.up);
        Self { amount, balance: opening, opening, ..Self::default() }
    }

    /// Books what was minted, and the rest of the change as decay; 1 if it held more than it can.
    fn book(&mut self, minted: u128, clock: &Clock) -> u64 {
        let (balance, saturated) = self.rounded(clock);
        self.minted += minted;
        self.decayed += i128::from(self.balance) + minted as i128 - i128::from(balance);
        self.balance = balance;
        saturated
    }

    fn rounded(&mut self, clock: &Clock) -> (u64, u64) {
        let balance = whole(self.amount, clock.down);
        if balance <= BALANCE_MOST {
            return (balance, 0);
        }
        self.amount = scaled(u128::from(BALANCE_MOST) << 64, clock.up);
        (BALANCE_MOST, 1)
    }

    fn take(&mut self, credits: u64, clock: &Clock) -> u64 {
        let taken = credits.min(self.balance);
        self.amount = self.amount.saturating_sub(scaled(u128::from(taken) << 64, clock.up));
        self.balance -= taken;
        self.spent += u128::from(taken);
        taken
    }

    /// What it cannot hold decays at once.
    fn put(&mut self, credits: u64, clock: &Clock) -> u64 {
        let most = BALANCE_MOST - self.balance;
        let held = credits.min(most);
        self.amount += scaled(u128::from(held) << 64, clock.up);
        self.balance += held;
        self.earned += u128::from(credits);
        self.decayed += i128::from(credits - held);
        u64::from(credits > held)
    }
}
