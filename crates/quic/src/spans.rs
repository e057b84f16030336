//! Whether a connection may send datagrams that span several packets: one lost packet of theirs is all of them lost.
//!
//! A connection that loses more than one in [`PACKETS_PER_LOSS`] would send much of what it has twice; it sends small datagrams from then on.

use std::time::Duration;

use crate::Instant;

const PACKETS_PER_LOSS: u64 = 25;
/// Losses that must have been seen.
const LOSSES: u64 = 4;
/// Packets after which the count begins again.
const WINDOW: u64 = 256;
/// How long small datagrams are kept to. Finding out anew costs a connection that loses much a slow start.
const REFUSED: Duration = Duration::from_secs(600);

/// What a connection may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// No more after this one.
    Ended,
    Refused,
}

#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// Packets that had been sent when the count began, and losses since.
    since: u64,
    losses: u64,
    /// What the connection had counted, and when a loss was last counted here.
    seen: u64,
    counted_at: Option<Instant>,
    refused_until: Option<Instant>,
}

impl Spans {
    /// Of a connection that had sent so many packets, and found some lost so many times, on another path.
    pub(crate) fn since(sent: u64, found: u64) -> Self {
        Self { since: sent, seen: found, ..Self::default() }
    }

    /// Of a connection that has sent so many packets so far and has found some lost so many times. What it finds within a round trip
    /// counts once, as for congestion control: the burst at the end of slow start says nothing about the path.
    pub(crate) fn judge(&mut self, now: Instant, rtt: Duration, sent: u64, found: u64) -> Verdict {
        if let Some(until) = self.refused_until {
            if now < until {
                return Verdict::Refused;
            }
            *self = Self::since(sent, found);
        }
        if found > self.seen {
            self.seen = found;
            if self.counted_at.is_none_or(|at| now >= at + rtt) {
                self.counted_at = Some(now);
                self.losses += 1;
            }
        }
        let packets = sent.saturating_sub(self.since);
        if self.losses >= LOSSES && self.losses * PACKETS_PER_LOSS > packets {
            self.refused_until = Some(now + REFUSED);
            return Verdict::Ended;
        }
        if packets >= WINDOW {
            (self.since, self.losses) = (sent, 0);
        }
        Verdict::Allowed
    }
}

#[cfg(test)]
#[path = "spans_tests.rs"]
mod downloads;

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any instant serves as the origin of virtual time")]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(10);

    /// Sends packets of which every so many-th is lost, so many in a round trip, and says when that ended.
    fn ended_after(every: u64, in_flight: u32, packets: u64) -> Option<u64> {
        let (mut spans, start) = (Spans::default(), Instant::now());
        (1..packets).find(|&sent| {
            let now = start + RTT * sent as u32 / in_flight;
            spans.judge(now, RTT, sent, sent / every) != Verdict::Allowed
        })
    }

    #[test]
    fn who_loses_one_in_a_hundred_goes_on_and_who_loses_one_in_ten_does_not() {
        assert_eq!(ended_after(100, 5, 100_000), None);
        assert_eq!(ended_after(40, 5, 100_000), None);
        assert_eq!(ended_after(10, 5, 100_000), Some(40));
        // Three losses are no measure.
        assert_eq!(ended_after(2, 1, 8), None);
    }

    #[test]
    fn a_burst_of_one_round_trip_is_one_loss() {
        // 200 in flight, every third of them lost, for three round trips.
        assert_eq!(ended_after(3, 200, 600), None);
    }

    #[test]
    fn it_is_tried_again_and_judged_by_what_was_lost_since() {
        let (mut spans, start) = (Spans::default(), Instant::now());
        let mut now = start;
        let mut verdicts = (1..=5).map(|i| {
            now += RTT;
            spans.judge(now, RTT, 10 * i, i)
        });
        assert!(verdicts.by_ref().take(3).all(|v| v == Verdict::Allowed));
        assert_eq!((verdicts.next(), verdicts.next()), (Some(Verdict::Ended), Some(Verdict::Refused)));
        let again = start + 4 * RTT + REFUSED;
        assert_eq!(spans.judge(again - RTT, RTT, 100_000, 900), Verdict::Refused);
        assert_eq!(spans.judge(again, RTT, 100_000, 900), Verdict::Allowed);
        for i in 1..4 {
            assert_eq!(
                spans.judge(again + RTT * i, RTT, 100_000 + 10 * u64::from(i), 900 + u64::from(i)),
                Verdict::Allowed
            );
        }
        assert_eq!(spans.judge(again + RTT * 4, RTT, 100_040, 904), Verdict::Ended);
    }
}
