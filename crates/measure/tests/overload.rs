//! A relay whose link may send 100 Mbit/s and is offered ten times that (threat 5): the link is full, what passes passes in
//! time, control goes on, what waits is bounded, and every packet is accounted for.
//!
//! How fast this machine is decides nothing: bounds hold at every moment, and what needs threads that nobody keeps from their
//! work is waited for.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests and benchmarks stand on the machine")]

use std::time::{Duration, Instant};

use wayfare_measure::relay::{Shaped, Window};

const RATE: u64 = 12_500_000;
/// What may go at once after a pause: 5 ms.
const BURST: u64 = RATE / 200;
/// Memory that one link's queue may take, and what a packet of class M takes of it at the least.
const QUEUE_BYTES: u64 = 4 << 20;
const WAITING_BYTES: u64 = 1536;
const WITHIN: Duration = Duration::from_secs(20);

#[test]
fn a_relay_offered_ten_times_what_its_link_may_send() {
    if !wayfare_fast::hardware_aes() {
        return; // no link is fast here
    }
    let mut shaped = Shaped::start(RATE).unwrap();
    let before = shaped.account().unwrap();
    let (start, mut came_bytes, mut windows) = (Instant::now(), 0, Vec::<Window>::new());
    // The link full, nobody kept waiting, and more than twice offered: as much more as this machine can, up to ten times.
    let good = |w: &Window| {
        w.offered_bytes as f64 > 2.0 * RATE as f64 * w.seconds
            && w.came_bytes as f64 >= 0.9 * RATE as f64 * w.seconds
            && w.wait_max < Duration::from_millis(150)
    };
    shaped.ask().unwrap();
    while shaped.standing() < 2 || !windows.last().is_some_and(good) {
        assert!(start.elapsed() < WITHIN, "{} circuits, {windows:?}", shaped.standing());
        let window = shaped.window(10.0, Shaped::WINDOW).unwrap();
        assert!(window.waiting_max * WAITING_BYTES <= QUEUE_BYTES, "{window:?}");
        came_bytes += window.came_bytes;
        windows.push(window);
    }
    let most = BURST as f64 + RATE as f64 * start.elapsed().as_secs_f64();
    assert!(came_bytes as f64 <= most, "{came_bytes} of {most} bytes");
    shaped.until("the queue to empty", |shaped| Ok(shaped.account()?.waiting() == 0)).unwrap();
    let after = shaped.account().unwrap();
    assert!(after.queue_delay + after.queue_full > before.queue_delay + before.queue_full);
    assert_eq!(after.relayed, after.sent + after.queue_delay + after.queue_full, "{after:?}");
    assert_eq!(after.otherwise, before.otherwise, "for a reason that a queue has");
    shaped.until("probes to be answered", |shaped| shaped.is_fast()).unwrap();
}
