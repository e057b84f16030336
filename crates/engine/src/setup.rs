//! Set-ups that reach this node from others: checked, remembered, answered or passed on.

use wayfare_onion::{BackwardHop, ForwardHop, HopKeys, ReplyKey, Role, open_setup};
use wayfare_quic::Instant;
use wayfare_relay::{Duty, LinkId, Next};
use wayfare_types::{NodeId, Reason};
use wayfare_wire::{Control, PieceJoiner, REPLY_BYTES, SETUP_BYTES, SizeClass};

use crate::api::{CircuitId, Event, Output};
use crate::circuits::{Circuit, ExitCircuit, RelayCircuit, SETUP_TIMEOUT};
use crate::credits::Credit;
use crate::engine::Engine;

/// A set-up on its way through this node.
pub(crate) struct PendingRelay {
    pub next_node: NodeId,
    pub class: SizeClass,
    pub keys: HopKeys,
    pub reply: ReplyKey,
    /// Until it has been sent on.
    pub message: Option<Box<[u8; SETUP_BYTES]>>,
}

impl Engine {
    /// A neighbour wants a circuit through or to us.
    pub(crate) fn handle_setup(&mut self, now: Instant, link: LinkId, back_cid: u32, message: &[u8; SETUP_BYTES]) {
        if let Err(reason) = self.take_setup(now, link, back_cid, message) {
            self.counters.count(reason);
            self.send_control(link, &Control::Destroy { cid: back_cid, reason: reason as u8 });
        }
    }

    fn take_setup(
        &mut self,
        now: Instant,
        link: LinkId,
        back_cid: u32,
        message: &[u8; SETUP_BYTES],
    ) -> Result<(), Reason> {
        let flow = self.links.get_mut(&link).map_or(0, |link| std::mem::take(&mut link.setup_flow));
        if self.draining {
            return Err(Reason::Draining);
        }
        // The budget comes first: what costs most is the key encapsulation.
        if !self.spend_setup(now, link) {
            return Err(Reason::SetupBudget);
        }
        if self.circuits.len() >= self.config.limits.circuits {
            return Err(Reason::CircuitTableFull);
        }
        let minute = self.minute(now);
        let secrets: Vec<_> = self.secrets.iter().collect();
        let opened = open_setup(&secrets, message, minute, self.replays.floor(), &mut *self.random)?;
        self.replays.insert(opened.minute, opened.replay_tag, minute)?;
        let mut record = [0; 20];
        record[..4].copy_from_slice(&opened.minute.to_be_bytes());
        record[4..].copy_from_slice(&opened.replay_tag);
        self.outputs.push_back(Output::RememberSetup(record));

        // What it came by is as fast as the neighbour found it, who may know a moment before us.
        if self.links.get(&link).is_some_and(|l| !l.takes(opened.class) && !l.undecided(now)) {
            return Err(Reason::SetupClass);
        }
        let prev = Next { link, cid: back_cid };
        let circle = self.circles.get(&opened.replay_tag).copied();
        match opened.role {
            Role::Exit if circle.is_none() && !self.config.roles.exit => Err(Reason::SetupRole),
            Role::Relay { .. } if !self.config.roles.relay => Err(Reason::SetupRole),
            Role::Exit => {
                let id = self.next_circuit_id();
                let hop = ForwardHop::new(opened.suite, &opened.keys.forward);
                let connection = self.credit_open(now, id, (Some(link), None), flow)?;
                let credit = Credit { connection: Some(connection), announced: flow, ..Credit::default() };
                let forward_cid = match self.table.give(link, id, opened.class, Duty::Exit(hop)) {
                    Ok(cid) => cid,
                    Err(reason) => {
                        self.credit_close(now, credit);
                        return Err(reason);
                    }
                };
                let backward = BackwardHop::new(opened.suite, &opened.keys.backward, opened.keys.backward_start);
                let circuit = ExitCircuit {
                    prev,
                    forward_cid,
                    backward,
                    class: opened.class,
                    weight: 0,
                    moved: [0; 2],
                    credit,
                    pieces: PieceJoiner::default(),
                };
                self.insert_circuit(id, Circuit::Exit(Box::new(circuit)));
                circle.into_iter().for_each(|begin| self.close_circle(now, begin, id, connection));
                self.stats.setups_accepted += 1;
                let message = opened.reply.origin();
                self.send_control(link, &Control::Reply { back_cid, forward_cid, message });
                self.credit_apply(now);
                self.credit_weigh(connection);
                Ok(())
            }
            Role::Relay { next } => {
                let back_to_sender = self.links.get(&link).is_some_and(|l| l.peer == next);
                if next == self.id || back_to_sender {
                    return Err(Reason::SetupLoop);
                }
                let pending = PendingRelay {
                    next_node: next,
                    class: opened.class,
                    keys: opened.keys,
                    reply: opened.reply,
                    message: Some(opened.next_message),
                };
                let id = self.next_circuit_id();
                let circuit = RelayCircuit {
                    prev,
                    forward_cid: None,
                    backward_cid: None,
                    next: None,
                    pending: Some(Box::new(pending)),
                    credit: Credit { announced: flow, ..Credit::default() },
                };
                self.insert_circuit(id, Circuit::Relay(circuit));
                self.setups.push_back((now + SETUP_TIMEOUT, id));
                match self.link_to(next) {
                    Some(next_link) => self.pass_setup_on(now, id, next_link),
                    None => self.events.push_back(Event::NextHopWanted(next)),
                }
                Ok(())
            }
        }
    }

    /// Sends a waiting set-up to its next hop, or lets it wait on while that link may yet turn out to carry its class.
    fn pass_setup_on(&mut self, now: Instant, id: CircuitId, link: LinkId) {
        let Some(Circuit::Relay(circuit)) = self.circuits.get_mut(&id) else { return };
        let Some(pending) = &mut circuit.pending else { return };
        match self.links.get(&link) {
            Some(l) if l.takes(pending.class) => {}
            Some(l) if l.undecided(now) => return,
            Some(_) => {
                self.counters.count(Reason::SetupClass);
                return self.end_circuit(now, id, Reason::SetupClass, None);
            }
            None => return,
        }
        let Some(message) = pending.message.take() else { return };
        let (prev, class, flow) = (circuit.prev.link, pending.class, circuit.credit.announced);
        let given = self.credit_open(now, id, (Some(prev), Some(link)), flow).and_then(|connection| {
            if let Some(Circuit::Relay(circuit)) = self.circuits.get_mut(&id) {
                circuit.credit.connection = Some(connection);
            }
            let cid = self.table.give(link, id, class, Duty::Pending)?;
            Ok((connection, cid))
        });
        match given {
            Ok((connection, cid)) => {
                if let Some(Circuit::Relay(circuit)) = self.circuits.get_mut(&id) {
                    circuit.backward_cid = Some(cid);
                }
                self.credit_apply(now);
                self.credit_weigh(connection);
                self.announce_setup(id, link);
                self.send_control(link, &Control::Setup { back_cid: cid, message });
            }
            Err(reason) => {
                self.counters.count(reason);
                self.end_circuit(now, id, reason, None);
            }
        }
    }

    fn waiting_for(&self, node: NodeId) -> Vec<CircuitId> {
        let waits = |id: &CircuitId| match self.circuits.get(id) {
            Some(Circuit::Relay(c)) => c.pending.as_ref().is_some_and(|p| p.next_node == node && p.message.is_some()),
            _ => false,
        };
        self.setups.iter().map(|&(_, id)| id).filter(waits).collect()
    }

    /// A link came up: set-ups that waited for it go on.
    pub(crate) fn next_hop_reached(&mut self, now: Instant, link: LinkId, peer: NodeId) {
        for id in self.waiting_for(peer) {
            self.pass_setup_on(now, id, link);
        }
    }

    /// Set-ups of jumbo classes that have waited long enough for their next link to be fast.
    pub(crate) fn decide_classes(&mut self, now: Instant) {
        let held = |id: &CircuitId| match self.circuits.get(id) {
            Some(Circuit::Relay(c)) => {
                c.pending.as_ref().filter(|p| p.message.is_some()).and_then(|p| self.link_to(p.next_node))
            }
            Some(Circuit::Client(c)) => c.held.as_ref().map(|_| c.link),
            _ => None,
        };
        let decided = |&(_, id): &(Instant, CircuitId)| held(&id).map(|link| (id, link));
        let waiting: Vec<_> = self.setups.iter().filter_map(decided).collect();
        for (id, link) in waiting {
            self.pass_setup_on(now, id, link);
            self.begin_setup(now, id);
        }
    }

    /// No link to this node can be had: set-ups that wait for it are refused.
    pub fn next_hop_unreachable(&mut self, now: Instant, peer: NodeId) {
        for id in self.waiting_for(peer) {
            self.counters.count(Reason::SetupUnreachable);
            self.end_circuit(now, id, Reason::SetupUnreachable, None);
        }
    }

    /// The next hop answered a set-up, ours or one we passed on.
    pub(crate) fn handle_reply(
        &mut self,
        now: Instant,
        link: LinkId,
        back_cid: u32,
        forward_cid: u32,
        mut message: [u8; REPLY_BYTES],
    ) {
        let id = self.table.circuit(link, back_cid);
        let circuit = match id.and_then(|id| self.circuits.get_mut(&id).map(|c| (id, c))) {
            Some((id, Circuit::Client(_))) => return self.client_reply(now, id, forward_cid, message),
            Some((id, Circuit::Relay(circuit))) if circuit.pending.is_some() => (id, circuit),
            _ => {
                // Too late, or never asked for: the node behind it should not keep a circuit that nobody uses.
                self.counters.count(Reason::CircuitUnknown);
                let destroy = Control::Destroy { cid: forward_cid, reason: Reason::CircuitUnknown as u8 };
                return self.send_control(link, &destroy);
            }
        };
        let (id, circuit) = circuit;
        let Some(pending) = circuit.pending.take() else { return };
        let PendingRelay { class, keys, reply, .. } = *pending;
        let (prev, next) = (circuit.prev, Next { link, cid: forward_cid });
        circuit.next = Some(next);
        let duty = Duty::Forward(ForwardHop::new(keys.suite, &keys.forward), next);
        let given = match self.table.give(prev.link, id, class, duty) {
            Ok(cid) => cid,
            Err(reason) => {
                self.counters.count(reason);
                return self.end_circuit(now, id, reason, None);
            }
        };
        circuit.forward_cid = Some(given);
        let credit = circuit.credit;
        circuit.credit.told = credit.wanted;
        self.table
            .set(back_cid, Duty::Backward(BackwardHop::new(keys.suite, &keys.backward, keys.backward_start), prev));
        reply.wrap(&mut message);
        self.stats.setups_accepted += 1;
        self.send_control(prev.link, &Control::Reply { back_cid: prev.cid, forward_cid: given, message });
        self.announce_again(credit, link, forward_cid);
        credit.connection.into_iter().for_each(|connection| self.credit_weigh(connection));
    }
}
