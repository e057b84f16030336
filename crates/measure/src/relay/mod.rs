//! CPU time per packet that passes a relay, both ways at once, beside the floor in the same rounds.
//!
//! Equal for both: the generator, the packets' size, the neighbours and what is drawn, buffers, offloads, one core. What
//! counts is the CPU time of the middle's threads alone.

mod circuits;
mod flood;
mod floor;
mod generator;
mod node;
mod pin;
mod plan;
mod sessions;
mod shaped;
mod wires;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wayfare_onion::Suite;

use self::circuits::{RelayNeighbours, Through};
pub use self::flood::{Flood, Hostile, Withstood};
use self::floor::{FloorHop, FloorNeighbours};
use self::generator::{Generator, Neighbours};
use self::node::{ONION_SEED, Relay};
use self::plan::Plan;
pub use self::plan::{CIRCUITS_MAX, Case, NEIGHBOURS_MAX};
pub use self::shaped::{Account, Shaped, Window};
use self::wires::{Wire, Wires};
use crate::Fault;

/// What passes packets on.
trait Middle {
    fn address(&self) -> SocketAddr;
    /// What its threads have spent so far.
    fn cpu(&self) -> Result<Duration, Fault>;
}

/// A middle and what speaks to it, and what the two came to in this round.
struct Side<M, N> {
    middle: M,
    generator: Generator<N>,
    packets: u64,
    spent: Duration,
}

impl<M: Middle, N: Neighbours> Side<M, N> {
    fn new(middle: M, generator: Generator<N>) -> Self {
        Self { middle, generator, packets: 0, spent: Duration::ZERO }
    }

    fn slice(&mut self) -> Result<(), Fault> {
        let before = self.middle.cpu()?;
        self.packets += self.generator.run(SLICE)?;
        self.spent += self.middle.cpu()? - before;
        Ok(())
    }

    fn ns(&mut self) -> f64 {
        let ns = self.spent.as_nanos() as f64 / self.packets.max(1) as f64;
        (self.packets, self.spent) = (0, Duration::ZERO);
        ns
    }
}

/// What a round came to: CPU time of the middle per packet, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub floor_ns: f64,
    pub ours_ns: f64,
    /// Packets that passed the relay.
    pub packets: u64,
}

/// A relay and its floor, measured in turns.
pub struct Contest {
    floor: Side<FloorHop, FloorNeighbours>,
    ours: Side<Relay, RelayNeighbours>,
    case: Case,
}

/// Before the sides change over: both then have the machine as it is at that moment.
const SLICE: Duration = Duration::from_millis(40);
/// A link whose probes were answered too late is probed again after this.
const PROBED_AGAIN: Duration = Duration::from_secs(11);
const TRIES: usize = 4;
/// No link of this machine sends so much.
const OUT_OF_REACH_BYTES_PER_S: u64 = 1 << 36;
/// 4,000 credits a second, of which two neighbours of the relay's have enough for a thousand circuits.
const PAID_CLASS: u8 = 2;

impl Contest {
    /// Starts both and sets the relay's circuits up, which takes about a millisecond for each; `progress` hears how many stand.
    ///
    /// # Errors
    /// What the system refuses, a case beyond the limits, or a CPU without AES instructions.
    pub fn start(case: Case, suite: Suite, progress: &mut dyn FnMut(usize)) -> Result<Self, Fault> {
        Self::start_with(case, suite, 0, progress)
    }

    /// The same with all that scheduling by credits needs: circuits that pay both ways, and links with a rate, which is out of reach.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_scheduled(case: Case, suite: Suite, progress: &mut dyn FnMut(usize)) -> Result<Self, Fault> {
        let mut contest = Self::start_with(case, suite, OUT_OF_REACH_BYTES_PER_S, progress)?;
        let relay = &mut contest.ours;
        (0..case.circuits).for_each(|circuit| relay.generator.neighbours.announce_both(circuit, PAID_CLASS));
        // Announced, and a settlement after it.
        for _ in 0..40 {
            relay.generator.idle(SLICE)?;
        }
        let flows = relay.middle.credits()?;
        let paid = flows.iter().all(|credit| credit.flows.iter().all(|flow| flow.weight() > 0));
        if flows.len() == case.circuits && paid { Ok(contest) } else { Err("not all circuits pay".into()) }
    }

    fn start_with(
        case: Case,
        suite: Suite,
        link_bytes_per_s: u64,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self, Fault> {
        let bytes = case.packet_bytes();
        let bind = |plan: &Plan| Wires::bind(plan.neighbours()).map_err(|e| format!("no socket for a neighbour: {e}"));
        let plan = Plan::new(&case)?;
        let wires = bind(&plan)?;
        let hop = FloorHop::start(suite, bytes, &wires.addresses().map_err(|e| e.to_string())?)?;
        let generator = Generator::new(FloorNeighbours::new(suite, bytes), wires, hop.address(), plan, bytes);
        let floor = Side::new(hop, generator);

        let plan = Plan::new(&case)?;
        let mut wires = bind(&plan)?;
        let relay = Relay::start(case.shards, link_bytes_per_s)?;
        let through = Through { address: relay.address(), id: relay.id(), onion_seed: ONION_SEED };
        let neighbours =
            pin::off_middle(|| RelayNeighbours::start(&through, &case, &plan, suite, &mut wires, progress))?;
        let generator = Generator::new(neighbours, wires, relay.address(), plan, bytes);
        let mut contest = Self { floor, ours: Side::new(relay, generator), case };
        contest.until_fast()?;
        Ok(contest)
    }

    /// Whose AEAD the floor uses.
    pub fn library(&self) -> &'static str {
        self.floor.middle.library
    }

    /// Bytes of a packet on a link, as UDP carries it.
    pub fn packet_bytes(&self) -> usize {
        self.case.packet_bytes()
    }

    fn fast(&self) -> Result<bool, Fault> {
        self.ours.middle.fast_on(self.case.neighbours, self.case.packet_bytes())
    }

    /// The relay probes its links as well, and wants answers.
    fn until_fast(&mut self) -> Result<(), Fault> {
        let end = Instant::now() + PROBED_AGAIN;
        while !self.fast()? {
            if Instant::now() > end {
                return Err("the relay's links do not become fast".into());
            }
            self.ours.generator.idle(SLICE)?;
        }
        Ok(())
    }

    /// One round: both sides for about `time` each, in slices.
    ///
    /// # Errors
    /// A middle that does not pass packets on.
    pub fn round(&mut self, time: Duration) -> Result<Round, Fault> {
        let mut fault = None;
        for _ in 0..TRIES {
            // What was probed while somebody else was measured is answered before the clock runs.
            self.ours.generator.idle(SLICE)?;
            self.until_fast()?;
            match pin::off_middle(|| self.try_round(time)) {
                Ok(round) if self.fast()? => return Ok(round),
                // The relay left a link, since a busy machine answered its probes too late.
                tried => fault = tried.err(),
            }
        }
        Err(fault.unwrap_or_else(|| "this machine is too busy: the relay's links do not stay fast".into()))
    }

    fn try_round(&mut self, time: Duration) -> Result<Round, Fault> {
        // A turn that counts for nothing brings caches and sockets to their working state.
        self.floor.slice()?;
        self.ours.slice()?;
        self.floor.ns();
        self.ours.ns();
        let slices = (time.as_nanos() / SLICE.as_nanos()).max(1);
        for _ in 0..slices {
            self.floor.slice()?;
            self.ours.slice()?;
        }
        let packets = self.ours.packets;
        Ok(Round { floor_ns: self.floor.ns(), ours_ns: self.ours.ns(), packets })
    }

    /// Packets that never came out: of the floor, and of the relay.
    pub fn lost(&self) -> (u64, u64) {
        (self.floor.generator.lost, self.ours.generator.lost)
    }

    /// How many packets each thread of the relay passed on; none where it has but one.
    ///
    /// # Errors
    /// A relay that is gone.
    pub fn passed_by_shard(&self) -> Result<Vec<u64>, Fault> {
        self.ours.middle.passed_by_shard()
    }

    /// What the relay dropped so far, by reason.
    ///
    /// # Errors
    /// A relay that is gone.
    pub fn drops(&self) -> Result<Vec<(&'static str, u64)>, Fault> {
        self.ours.middle.drops()
    }
}

/// Sleeps until something comes.
fn polled(wire: &Wire) {
    let _ = poll(&mut [PollFd::new(wire.io.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
}
