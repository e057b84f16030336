//! Flows of circuits: what neighbours announce, what they are told, and what packets weigh by it.

use wayfare_credit::{Change, Direction, rate};
use wayfare_quic::Instant;
use wayfare_relay::{LinkId, Next};
use wayfare_types::Reason;
use wayfare_wire::Control;

use crate::api::CircuitId;
use crate::circuits::{Circuit, RelayCircuit};
use crate::credits::Credit;
use crate::engine::Engine;

impl Engine {
    /// A neighbour announced a class on a circuit, or on the one that it sets up next.
    pub(crate) fn handle_flow(&mut self, now: Instant, link: LinkId, cid: u32, class: u8) {
        if rate(class).is_none() {
            return self.counters.count(Reason::CreditClass);
        }
        if cid == 0 {
            if let Some(link) = self.links.get_mut(&link) {
                link.setup_flow = class;
            }
            return;
        }
        let found = self.table.circuit(link, cid).and_then(|id| self.circuits.get(&id));
        let direction = match found {
            Some(Circuit::Relay(c)) if c.backward_cid == Some(cid) => Direction::Backward,
            Some(Circuit::Relay(_) | Circuit::Exit(_)) => Direction::Forward,
            Some(Circuit::Client(_)) => Direction::Backward,
            None => return self.counters.count(Reason::CircuitUnknown),
        };
        let Some(connection) = found.and_then(|circuit| circuit.credit().connection) else {
            return self.counters.count(Reason::CircuitUnknown);
        };
        let credits = &mut self.credits;
        let now_us = credits.us(now);
        credits.ledger.connection_announced(now_us, connection, direction, class, &mut credits.changes);
        credits.wake(now);
        self.credit_apply(now);
        self.credit_weigh(connection);
    }

    /// What this node adds to a circuit that begins here (its flow away from here) or that ends here (back, beside what comes): a class
    /// from 0, none, to 8.
    ///
    /// # Errors
    /// [`Reason::CreditClass`] for no class; [`Reason::CircuitUnknown`] for no circuit that begins or ends here.
    pub fn circuit_flow(&mut self, now: Instant, id: CircuitId, class: u8) -> Result<(), Reason> {
        rate(class).ok_or(Reason::CreditClass)?;
        let ends_here = self.circuits.get(&id).filter(|circuit| !matches!(circuit, Circuit::Relay(_)));
        let connection = ends_here.and_then(|circuit| circuit.credit().connection).ok_or(Reason::CircuitUnknown)?;
        let credits = &mut self.credits;
        let now_us = credits.us(now);
        let changed = credits.ledger.connection_own(now_us, connection, class, &mut credits.changes);
        changed.map_err(|_| Reason::CircuitUnknown)?;
        credits.wake(now);
        self.credit_apply(now);
        self.credit_weigh(connection);
        Ok(())
    }

    /// Tells neighbours what the ledger wants told, and ends circuits that it has dropped.
    pub(crate) fn credit_apply(&mut self, now: Instant) {
        for change in std::mem::take(&mut self.credits.changes) {
            match change {
                Change::Announce { connection, direction, class } => {
                    let id = self.credits.circuit_of(connection);
                    self.announce(id, direction, class);
                }
                Change::Drop { connection } => {
                    let id = self.credits.circuit_of(connection);
                    let Some(circuit) = self.circuits.get_mut(&id) else { continue };
                    circuit.credit_mut().connection = None;
                    self.counters.count(Reason::CreditArrears);
                    self.end_circuit(now, id, Reason::CreditArrears, None);
                }
            }
        }
    }

    fn announce(&mut self, id: CircuitId, direction: Direction, class: u8) {
        let (to, credit) = match (self.circuits.get_mut(&id), direction) {
            (Some(Circuit::Relay(RelayCircuit { prev, .. })), Direction::Backward) => {
                let Next { link, cid } = *prev;
                return self.send_flow(link, cid, class);
            }
            (Some(Circuit::Exit(c)), Direction::Backward) => {
                let Next { link, cid } = c.prev;
                return self.send_flow(link, cid, class);
            }
            (Some(Circuit::Relay(c)), Direction::Forward) => (c.next, &mut c.credit),
            (Some(Circuit::Client(c)), Direction::Forward) => {
                (c.path.as_ref().map(|_| Next { link: c.link, cid: c.forward_cid }), &mut c.credit)
            }
            _ => return,
        };
        // Until the next node has said under which id, it waits.
        credit.wanted = class;
        if let Some(Next { link, cid }) = to {
            credit.told = class;
            self.send_flow(link, cid, class);
        }
    }

    /// Announces with a set-up what is known of its flow.
    pub(crate) fn announce_setup(&mut self, id: CircuitId, link: LinkId) {
        let Some(circuit) = self.circuits.get_mut(&id) else { return };
        let credit = circuit.credit_mut();
        credit.told = credit.wanted;
        let class = credit.told;
        if class > 0 {
            self.send_flow(link, 0, class);
        }
    }

    /// The next node has answered: tells it what has changed since.
    pub(crate) fn announce_again(&mut self, credit: Credit, link: LinkId, cid: u32) {
        if credit.wanted != credit.told {
            self.send_flow(link, cid, credit.wanted);
        }
    }

    fn send_flow(&mut self, link: LinkId, cid: u32, class: u8) {
        if self.links.get(&link).is_some_and(|link| link.accounts) {
            self.send_control(link, &Control::Flow { cid, class });
        }
    }

    /// Has packets of a circuit weigh what its flows are willing to pay here.
    pub(crate) fn credit_weigh(&mut self, connection: u32) {
        let [forward, backward] =
            [Direction::Forward, Direction::Backward].map(|way| self.credits.ledger.weight(connection, way));
        let id = self.credits.circuit_of(connection);
        match self.circuits.get_mut(&id) {
            Some(Circuit::Relay(c)) => {
                let (to, back) = (c.forward_cid, c.backward_cid);
                to.into_iter().for_each(|cid| self.table.set_weight(cid, forward));
                back.into_iter().for_each(|cid| self.table.set_weight(cid, backward));
            }
            Some(Circuit::Exit(c)) => c.weight = backward,
            Some(Circuit::Client(c)) => c.weight = forward,
            None => {}
        }
    }
}
