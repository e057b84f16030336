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

/// Packets that are on their way at most.
const IN_FLIGHT: usize = 2_048;
/// Packets of a magazine.
const MAGAZINE: usize = 4 * IN_FLIGHT;
/// After so long without an arrival what is missing counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(200);

/// What the neighbours say.
pub trait Neighbours {
    /// Writes a neighbour's next packet.
    ///
    /// # Errors
    /// Whatever ends the measurement.
    fn write(&mut self, from: usize, drawn: Drawn, out: &mut [u8]) -> Result<(), Fault>;

    /// A datagram came that is none of the packets.
    fn other(&mut self, _at: usize, _datagram: &mut [u8]) {}

    /// Sends what is due beside packets; called between magazines.
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
        let magazine = (0..(MAGAZINE / per_send).next_multiple_of(2)).map(batch).collect();
        Self { neighbours, wires, middle, plan, packet_bytes, random: Seeded::new(3), magazine, lost: 0 }
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

    fn load(&mut self) -> Result<(), Fault> {
        for batch in &mut self.magazine {
            for packet in batch.bytes.chunks_mut(self.packet_bytes) {
                let drawn = self.plan.draw(batch.from, &mut self.random);
                self.neighbours.write(batch.from, drawn, packet)?;
            }
        }
        Ok(())
    }

    fn fire(&mut self) -> usize {
        let Self { neighbours, wires, middle, packet_bytes, magazine, .. } = self;
        let (mut sent, mut came, mut heard_at) = (0, 0, Instant::now());
        let mut next = 0;
        while next < magazine.len() || came < sent {
            if let Some(batch) = magazine.get(next)
                && sent - came + batch.packets <= IN_FLIGHT
                && wires.wires[batch.from].send(*middle, &batch.bytes, *packet_bytes)
            {
                (sent, next) = (sent + batch.packets, next + 1);
                continue;
            }
            let any = wires.receive(|at, bytes, stride| {
                for datagram in bytes.chunks_mut(stride) {
                    if datagram.len() == *packet_bytes {
                        came += 1;
                    } else {
                        neighbours.other(at, datagram);
                    }
                }
            });
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
