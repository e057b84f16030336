//! A connection's credits, hop for hop.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{S, announced, audit, config, ledger, pass, rows, stranger};
use wayfare_credit::{Change, Config, Direction, Ledger, Opening, Refusal, SELF, rate};

const RICH: u64 = 1 << 50;

fn rich(ledger: &mut Ledger) -> u32 {
    ledger.neighbour_add(0, Opening { account: RICH, mirror: RICH, ..Opening::default() }).unwrap()
}

fn quiet() -> Config {
    Config { increase: 0, half_life_us: 1 << 40, valuation: false, ..config() }
}

#[test]
fn classes_are_eight_and_none() {
    assert_eq!(
        (0..=9).map(rate).collect::<Vec<_>>(),
        [
            Some(0),
            Some(1000),
            Some(4000),
            Some(16_000),
            Some(64_000),
            Some(256_000),
            Some(1_024_000),
            Some(4_096_000),
            Some(16_384_000),
            None
        ]
    );
}

#[test]
fn a_router_keeps_the_always_share_and_passes_on_the_rest_to_the_unit() {
    let mut ledger = ledger(quiet());
    let (a, b) = (rich(&mut ledger), rich(&mut ledger));
    let mut out = Vec::new();
    let id = ledger.connection_open(0, a, b, 5, &mut out).unwrap();
    pass(&mut ledger, 0, 10_000);
    let now_us = 10_000 * S;
    audit(&mut ledger, now_us);
    let row = ledger.connection_row(id).unwrap();
    let flow = row.flows[0];
    assert_eq!(flow.paid, 256_000 * 10_000);
    assert!(flow.always.abs_diff(flow.paid / 100) <= 10_000);
    assert_eq!(flow.rest(), flow.paid - flow.always);
    // What is announced on is what is left, but for what rounding carries: 8 s of the class above, and a period.
    assert!(flow.passed.abs_diff(flow.rest()) <= 9 * 1_024_000, "{} of {}", flow.passed, flow.rest());
    let [at_a, at_b] = rows(&mut ledger, now_us).try_into().unwrap();
    assert_eq!(at_a.account_books.spent, flow.paid.into());
    assert_eq!(at_a.mirror_books.earned, flow.paid.into());
    assert_eq!((at_b.mirror_books.spent, at_b.account_books.earned), (flow.passed.into(), flow.passed.into()));
    assert_eq!(at_b.carry, flow.rest() as i64 - flow.passed as i64);
    assert_eq!(ledger.flow(id, Direction::Backward).unwrap().passed, 0);
}

#[test]
fn over_many_connections_what_is_announced_is_what_they_are_worth() {
    for class in 1..=7 {
        let mut ledger = ledger(quiet());
        let (a, b) = (rich(&mut ledger), rich(&mut ledger));
        let mut out = Vec::new();
        for _ in 0..1000 {
            ledger.connection_open(0, a, b, class, &mut out).unwrap();
        }
        let told: u64 = out
            .iter()
            .map(|change| match change {
                Change::Announce { class, .. } => u64::from(rate(*class).unwrap()),
                Change::Drop { .. } => 0,
            })
            .sum();
        // A hundredth less than what comes in, as an expectation: 1,000 draws between a class and the next have a deviation of 0.5 %.
        let worth = u64::from(rate(class).unwrap()) * 990;
        assert!(told.abs_diff(worth) < worth / 40, "class {class}: {told}, not {worth}");
    }
}

#[test]
fn an_exit_turns_round_what_is_left_and_adds_its_own_and_it_comes_home() {
    let mut exit = ledger(quiet());
    let a = rich(&mut exit);
    let mut out = Vec::new();
    let id = exit.connection_open(0, a, SELF, 6, &mut out).unwrap();
    exit.connection_own(0, id, 4, &mut out).unwrap();
    pass(&mut exit, 0, 1000);
    audit(&mut exit, 1000 * S);
    let books = exit.books(1000 * S).totals;
    assert_eq!((books.paid, books.own, books.home), (1_024_000_000, 64_000_000, 0));
    assert_eq!(books.turned, books.paid - books.always);
    assert_eq!(books.rest, books.turned + books.own);
    assert!((books.passed as f64 / books.rest as f64 - 1.0).abs() < 0.05);

    let mut client = ledger(quiet());
    let first = rich(&mut client);
    out.clear();
    let id = client.connection_open(0, SELF, first, 6, &mut out).unwrap();
    assert_eq!(out, [Change::Announce { connection: id, direction: Direction::Forward, class: 6 }]);
    assert!(client.connection_announced(0, id, Direction::Backward, 5, &mut out));
    pass(&mut client, 0, 1000);
    audit(&mut client, 1000 * S);
    let books = client.books(1000 * S).totals;
    assert_eq!((books.own, books.home, books.always), (1_024_000_000, 256_000_000, 0));
    assert_eq!(books.passed, books.own);
    let [row] = rows(&mut client, 1000 * S).try_into().unwrap();
    assert_eq!(row.mirror_books.earned, 256_000_000);
}

#[test]
fn a_circle_keeps_at_its_end_what_comes_and_turns_nothing_round() {
    let mut home = ledger(quiet());
    let (first, last) = (rich(&mut home), rich(&mut home));
    let mut out = Vec::new();
    let begins = home.connection_open(0, SELF, first, 5, &mut out).unwrap();
    assert_eq!(home.connection_keep(0, begins, &mut out), Err(Refusal::Ends), "it does not end here");
    let ends = home.connection_open(0, last, SELF, 6, &mut out).unwrap();
    out.clear();
    home.connection_keep(0, ends, &mut out).unwrap();
    let none = Change::Announce { connection: ends, direction: Direction::Backward, class: 0 };
    assert_eq!(out, [none], "what was announced back is taken back");
    pass(&mut home, 0, 1000);
    audit(&mut home, 1000 * S);
    let books = home.books(1000 * S).totals;
    // Nothing is charged of what comes home.
    assert_eq!((books.own, books.home, books.turned, books.always), (256_000_000, 1_024_000_000, 0, 0));
    let [first, last] = rows(&mut home, 1000 * S).try_into().unwrap();
    assert_eq!((first.mirror_books.spent, last.mirror_books.earned), (256_000_000, 1_024_000_000));
}

#[test]
fn who_cannot_pay_is_throttled_alike_on_all_connections_and_not_cut() {
    let mut ledger = ledger(Config { increase: 200_000, half_life_us: 1 << 40, ..quiet() });
    let (poor, b) = (stranger(&mut ledger, 0), rich(&mut ledger));
    let mut out = Vec::new();
    let ids: Vec<u32> = (0..4).map(|_| ledger.connection_open(0, poor, b, 5, &mut out).unwrap()).collect();
    assert_eq!(ledger.weight(ids[0], Direction::Forward), 0, "nothing is believed of who has nothing");
    pass(&mut ledger, 0, 1000);
    audit(&mut ledger, 1000 * S);
    // Half of the increase is its: 25,000 each of 256,000 announced.
    for &id in &ids {
        let flow = ledger.connection_row(id).unwrap().flows[0];
        assert!(flow.paid.abs_diff(25_000_000) < 50_000, "{}", flow.paid);
        assert_eq!(flow.paid + flow.throttled, 256_000_000);
        assert!(flow.weight().abs_diff(24_750) < 500, "{}", flow.weight());
    }
}

#[test]
fn load_is_charged_of_what_is_left_and_a_free_node_charges_nothing() {
    for free in [false, true] {
        let mut ledger = ledger(Config { free, ..quiet() });
        let (a, b) = (rich(&mut ledger), rich(&mut ledger));
        let mut out = Vec::new();
        let id = ledger.connection_open(0, a, b, 5, &mut out).unwrap();
        let mut claimed = 0;
        for second in 1..=100 {
            // It waits all the time, at two credits a byte.
            let weight = u64::from(ledger.weight(id, Direction::Forward));
            assert!(ledger.charge(id, Direction::Forward, weight, weight / 2));
            claimed += weight;
            ledger.settle(second * S, &mut out);
        }
        audit(&mut ledger, 100 * S);
        let flow = ledger.connection_row(id).unwrap().flows[0];
        assert_eq!((flow.charged, claimed / 2 - flow.bytes < 100), (claimed, true));
        let price = rows(&mut ledger, 100 * S)[b as usize].price;
        if free {
            assert_eq!((flow.load, flow.always, flow.rest(), price), (0, 0, flow.paid, 0));
        } else {
            assert_eq!(flow.load, claimed);
            assert_eq!(flow.rest(), flow.paid - flow.always - flow.load);
            assert!(price.abs_diff(2 << 16) < 4);
        }
        // More than there is: all of it, and no more.
        ledger.charge(id, Direction::Forward, u64::MAX, u64::MAX);
        ledger.charge(id, Direction::Forward, u64::MAX, u64::MAX);
        ledger.settle(101 * S, &mut out);
        let after = ledger.connection_row(id).unwrap().flows[0];
        assert_eq!(after.load - flow.load, if free { 0 } else { 256_000 - 2560 });
        audit(&mut ledger, 101 * S);
    }
}

/// Where a flow waits half of the time, and elsewhere the other half, it pays for all the time: no less for being held back by several.
#[test]
fn who_waits_a_part_of_the_time_pays_for_all_of_it_down_to_a_quarter() {
    for (part, times) in [(1, 1.0), (2, 2.0), (4, 4.0), (16, 4.0)] {
        let mut ledger = ledger(quiet());
        let (a, b) = (rich(&mut ledger), rich(&mut ledger));
        let mut out = Vec::new();
        let id = ledger.connection_open(0, a, b, 8, &mut out).unwrap();
        let mut before = (0, 0);
        for second in 1..=100 {
            let weight = u64::from(ledger.weight(id, Direction::Forward));
            ledger.charge(id, Direction::Forward, weight / part, 1000);
            ledger.settle(second * S, &mut out);
            if second == 50 {
                let flow = ledger.connection_row(id).unwrap().flows[0];
                before = (flow.load, flow.charged);
            }
        }
        let flow = ledger.connection_row(id).unwrap().flows[0];
        let paid = (flow.load - before.0) as f64 / (flow.charged - before.1) as f64;
        assert!((paid / times - 1.0).abs() < 0.02, "a part of {part}: {paid} times");
    }
}

#[test]
fn an_announcement_holds_from_its_moment_and_changes_what_is_announced_on() {
    let mut ledger = ledger(quiet());
    let (a, b) = (rich(&mut ledger), rich(&mut ledger));
    let mut out = Vec::new();
    let id = ledger.connection_open(0, a, b, 8, &mut out).unwrap();
    assert!(announced(&out, id, Direction::Forward).is_some_and(|class| class >= 7));
    out.clear();
    assert!(ledger.connection_announced(S / 4, id, Direction::Forward, 0, &mut out));
    assert_eq!(announced(&out, id, Direction::Forward), Some(0));
    ledger.settle(S, &mut out);
    assert_eq!(ledger.connection_row(id).unwrap().flows[0].paid, 16_384_000 / 4);
    assert_eq!(ledger.weight(id, Direction::Forward), 0);
    audit(&mut ledger, S);
    // What another node says wrongly is counted, and nothing comes of it.
    let digest = ledger.digest();
    for class in 9..=255 {
        assert!(!ledger.connection_announced(S, id, Direction::Forward, class, &mut out));
    }
    assert_eq!(ledger.counters().get(wayfare_types::Reason::CreditClass), 247);
    assert!(!ledger.connection_announced(S, 99, Direction::Forward, 1, &mut out));
    assert!(!ledger.charge(99, Direction::Forward, 1, 1));
    assert_eq!((ledger.tallies().flows_unknown, ledger.tallies().charges_unknown), (1, 1));
    assert_ne!(ledger.digest(), digest, "it was counted");
    assert_eq!(ledger.connection_own(S, id, 1, &mut out), Err(Refusal::Ends));
    assert_eq!(ledger.connection_open(S, SELF, SELF, 1, &mut out), Err(Refusal::Ends));
    assert_eq!(ledger.connection_open(S, 7, a, 1, &mut out), Err(Refusal::NeighbourUnknown));
    assert_eq!(ledger.connection_open(S, a, b, 9, &mut out), Err(Refusal::Class));
}

#[test]
fn a_report_moves_no_account() {
    let mut ledger = ledger(config());
    let id = stranger(&mut ledger, 0);
    let before = (ledger.account(S, id), ledger.mirror(S, id));
    assert_eq!(ledger.neighbour_report(S, id, 1 << 53, 5), Ok(true));
    assert_eq!(ledger.neighbour_report(S, id, 0, 5), Ok(true));
    assert_eq!(ledger.neighbour_report(S, id, u64::MAX, 5), Ok(false));
    assert_eq!((ledger.account(S, id), ledger.mirror(S, id)), before);
    let row = ledger.neighbour(S, id).unwrap();
    assert_eq!((row.report, row.report_increase, row.reported_us), (0, 5, Some(S)));
}

#[test]
fn a_neighbour_that_leaves_is_burned_and_its_id_waits_for_its_connections() {
    let mut ledger = ledger(quiet());
    let (a, b) = (rich(&mut ledger), rich(&mut ledger));
    let mut out = Vec::new();
    let id = ledger.connection_open(0, a, b, 8, &mut out).unwrap();
    let now_us = pass(&mut ledger, 0, 10);
    ledger.neighbour_remove(now_us, a).unwrap();
    assert_eq!(ledger.account(now_us, a), Err(Refusal::NeighbourUnknown));
    assert_eq!(ledger.neighbour_remove(now_us, a), Err(Refusal::NeighbourUnknown));
    assert_ne!(stranger(&mut ledger, now_us), a);
    assert!(ledger.neighbour(now_us, a).unwrap().leaving);
    let now_us = pass(&mut ledger, now_us, 10);
    audit(&mut ledger, now_us);
    assert_eq!(ledger.connection_row(id).unwrap().flows[0].paid, 163_840_000);
    ledger.connection_close(now_us, id).unwrap();
    assert_eq!(ledger.connection_close(now_us, id), Err(Refusal::ConnectionUnknown));
    assert_eq!(stranger(&mut ledger, now_us), a);
    audit(&mut ledger, now_us);
}
