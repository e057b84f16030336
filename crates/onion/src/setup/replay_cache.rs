//! Set-ups that were seen, for as long as their minute is accepted.
//!
//! Invariant: no tag is fresh twice, whatever the clock does: minutes below the floor are refused, and the floor never
//! falls. The owner writes new entries to disk before the reply leaves; where the file was lost, it starts with the
//! minute of its start as the floor. The order is by minute and tag, so nothing here depends on a random hash.

use std::collections::BTreeSet;

use wayfare_types::Reason;

use super::MINUTES;

/// The replay cache of one node.
#[derive(Clone, Debug)]
pub struct ReplayCache {
    seen: BTreeSet<(u32, [u8; 16])>,
    floor: u32,
    capacity: usize,
}

impl ReplayCache {
    /// Empty: refuses minutes before `floor`, and holds at most `capacity` set-ups.
    pub fn new(floor: u32, capacity: usize) -> Self {
        Self { seen: BTreeSet::new(), floor, capacity }
    }

    /// The oldest minute that is not refused.
    pub fn floor(&self) -> u32 {
        self.floor
    }

    /// Remembers a set-up of `minute`.
    ///
    /// # Errors
    /// [`Reason::SetupStale`] below the floor, [`Reason::SetupReplayed`] when it is known, [`Reason::SetupBudget`] when
    /// the cache is full: forgetting one that is still accepted would let it in again.
    pub fn insert(&mut self, minute: u32, tag: [u8; 16], now_minute: u32) -> Result<(), Reason> {
        self.prune(now_minute);
        if minute < self.floor {
            return Err(Reason::SetupStale);
        }
        if self.seen.contains(&(minute, tag)) {
            return Err(Reason::SetupReplayed);
        }
        if self.seen.len() >= self.capacity {
            return Err(Reason::SetupBudget);
        }
        self.seen.insert((minute, tag));
        Ok(())
    }

    /// Forgets minutes that are no longer accepted.
    pub fn prune(&mut self, now_minute: u32) {
        let floor = now_minute.saturating_sub(MINUTES);
        if floor > self.floor {
            self.floor = floor;
            self.seen = self.seen.split_off(&(floor, [0; 16]));
        }
    }

    /// Every set-up remembered, for the file.
    pub fn iter(&self) -> impl Iterator<Item = (u32, [u8; 16])> + '_ {
        self.seen.iter().copied()
    }

    /// Takes over what an earlier run remembered, as far as it is above the floor and there is room.
    pub fn load(&mut self, entries: impl IntoIterator<Item = (u32, [u8; 16])>) {
        for entry in entries {
            if entry.0 >= self.floor && self.seen.len() < self.capacity {
                self.seen.insert(entry);
            }
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn nothing_is_fresh_twice_whatever_the_clock_does(
            events in prop::collection::vec((0..40u32, 0..12u8, 0..40u32, any::<bool>()), 0..300),
        ) {
            let (mut cache, mut accepted) = (ReplayCache::new(0, 64), HashSet::new());
            for (minute, tag, now, restart) in events {
                if restart {
                    let (floor, entries) = (cache.floor(), cache.iter().collect::<Vec<_>>());
                    cache = ReplayCache::new(floor, 64);
                    cache.load(entries);
                }
                if cache.insert(minute, [tag; 16], now).is_ok() {
                    prop_assert!(accepted.insert((minute, tag)));
                }
                prop_assert!(cache.len() <= 64);
            }
        }
    }

    #[test]
    fn a_full_or_restarted_cache_refuses_rather_than_forgets() {
        let mut cache = ReplayCache::new(0, 2);
        assert_eq!(cache.insert(10, [1; 16], 10), Ok(()));
        assert_eq!(cache.insert(12, [2; 16], 10), Ok(()));
        assert_eq!(cache.insert(12, [3; 16], 10), Err(Reason::SetupBudget));
        assert_eq!(cache.insert(12, [2; 16], 10), Err(Reason::SetupReplayed));
        assert_eq!(cache.insert(14, [3; 16], 14), Ok(()));
        assert_eq!(cache.insert(10, [1; 16], 14), Err(Reason::SetupStale));
        // The file was lost at minute 14: what came before is refused unseen.
        let mut restarted = ReplayCache::new(15, 2);
        assert_eq!(restarted.insert(14, [3; 16], 14), Err(Reason::SetupStale));
        // A clock that falls back opens nothing again.
        assert_eq!(cache.insert(10, [1; 16], 10), Err(Reason::SetupStale));
    }
}
