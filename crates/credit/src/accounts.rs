//! All neighbours' accounts: settled when read, changed by what is paid.

use crate::clock::{Clock, flowed_credits, halved, later};
use crate::mint::{Mint, WEIGHT_LEAST};
use crate::neighbour::{Account, BALANCE_MOST, Books, CLOSED, Holding, Neighbour};
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

/// A neighbour's id is its place in `holdings` and in `slots`.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Accounts {
    pub clock: Clock,
    pub mint: Mint,
    pub half_life_us: u64,
    pub holdings: Vec<Holding>,
    pub slots: Vec<Neighbour>,
    pub free: Vec<u32>,
    pub live: u32,
    pub gone: [Sum; 2],
    /// Of contributors, as of the latest weighing: each newcomer's part.
    pub newcomer: u64,
    pub clock_fell: u64,
    pub saturated: u64,
}

/// Credits in 1/2^64 as a balance: rounded down but for what rounding itself may have taken.
#[inline]
fn whole(credits: i128) -> u64 {
    let whole = ((credits + (1 << 56)) >> 64) as i64;
    if whole as u64 <= BALANCE_MOST { whole as u64 } else { beyond(whole) }
}

/// Which rounding alone does.
#[cold]
fn beyond(whole: i64) -> u64 {
    if whole < 0 { 0 } else { BALANCE_MOST }
}

/// A decaying sum with so much more in it; it saturates as balances do.
fn grown(sum: u128, credits: u64, clock: &Clock) -> u128 {
    (sum + clock.kept(credits)).min(clock.kept(BALANCE_MOST))
}

impl Accounts {
    pub fn new(half_life_us: u64, increase: u64, now_us: u64) -> Self {
        let clock = Clock::new(half_life_us, now_us);
        Self {
            mint: Mint::new(increase, &clock),
            clock,
            half_life_us,
            holdings: Vec::new(),
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
        if now_us != self.clock.now_us {
            self.move_to(now_us);
        }
    }

    /// Apart, so that a read at the time of the one before is compiled in where it is.
    #[inline(never)]
    fn move_to(&mut self, now_us: u64) {
        if self.clock.advance(now_us) {
            self.mint.advance(&self.clock);
        } else if now_us < self.clock.now_us {
            self.clock_fell += 1;
        }
    }

    /// What a neighbour may spend here now; none if there is no such neighbour.
    #[inline]
    pub fn read(&self, id: u32) -> Option<u64> {
        let holding = self.holdings.get(id as usize)?;
        if holding.epoch == self.clock.epoch {
            return Some(whole(holding.credits(&self.clock, &self.mint)));
        }
        self.read_later(holding)
    }

    /// The same of one that was settled in an earlier epoch, or is none any more.
    #[inline(never)]
    fn read_later(&self, holding: &Holding) -> Option<u64> {
        let apart = later(holding.apart, holding.epochs(&self.clock));
        let holding = Holding { apart, ..holding.clone() };
        holding.is_open().then(|| whole(holding.credits(&self.clock, &self.mint)))
    }

    /// Whether there is such a neighbour, or was and a connection names it still.
    pub fn named(&self, id: u32) -> bool {
        self.holdings.get(id as usize).is_some_and(Holding::is_open)
            || self.slots.get(id as usize).is_some_and(|n| n.leaving)
    }

    /// The same of one that is none any more: nothing.
    pub fn account(&self, id: u32) -> u64 {
        self.read(id).unwrap_or(0)
    }

    /// What we may spend at a neighbour now, by our calculation.
    #[inline]
    pub fn mirror(&self, id: u32) -> u64 {
        let n = &self.slots[id as usize];
        let apart = later(n.mirror_apart, self.holdings[id as usize].epochs(&self.clock));
        whole(n.limit as i128 + self.clock.faded(apart))
    }

    /// Bytes that a neighbour carried for us, decayed.
    pub fn contributed(&self, id: u32) -> u64 {
        let epochs = self.holdings[id as usize].epochs(&self.clock);
        whole(self.clock.faded(later(self.slots[id as usize].contributed as i128, epochs)))
    }

    /// Brings a neighbour to now and books what time has done.
    pub fn settle(&mut self, id: u32) {
        let Self { clock, mint, holdings, slots, .. } = self;
        let (h, n) = (&mut holdings[id as usize], &mut slots[id as usize]);
        if n.settled_us == clock.now_us {
            return;
        }
        let epochs = h.epochs(clock);
        if epochs > 0 {
            h.epoch = clock.epoch;
            (h.apart, n.mirror_apart) = (later(h.apart, epochs), later(n.mirror_apart, epochs));
            n.contributed = halved(n.contributed, epochs);
        }
        let given = mint.given(clock);
        let minted = given.since(n.given, h.weight) + u128::from(n.part);
        n.given = given;
        n.part = (minted & ((1 << 48) - 1)) as u64;
        n.account.book(whole(h.credits(clock, mint)), minted >> 48);

        let minted = flowed_credits(n.expected, n.settled_us, clock.now_us);
        n.mirror.book(whole(n.limit as i128 + clock.faded(n.mirror_apart)), minted);
        n.settled_us = clock.now_us;
    }

    /// A neighbour pays here: what of it there was. What we may spend there grows by that.
    pub fn paid_by(&mut self, id: u32, credits: u64) -> u64 {
        self.settle(id);
        let Self { clock, holdings, slots, saturated, .. } = self;
        let (h, n) = (&mut holdings[id as usize], &mut slots[id as usize]);
        let paid = n.account.take(&mut h.apart, credits, clock);
        *saturated += n.mirror.put(&mut n.mirror_apart, paid, clock);
        paid
    }

    /// We pay a neighbour: what of it we had there by our calculation. Its account here grows by that.
    pub fn paid_to(&mut self, id: u32, credits: u64) -> u64 {
        self.settle(id);
        let Self { clock, holdings, slots, saturated, .. } = self;
        let (h, n) = (&mut holdings[id as usize], &mut slots[id as usize]);
        let paid = n.mirror.take(&mut n.mirror_apart, credits, clock);
        *saturated += n.account.put(&mut h.apart, paid, clock);
        paid
    }

    /// A neighbour carried so many bytes for us.
    pub fn carried_by(&mut self, id: u32, bytes: u64) {
        self.settle(id);
        let n = &mut self.slots[id as usize];
        n.contributed = grown(n.contributed, bytes, &self.clock);
    }

    /// Another increase of what we may spend there.
    pub fn expect(&mut self, id: u32, per_second: u64) {
        self.settle(id);
        let n = &mut self.slots[id as usize];
        n.expected = per_second;
        n.mirror_apart += scaled(2 * n.limit, self.clock.up) as i128;
        n.limit = equilibrium(per_second, self.half_life_us);
        n.mirror_apart -= scaled(2 * n.limit, self.clock.up) as i128;
    }

    /// A neighbour with what was kept of it, and the weight of a newcomer.
    pub fn open(&mut self, account: u64, mirror: u64, contributed: u64) -> u32 {
        let id = self.free.pop().unwrap_or(self.slots.len() as u32);
        let (clock, mint, weight) = (&self.clock, &self.mint, self.newcomer);
        let (account, mirror) = (Account::open(account), Account::open(mirror));
        let apart = clock.kept(account.balance) as i128 - mint.kept(weight);
        let holding = Holding { apart, weight, epoch: clock.epoch };
        let neighbour = Neighbour {
            settled_us: clock.now_us,
            mirror_apart: clock.kept(mirror.balance) as i128,
            account,
            given: mint.given(clock),
            mirror,
            contributed: grown(0, contributed.min(BALANCE_MOST), clock),
            reported_us: u64::MAX,
            ..Neighbour::default()
        };
        if self.slots.len() == id as usize {
            self.holdings.push(holding);
            self.slots.push(neighbour);
        } else {
            (self.holdings[id as usize], self.slots[id as usize]) = (holding, neighbour);
        }
        self.live += 1;
        self.share_among(self.mint.weights() + weight);
        id
    }

    /// Its accounts are no more: what they held is burned.
    pub fn close(&mut self, id: u32) {
        self.settle(id);
        let (h, n) = (&mut self.holdings[id as usize], &mut self.slots[id as usize]);
        for (sum, account) in self.gone.iter_mut().zip([&mut n.account, &mut n.mirror]) {
            sum.books.add(&account.books());
            sum.burned += u128::from(account.balance);
            *account = Account::default();
        }
        let weight = h.weight;
        *h = Holding::default();
        (n.mirror_apart, n.expected, n.limit, n.part, n.contributed) = (0, 0, 0, 0, 0);
        n.leaving = true;
        self.live -= 1;
        self.share_among(self.mint.weights() - weight);
    }

    fn share_among(&mut self, weights: u64) {
        self.mint.change(&self.clock, self.half_life_us, self.mint.per_second(), weights);
    }

    /// Another weight for each, from 1 on.
    ///
    /// M begins anew with them: since it last did, W was never less than a weight there is, so that no weight times M is more than
    /// twice what accounts converge to.
    pub fn reweigh(&mut self, weight: impl Fn(&Neighbour) -> u64) {
        let mut weights = 0;
        for id in 0..self.holdings.len() {
            if self.holdings[id].is_open() {
                self.settle(id as u32);
                let (h, n) = (&mut self.holdings[id], &self.slots[id]);
                h.apart += self.mint.kept(h.weight);
                h.weight = weight(n);
                weights += h.weight;
            }
        }
        self.mint.begin();
        self.share_among(weights);
    }

    /// Sums of all accounts, and of all mirrors, settled to now.
    pub fn sums(&mut self) -> [Sum; 2] {
        let mut sums = self.gone;
        for id in 0..self.slots.len() {
            if self.holdings[id].is_open() {
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

impl Holding {
    pub fn is_open(&self) -> bool {
        self.epoch != CLOSED
    }

    /// Since it was settled.
    fn epochs(&self, clock: &Clock) -> u64 {
        clock.epoch.saturating_sub(self.epoch)
    }

    /// What there is now, in 1/2^64, of one settled in this epoch.
    #[inline]
    fn credits(&self, clock: &Clock, mint: &Mint) -> i128 {
        (mint.worth * u128::from(self.weight)) as i128 + clock.faded(self.apart)
    }
}

/// Each is of one account, and of what is kept apart for it.
impl Account {
    fn open(credits: u64) -> Self {
        let opening = credits.min(BALANCE_MOST);
        Self { balance: opening, opening, ..Self::default() }
    }

    /// Books what was minted, and the rest of the change as decay.
    fn book(&mut self, balance: u64, minted: u128) {
        self.minted += minted;
        self.decayed += i128::from(self.balance) + minted as i128 - i128::from(balance);
        self.balance = balance;
    }

    fn take(&mut self, apart: &mut i128, credits: u64, clock: &Clock) -> u64 {
        let taken = credits.min(self.balance);
        *apart -= clock.kept(taken) as i128;
        self.balance -= taken;
        self.spent += u128::from(taken);
        taken
    }

    /// What it cannot hold decays at once.
    fn put(&mut self, apart: &mut i128, credits: u64, clock: &Clock) -> u64 {
        let fits = credits.min(BALANCE_MOST - self.balance);
        *apart += clock.kept(fits) as i128;
        self.balance += fits;
        self.earned += u128::from(credits);
        self.decayed += i128::from(credits - fits);
        u64::from(credits > fits)
    }
}
