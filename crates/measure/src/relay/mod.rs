//! CPU time per packet that passes a relay, both ways at once, beside the floor in the same rounds.
//!
//! Equal for both: the generator, the packets' size, the neighbours and what is drawn, buffers, offloads, one thread. What
//! counts is the middle thread's CPU time alone.

mod floor;
mod generator;
mod pin;
mod plan;
mod wires;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wayfare_onion::Suite;

use self::floor::{FloorHop, FloorNeighbours};
use self::generator::{Generator, Neighbours};
use self::plan::Plan;
pub use self::plan::{CIRCUITS_MAX, Case, NEIGHBOURS_MAX};
use self::wires::{Wire, Wires};
use crate::Fault;

/// What passes packets on.
trait Middle {
    fn address(&self) -> SocketAddr;
    /// What its threads have spent so far.
    fn cpu(&self) -> Result<Duration, Fault>;
}

/// A measurement under way: the floor and its generator.
pub struct Floor {
    hop: FloorHop,
    generator: Generator<FloorNeighbours>,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// CPU time of the middle per packet.
    pub ns: f64,
    pub packets: u64,
    pub lost: u64,
}

impl Floor {
    /// # Errors
    /// What the system refuses, or a case beyond the limits.
    pub fn start(case: &Case, suite: Suite) -> Result<Self, Fault> {
        let plan = Plan::new(case)?;
        let wires = Wires::bind(plan.neighbours()).map_err(|e| format!("no socket for a neighbour: {e}"))?;
        let addresses = wires.addresses().map_err(|e| e.to_string())?;
        let bytes = case.packet_bytes();
        let hop = FloorHop::start(suite, bytes, &addresses)?;
        let generator = Generator::new(FloorNeighbours::new(suite, bytes), wires, hop.address(), plan, bytes);
        Ok(Self { hop, generator })
    }

    /// Whose AEAD the floor uses.
    pub fn library(&self) -> &'static str {
        self.hop.library
    }

    /// # Errors
    /// A hop that does not pass packets on.
    pub fn turn(&mut self, time: Duration) -> Result<Turn, Fault> {
        turn(&self.hop, &mut self.generator, time)
    }
}

fn turn<N: Neighbours>(middle: &impl Middle, generator: &mut Generator<N>, time: Duration) -> Result<Turn, Fault> {
    pin::off_middle(|| {
        generator.run(time / 10)?;
        let (before, lost) = (middle.cpu()?, generator.lost);
        let packets = generator.run(time)?;
        let spent = middle.cpu()? - before;
        Ok(Turn { ns: spent.as_nanos() as f64 / packets as f64, packets, lost: generator.lost - lost })
    })
}

/// Sleeps until something comes.
fn polled(wire: &Wire) {
    let _ = poll(&mut [PollFd::new(wire.io.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
}
