//! How much each of two bottlenecks is paid, against an exhaustive search.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use common::{S, config, ledger};
use wayfare_credit::{Config, Direction, Ledger, Opening};

const PERIODS: u64 = 400;

struct Router {
    ledger: Ledger,
    id: u32,
    neighbours: [u32; 2],
}

fn router() -> Router {
    let rich = Opening { account: 1 << 52, mirror: 1 << 52, ..Opening::default() };
    let mut ledger =
        ledger(Config { increase: 0, half_life_us: 1 << 40, valuation: false, always_share: 0, ..config() });
    let neighbours = [0; 2].map(|_| ledger.neighbour_add(0, rich).unwrap());
    Router { ledger, id: 0, neighbours }
}

/// Goodput of a flow of F credits per second over two bottlenecks with prices per byte, as a fluid: each gives it weight/price, the
/// smaller of both is what passes, and it waits where it gets least.
fn goodput(class: u8, prices: [f64; 2]) -> (f64, f64) {
    let mut routers = [router(), router()];
    let mut out = Vec::new();
    for router in &mut routers {
        let [a, b] = router.neighbours;
        router.id = router.ledger.connection_open(0, a, b, class, &mut out).unwrap();
        out.clear();
    }
    let (mut moved, mut counted) = (0.0, 0);
    for period in 1..=PERIODS {
        let rates =
            [0, 1].map(|n| f64::from(routers[n].ledger.weight(routers[n].id, Direction::Forward).max(1)) / prices[n]);
        let bytes = rates[0].min(rates[1]);
        for n in 0..2 {
            // Where it is slower it is backlogged all the time; at the other it waits as long as it takes to send what comes.
            let backlogged = if rates[n] <= rates[1 - n] { 1.0 } else { 0.0 };
            let weight = f64::from(routers[n].ledger.weight(routers[n].id, Direction::Forward));
            routers[n].ledger.charge(routers[n].id, Direction::Forward, (weight * backlogged) as u64, bytes as u64);
        }
        routers[0].ledger.settle(period * S, &mut out);
        let passed = routers[0].ledger.flow(routers[0].id, Direction::Forward).unwrap().class_out;
        let Router { ledger, id, .. } = &mut routers[1];
        ledger.settle(period * S, &mut out);
        ledger.connection_announced(period * S, *id, Direction::Forward, passed, &mut out);
        out.clear();
        if period > PERIODS / 2 {
            moved += bytes;
            counted += 1;
        }
    }
    // All splits of F between the two, in thousandths.
    let f = f64::from(wayfare_credit::rate(class).unwrap());
    let best = (1..1000)
        .map(|part| (f * f64::from(part) / 1000.0 / prices[0]).min(f * f64::from(1000 - part) / 1000.0 / prices[1]))
        .fold(0.0, f64::max);
    (moved / f64::from(counted), best)
}

#[test]
fn with_two_equal_bottlenecks_the_split_is_within_a_twentieth_of_the_best_there_is() {
    for class in [4, 6, 8] {
        let (ours, best) = goodput(class, [1.0, 1.0]);
        assert!(ours >= 0.95 * best && ours <= 1.05 * best, "class {class}: {ours} of {best}");
    }
}

/// A single connection whose share at the second router falls between two classes gets the lower one most of the time: what this costs.
#[test]
fn with_unequal_bottlenecks_a_single_connection_pays_for_the_classes_between_them() {
    for (prices, least) in [([1.0, 3.0], 0.85), ([3.0, 1.0], 0.7), ([1.0, 10.0], 0.7), ([10.0, 1.0], 0.5)] {
        let (ours, best) = goodput(6, prices);
        assert!(ours >= least * best && ours <= 1.05 * best, "{prices:?}: {ours} of {best}");
    }
}
