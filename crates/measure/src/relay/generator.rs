//! Plays all neighbours of a node in the middle, on one thread: makes packets ahead, sends them in the batches that
//! segmentation offload takes, and takes in what comes out.
//!
//! A magazine is made while the middle has nothing to do, then fired with a bounded number on their way, so that the middle
//! is always busy and no queue overflows. The generator never sleeps while it fires: the middle would pay for waking it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use wayfare_testkit::Seeded;

use super::plan::{Drawn, Plan};
use super::wires::Wires;
use crate::Fault;

/// Packets that are on their way at most, and their bytes: less than a socket's buffer takes.
const IN_FLIGHT_MAX: usize = 2_048;
const IN_FLIGHT_BYTES_MAX: usize = 3 << 20;
/// So often what may be on its way makes a magazine.
const MAGAZINE: usize = 4;
/// After so long without an arrival what is missing counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(200);

/// What the neighbours say.
pub trait Neighbours {
    /// Writes a neighbour's next packet.
    ///
    /// # Errors
    /// Whatever ends the measurement.
    fn write(&mut self, from: usize, drawn: Drawn, out: &mut [u8]) -> Result<(), Fault>;

    /// Takes datagrams that came for a neighbour, `stride` bytes apart: how many of them are packets that were passed on.
    fn take(&mut self, at: usize, bytes: &mut [u8], stride: usize) -> usize;

    /// Sends what the middle waits for; called all the time.
    fn answer(&mut self, _wires: &Wires) {}

    /// Sends whatever else is due; called between magazines.
    ///
    /// # Errors
    /// Whatever ends the measurement.
    fn keep_up(&mut self, _wires: &mut Wires) -> Result<(), Fault> {
        Ok(())
    }
}

/// Packets of one neighbour, sent at once.
struct Batch {
    from: usize,
    packets: usize,
    bytes: Vec<u8>,
}

/// See the module's first paragraph.
pub struct Generator<N> {
    pub neighbours: N,
    pub wires: Wires,
    middle: SocketAddr,
    plan: Plan,
    packet_bytes: usize,
    in_flight: usize,
    random: Seeded,
    magazine: Vec<Batch>,
    /// Packets that never came out, of all so far.
    pub lost: u64,
}

impl<N: Neighbours> Generator<N> {
    pub fn new(neighbours: N, wires: Wires, middle: SocketAddr, plan: Plan, packet_bytes: usize) -> Self {
        let per_send = wires.wires[0].packets_per_send(packet_bytes);
        let busy: Vec<usize> = plan.busy().collect();
        let batch =
            |n: usize| Batch { from: busy[n % busy.len()], packets: per_send, bytes: vec![0; per_send * packet_bytes] };
        let in_flight = IN_FLIGHT_MAX.min(IN_FLIGHT_BYTES_MAX / packet_bytes).max(per_send);
        // As many from either of a pair.
        let batches = (MAGAZINE * in_flight / per_send).next_multiple_of(2);
        let magazine = (0..batches).map(batch).collect();
        Self { neighbours, wires, middle, plan, packet_bytes, in_flight, random: Seeded::new(3), magazine, lost: 0 }
    }

    /// Fires magazines for about `time`; how many packets came out.
    ///
    /// # Errors
    /// Whatever the neighbours end with, or a middle that lets nothing out.
    pub fn run(&mut self, time: Duration) -> Result<u64, Fault> {
        let end = Instant::now() + time;
        let mut came = 0;
        while Instant::now() < end {
            self.load()?;
            let out = self.fire();
            if out == 0 {
                return Err("the middle lets no packet out".into());
            }
            came += out as u64;
            self.neighbours.keep_up(&mut self.wires)?;
        }
        Ok(came)
    }

    /// Sends no packet, but answers what comes.
    ///
    /// # Errors
    /// Whatever the neighbours end with.
    pub fn idle(&mut self, time: Duration) -> Result<(), Fault> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let Self { neighbours, wires, .. } = self;
            wires.receive(|at, bytes, stride| {
                neighbours.take(at, bytes, stride);
            });
            neighbours.keep_up(wires)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), Fault> {
        for batch in &mut self.magazine {
            let Self { neighbours, wires, .. } = self;
            wires.receive(|at, bytes, stride| {
                neighbours.take(at, bytes, stride);
            });
            neighbours.answer(wires);
            for packet in batch.bytes.chunks_mut(self.packet_bytes) {
                let drawn = self.plan.draw(batch.from, &mut self.random);
                self.neighbours.write(batch.from, drawn, packet)?;
            }
        }
        Ok(())
    }

    fn fire(&mut self) -> usize {
        let Self { neighbours, wires, middle, packet_bytes, in_flight, magazine, .. } = self;
        let (mut sent, mut came, mut heard_at) = (0, 0, Instant::now());
        let mut next = 0;
        while next < magazine.len() || came < sent {
            if let Some(batch) = magazine.get(next)
                && sent - came + batch.packets <= *in_flight
                && wires.wires[batch.from].send(*middle, &batch.bytes, *packet_bytes)
            {
                (sent, next) = (sent + batch.packets, next + 1);
                continue;
            }
            let any = wires.receive(|at, bytes, stride| came += neighbours.take(at, bytes, stride));
            neighbours.answer(wires);
            if any {
                heard_at = Instant::now();
            } else if heard_at.elapsed() > LOST_AFTER {
                self.lost += (sent - came) as u64;
                return came;
            }
        }
        came
    }
}
