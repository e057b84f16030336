//! Circles: circuits of this node's own that end here as well, and carry credits alone (docs/decisions/0011).

use wayfare_onion::ClientSetup;
use wayfare_quic::Instant;

use crate::api::CircuitId;
use crate::circuits::Circuit;
use crate::engine::Engine;

/// What a circuit knows of being one.
#[derive(Clone, Copy)]
pub(crate) struct Circle {
    /// By which this node knows the set-up when it comes round.
    tag: [u8; 16],
    /// Its end, once it has.
    end: Option<CircuitId>,
}

impl Circle {
    pub fn new(setup: &ClientSetup) -> Self {
        Self { tag: setup.exit_tag(), end: None }
    }
}

impl Engine {
    /// Its set-up is on its way.
    pub(crate) fn begin_circle(&mut self, circle: Option<Circle>, begin: CircuitId) {
        if let Some(Circle { tag, .. }) = circle {
            self.circles.insert(tag, begin);
        }
    }

    pub(crate) fn forget_circle(&mut self, circle: Option<Circle>) {
        if let Some(Circle { tag, .. }) = circle {
            self.circles.remove(&tag);
        }
    }

    /// Where a circle ends, if its set-up has come round.
    pub(crate) fn circle_end(&self, circle: Circle) -> Option<&Circuit> {
        self.circuits.get(&circle.end?)
    }

    /// A set-up for which this node is the exit is one of its own, which has come round: its end keeps what comes instead of turning it round.
    pub(crate) fn close_circle(&mut self, now: Instant, begin: CircuitId, end: CircuitId, connection: u32) {
        if let Some(Circuit::Client(begin)) = self.circuits.get_mut(&begin) {
            begin.circle.iter_mut().for_each(|circle| circle.end = Some(end));
        }
        let credits = &mut self.credits;
        let now_us = credits.us(now);
        let _ = credits.ledger.connection_keep(now_us, connection, &mut credits.changes);
        credits.wake(now);
    }
}
