//! Who controls congestion where: not links, but what travels on them, end to end.

use std::any::Any;
use std::sync::Arc;

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};

use crate::transport::SPAN_MTU_MAX;
use crate::{Instant, LINK_MTU_MAX};

/// A link's controller, whose window never moves. Every packet on a link belongs to an inner connection that controls
/// congestion end to end, and two controllers in a row would each take a share of the same loss (RFC 9298, section 5.3
/// says the same of proxied QUIC). What bounds a link is its queue: a full one drops.
#[derive(Clone, Debug)]
pub struct PassThrough {
    /// Bytes in flight that a link may have; far above any bandwidth-delay product that a node sees.
    pub window_bytes: u64,
}

impl Controller for PassThrough {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}
    fn on_mtu_update(&mut self, _: u16) {}
    fn window(&self) -> u64 {
        self.window_bytes
    }
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }
    fn initial_window(&self) -> u64 {
        self.window_bytes
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl ControllerFactory for PassThrough {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new((*self).clone())
    }
}

/// An inner connection's factory: CUBIC (RFC 9438) that counts in the segments of the paths below.
///
/// CUBIC's window grows by segments, and inner datagrams are smaller than a path's, since every layer takes its part. Left
/// at that, a circuit would be worth less than any plain connection beside it, by just that part, wherever losses set the
/// rate. What an inner datagram fills on a link is a whole packet, so a whole packet is what growth is counted in.
/// A datagram of several packets is no larger segment: it grows as if each went alone. Of jumbo packets, each is one.
#[derive(Debug)]
pub struct InnerCubic;

impl ControllerFactory for InnerCubic {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let cubic = Arc::new(CubicConfig::default()).build(now, LINK_MTU_MAX as u16);
        Box::new(LinkSegments { cubic, jumbo: false, least: 2 * u64::from(mtu) })
    }
}

/// A controller that is told of no smaller segment size than a link's.
struct LinkSegments {
    cubic: Box<dyn Controller>,
    jumbo: bool,
    /// A window below one datagram would let nothing go at all.
    least: u64,
}

impl Controller for LinkSegments {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }
    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        if self.jumbo {
            return self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
        }
        // CUBIC grows by a segment at most each time it hears of an acknowledged packet: of several, it hears one by one.
        let mut rest = bytes;
        while rest > 0 {
            let one = rest.min(LINK_MTU_MAX as u64);
            self.cubic.on_ack(now, sent, one, app_limited, rtt);
            rest -= one;
        }
    }
    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest_acked);
    }
    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost_bytes: u64) {
        self.cubic.on_congestion_event(now, sent, persistent, lost_bytes);
    }
    fn on_mtu_update(&mut self, mtu: u16) {
        self.least = 2 * u64::from(mtu);
        self.jumbo = usize::from(mtu) > SPAN_MTU_MAX;
        self.cubic.on_mtu_update(if self.jumbo { mtu } else { LINK_MTU_MAX as u16 });
    }
    fn window(&self) -> u64 {
        self.cubic.window().max(self.least)
    }
    fn metrics(&self) -> ControllerMetrics {
        self.cubic.metrics()
    }
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { cubic: self.cubic.clone_box(), ..*self })
    }
    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.cubic.into_any()
    }
}
