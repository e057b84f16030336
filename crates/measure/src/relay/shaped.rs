//! A relay whose links may send only so much, offered more than that on one of them: what gets through, and when.

use std::time::{Duration, Instant};

use wayfare_driver::Stats;
use wayfare_onion::Suite;
use wayfare_testkit::Seeded;
use wayfare_wire::SizeClass;

use super::circuits::{RelayNeighbours, Through};
use super::generator::Neighbours;
use super::node::{ONION_SEED, Relay};
use super::plan::{Case, Plan};
use super::wires::Wires;
use super::{Middle, SLICE, pin};
use crate::Fault;

/// Packets that the relay has not looked at yet, at most: what waits in its socket is no part of its queues.
const IN_FLIGHT_MAX: u64 = 256;
/// After so long without an answer what is missing there counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(250);
const WITHIN: Duration = Duration::from_secs(20);
const CASE: Case = Case { circuits: 1, neighbours: 2, class: SizeClass::M, shards: 1 };
const SUITE: Suite = Suite::Aes128Gcm;
/// Of the circuit, the client's end, where the saturated link leads, and the exit's, where packets come from.
const CLIENT: usize = 0;
const EXIT: usize = 1;

/// What happened in a stretch of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    pub seconds: f64,
    pub offered_bytes: u64,
    pub came_bytes: u64,
    /// From a packet's being sent to its arrival, of all that came.
    pub wait_max: Duration,
    /// Packets that waited in the relay, at most, wherever it was asked.
    pub waiting_max: u64,
}

/// What the relay has done with packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub relayed: u64,
    pub sent: u64,
    pub queue_full: u64,
    pub queue_delay: u64,
    /// Under any other reason.
    pub otherwise: u64,
}

impl Account {
    fn of(stats: &Stats, client: &str) -> Self {
        let drops = |reason: &str| stats.drops.get(reason).copied().unwrap_or_default();
        let (queue_full, queue_delay) = (drops("queue_full"), drops("queue_delay"));
        Self {
            relayed: stats.relayed.packets_backward,
            sent: stats.links.iter().filter(|l| l.peer == client).map(|l| l.packets_sent).sum(),
            queue_full,
            queue_delay,
            otherwise: stats.drops.values().sum::<u64>() - queue_full - queue_delay,
        }
    }

    /// Packets that wait.
    pub fn waiting(&self) -> u64 {
        self.relayed.saturating_sub(self.sent + self.queue_full + self.queue_delay)
    }
}

/// See the module's first paragraph.
pub struct Shaped {
    relay: Relay,
    neighbours: RelayNeighbours,
    wires: Wires,
    plan: Plan,
    random: Seeded,
    rate_bytes_per_s: u64,
    client: String,
    /// By how much the relay moves a counter on.
    step: u64,
    /// When packets were sent, by their counters from 1 on.
    sent_at: Vec<Instant>,
    lost: u64,
    /// Packets that came, by circuit.
    pub came: Vec<u64>,
}

impl Shaped {
    /// Starts a relay whose links may send so much, between two neighbours with a circuit.
    ///
    /// # Errors
    /// What the system refuses, or a CPU without AES instructions.
    pub fn start(rate_bytes_per_s: u64) -> Result<Self, Fault> {
        Self::start_with(rate_bytes_per_s, 1)
    }

    /// The same with so many circuits. How long packets waited is known of one only.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_with(rate_bytes_per_s: u64, circuits: usize) -> Result<Self, Fault> {
        let case = Case { circuits, ..CASE };
        let plan = Plan::new(&case)?;
        let mut wires = Wires::bind(plan.neighbours()).map_err(|e| format!("no socket for a neighbour: {e}"))?;
        let relay = Relay::start(CASE.shards, rate_bytes_per_s)?;
        let through = Through { address: relay.address(), id: relay.id(), onion_seed: ONION_SEED };
        let neighbours =
            pin::off_middle(|| RelayNeighbours::start(&through, &case, &plan, SUITE, &mut wires, &mut |_| {}))?;
        let client = neighbours.sessions.neighbours[CLIENT].id.to_string();
        let (random, sent_at, came) = (Seeded::new(9), Vec::new(), vec![0; circuits]);
        let mut this =
            Self { relay, neighbours, wires, plan, random, rate_bytes_per_s, client, step: 0, sent_at, lost: 0, came };
        this.until("fast links", |this| this.is_fast())?;
        // One packet shows the step.
        this.neighbours.sessions.arrived = Some(Vec::new());
        this.send(1)?;
        this.until("a packet to come through", |this| {
            let arrived = this.neighbours.sessions.arrived.as_deref().unwrap_or_default();
            this.step = arrived.first().map_or(0, |(_, counter)| counter.wrapping_sub(1));
            Ok(!arrived.is_empty())
        })?;
        this.neighbours.sessions.arrived = Some(Vec::new());
        Ok(this)
    }

    /// Whether the relay sends packets beside both sessions.
    ///
    /// # Errors
    /// A relay that is gone.
    pub fn is_fast(&mut self) -> Result<bool, Fault> {
        self.relay.fast_on(self.plan.neighbours(), CASE.packet_bytes())
    }

    /// Listens until something is so.
    ///
    /// # Errors
    /// When it does not come to that.
    pub fn until(&mut self, what: &str, mut so: impl FnMut(&mut Self) -> Result<bool, Fault>) -> Result<(), Fault> {
        let end = Instant::now() + WITHIN;
        while !so(self)? {
            if Instant::now() > end {
                return Err(format!("waited in vain: {what}"));
            }
            self.listen()?;
        }
        Ok(())
    }

    fn listen(&mut self) -> Result<(), Fault> {
        let Self { wires, neighbours, .. } = self;
        wires.receive(|at, bytes, stride| {
            neighbours.take(at, bytes, stride);
        });
        neighbours.hear(wires).map(drop)
    }

    fn send(&mut self, packets: usize) -> Result<(), Fault> {
        let bytes = CASE.packet_bytes();
        let mut batch = vec![0; packets * bytes];
        let now = Instant::now();
        for packet in batch.chunks_mut(bytes) {
            let drawn = self.plan.draw(EXIT, &mut self.random);
            self.neighbours.write(EXIT, drawn, packet)?;
            self.sent_at.push(now);
        }
        if !self.wires.wires[EXIT].send(self.relay.address(), &batch, bytes) {
            self.lost += packets as u64;
        }
        Ok(())
    }

    /// What the relay has done so far.
    ///
    /// # Errors
    /// A relay that is gone.
    pub fn account(&self) -> Result<Account, Fault> {
        Ok(Account::of(&self.relay.stats()?, &self.client))
    }

    /// Has the exit announce a class of credits per second for what a circuit takes over the saturated link.
    pub fn announce(&mut self, circuit: usize, class: u8) {
        self.neighbours.announce(circuit, class);
    }

    /// What circuits were charged for it, and the bytes that went after they had waited.
    ///
    /// # Errors
    /// A relay that is gone.
    pub fn charged(&self) -> Result<Vec<(u64, u64)>, Fault> {
        Ok(self.relay.credits()?.iter().map(|credit| (credit.flows[1].charged, credit.flows[1].bytes)).collect())
    }

    /// Begins another circuit, whose set-up has its answer over the saturated link.
    ///
    /// # Errors
    /// What no set-up can be made of.
    pub fn ask(&mut self) -> Result<(), Fault> {
        self.neighbours.ask([CLIENT, EXIT], CASE.class, SUITE)
    }

    /// Circuits that are up.
    pub fn standing(&self) -> usize {
        self.neighbours.standing()
    }

    /// Offers `times` the rate for some time, or as much of it as this machine can.
    ///
    /// # Errors
    /// A relay that is gone.
    pub fn window(&mut self, times: f64, time: Duration) -> Result<Window, Fault> {
        let bytes = CASE.packet_bytes() as u64;
        let per_send = self.wires.wires[EXIT].packets_per_send(CASE.packet_bytes()) as u64;
        let (start, from) = (Instant::now(), self.sent_at.len() as u64);
        let (mut window, mut heard_at, mut relayed) = (Window::default(), start, 0);
        while start.elapsed() < time {
            let account = self.account()?;
            window.waiting_max = window.waiting_max.max(account.waiting());
            let sent = self.sent_at.len() as u64;
            if account.relayed != relayed {
                (relayed, heard_at) = (account.relayed, Instant::now());
            } else if heard_at.elapsed() > LOST_AFTER {
                self.lost = sent - relayed;
            }
            let due =
                from + (start.elapsed().as_secs_f64() * times * self.rate_bytes_per_s as f64 / bytes as f64) as u64;
            let most = due.min(account.relayed + self.lost + IN_FLIGHT_MAX);
            for _ in 0..most.saturating_sub(sent) / per_send {
                self.send(per_send as usize)?;
            }
            self.listen()?;
            let now = Instant::now();
            for (cid, counter) in self.neighbours.sessions.arrived.iter_mut().flat_map(|arrived| arrived.drain(..)) {
                let at = (counter.wrapping_sub(self.step) as usize).wrapping_sub(1);
                window.came_bytes += bytes;
                // Ids that the clients gave out, in the order of set-ups.
                if let Some(came) = self.came.get_mut((cid as usize).wrapping_sub(1)) {
                    *came += 1;
                }
                if let Some(&sent_at) = self.sent_at.get(at) {
                    window.wait_max = window.wait_max.max(now - sent_at);
                }
            }
        }
        window.offered_bytes = (self.sent_at.len() as u64 - from) * bytes;
        window.seconds = start.elapsed().as_secs_f64();
        Ok(window)
    }

    /// As long a stretch as a side has in its turn, at the least.
    pub const WINDOW: Duration = SLICE.saturating_mul(6);
}
