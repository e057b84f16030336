//! The sequence against a list of events that is looked through for every question.

use proptest::prelude::*;
use wayfare_stats::{Recorded, Sequences, Steps, Sums};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes(u64);

impl Sums for Bytes {
    fn add(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    fn since(&self, earlier: &Self) -> Self {
        Self(self.0.wrapping_sub(earlier.0))
    }

    fn timed(&self) -> bool {
        self.0 > 0
    }

    fn scaled(&self, part: f64) -> Self {
        Self((self.0 as f64 * part) as u64)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Forwards, or back: late.
    Event {
        id: usize,
        by_us: i64,
        bytes: u64,
    },
    Ask {
        id: usize,
        after_us: u64,
        span_us: u64,
    },
}

const WIDTH: u64 = 1000;

fn steps(of: i64) -> impl Strategy<Value = Vec<Step>> {
    let by = prop_oneof![
        Just(0),
        0..300i64,
        -1500..0i64,
        (0..of * 2).prop_map(|n| n * WIDTH as i64),
        -3 * of * WIDTH as i64..0
    ];
    let bytes = prop_oneof![0..2000u64, Just(1u64 << 53)];
    let event = (0..2usize, by, bytes).prop_map(|(id, by_us, bytes)| Step::Event { id, by_us, bytes });
    let span = prop_oneof![0..(of as u64 + 2) * WIDTH, (0..of as u64 + 2).prop_map(|n| n * WIDTH), Just(u64::MAX)];
    let after = prop_oneof![Just(0), 0..1200u64, 0..3 * of as u64 * WIDTH];
    let ask = (0..2usize, after, span).prop_map(|(id, after_us, span_us)| Step::Ask { id, after_us, span_us });
    prop::collection::vec(prop_oneof![3 => event, 1 => ask], 1..120)
}

fn check(count: u32, script: Vec<Step>) -> Result<(), TestCaseError> {
    let mut sequences = Sequences::<Bytes>::new(count);
    (0..2).for_each(|id| sequences.reset(id));
    let (mut clock, mut now_us) = (Steps::new(WIDTH, 0), 5000u64);
    let mut events: Vec<(usize, u64, u64)> = Vec::new();
    for step in script {
        match step {
            Step::Event { id, by_us, bytes } => {
                let at_us = now_us.saturating_add_signed(by_us);
                now_us = now_us.max(at_us);
                clock.advance(now_us);
                let (step, into_us) = clock.place(at_us);
                let newest = events.iter().filter(|e| e.0 == id).map(|e| e.1 / WIDTH).max();
                let recorded = sequences.record(id, step, (into_us, into_us), &Bytes(bytes));
                let late = newest.is_some_and(|newest| newest > at_us / WIDTH + u64::from(count));
                prop_assert_eq!(recorded == Recorded::TooLate, late);
                if !late {
                    let first = !events.iter().any(|e| e.0 == id && e.1 / WIDTH == at_us / WIDTH);
                    prop_assert_eq!(recorded == Recorded::First, first);
                    events.push((id, at_us, bytes));
                }
            }
            Step::Ask { id, after_us, span_us } => {
                now_us += after_us;
                clock.advance(now_us);
                let span_us = span_us.min(u64::from(count) * WIDTH);
                // From the boundary before, from the boundary after, and from the very time on.
                let since_us = now_us.saturating_sub(span_us);
                let whole = |from: u64| {
                    let of = events.iter().filter(|e| e.0 == id && e.1 >= from);
                    of.map(|e| e.2).sum::<u64>()
                };
                let answer = sequences.answer(id, &clock, now_us, span_us);
                let (before, after) = (since_us / WIDTH * WIDTH, since_us.next_multiple_of(WIDTH));
                if span_us <= now_us {
                    prop_assert_eq!(answer.most.0, whole(before));
                    prop_assert_eq!(answer.least.0, whole(after));
                }
                prop_assert!((answer.least.0..=answer.most.0).contains(&answer.estimate.0));
                // The truth lies between.
                prop_assert!((answer.least.0..=answer.most.0).contains(&whole(since_us)));
                let small = (now_us - since_us) / WIDTH + 1;
                let (now, _) = clock.place(now_us);
                let timed = events.iter().filter(|e| e.0 == id && e.2 > 0 && e.1 / WIDTH + small > now_us / WIDTH);
                let times: Vec<u64> = timed.map(|e| e.1).collect();
                let interval = times.iter().min().copied().zip(times.iter().max().copied());
                prop_assert_eq!(sequences.interval_us(id, &clock, now, small), interval);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn small_windows_answer_as_the_list_of_events_does(script in steps(10)) {
        check(10, script)?;
    }

    #[test]
    fn so_do_as_many_as_there_may_be(script in steps(62)) {
        check(62, script)?;
    }

    #[test]
    fn and_a_single_one(script in steps(1)) {
        check(1, script)?;
    }
}
