//! The record of set-ups seen, over clocks that jump, restarts, and files that were lost: no set-up is taken twice, none that is
//! new is refused without the reason due, and it never grows beyond its bound.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use wayfare_onion::ReplayCache;
use wayfare_types::Reason;

/// How far a set-up's minute may be from the hop's clock.
const MINUTES: u32 = 3;

/// What happens, at which minute; of a set-up, the minute it tells and its tag.
type Step = (u8, u8, u8, u8);

fuzz_target!(|input: (u8, Vec<Step>)| {
    let (capacity, steps) = input;
    let capacity = usize::from(capacity % 16);
    let mut cache = ReplayCache::new(0, capacity);
    // All that was ever taken; what a run knows of it; before what it refuses unseen.
    let (mut taken, mut known, mut floor) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (kind, now, minute, tag) in steps {
        let (now, minute) = (u32::from(now), u32::from(minute));
        match kind % 8 {
            // A new run, with the file that the last one wrote.
            0 => {
                let entries: Vec<_> = cache.iter().collect();
                cache = ReplayCache::new(cache.floor(), capacity);
                cache.load(entries);
            }
            // A new run without it. As the engine does: what its clock may have allowed before is refused. A clock that
            // went back meanwhile would undo that, so it does not here.
            1 => {
                let now = taken.iter().map(|&(minute, _)| minute).max().unwrap_or(0).max(now);
                floor = now + 1 + MINUTES;
                known.clear();
                cache = ReplayCache::new(floor, capacity);
            }
            // The clock goes on, or back.
            2 => {
                cache.prune(now);
                floor = floor.max(now.saturating_sub(MINUTES));
                known.retain(|&(minute, _)| minute >= floor);
            }
            _ => {
                floor = floor.max(now.saturating_sub(MINUTES));
                known.retain(|&(minute, _)| minute >= floor);
                let expected = if minute < floor {
                    Err(Reason::SetupStale)
                } else if known.contains(&(minute, tag)) {
                    Err(Reason::SetupReplayed)
                } else if known.len() == capacity {
                    Err(Reason::SetupBudget)
                } else {
                    Ok(())
                };
                assert_eq!(cache.insert(minute, [tag; 16], now), expected);
                if expected.is_ok() {
                    assert!(taken.insert((minute, tag)));
                    known.insert((minute, tag));
                }
            }
        }
        assert_eq!((cache.floor(), cache.len()), (floor, known.len()));
        assert!(cache.iter().map(|(minute, tag)| (minute, tag[0])).eq(known.iter().copied()));
        assert!(cache.len() <= capacity);
    }
});
