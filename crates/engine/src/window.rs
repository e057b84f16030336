//! How much the reader of a flow may be sent before it has read: little for one that does not read, as much as the path
//! holds for one that does.
//!
//! QUIC's own stream window is fixed when a connection begins, so it is the upper bound, and this window, told to the
//! sender in messages of its own (wayfare-wire, `window`), is the one that moves: dynamic right-sizing (Fisk and Feng, 2001)
//! on what was consumed in a round trip.
//!
//! Invariant: `announced - consumed <= window`, and a reader that took no more than `SWALLOWED` was never promised more than
//! `INITIAL`; on a short path, one that took no more than `SWALLOWED_AT_MOST` never more than a quarter of what it took.

use std::time::Duration;

use wayfare_quic::Instant;

/// What every flow begins with, at both ends.
pub(crate) const INITIAL: u64 = 128 << 10;
/// What a system's socket buffers take off our hands although nobody reads from them: no sign of a reader yet.
const SWALLOWED: u64 = 256 << 10;
/// Socket buffers that are filled fast take more than that (800 KiB were seen): where round trips are so short that waiting
/// costs nothing, a window is no more than a quarter of what was taken, up to here.
const SWALLOWED_AT_MOST: u64 = 2 << 20;
const SHORT_PATH: Duration = Duration::from_millis(10);
/// Up to here a window grows for any reader that keeps up; beyond, only for a path that holds as much.
const CACHE_FRIENDLY: u64 = 2 << 20;
/// On shorter paths than this, round trips are too short to measure by.
const EPOCH_MIN: Duration = Duration::from_millis(2);

/// The reader's side.
pub(crate) struct ReceiveWindow {
    window: u64,
    consumed: u64,
    announced: u64,
    epoch_at: Instant,
    epoch_consumed: u64,
}

impl ReceiveWindow {
    pub fn new(now: Instant) -> Self {
        Self { window: INITIAL, consumed: 0, announced: INITIAL, epoch_at: now, epoch_consumed: 0 }
    }

    /// Bytes the sender may have on their way, or here.
    pub fn outstanding(&self) -> u64 {
        self.announced - self.consumed
    }

    /// Bytes above the initial window.
    pub fn extra(&self) -> u64 {
        self.window - INITIAL
    }

    /// The reader took `bytes`. Returns a new limit when the sender should be told of one. `room` is how far the window may
    /// grow yet.
    pub fn consume(&mut self, now: Instant, bytes: u64, rtt: Duration, min_rtt: Duration, room: u64) -> Option<u64> {
        self.consumed += bytes;
        let (epoch, rtt) = (now.saturating_duration_since(self.epoch_at), rtt.max(EPOCH_MIN));
        if self.consumed > SWALLOWED {
            self.grow(epoch.max(rtt), rtt, min_rtt, room);
        }
        if epoch >= rtt {
            self.epoch_at = now;
            self.epoch_consumed = self.consumed;
        }
        let limit = self.consumed + self.window;
        if limit - self.announced < self.window / 8 {
            return None;
        }
        self.announced = limit;
        Some(limit)
    }

    /// Within a round trip already: a sender in slow start doubles with each, and must not wait for us to notice.
    fn grow(&mut self, epoch: Duration, rtt: Duration, min_rtt: Duration, room: u64) {
        let rate_bytes_per_s = (self.consumed - self.epoch_consumed) as f64 / epoch.as_secs_f64();
        let wanted = 4.0 * rate_bytes_per_s * rtt.as_secs_f64();
        // The smoothed round trip holds our own queue; a window sized by that would feed it for ever.
        let holds = 4.0 * rate_bytes_per_s * min_rtt.as_secs_f64();
        if wanted > self.window as f64 && (self.window < CACHE_FRIENDLY || (self.window as f64) < holds) {
            // Whole steps only, so that where it ends does not depend on how it was taken.
            let doubtful = self.consumed < SWALLOWED_AT_MOST && min_rtt < SHORT_PATH;
            if !doubtful || self.consumed / 4 >= 2 * self.window {
                self.window += self.window.min(room);
            }
        }
    }
}

/// The sender's side.
pub(crate) struct SendWindow {
    sent: u64,
    limit: u64,
}

impl SendWindow {
    pub fn new() -> Self {
        Self { sent: 0, limit: INITIAL }
    }

    pub fn room(&self) -> u64 {
        self.limit - self.sent
    }

    pub fn spend(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// A limit arrived; limits never fall.
    pub fn raise(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant serves as the origin of virtual time")]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    #[test]
    fn a_reader_that_never_reads_was_promised_the_initial_window() {
        let w = ReceiveWindow::new(Instant::now());
        assert_eq!((w.outstanding(), w.extra()), (INITIAL, 0));
    }

    #[test]
    fn what_socket_buffers_swallow_at_once_promises_no_more() {
        let now = Instant::now();
        let mut w = ReceiveWindow::new(now);
        for _ in 0..SWALLOWED / 1024 {
            w.consume(now, 1024, RTT, RTT, 16 << 20);
        }
        assert_eq!((w.outstanding(), w.extra()), (INITIAL, 0));
    }

    #[test]
    fn a_sender_that_doubles_with_each_round_trip_is_not_held_up() {
        let start = Instant::now();
        let (mut w, mut s) = (ReceiveWindow::new(start), SendWindow::new());
        // Past what socket buffers swallow, as if it had been slow until now.
        let mut sent = 32 << 10;
        for round in 0..40u32 {
            s.spend(sent);
            w.consume(start + RTT * round, sent, RTT, RTT, 16 << 20).into_iter().for_each(|limit| s.raise(limit));
        }
        // Acknowledgements come spread over the round trip, and each lets twice as much go out: so the limit must have moved
        // by then, not at the round's end.
        for round in 40..46u32 {
            let at = |part: u32| start + RTT * round + RTT * part / 32;
            for part in 0..32 {
                let limit = w.consume(at(part), sent / 32, RTT, RTT, (16 << 20) - INITIAL - w.extra());
                limit.into_iter().for_each(|limit| s.raise(limit));
                assert!(s.room() >= sent / 16, "round {round}, part {part}");
                s.spend(sent / 16);
            }
            sent *= 2;
        }
    }

    #[test]
    fn a_reader_that_keeps_up_on_a_long_path_gets_the_path_s_worth() {
        let start = Instant::now();
        let (mut w, mut s) = (ReceiveWindow::new(start), SendWindow::new());
        // Each round trip the sender sends all it may, and the reader takes all of it.
        let mut last = 0;
        for round in 1..=10u32 {
            let sent = s.room();
            s.spend(sent);
            last = sent;
            if let Some(limit) = w.consume(start + RTT * round, sent, RTT, RTT, (16 << 20) - INITIAL - w.extra()) {
                s.raise(limit);
            }
        }
        assert_eq!(last, 16 << 20);
        assert!(w.outstanding() <= 16 << 20);
    }

    #[test]
    fn a_short_path_keeps_a_window_that_fits_the_cache() {
        let start = Instant::now();
        let (mut w, us) = (ReceiveWindow::new(start), Duration::from_micros(100));
        // 1 GB/s with 100 us of path and 5 ms of our own queue.
        for ms in 1..200u32 {
            w.consume(start + Duration::from_millis(ms.into()), 1_000_000, Duration::from_millis(5), us, 16 << 20);
        }
        assert_eq!(INITIAL + w.extra(), CACHE_FRIENDLY);
    }

    #[test]
    fn without_room_in_the_quota_nothing_grows() {
        let start = Instant::now();
        let mut w = ReceiveWindow::new(start);
        for round in 1..20u32 {
            w.consume(start + RTT * round, INITIAL, RTT, RTT, 0);
        }
        assert_eq!(w.extra(), 0);
    }
}
