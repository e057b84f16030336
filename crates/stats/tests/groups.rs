//! The order against what it says of each two connections: i is over when j starts if and only if i starts first and
//! end_i <= start_j + M.

mod common;

use proptest::prelude::*;
use wayfare_stats::{Chain, Connection, Event, Group, groups, order};

fn connection((start_us, long, failed, destination): (u64, Option<u64>, bool, u64)) -> Connection {
    let end_us = long.map(|long| start_us.saturating_add(long));
    Connection { destination, address: [0, 1], hop: 0, start_us, end_us, failed: failed && end_us.is_some() }
}

fn at(start_us: u64, end_us: u64, failed: bool) -> Connection {
    Connection { destination: 1, address: [0, 1], hop: 0, start_us, end_us: Some(end_us), failed }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn of_each_two_the_order_says_what_it_should(
        raw in prop::collection::vec((0..40u64, prop::option::of(0..20u64), any::<bool>(), 0..2u64), 0..40),
        tolerance_us in 0..8u64,
    ) {
        let all: Vec<Connection> = raw.into_iter().map(connection).collect();
        let events = order(&all, tolerance_us);
        let place = |wanted: Event| events.iter().position(|e| *e == wanted);
        let first = |i: usize, j: usize| (all[i].start_us, i) < (all[j].start_us, j);
        let over = |i: usize, j: usize| first(i, j) && all[i].end_us.is_some_and(|end| end <= all[j].start_us + tolerance_us);
        for i in 0..all.len() {
            let (start, end) = (place(Event::Start(i)).unwrap(), place(Event::End(i)));
            prop_assert_eq!(end.is_some(), all[i].end_us.is_some());
            prop_assert!(end.is_none_or(|end| end > start));
            for j in (0..all.len()).filter(|&j| j != i) {
                let other = place(Event::Start(j)).unwrap();
                prop_assert_eq!(start < other, first(i, j));
                prop_assert_eq!(end.is_some_and(|end| end < other), over(i, j), "{} over before {}", i, j);
            }
        }
        let found = groups(&all, tolerance_us);
        prop_assert_eq!(found.running, all.iter().filter(|c| c.end_us.is_none()).count());
        // How many run when j has started, itself included: all that started first and are not over.
        let running = |j: usize| 1 + (0..all.len()).filter(|&i| i != j && first(i, j) && !over(i, j)).count();
        prop_assert_eq!(found.peak, (0..all.len()).map(running).max().unwrap_or(0));
        // A group begins with each connection that starts alone.
        let begins = (0..all.len()).filter(|&j| running(j) == 1).count();
        prop_assert_eq!(found.groups.len(), begins);
        prop_assert_eq!(found.groups.iter().map(|g| g.connections).sum::<usize>(), all.len());
        prop_assert_eq!(found.groups.iter().map(|g| g.peak).max().unwrap_or(0), found.peak);
        prop_assert!(found.groups.iter().rev().skip(1).all(|g| g.end_us.is_some()));
        for Chain { connections, failed } in &found.chains {
            prop_assert!(connections.len() >= 2);
            for two in connections.windows(2) {
                let (old, new) = (&all[two[0]], &all[two[1]]);
                prop_assert!(old.failed && old.destination == new.destination && over(two[0], two[1]));
                prop_assert!(old.end_us.unwrap() + tolerance_us >= new.start_us);
            }
            prop_assert_eq!(*failed, all[*connections.last().unwrap()].failed);
        }
        let mut chained: Vec<usize> = found.chains.iter().flat_map(|c| c.connections.clone()).collect();
        let total = chained.len();
        chained.sort_unstable();
        chained.dedup();
        prop_assert_eq!(chained.len(), total, "in one chain at most");
    }
}

#[test]
fn the_circle_of_the_pairwise_rule_is_cut_at_the_own_start() {
    // With M = 2: X from 2 to 3, Y from 1.5. Pair by pair, X's end < Y's start < X's start < X's end.
    let (x, y) = (at(20, 30, false), Connection { end_us: None, ..at(15, 0, false) });
    assert_eq!(order(&[x, y], 20), [Event::Start(1), Event::Start(0), Event::End(0)]);
}

#[test]
fn an_end_within_the_tolerance_of_a_start_comes_before_it() {
    let calls = [at(0, 105, false), at(100, 200, false), at(300, 400, false)];
    let strict = groups(&calls, 0);
    assert_eq!((strict.peak, strict.groups.len()), (2, 2));
    let tolerant = groups(&calls, 5);
    assert_eq!((tolerant.peak, tolerant.groups.len()), (1, 3));
    assert_eq!(tolerant.groups[1], Group { start_us: 100, end_us: Some(200), connections: 1, peak: 1 });
}

#[test]
fn retries_follow_failures_within_the_tolerance() {
    let other = Connection { address: [0, 2], ..at(100, 120, true) };
    let calls =
        [at(0, 100, true), at(101, 150, true), other, at(152, 900, false), at(2000, 2100, true), at(3000, 3001, false)];
    let chains = groups(&calls, 10).chains;
    assert_eq!(chains, [Chain { connections: vec![0, 1, 3], failed: false }]);
    // Zero-length attempts at one time are one after the other.
    let instant = [at(5, 5, true), at(5, 5, true), at(5, 5, true)];
    let found = groups(&instant, 0);
    assert_eq!((found.peak, found.chains), (1, vec![Chain { connections: vec![0, 1, 2], failed: true }]));
}

#[test]
fn ends_before_their_start_and_the_edge_of_time_do_no_harm() {
    let backwards = at(100, 50, false);
    let last = at(u64::MAX, u64::MAX, true);
    let found = groups(&[backwards, last, last], u64::MAX);
    assert_eq!((found.running, found.peak), (0, 1));
    assert_eq!(found.groups[0].end_us, Some(100));
}
