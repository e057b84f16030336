//! CoDel, without ECN: RFC 8289, section 5, as decisions about the oldest packet of a queue.
//!
//! The RFC dequeues a packet and judges it. Here the oldest packet is judged and any packet may be the one that is sent
//! then: in a queue of one flow the oldest is the one that is sent, and it is the RFC to the letter;
//! otherwise what others starve is dropped the faster the longer it lasts.

/// The queue as CoDel sees it.
pub trait Standing {
    /// Of the oldest packet: how long it has waited, and how many bytes wait besides it.
    fn oldest(&self, now_us: u64) -> Option<(u64, usize)>;
    /// Drops the oldest packet.
    fn drop_oldest(&mut self);
    /// The size of the largest packet so far: a queue of no more than that is none.
    fn largest_bytes(&self) -> usize;
}

/// The state of one queue.
#[derive(Clone, Debug)]
pub struct Codel {
    target_us: u64,
    interval_us: u64,
    /// When the delay will have been above the target for an interval.
    first_above_us: Option<u64>,
    drop_next_us: u64,
    count: u32,
    last_count: u32,
    dropping: bool,
}

impl Codel {
    /// `target_us`: the delay that may stand; `interval_us`: for how long, and the time between the first drops.
    pub fn new(target_us: u64, interval_us: u64) -> Self {
        Self { target_us, interval_us, first_above_us: None, drop_next_us: 0, count: 0, last_count: 0, dropping: false }
    }

    /// Before a packet is sent: drops what has to be dropped.
    pub fn dequeue(&mut self, now_us: u64, queue: &mut impl Standing) {
        let mut ok_to_drop = self.judge(now_us, queue);
        if self.dropping {
            self.dropping = ok_to_drop;
            while self.dropping && now_us >= self.drop_next_us {
                queue.drop_oldest();
                self.count = self.count.saturating_add(1);
                ok_to_drop = self.judge(now_us, queue);
                if ok_to_drop {
                    self.drop_next_us = self.control_law(self.drop_next_us);
                } else {
                    self.dropping = false;
                }
            }
        } else if ok_to_drop {
            queue.drop_oldest();
            self.judge(now_us, queue);
            self.dropping = true;
            // Back above the target soon after the last drops: their rate is a good one to begin with.
            let delta = self.count - self.last_count;
            let soon = now_us.saturating_sub(self.drop_next_us) < 16 * self.interval_us;
            self.count = if delta > 1 && soon { delta } else { 1 };
            self.drop_next_us = self.control_law(now_us);
            self.last_count = self.count;
        }
    }

    /// Whether the delay has been above the target for an interval.
    fn judge(&mut self, now_us: u64, queue: &impl Standing) -> bool {
        let above = queue
            .oldest(now_us)
            .is_some_and(|(sojourn_us, besides)| sojourn_us >= self.target_us && besides > queue.largest_bytes());
        if !above {
            self.first_above_us = None;
            return false;
        }
        match self.first_above_us {
            None => {
                self.first_above_us = Some(now_us.saturating_add(self.interval_us));
                false
            }
            Some(first_above_us) => now_us >= first_above_us,
        }
    }

    fn control_law(&self, from_us: u64) -> u64 {
        from_us.saturating_add((self.interval_us as f64 / f64::from(self.count).sqrt()) as u64)
    }
}
