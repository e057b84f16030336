//! What a proxied request has moved: in all, and since TypeScript last asked.

use std::cell::Cell;

use wayfare_quic::Instant;

use crate::event::MovedSince;

#[derive(Clone, Copy, Default)]
struct Way {
    bytes: u64,
    /// Of these, what was told.
    told: u64,
    pieces: u64,
}

/// Counts of one request. Received is what came from the flow, sent what went into it.
#[derive(Default)]
pub(crate) struct Moved {
    received: Cell<Way>,
    sent: Cell<Way>,
    /// The first and last time since it was last asked.
    times: Cell<Option<(Instant, Instant)>>,
}

impl Moved {
    pub fn received(&self, bytes: u64) {
        self.count(&self.received, bytes);
    }

    pub fn sent(&self, bytes: u64) {
        self.count(&self.sent, bytes);
    }

    fn count(&self, way: &Cell<Way>, bytes: u64) {
        let Way { bytes: before, told, pieces } = way.get();
        way.set(Way { bytes: before + bytes, told, pieces: pieces + 1 });
        let now = Instant::now();
        self.times.set(Some((self.times.get().map_or(now, |(first, _)| first), now)));
    }

    /// Bytes received and sent, in all.
    pub fn total(&self) -> (u64, u64) {
        (self.received.get().bytes, self.sent.get().bytes)
    }

    /// What moved since it was last asked, if anything did.
    pub fn take(&self, now: Instant) -> Option<MovedSince> {
        let (first, last) = self.times.take()?;
        let since = |way: &Cell<Way>| {
            let Way { bytes, told, pieces } = way.get();
            way.set(Way { bytes, told: bytes, pieces: 0 });
            (bytes - told, pieces)
        };
        let ((received, pieces_received), (sent, pieces_sent)) = (since(&self.received), since(&self.sent));
        let age_us = |at: Instant| now.saturating_duration_since(at).as_micros() as u64;
        Some(MovedSince {
            first_us: age_us(first),
            last_us: age_us(last),
            sent,
            received,
            pieces_sent,
            pieces_received,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_moved_is_told_once_with_the_ages_of_its_first_and_last_byte() {
        let moved = Moved::default();
        let before = Instant::now();
        assert_eq!(moved.take(before), None);
        moved.sent(100);
        moved.received(1000);
        moved.received(500);
        let since = moved.take(Instant::now() + Duration::from_secs(1)).unwrap();
        assert_eq!((since.sent, since.received, since.pieces_sent, since.pieces_received), (100, 1500, 1, 2));
        assert!(since.first_us >= since.last_us && since.last_us >= 1_000_000);
        assert_eq!(moved.take(Instant::now()), None);
        moved.received(7);
        let since = moved.take(before).unwrap();
        assert_eq!((since.sent, since.received, since.first_us), (0, 7, 0));
        assert_eq!(moved.total(), (1507, 100));
    }
}
