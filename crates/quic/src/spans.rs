//! Whether a connection may send datagrams that span several packets: one lost packet of theirs is all of them lost.
//!
//! A connection that loses more than one in [`PACKETS_PER_LOSS`] would send most of what it has twice; it sends small datagrams from then on. Losses of one
//! round trip count once, as they do for congestion control: the burst at the end of slow start says nothing about the path.

use std::time::Duration;

use crate::Instant;

const PACKETS_PER_LOSS: u64 = 25;
/// Losses that must have been seen.
const LOSSES: u64 = 4;
/// Packets after which the count begins again.
const WINDOW: u64 = 256;
/// How long small datagrams are kept to. Finding out anew costs a connection that loses much some round trips.
const REFUSED: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// What had been sent, and lost, when the count began.
    since: (u64, u64),
    refused_until: Option<Instant>,
}

impl Spans {
    /// Of a connection that has sent so many packets so far, and has had so many round trips with losses.
    pub(crate) fn allowed(&mut self, now: Instant, sent: u64, losses: u64) -> bool {
        if let Some(until) = self.refused_until {
            if now < until {
                return false;
            }
            *self = Self { since: (sent, losses), refused_until: None };
        }
        let (packets, lost) = (sent.saturating_sub(self.since.0), losses.saturating_sub(self.since.1));
        if lost >= LOSSES && lost * PACKETS_PER_LOSS > packets {
            self.refused_until = Some(now + REFUSED);
            return false;
        }
        if packets >= WINDOW {
            self.since = (sent, losses);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends packets of which every so many-th is lost, and says when that was refused.
    fn refused_after(every: u64, packets: u64) -> Option<u64> {
        let (mut spans, now) = (Spans::default(), Instant::now());
        (1..packets).find(|&sent| !spans.allowed(now, sent, sent / every))
    }

    #[test]
    fn who_loses_one_in_a_hundred_goes_on_and_who_loses_one_in_ten_does_not() {
        assert_eq!(refused_after(100, 100_000), None);
        assert_eq!(refused_after(26, 100_000), None);
        assert_eq!(refused_after(10, 100_000), Some(40));
        assert_eq!(refused_after(3, 100_000), Some(12));
        // Three losses are no measure.
        assert_eq!(refused_after(2, 8), None);
    }

    #[test]
    fn it_is_tried_again_and_judged_by_what_was_lost_since() {
        let (mut spans, now) = (Spans::default(), Instant::now());
        assert!(!spans.allowed(now, 40, 10));
        assert!(!spans.allowed(now + REFUSED - Duration::from_secs(1), 100_000, 10));
        assert!(spans.allowed(now + REFUSED, 100_000, 10));
        assert!(spans.allowed(now + REFUSED, 100_020, 13));
        assert!(!spans.allowed(now + REFUSED, 100_021, 14));
    }
}
