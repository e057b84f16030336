//! The neighbours of a real relay: circuits set up through it by real set-ups, packets with real layers.
//!
//! The neighbour on the client's side is the client itself, the one on the other side the exit, both with their keys here. A
//! relay cannot tell what a circuit's exit does with a packet, nor an exit's packet from noise.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wayfare_onion::{ClientPath, ClientSetup, HopSpec, OnionSecret, Role, Suite, open_setup};
use wayfare_testkit::Seeded;
use wayfare_types::NodeId;
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{Control, SizeClass};

use super::generator::Neighbours;
use super::plan::{Case, Drawn, Plan, Way};
use super::sessions::{Sessions, text};
use super::wires::Wires;
use crate::Fault;

const EXIT_SEED: [u8; 32] = [77; 32];
/// Set-ups under way at a time. An exit tells them apart by their order, so among many neighbours there is one per exit.
const SETUPS_OF_A_PAIR: usize = 16;
const WITHIN: Duration = Duration::from_secs(10);

enum State {
    Asked(ClientSetup),
    Up(Box<ClientPath>),
}

struct Circuit {
    state: Option<State>,
    client: usize,
    exit: usize,
    forward_cid: u32,
    backward_cid: u32,
    backward_counter: u64,
}

/// See the module's first paragraph.
pub struct RelayNeighbours {
    pub sessions: Sessions,
    hops: Vec<HopSpec>,
    exit_key: OnionSecret,
    circuits: Vec<Circuit>,
    /// Per exit, the circuits whose set-ups it has not had yet, and how many are not up.
    waiting: Vec<VecDeque<usize>>,
    under_way: Vec<usize>,
    standing: usize,
    random: Seeded,
}

fn minute() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| (d.as_secs() / 60) as u32)
}

/// The relay that packets go through.
pub struct Through {
    pub address: SocketAddr,
    pub id: NodeId,
    pub onion_seed: [u8; 32],
}

impl RelayNeighbours {
    /// Links every neighbour to the relay and sets all circuits up; `progress` hears how many stand.
    ///
    /// # Errors
    /// A relay that does not take part.
    pub fn start(
        through: &Through,
        case: &Case,
        plan: &Plan,
        suite: Suite,
        wires: &mut Wires,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self, Fault> {
        let sessions = Sessions::dial(plan.neighbours(), through.address, through.id, case.packet_bytes())?;
        let exit_key = OnionSecret::from_seed(EXIT_SEED);
        let relay = HopSpec { node: through.id, onion_key: OnionSecret::from_seed(through.onion_seed).public() };
        let exits = sessions.neighbours.iter().map(|n| HopSpec { node: n.id, onion_key: exit_key.public() });
        let hops = std::iter::once(relay).chain(exits).collect();
        let mut this = Self {
            sessions,
            hops,
            exit_key,
            circuits: Vec::with_capacity(case.circuits),
            waiting: vec![VecDeque::new(); plan.neighbours()],
            under_way: vec![0; plan.neighbours()],
            standing: 0,
            random: Seeded::new(5),
        };
        this.until(wires, "all links up and fast", |t| t.sessions.ready())?;
        this.set_up(case, plan, suite, wires, progress)?;
        Ok(this)
    }

    fn until(&mut self, wires: &mut Wires, what: &str, mut done: impl FnMut(&Self) -> bool) -> Result<(), Fault> {
        let end = Instant::now() + WITHIN;
        while !done(self) {
            if Instant::now() > end {
                return Err(format!("waited in vain: {what}"));
            }
            wires.receive(|at, bytes, stride| {
                self.sessions.take(at, bytes, stride);
            });
            self.keep_up(wires)?;
        }
        Ok(())
    }

    fn set_up(
        &mut self,
        case: &Case,
        plan: &Plan,
        suite: Suite,
        wires: &mut Wires,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), Fault> {
        let per_exit = if plan.neighbours() == 2 { SETUPS_OF_A_PAIR } else { 1 };
        let mut heard_at = Instant::now();
        while self.standing < case.circuits {
            let next = self.circuits.len();
            if next < case.circuits && self.under_way[plan.ends(next)[1]] < per_exit {
                self.ask(plan.ends(next), case.class, suite)?;
            }
            wires.receive(|at, bytes, stride| {
                self.sessions.take(at, bytes, stride);
            });
            let before = self.standing;
            if self.hear(wires)? {
                heard_at = Instant::now();
            }
            (before..self.standing).for_each(|standing| progress(standing + 1));
            if heard_at.elapsed() > WITHIN {
                return Err(format!("the relay took {} circuits and answers no more", self.standing));
            }
        }
        Ok(())
    }

    /// Begins another circuit, from one neighbour to another.
    ///
    /// # Errors
    /// What no set-up can be made of.
    pub fn ask(&mut self, [client, exit]: [usize; 2], class: SizeClass, suite: Suite) -> Result<(), Fault> {
        let next = self.circuits.len();
        let hops = [self.hops[0].clone(), self.hops[1 + exit].clone()];
        let (setup, message) = ClientSetup::build(&hops, suite, class, minute(), &mut self.random).map_err(text)?;
        let state = Some(State::Asked(setup));
        self.circuits.push(Circuit { state, client, exit, forward_cid: 0, backward_cid: 0, backward_counter: 0 });
        self.sessions.say(client, &Control::Setup { back_cid: next as u32 + 1, message });
        self.waiting[exit].push_back(next);
        self.under_way[exit] += 1;
        Ok(())
    }

    /// Has a circuit's exit announce a class of credits per second to the relay, for what goes back.
    pub fn announce(&mut self, circuit: usize, class: u8) {
        let Some(&Circuit { exit, backward_cid: cid, .. }) = self.circuits.get(circuit) else { return };
        self.sessions.say(exit, &Control::Flow { cid, class });
    }

    /// Has both ends of a circuit announce a class to the relay.
    pub fn announce_both(&mut self, circuit: usize, class: u8) {
        self.announce(circuit, class);
        let Some(&Circuit { client, forward_cid: cid, .. }) = self.circuits.get(circuit) else { return };
        self.sessions.say(client, &Control::Flow { cid, class });
    }

    /// Circuits that are up.
    pub fn standing(&self) -> usize {
        self.standing
    }

    /// Does what the relay has said on control streams; whether it has said anything.
    ///
    /// # Errors
    /// What a relay does not say.
    pub fn hear(&mut self, wires: &Wires) -> Result<bool, Fault> {
        let mut frames = Vec::new();
        self.sessions.keep_up(wires, |at, frame| frames.push((at, frame)))?;
        let any = !frames.is_empty();
        for (at, frame) in frames {
            self.frame(at, frame)?;
        }
        Ok(any)
    }

    fn frame(&mut self, at: usize, frame: Control) -> Result<(), Fault> {
        match frame {
            Control::Setup { back_cid, message } => {
                let circuit = self.waiting[at].pop_front().ok_or("the relay passed on a set-up that was none")?;
                let opened = open_setup(&[&self.exit_key], &message, minute(), 0, &mut self.random)
                    .map_err(|r| format!("{r:?}"))?;
                if !matches!(opened.role, Role::Exit) {
                    return Err("the relay passed on a set-up for another role".into());
                }
                self.circuits[circuit].backward_cid = back_cid;
                let forward_cid = circuit as u32 + 1;
                let message = opened.reply.origin();
                self.sessions.say(at, &Control::Reply { back_cid, forward_cid, message });
            }
            Control::Reply { back_cid, forward_cid, mut message } => {
                let index = (back_cid as usize).wrapping_sub(1);
                let circuit = self.circuits.get_mut(index).ok_or("a reply to no set-up")?;
                let Some(State::Asked(setup)) = circuit.state.take() else {
                    return Err("a second reply to a set-up".into());
                };
                let path = setup.complete(&mut message).map_err(|r| format!("{r:?}"))?;
                (circuit.state, circuit.forward_cid) = (Some(State::Up(Box::new(path))), forward_cid);
                self.under_way[circuit.exit] -= 1;
                self.standing += 1;
            }
            other => return Err(format!("the relay refused a circuit: {other:?}")),
        }
        Ok(())
    }
}

impl Neighbours for RelayNeighbours {
    fn write(&mut self, from: usize, drawn: Drawn, out: &mut [u8]) -> Result<(), Fault> {
        let circuit = &mut self.circuits[drawn.circuit];
        let (cid, counter) = match drawn.way {
            Way::Forward => {
                let Some(State::Up(path)) = &mut circuit.state else { return Err("a circuit is not up".into()) };
                let counter = path.wrap(&mut out[FAST_HEADER..], &mut self.random).map_err(|r| format!("{r:?}"))?;
                (circuit.forward_cid, counter)
            }
            // A relay adds its layer to whatever comes; only the client could tell.
            Way::Backward => {
                circuit.backward_counter += 1;
                (circuit.backward_cid, circuit.backward_counter)
            }
        };
        let fast = self.sessions.neighbours[from].fast.as_mut().ok_or("a link is not up")?;
        fast.sent(1);
        fast.sealer().put(out, cid, counter).map_err(|r| format!("{r:?}"))
    }

    fn take(&mut self, at: usize, bytes: &mut [u8], stride: usize) -> usize {
        self.sessions.take(at, bytes, stride)
    }

    fn answer(&mut self, wires: &Wires) {
        self.sessions.answer(wires);
    }

    fn keep_up(&mut self, wires: &mut Wires) -> Result<(), Fault> {
        let mut refused = None;
        self.sessions.keep_up(wires, |_, frame| refused = Some(frame))?;
        refused.map_or(Ok(()), |frame| Err(format!("an unexpected control frame: {frame:?}")))
    }
}
