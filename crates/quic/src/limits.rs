//! A link does not control congestion: every packet on it belongs to an inner connection that does, end to end. Two
//! controllers in a row would each take a share of the same loss (RFC 9298, section 5.3 says the same of proxied QUIC).
//! What bounds a link is its queue: a full one drops.

use std::any::Any;
use std::sync::Arc;

use quinn_proto::congestion::{Controller, ControllerFactory};

use crate::Instant;

/// A controller whose window never moves.
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
