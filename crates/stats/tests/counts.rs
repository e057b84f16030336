//! Counts of connections against a list that is looked through.

use proptest::prelude::*;
use wayfare_stats::{Counts, Steps};

const WIDTH: u64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    Add { id: usize },
    Pass { us: u64 },
    Reset { id: usize },
}

fn script(of: u64) -> impl Strategy<Value = Vec<Step>> {
    let pass = prop_oneof![0..700u64, (1..2 * of).prop_map(|n| n * WIDTH), (1..50 * of).prop_map(|n| n * WIDTH)];
    let step = prop_oneof![
        6 => (0..4usize).prop_map(|id| Step::Add { id }),
        3 => pass.prop_map(|us| Step::Pass { us }),
        1 => (0..4usize).prop_map(|id| Step::Reset { id }),
    ];
    prop::collection::vec(step, 1..200)
}

fn check(of: u32, start_us: u64, script: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut clock, mut now_us) = (Steps::new(WIDTH, start_us), start_us);
    let mut counts = Counts::new(of, clock.current());
    (0..4).for_each(|id| counts.reset(id));
    let mut events: Vec<(usize, u64)> = Vec::new();
    for (n, step) in script.into_iter().enumerate() {
        match step {
            Step::Add { id } => {
                counts.add(id);
                events.push((id, now_us));
            }
            Step::Pass { us } => {
                now_us += us;
                if clock.advance(now_us) {
                    counts.advance(clock.current());
                }
            }
            Step::Reset { id } => {
                counts.reset(id);
                events.retain(|e| e.0 != id);
            }
        }
        let within = |id: usize, small: u64| {
            events.iter().filter(|e| e.0 == id && e.1 / WIDTH + small > now_us / WIDTH).count() as u32
        };
        for id in 0..4 {
            for small in [1, u64::from(of) / 2 + 1, of.into()] {
                prop_assert_eq!(counts.sum(id, small), within(id, small), "{} of {}", small, id);
            }
            for span_us in [0, 1, 500, n as u64 * 130, u64::from(of) * WIDTH, u64::MAX] {
                let span_us = span_us.min(u64::from(of) * WIDTH).min(now_us);
                let since_us = now_us - span_us;
                let whole = |from: u64| events.iter().filter(|e| e.0 == id && e.1 >= from).count() as f64;
                let (least, most) = (whole(since_us.next_multiple_of(WIDTH)), whole(since_us / WIDTH * WIDTH));
                let estimate = counts.estimate(id, &clock, now_us, span_us);
                prop_assert!((least..=most).contains(&estimate), "{least} <= {estimate} <= {most}");
                prop_assert!((least..=most).contains(&whole(since_us)));
            }
        }
        prop_assert_eq!(counts.largest(), (0..4).map(|id| within(id, of.into())).max().unwrap_or(0));
    }
    Ok(())
}

proptest! {
    #[test]
    fn counts_and_the_largest_are_those_of_the_list(start_us in prop_oneof![Just(7000u64), 7000..8000u64], script in script(6)) {
        check(6, start_us, script)?;
    }

    #[test]
    fn so_they_are_with_many_small_windows(start_us in prop_oneof![Just(7000u64), 7000..8000u64], script in script(62)) {
        check(62, start_us, script)?;
    }

    #[test]
    fn and_with_one(start_us in prop_oneof![Just(7000u64), 7000..8000u64], script in script(1)) {
        check(1, start_us, script)?;
    }
}
