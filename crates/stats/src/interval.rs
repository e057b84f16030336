//! The packet interval window: first and last time, bytes and packets each way.

/// A shorter interval counts as this long: a burst's own length says what buffers hold, not what the path carries.
pub const INTERVAL_MIN_US: u64 = 10_000;

/// What moved since it was last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub sent_packets: u32,
    pub received_packets: u32,
}

/// All that moved for one tuple. Sums stay at their largest value rather than overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketInterval {
    /// Of no meaning while there are neither bytes nor packets.
    pub first_us: u64,
    pub last_us: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub sent_packets: u32,
    pub received_packets: u32,
}

impl PacketInterval {
    /// Times may come in any order.
    #[inline]
    pub fn record(&mut self, at_us: u64, moved: &Moved) {
        if self.is_empty() {
            (self.first_us, self.last_us) = (at_us, at_us);
        }
        self.first_us = self.first_us.min(at_us);
        self.last_us = self.last_us.max(at_us);
        self.sent_bytes = self.sent_bytes.saturating_add(moved.sent_bytes);
        self.received_bytes = self.received_bytes.saturating_add(moved.received_bytes);
        self.sent_packets = self.sent_packets.saturating_add(moved.sent_packets);
        self.received_packets = self.received_packets.saturating_add(moved.received_packets);
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.sent_bytes | self.received_bytes | u64::from(self.sent_packets | self.received_packets) == 0
    }

    /// Bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.sent_bytes.saturating_add(self.received_bytes)
    }

    /// Interval data by interval time, bytes per second.
    pub fn speed(&self) -> f64 {
        speed(self.bytes(), self.first_us, self.last_us)
    }
}

/// Bytes per second between two times, which are taken as [`INTERVAL_MIN_US`] apart at least.
#[inline]
pub fn speed(bytes: u64, first_us: u64, last_us: u64) -> f64 {
    bytes as f64 * 1e6 / last_us.saturating_sub(first_us).max(INTERVAL_MIN_US) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_data_by_time_and_a_burst_counts_as_ten_milliseconds() {
        let mut window = PacketInterval::default();
        assert_eq!(window.speed(), 0.0);
        window.record(1_000_000, &Moved { sent_bytes: 500, ..Moved::default() });
        assert_eq!(window.speed(), 50_000.0);
        window.record(3_000_000, &Moved { received_bytes: 1_500, received_packets: 2, ..Moved::default() });
        window.record(500_000, &Moved { received_bytes: 500, ..Moved::default() });
        assert_eq!((window.first_us, window.last_us, window.bytes()), (500_000, 3_000_000, 2_500));
        assert_eq!(window.speed(), 1_000.0);
    }

    #[test]
    fn sums_stay_at_their_edge() {
        let mut window = PacketInterval::default();
        let most = Moved { sent_bytes: u64::MAX, received_bytes: 1 << 53, sent_packets: u32::MAX, received_packets: 1 };
        for at_us in [u64::MAX, 0] {
            window.record(at_us, &most);
        }
        assert_eq!((window.sent_bytes, window.received_bytes, window.sent_packets), (u64::MAX, 1 << 54, u32::MAX));
        assert!(window.speed().is_finite());
    }
}
