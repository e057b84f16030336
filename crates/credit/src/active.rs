//! Which connections have something to settle: those without a flow, rent or charges cost nothing.

use crate::connection::Connection;

/// A bit for each id, so that they are walked in the order of ids, whatever order they came in; and how many are set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Active(Vec<u64>, u32);

impl Active {
    #[inline]
    pub fn insert(&mut self, id: u32) {
        let at = id as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        let (word, bit) = (&mut self.0[at], 1 << (id % 64));
        self.1 += u32::from(*word & bit == 0);
        *word |= bit;
    }

    pub fn remove(&mut self, id: u32) {
        if let Some(word) = self.0.get_mut(id as usize / 64) {
            let bit = 1 << (id % 64);
            self.1 -= u32::from(*word & bit != 0);
            *word &= !bit;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.1 == 0
    }

    /// In their order.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.0).flat_map(|(at, &word)| {
            let rest = std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)));
            rest.take_while(|&word| word != 0).map(move |word| 64 * at + word.trailing_zeros())
        })
    }

    pub fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }
}

impl Connection {
    /// Whether a settlement would change nothing of it, and nothing by it.
    pub fn is_idle(&self) -> bool {
        let still = self.own == 0 && !self.rented && self.arrears == 0;
        still
            && self.flows.iter().all(|flow| {
                let announced = flow.class_in > 0 || flow.class_out > 0;
                !announced && flow.claimed == 0 && flow.moved == 0 && flow.load_rate == 0
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Change, Config, Direction, Ledger, NeighbourRow, Opening, SELF};

    const CONNECTIONS: u32 = 24;

    /// All that is to be seen of a ledger but when an idle connection was looked at last.
    fn seen(ledger: &mut Ledger, now_us: u64) -> (Vec<NeighbourRow>, Vec<crate::ConnectionRow>, crate::NodeBooks) {
        let mut neighbours = Vec::new();
        while let Some(row) =
            ledger.neighbour_from(now_us, neighbours.last().map_or(0, |n: &NeighbourRow| n.neighbour + 1))
        {
            neighbours.push(row);
        }
        let connections = (0..CONNECTIONS).filter_map(|id| ledger.connection_row(id).ok()).collect();
        (neighbours, connections, ledger.books(now_us))
    }

    proptest! {
        #[test]
        fn settling_those_alone_is_settling_all(
            steps in prop::collection::vec((0u8..8, 0u32..CONNECTIONS, 0u8..4, any::<bool>(), 0u64..1 << 20), 1..200),
        ) {
            let config = Config { capacity: CONNECTIONS, rent: 500, ..Config::default() };
            let mut some = Ledger::new(config, 7, 0).unwrap();
            for _ in 0..4 {
                some.neighbour_add(0, Opening { account: 100_000, mirror: 100_000, ..Opening::default() }).unwrap();
            }
            let mut all = some.clone();
            let mut now_us = 0;
            for (step, id, class, back, amount) in steps {
                let direction = if back { Direction::Backward } else { Direction::Forward };
                let end = |n: u32| if n % 5 == 4 { SELF } else { n % 5 };
                now_us += 2 * amount;
                // Where there is nothing at all, values move by themselves.
                if step > 5 && !some.active.is_empty() {
                    for id in (0..CONNECTIONS).filter(|&id| some.connection_row(id).is_ok()) {
                        all.active.insert(id);
                    }
                }
                let [told, told_all] = [&mut some, &mut all].map(|ledger| {
                    let mut out: Vec<Change> = Vec::new();
                    match step {
                        0 | 1 => drop(ledger.connection_open(now_us, end(id), end(id / 5 + 1), class, &mut out)),
                        2 => drop(ledger.connection_close(now_us, id)),
                        3 => drop(ledger.connection_announced(now_us, id, direction, class, &mut out)),
                        4 => drop(ledger.connection_own(now_us, id, class, &mut out)),
                        5 => drop(ledger.charge(id, direction, amount, amount)),
                        _ => drop(ledger.settle(now_us, &mut out)),
                    }
                    out
                });
                prop_assert_eq!(told, told_all);
                prop_assert_eq!(seen(&mut some, now_us), seen(&mut all, now_us));
            }
        }
    }

    #[test]
    fn what_has_ended_is_settled_once_more_and_then_no_longer() {
        let mut ledger = Ledger::new(Config { valuation: false, ..Config::default() }, 7, 0).unwrap();
        let [a, b] =
            [0; 2].map(|_| ledger.neighbour_add(0, Opening { account: 1 << 30, ..Opening::default() }).unwrap());
        let mut out = Vec::new();
        for class in [0, 0, 3, 0] {
            ledger.connection_open(0, a, b, class, &mut out).unwrap();
        }
        ledger.settle(1_000_000, &mut out);
        assert!(ledger.settled().eq([2]));
        ledger.charge(1, Direction::Forward, 0, 1000);
        ledger.connection_announced(1_500_000, 2, Direction::Forward, 0, &mut out);
        ledger.settle(2_000_000, &mut out);
        assert!(ledger.settled().eq([1, 2]));
        assert!(!ledger.is_busy());
        ledger.settle(3_000_000, &mut out);
        assert!(ledger.settled().eq([]));
    }
}
