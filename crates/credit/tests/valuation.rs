//! Values find the factor of a router's stub clients by themselves.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{S, audit, config, ledger, rows};
use wayfare_credit::{Config, Direction, Ledger, Opening, Rule};

const HALF_LIFE_US: u64 = 60 * S;

struct Stubs {
    ledger: Ledger,
    stubs: Vec<u32>,
    outside: u32,
    now_us: u64,
}

/// Stub clients and a router to the outside, as one router between them sees them.
fn stubs(config: Config, count: u32, increase: u64, opening: impl Fn(u32) -> Opening) -> Stubs {
    let mut ledger = ledger(Config { half_life_us: HALF_LIFE_US, ..config });
    let stubs: Vec<u32> = (0..count).map(|n| ledger.neighbour_add(0, opening(n)).unwrap()).collect();
    let outside = ledger.neighbour_add(0, Opening { expected: increase, ..Opening::default() }).unwrap();
    Stubs { ledger, stubs, outside, now_us: 0 }
}

impl Stubs {
    fn open(&mut self, class: u8) -> Vec<u32> {
        let mut out = Vec::new();
        let Self { ledger, stubs, outside, now_us } = self;
        stubs.iter().map(|&stub| ledger.connection_open(*now_us, stub, *outside, class, &mut out).unwrap()).collect()
    }

    fn pass(&mut self, seconds: u64) {
        self.now_us = common::pass(&mut self.ledger, self.now_us, seconds);
        audit(&mut self.ledger, self.now_us);
    }

    /// What goes outside, over so many seconds.
    fn passed_per_s(&mut self, seconds: u64) -> f64 {
        let spent = |node: &mut Self| node.ledger.neighbour(node.now_us, node.outside).unwrap().mirror_books.spent;
        let before = spent(self);
        self.pass(seconds);
        (spent(self) - before) as f64 / seconds as f64
    }

    /// By what a stub's credits are multiplied on the way outside.
    fn factor(&mut self) -> f64 {
        let rows = rows(&mut self.ledger, self.now_us);
        let values = |id: u32| rows.iter().find(|row| row.neighbour == id).unwrap().value as f64 / 4_294_967_296.0;
        (values(self.stubs[0]) - values(self.outside)).exp2()
    }
}

#[test]
fn k_equal_stubs_pass_on_a_kth_for_k_up_to_a_hundred() {
    for k in 1..=100u32 {
        // Each of k + 1 neighbours is minted for as much as the outside mints for us.
        let each = 10_000;
        let config = Config { increase: each * u64::from(k + 1), always_share: 0, ..config() };
        let mut node = stubs(config, k, each, |n| Opening { account: u64::from(n * n) * 1000, ..Opening::default() });
        node.open(3);
        node.pass(900);
        // Where a stub may pass on much less than the least class, a few of them pass on all of it, by rounding that comes out in the
        // long run alone.
        let near = if each / u64::from(k) >= 1000 { 0.02 } else { 0.07 };
        let factor = node.factor();
        assert!((factor * f64::from(k) - 1.0).abs() < near, "k = {k}: {factor}");
        let passed = node.passed_per_s(900);
        assert!((passed / each as f64 - 1.0).abs() < near, "k = {k}: {passed} a second");
    }
}

#[test]
fn it_is_what_the_outside_gives_over_what_they_spend_and_never_more_than_one() {
    for (class, outside) in [(1, 3_000), (2, 50_000), (4, 20_000), (6, 700)] {
        let config = Config { increase: 110_000, always_share: 0, ..config() };
        let mut node = stubs(config, 10, outside, |_| Opening::default());
        node.open(class);
        node.pass(1200);
        // Ten stubs, to each of which 10,000 are given.
        let spent = 10.0 * f64::from(1000 * 4u32.pow(u32::from(class) - 1)).min(10_000.0);
        let expected = (outside as f64 / spent).min(1.0);
        let factor = node.factor();
        assert!((factor / expected - 1.0).abs() < 0.02, "class {class}: {factor}, not {expected}");
    }
}

#[test]
fn with_unequal_increases_it_is_the_outsides_over_their_sum() {
    let config = Config { increase: 200_000, always_share: 0, rule: Rule::Contributed, ..Config::default() };
    // What was contributed is what they are given by, and much more than what is contributed while this lasts.
    let mut node =
        stubs(config, 7, 9_000, |n| Opening { contributed: (1 << 44) * u64::from(n + 1), ..Opening::default() });
    // More than any is given.
    node.open(5);
    node.pass(900);
    let rows = rows(&mut node.ledger, node.now_us);
    let sum: f64 = rows[..7].iter().map(|row| row.increase as f64).sum();
    assert!(rows[6].increase > 3 * rows[0].increase);
    let factor = node.factor();
    assert!((factor * sum / 9_000.0 - 1.0).abs() < 0.02, "{factor}, not {}", 9_000.0 / sum);
}

#[test]
fn it_follows_when_clients_come_and_go_and_what_comes_back_goes_out_again() {
    let each = 10_000;
    let config = Config { increase: each * 41, always_share: 0, ..config() };
    let mut node = stubs(config, 40, each, |_| Opening { expected: each, ..Opening::default() });
    let ids = node.open(4);
    let mut out = Vec::new();
    for &id in &ids {
        assert!(node.ledger.connection_announced(0, id, Direction::Backward, 1, &mut out));
    }
    node.pass(900);
    // 40 classes of 1,000 come back, and may be spent there again.
    let passed = node.passed_per_s(300);
    // What values move by from one period to the next is lost: a fortieth here.
    assert!((0.97..1.02).contains(&(passed / 50_000.0)), "{passed} a second");
    // Of 40 there stay 5, and what is minted for each stays what it was.
    for stub in node.stubs.split_off(5) {
        node.ledger.neighbour_remove(node.now_us, stub).unwrap();
    }
    for &id in &ids[5..] {
        node.ledger.connection_close(node.now_us, id).unwrap();
    }
    for &id in &ids[..5] {
        assert!(node.ledger.connection_announced(node.now_us, id, Direction::Backward, 0, &mut out));
    }
    let fewer = Config { increase: each * 6, ..node.ledger.config().clone() };
    node.ledger.configure(node.now_us, fewer).unwrap();
    node.pass(900);
    let factor = node.factor();
    assert!((factor * 5.0 - 1.0).abs() < 0.02, "{factor}");
    let books = node.ledger.books(node.now_us).totals;
    assert!(books.valued_up > 0 && books.valued_down > 0);
}

/// Two neighbours that send as much as they can through us to each other, far beyond what there is: a circle's part at this node.
#[test]
fn what_goes_round_lowers_its_own_gain() {
    let mut ledger = ledger(Config { half_life_us: HALF_LIFE_US, increase: 20_000, always_share: 0, ..config() });
    let [p, n] = [(); 2].map(|()| {
        ledger.neighbour_add(0, Opening { expected: 10_000, account: 1 << 40, ..Opening::default() }).unwrap()
    });
    let mut out = Vec::new();
    let gain = |ledger: &mut Ledger, now_us| {
        let rows = rows(ledger, now_us);
        let value = |id| rows.iter().find(|row| row.neighbour == id).unwrap().value as f64 / 4_294_967_296.0;
        (value(p) - value(n)).exp2()
    };
    let mut now_us = common::pass(&mut ledger, 0, 60);
    let mut last = gain(&mut ledger, now_us);
    assert!((last - 1.0).abs() < 0.001, "{last}");
    for class in [4, 5, 6] {
        ledger.connection_open(now_us, p, n, class, &mut out).unwrap();
        now_us = common::pass(&mut ledger, now_us, 60);
        let now = gain(&mut ledger, now_us);
        assert!(now < 0.75 * last, "class {class}: {now} after {last}");
        last = now;
    }
}

#[test]
fn a_neighbour_to_which_nothing_goes_returns_to_one() {
    let mut node = stubs(config(), 3, 1000, |_| Opening { value: 5 << 32, ..Opening::default() });
    node.pass(1000);
    for row in rows(&mut node.ledger, node.now_us) {
        assert!(row.value.abs() < 1 << 26, "{}", row.value);
    }
}

/// Looked at once after all of it: to the last bit, or within 2^-22 octaves after very long.
#[test]
fn while_nothing_is_to_settle_values_move_as_if_it_were_settled() {
    let octaves = [5.0, -3.0, 0.3, 0.0];
    for (periods, off) in [(1, 0), (7, 0), (128, 0), (129, 1024), (1000, 1024), (100_000, 1024)] {
        let mut each = ledger(config());
        for value in octaves {
            let value = (value * 4_294_967_296.0) as i64;
            each.neighbour_add(0, Opening { value, ..Opening::default() }).unwrap();
        }
        let mut idle = each.clone();
        let now_us = common::pass(&mut each, 0, periods);
        for (settled, read) in rows(&mut each, now_us).iter().zip(rows(&mut idle, now_us)) {
            assert!((settled.value - read.value).abs() <= off, "{periods}: {settled:?} {read:?}");
            assert!((settled.value_lately - read.value_lately).abs() <= off, "{periods}: {settled:?} {read:?}");
        }
        // A connection begins at what they are by then.
        let mut out = [Vec::new(), Vec::new()];
        for (ledger, out) in [&mut each, &mut idle].into_iter().zip(&mut out) {
            ledger.connection_open(now_us, 0, 1, 4, out).unwrap();
        }
        assert_eq!(out[0], out[1]);
    }
}
