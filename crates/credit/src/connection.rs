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
    pub rest: u64,
    pub passed: u64,
    /// What the scheduler charged until the latest settlement, and bytes sent; `claimed` and (at most 2^32) `moved` since then.
    pub charged: u64,
    pub bytes: u64,
    pub(crate) claimed: u64,
    pub(crate) moved: u32,
    /// Announced to us and by us.
    pub class_in: u8,
    pub class_out: u8,
    /// Up (1), down (2), or neither yet, when the weight was last moved.
    moved_to: u8,
    /// By which factor the weight moves next, in 1/256 octaves.
    step: u16,
    /// What the payer paid of what it announced, in 1/65,535.
    pub(crate) ability: u16,
    /// Credits per second charged for load in the latest period.
    pub(crate) load_rate: u32,
    /// What it is willing to pay here per second, and what it could at most.
    pub(crate) weight: u32,
    pub(crate) ceiling: u32,
}

/// The whole of an ability.
pub(crate) const ABLE: u16 = u16::MAX;

/// Moves of the weight: at first, at most and at least, in 1/256 octaves.
const STEP: u16 = 128;
const STEP_MOST: u16 = 512;
const STEP_LEAST: u16 = 4;
/// The least part of the ceiling that a weight falls to.
const LEAST_PART: u32 = 4096;

impl Flow {
    /// What it is willing to pay per second for going first where packets wait.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// The most it could pay from now on; the weight keeps its share of that.
    pub(crate) fn limit(&mut self, ceiling: u32) {
        if self.ceiling == 0 {
            self.weight = ceiling;
        } else if ceiling != self.ceiling {
            let weight = u64::from(self.weight) * u64::from(ceiling) / u64::from(self.ceiling);
            self.weight = weight.max(u64::from(ceiling.div_ceil(LEAST_PART))) as u32;
        }
        self.ceiling = ceiling;
    }

    /// After a period: more, if it waited here, else less; by a factor that halves when it turns and grows while it does not. A
    /// connection of which nothing was heard keeps its weight.
    pub(crate) fn adjust(&mut self, us: u64) {
        if self.claimed == 0 && self.moved == 0 {
            return;
        }
        let whole = u128::from(self.weight.max(1)) * u128::from(us);
        let to = if u128::from(self.claimed) * 2_000_000 >= whole { 1 } else { 2 };
        self.step = match (self.moved_to, self.step) {
            (0, _) => STEP,
            (before, step) if before == to => (step + step / 2).clamp(STEP_LEAST, STEP_MOST),
            (_, step) => (step / 2).max(STEP_LEAST),
        };
        self.moved_to = to;
        let (whole, part) = (self.step >> 8, u64::from(self.step & 255) << 56);
        let factor = u128::from(exp2_fraction(part)) << whole;
        let weight = u128::from(self.weight.max(1));
        let moved = if to == 1 { (weight * factor).div_ceil(1 << 63) } else { (weight << 63) / factor };
        let least = u128::from(self.ceiling.div_ceil(LEAST_PART));
        self.weight = moved.clamp(least, u128::from(self.ceiling).max(least)) as u32;
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
            flows: [Flow::default(); 2],
        }
    }
}
