//! Circuits that begin, pass or end at this node: what each holds, and how one ends.

use std::time::Duration;

use wayfare_credit::{Direction, Flow};
use wayfare_onion::{BackwardHop, ClientPath, ClientSetup, HopSpec, Suite};
use wayfare_quic::Instant;
use wayfare_relay::{Duty, LinkId, Next};
use wayfare_types::{NodeId, Reason};
use wayfare_wire::{Control, PieceJoiner, REPLY_BYTES, SETUP_BYTES, SizeClass};

use crate::api::{CircuitId, CircuitInfo, Event, Stats};
use crate::circles::Circle;
use crate::credits::Credit;
use crate::engine::Engine;
use crate::setup::PendingRelay;

/// How long a set-up may take.
pub(crate) const SETUP_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct RelayCircuit {
    /// Towards the client: the id that the previous node gave us.
    pub prev: Next,
    /// The id we gave the previous node.
    pub forward_cid: Option<u32>,
    /// The id we gave the next node.
    pub backward_cid: Option<u32>,
    /// Away from the client.
    pub next: Option<Next>,
    pub pending: Option<Box<PendingRelay>>,
    pub credit: Credit,
}

pub(crate) struct ExitCircuit {
    pub prev: Next,
    pub forward_cid: u32,
    pub backward: BackwardHop,
    pub class: SizeClass,
    /// Credits per second that packets back are willing to pay here.
    pub weight: u32,
    /// As a client's; what is received is not counted.
    pub moved: [u64; 2],
    pub credit: Credit,
    /// An inner datagram that arrives in pieces.
    pub pieces: PieceJoiner,
}

pub(crate) struct ClientCircuit {
    pub link: LinkId,
    /// The id we gave the first hop.
    pub backward_cid: u32,
    /// The id the first hop gave us.
    pub forward_cid: u32,
    pub class: SizeClass,
    pub exit: NodeId,
    pub path: Option<Box<ClientPath>>,
    /// Until it is answered.
    pub setup: Option<Box<ClientSetup>>,
    /// A message that waits until it is known whether the first link carries its class.
    pub held: Option<Box<[u8; SETUP_BYTES]>>,
    /// When something last came back over it.
    pub heard_at: Instant,
    pub worn_told: bool,
    /// Credits per second that its packets are willing to pay here.
    pub weight: u32,
    /// Bytes away from the client, and back, since the ledger was told, while it pays. See [`count_moved`].
    pub moved: [u64; 2],
    pub credit: Credit,
    /// It leads back here.
    pub circle: Option<Circle>,
    pub info: CircuitInfo,
    /// An inner datagram that arrives in pieces.
    pub pieces: PieceJoiner,
}

/// Counts what a circuit has moved at the end that is here; `touched` has each once whose count is not 0.
#[inline]
pub(crate) fn count_moved(
    touched: &mut Vec<CircuitId>,
    id: CircuitId,
    (moved, weight): (&mut [u64; 2], u32),
    direction: Direction,
    bytes: u64,
) {
    if weight > 0 && bytes > 0 {
        if *moved == [0; 2] {
            touched.push(id);
        }
        moved[direction as usize] += bytes;
    }
}

pub(crate) enum Circuit {
    Relay(RelayCircuit),
    Exit(Box<ExitCircuit>),
    Client(Box<ClientCircuit>),
}

impl Circuit {
    /// The figure that it is part of.
    fn counted<'a>(&self, stats: &'a mut Stats) -> &'a mut u32 {
        match self {
            Self::Relay(_) => &mut stats.circuits_relay,
            Self::Exit(_) => &mut stats.circuits_exit,
            Self::Client(_) => &mut stats.circuits_client,
        }
    }

    pub fn credit(&self) -> Credit {
        match self {
            Self::Relay(c) => c.credit,
            Self::Exit(c) => c.credit,
            Self::Client(c) => c.credit,
        }
    }

    pub fn credit_mut(&mut self) -> &mut Credit {
        match self {
            Self::Relay(c) => &mut c.credit,
            Self::Exit(c) => &mut c.credit,
            Self::Client(c) => &mut c.credit,
        }
    }

    /// Its set-up has not been answered.
    fn pending(&self) -> bool {
        match self {
            Self::Relay(c) => c.pending.is_some(),
            Self::Client(c) => c.setup.is_some(),
            Self::Exit(_) => false,
        }
    }
}

impl Engine {
    /// Begins a circuit; `CircuitUp` or `CircuitDown` follows. A link to the first hop must be up. One whose last hop is this node is a
    /// circle: it carries credits alone, and keeps what comes home of them ([0011](../../../docs/decisions/0011-credits.md)).
    ///
    /// # Errors
    /// `SetupUnreachable` without a link to the first hop, `SetupClass` when that link does not carry the class,
    /// `SetupMalformed` for a path of no or of too many hops.
    pub fn circuit_open(
        &mut self,
        now: Instant,
        hops: &[HopSpec],
        class: SizeClass,
        suite: Option<Suite>,
    ) -> Result<CircuitId, Reason> {
        self.circuit_open_with(now, hops, class, suite, 0)
    }

    /// As `circuit_open`, with a flow of credits from the beginning: a class from 0, none, to 8.
    ///
    /// # Errors
    /// As `circuit_open`; `CreditClass` for no class, `CircuitTableFull`.
    pub fn circuit_open_with(
        &mut self,
        now: Instant,
        hops: &[HopSpec],
        class: SizeClass,
        suite: Option<Suite>,
        flow: u8,
    ) -> Result<CircuitId, Reason> {
        let (Some(first), Some(last)) = (hops.first(), hops.last()) else { return Err(Reason::SetupMalformed) };
        let link = self.link_to(first.node).ok_or(Reason::SetupUnreachable)?;
        if self.links.get(&link).is_some_and(|l| !l.takes(class) && !l.undecided(now)) {
            return Err(Reason::SetupClass);
        }
        let suite = suite.unwrap_or_else(Suite::preferred);
        let minute = self.minute(now);
        let (setup, message) =
            ClientSetup::build(hops, suite, class, minute, &mut *self.random).map_err(|_| Reason::SetupMalformed)?;
        let id = self.next_circuit_id();
        let circle = (last.node == self.id).then(|| Circle::new(&setup));
        let connection = self.credit_open(now, id, (None, Some(link)), flow)?;
        let credit = Credit { connection: Some(connection), ..Credit::default() };
        let backward_cid = match self.table.give(link, id, class, Duty::Client) {
            Ok(cid) => cid,
            Err(reason) => {
                self.credit_close(now, credit);
                return Err(reason);
            }
        };
        let circuit = ClientCircuit {
            link,
            backward_cid,
            forward_cid: 0,
            class,
            exit: last.node,
            path: None,
            setup: Some(Box::new(setup)),
            held: Some(message),
            heard_at: now,
            worn_told: false,
            weight: 0,
            moved: [0; 2],
            credit,
            circle,
            info: CircuitInfo::default(),
            pieces: PieceJoiner::default(),
        };
        self.insert_circuit(id, Circuit::Client(Box::new(circuit)));
        self.begin_circle(circle, id);
        self.credit_apply(now);
        self.credit_weigh(connection);
        self.setups.push_back((now + SETUP_TIMEOUT, id));
        self.begin_setup(now, id);
        Ok(id)
    }

    /// Sends a set-up of our own, unless its class has to wait.
    pub(crate) fn begin_setup(&mut self, now: Instant, id: CircuitId) {
        let Some(Circuit::Client(circuit)) = self.circuits.get_mut(&id) else { return };
        let Some(link) = self.links.get(&circuit.link).filter(|_| circuit.held.is_some()) else { return };
        if link.takes(circuit.class) {
            if let Some(message) = circuit.held.take() {
                let (link, back_cid) = (circuit.link, circuit.backward_cid);
                self.announce_setup(id, link);
                self.send_control(link, &Control::Setup { back_cid, message });
            }
        } else if !link.undecided(now) {
            self.end_circuit(now, id, Reason::SetupClass, None);
        }
    }

    /// It is known what the link carries: our own set-ups that wait for it go on, or fail.
    pub(crate) fn first_hop_decided(&mut self, now: Instant, link: LinkId) {
        let held = |id: &CircuitId| matches!(self.circuits.get(id), Some(Circuit::Client(c)) if c.link == link && c.held.is_some());
        let waiting: Vec<CircuitId> = self.setups.iter().map(|&(_, id)| id).filter(held).collect();
        for id in waiting {
            self.begin_setup(now, id);
        }
    }

    /// The client's own set-up was answered.
    pub(crate) fn client_reply(&mut self, now: Instant, id: CircuitId, forward_cid: u32, mut reply: [u8; REPLY_BYTES]) {
        let Some(Circuit::Client(circuit)) = self.circuits.get_mut(&id) else { return };
        let Some(setup) = circuit.setup.take() else { return };
        match setup.complete(&mut reply) {
            Ok(path) => {
                circuit.path = Some(Box::new(path));
                circuit.forward_cid = forward_cid;
                let (credit, link) = (circuit.credit, circuit.link);
                circuit.credit.told = credit.wanted;
                self.announce_again(credit, link, forward_cid);
                self.events.push_back(Event::CircuitUp(id));
            }
            Err(reason) => {
                circuit.forward_cid = forward_cid;
                self.counters.count(reason);
                self.end_circuit(now, id, reason, None);
            }
        }
    }

    /// Ends one of this node's own circuits.
    pub fn circuit_close(&mut self, now: Instant, id: CircuitId) {
        if matches!(self.circuits.get(&id), Some(Circuit::Client(_))) {
            self.end_circuit(now, id, Reason::CircuitClosed, None);
        }
    }

    /// The circuits that a neighbour has set up through or to this node, over this link.
    pub fn circuits_from(&self, link: LinkId) -> Vec<CircuitId> {
        let came_by = |circuit: &Circuit| match circuit {
            Circuit::Relay(c) => c.prev.link == link,
            Circuit::Exit(c) => c.prev.link == link,
            Circuit::Client(_) => false,
        };
        let mut ids: Vec<CircuitId> = self.circuits.iter().filter(|(_, c)| came_by(c)).map(|(&id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// What one of this node's own circuits carried.
    pub fn circuit_info(&self, id: CircuitId) -> Option<CircuitInfo> {
        let Circuit::Client(c) = self.circuits.get(&id)? else { return None };
        let flow = |credit: Credit, direction| self.credits.ledger.flow(credit.connection?, direction).ok();
        let home = match c.circle {
            None => flow(c.credit, Direction::Backward),
            Some(circle) => self.circle_end(circle).and_then(|end| flow(end.credit(), Direction::Forward)),
        };
        let paid = flow(c.credit, Direction::Forward).map_or(0, |flow| flow.passed);
        Some(CircuitInfo { credits_paid: paid, credits_home: home.map_or(0, Flow::rest), ..c.info })
    }

    /// Forgets a circuit, takes its ids back and tells the neighbours, except over the link `from` it was told by or that
    /// is gone.
    pub(crate) fn end_circuit(&mut self, now: Instant, id: CircuitId, reason: Reason, from: Option<LinkId>) {
        let Some(circuit) = self.circuits.remove(&id) else { return };
        *circuit.counted(&mut self.stats) -= 1;
        self.credit_close(now, circuit.credit());
        let mut tell = Vec::new();
        match circuit {
            Circuit::Relay(c) => {
                c.forward_cid.into_iter().chain(c.backward_cid).for_each(|cid| self.table.take(cid));
                tell.push(c.prev);
                tell.extend(c.next);
            }
            Circuit::Exit(c) => {
                self.table.take(c.forward_cid);
                tell.push(c.prev);
            }
            Circuit::Client(c) => {
                self.table.take(c.backward_cid);
                self.forget_circle(c.circle);
                if c.path.is_some() || c.forward_cid != 0 {
                    tell.push(Next { link: c.link, cid: c.forward_cid });
                }
                self.events.push_back(Event::CircuitDown { circuit: id, reason });
                self.circuit_gone(now, id);
            }
        }
        for next in tell {
            if Some(next.link) != from && self.links.contains_key(&next.link) {
                self.send_control(next.link, &Control::Destroy { cid: next.cid, reason: reason as u8 });
            }
        }
    }

    pub(crate) fn insert_circuit(&mut self, id: CircuitId, circuit: Circuit) {
        *circuit.counted(&mut self.stats) += 1;
        self.circuits.insert(id, circuit);
    }

    /// A neighbour ended a circuit.
    pub(crate) fn handle_destroy(&mut self, now: Instant, link: LinkId, cid: u32, reason: u8) {
        let reason = Reason::ALL.get(usize::from(reason)).copied().unwrap_or(Reason::CircuitClosed);
        match self.table.circuit(link, cid) {
            Some(circuit) => self.end_circuit(now, circuit, reason, Some(link)),
            None => self.counters.count(Reason::CircuitUnknown),
        }
    }

    /// Ends what was not answered in time.
    pub(crate) fn expire_setups(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.setups.front() {
            let pending = self.circuits.get(&id).is_some_and(Circuit::pending);
            if pending && at > now {
                return;
            }
            self.setups.pop_front();
            if pending {
                self.counters.count(Reason::Timeout);
                self.end_circuit(now, id, Reason::Timeout, None);
            }
        }
    }
}
