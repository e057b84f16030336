//! A relay whose link may send 50 Mbit/s and is offered ten times that, on circuits whose exit pays differently: what gets through
//! follows credits per second, a byte costs the same whoever pays, and who pays nothing is served when others leave room.
//!
//! How fast this machine is decides nothing: shares are counted in packets, in stretches in which the link was full.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests and benchmarks stand on the machine")]

use std::time::{Duration, Instant};

use wayfare_measure::relay::{Shaped, Window};

const RATE: u64 = 6_250_000;
/// The classes of 16,000, 64,000 and 256,000 credits per second, and none.
const CLASSES: [u8; 5] = [3, 4, 5, 5, 0];
const PAID: [u64; 5] = [16_000, 64_000, 256_000, 256_000, 0];
const WITHIN: Duration = Duration::from_secs(20);
/// So that the circuit that pays least has sent enough packets for five per cent to be told.
const PACKETS: u64 = 20_000;

fn full(w: &Window) -> bool {
    w.offered_bytes as f64 > 4.0 * RATE as f64 * w.seconds && w.came_bytes as f64 >= 0.9 * RATE as f64 * w.seconds
}

#[test]
fn throughput_follows_credits_per_second_and_a_byte_costs_all_the_same() {
    if !wayfare_fast::hardware_aes() {
        return; // no link is fast here
    }
    let mut shaped = Shaped::start_with(RATE, CLASSES.len()).unwrap();
    // The exit has something to spend before it does.
    std::iter::repeat_with(|| shaped.window(0.5, Shaped::WINDOW).unwrap()).take(2).for_each(drop);
    CLASSES.iter().enumerate().for_each(|(circuit, &class)| shaped.announce(circuit, class));
    let start = Instant::now();
    // What waited before was nobody's; a period of the ledger's passes, and what it charges is known.
    while start.elapsed() < Duration::from_secs(2) {
        shaped.window(10.0, Shaped::WINDOW).unwrap();
    }
    let (charged, mut came) = (shaped.charged().unwrap(), [0; CLASSES.len()]);
    while came.iter().sum::<u64>() < PACKETS {
        assert!(start.elapsed() < WITHIN, "the link is not kept full: {came:?}");
        let before = shaped.came.clone();
        if full(&shaped.window(10.0, Shaped::WINDOW).unwrap()) {
            came.iter_mut().zip(before.iter().zip(&shaped.came)).for_each(|(sum, (was, is))| *sum += is - was);
        }
    }
    let charged: Vec<(u64, u64)> =
        shaped.charged().unwrap().iter().zip(&charged).map(|(is, was)| (is.0 - was.0, is.1 - was.1)).collect();
    println!("packets {came:?}, credits and bytes {charged:?}");
    let all = came.iter().sum::<u64>() as f64;
    let paid = PAID.iter().sum::<u64>() as f64;
    let price = charged.iter().map(|c| c.0).sum::<u64>() as f64 / charged.iter().map(|c| c.1).sum::<u64>() as f64;
    for circuit in 0..4 {
        let share = PAID[circuit] as f64 / paid;
        let got = came[circuit] as f64 / all;
        assert!((got / share - 1.0).abs() <= 0.05, "circuit {circuit}: {got} instead of {share}; {came:?}");
        let (credits, bytes) = charged[circuit];
        let of = credits as f64 / bytes as f64;
        assert!(
            (of / price - 1.0).abs() <= 0.05,
            "circuit {circuit}: {of} credits a byte instead of {price}; {charged:?}"
        );
    }
    assert!(came[4] as f64 <= all / 100.0 && charged[4].0 == 0, "who pays nothing goes last, and for nothing");

    // Throttled, not cut: where the others leave room, all it sends comes.
    shaped.until("the queue to empty", |shaped| Ok(shaped.account()?.waiting() == 0)).unwrap();
    let before = shaped.came[4];
    let end = Instant::now() + WITHIN;
    while shaped.came[4] < before + 100 {
        assert!(Instant::now() < end);
        shaped.window(0.5, Shaped::WINDOW).unwrap();
    }
}
