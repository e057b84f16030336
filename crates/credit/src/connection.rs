//! A connection: where it comes from and goes to, and its flow each way.

use crate::power::exp2_fraction;

/// No neighbour: this node itself is that end.
pub const SELF: u32 = u32::MAX;

/// Which way credits flow: from the client to the server, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Announced by the previous node to this one, and by this one to the next.
    Forward = 0,
    Backward = 1,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::Forward, Self::Backward];
}

/// Classes in which flows are announced: 0 is none, c from 1 to 8 is 1,000·4^(c−1) credits per second.
pub const CLASSES: u8 = 9;

/// Credits per second of a class; `None` if there is no such class.
pub const fn rate(class: u8) -> Option<u32> {
    match class {
        0 => Some(0),
        1..CLASSES => Some(1000 << (2 * (class - 1))),
        _ => None,
    }
}

/// Of a class that was checked when it came.
pub(crate) fn rate_of(class: u8) -> u32 {
    rate(class).unwrap_or(0)
}

/// What the kernel wants told or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Tell the neighbour in that direction (the next forward, the previous backward) that this class flows from now on.
    Announce { connection: u32, direction: Direction, class: u8 },
    /// Dropped for arrears of rent: its id is free.
    Drop { connection: u32 },
}

/// A flow in one direction. Totals are since the connection was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flow {
    pub paid: u64,
    pub throttled: u64,
    pub rent: u64,
    pub always: u64,
    pub load: u64,
    pub passed: u64,
    /// What the scheduler charged until the latest settlement, and bytes sent; `claimed` and (at most 2^32) `moved` since then.
    pub charged: u64,
    pub bytes: u64,
    pub(crate) claimed: u64,
    pub(crate) moved: u32,
    /// What was claimed for load in earlier periods and not paid yet.
    pub(crate) debt: u32,
    /// What was to be passed on and is not yet, or was too early (below 0).
    pub(crate) residue: i32,
    /// Announced to us and by us.
    pub class_in: u8,
    pub class_out: u8,
    /// Which part of the time it waited here, lately, in 1/255.
    waits: u8,
    /// By how much the weight was last moved, in 1/256 octaves: up above 0, down below.
    step: i8,
    /// What the payer paid of what it announced, in 1/65,535.
    pub(crate) ability: u16,
    /// Credits per second charged for load, lately.
    pub(crate) load_rate: u32,
    /// Credits per second announced to us, lately: what is passed on alternates between classes where it is split.
    pub(crate) inflow: u32,
    /// Credits per second that it could pay here at most, and by how much less it is willing to pay, in 1/256 octaves.
    pub(crate) ceiling: u32,
    held: u16,
}

/// The whole of an ability.
pub(crate) const ABLE: u16 = u16::MAX;

/// Moves of the weight: at first and at least, and at most, in 1/256 octaves.
const STEP: i8 = 4;
const STEP_MOST: i8 = 60;
/// It rises so many times faster than it falls: of several full links on a way, each then gives way to the next, and the last one takes all.
const UP: u16 = 2;
/// The least that a weight falls to: the ceiling's 4,096th part.
const HELD_MOST: u16 = 12 << 8;
/// From which part of the ceiling on what is charged for load is passed on less.
const SPLIT_FROM: u32 = 64;
/// Periods that what alternates is looked at over.
const LATELY: i64 = 16;

/// What follows a figure over some periods.
pub(crate) fn lately(before: u32, now: u32) -> u32 {
    let apart = i64::from(now) - i64::from(before);
    let step = apart / LATELY + apart.signum() * i64::from(apart % LATELY != 0);
    (i64::from(before) + step) as u32
}

impl Flow {
    /// What it is willing to pay per second for going first where packets wait.
    pub fn weight(&self) -> u32 {
        // 2^(−held/256) = 2^(part − 1 − whole) with a part from 0 to 1.
        let (whole, part) = (self.held.div_ceil(256), u64::from(self.held.wrapping_neg() & 255) << 56);
        let weight = (u128::from(self.ceiling) * u128::from(exp2_fraction(part))) >> 63 >> whole;
        weight.max(u128::from(self.ceiling > 0)) as u32
    }

    /// What came in and was not charged: passed on, kept at home, or turned round.
    pub fn rest(&self) -> u64 {
        self.paid - self.rent - self.always - self.load
    }

    /// The most it could pay from now on; the weight keeps its share of that.
    pub(crate) fn limit(&mut self, ceiling: u32) {
        if self.ceiling == 0 {
            self.held = 0;
        }
        self.ceiling = ceiling;
    }

    /// Whether so much of it is charged for load that what is passed on is not only what comes in.
    pub(crate) fn is_split(&self) -> bool {
        self.load_rate > self.ceiling / SPLIT_FROM
    }

    /// What is due for what the scheduler claimed since the latest settlement. Whoever waits here a part of the time, and elsewhere the rest of
    /// it, pays its weight for all of it, if that part is a quarter at least.
    pub(crate) fn due(&mut self, us: u64, measured: bool) -> u64 {
        let whole = u128::from(self.weight()) * u128::from(us);
        if measured && whole > 0 {
            let now = (u128::from(self.claimed) * 255_000_000 / whole).min(255) as u32;
            self.waits = if self.waits == 0 { now as u8 } else { lately(self.waits.into(), now) as u8 };
        }
        (u128::from(self.claimed) * 255 / u128::from(self.waits.max(64))).min(u64::MAX.into()) as u64
    }

    /// After a period: more, if it waited here half of it, else less; by a step that grows while it does not turn. A connection of which nothing was
    /// heard keeps its weight.
    pub(crate) fn adjust(&mut self, us: u64) {
        if self.claimed == 0 && self.moved == 0 {
            return;
        }
        let whole = u128::from(self.weight().max(1)) * u128::from(us);
        let up = u128::from(self.claimed) * 2_000_000 >= whole;
        let same = self.step != 0 && (self.step > 0) == up;
        let size = self.step.unsigned_abs() as i8;
        let size = if same { (size + size / 8).min(STEP_MOST) } else { (size / 2).max(STEP) };
        self.step = if up { size } else { -size };
        self.held = match (up, size as u16) {
            (true, by) => self.held.saturating_sub(UP * by),
            (false, by) => (self.held + by).min(HELD_MOST),
        };
    }
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Connection {
    /// `SELF` for this node; both for a free slot.
    pub previous: u32,
    pub next: u32,
    pub opened_us: u64,
    pub settled_us: u64,
    pub arrears: u64,
    /// Below what part of the way to the next class it is announced as the lower one, in 1/2^32. Its own, and stays.
    pub threshold: u32,
    /// What this node adds.
    pub own: u8,
    pub rented: bool,
    /// What comes forward stays here instead of turning round.
    pub keeps: bool,
    pub flows: [Flow; 2],
}

impl Connection {
    pub fn live(&self) -> bool {
        self.previous != self.next || self.previous != SELF
    }

    pub fn payer(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Forward => self.previous,
            Direction::Backward => self.next,
        }
    }

    pub fn payee(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Forward => self.next,
            Direction::Backward => self.previous,
        }
    }

    pub fn free() -> Self {
        Self {
            previous: SELF,
            next: SELF,
            opened_us: 0,
            settled_us: 0,
            arrears: 0,
            threshold: 0,
            own: 0,
            rented: false,
            keeps: false,
            flows: [Flow::default(); 2],
        }
    }
}
