//! Replay window and set-up cache: nothing is ever fresh twice.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use wayfare_onion::{ReplayCache, ReplayWindow};

fuzz_target!(|input: (u64, Vec<(u64, u8, u8)>)| {
    let (mut at, steps) = input;
    let (mut window, mut accepted) = (ReplayWindow::default(), HashSet::new());
    let (mut cache, mut set_ups) = (ReplayCache::new(0, 16), HashSet::new());
    for (step, tag, now) in steps {
        at = at.wrapping_add(step);
        for counter in [at, at.wrapping_sub(u64::from(tag)), step] {
            if window.fresh(counter) {
                window.mark(counter);
                assert!(accepted.insert(counter));
            }
        }
        let minute = u32::from(now).wrapping_add(step as u32 % 8);
        if cache.insert(minute, [tag; 16], now.into()).is_ok() {
            assert!(set_ups.insert((minute, tag)));
        }
        assert!(cache.len() <= 16);
    }
});
