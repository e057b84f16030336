//! What a flood does to honest traffic: a relay at half of what it can do, with and without as many hostile packets beside.
//!
//! Honest packets are made ahead and sent at their pace, whatever comes of them; with them, in the same sends' sizes, go as
//! many of somebody else's. What counts is how many honest ones come out in how much time.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use wayfare_onion::Suite;
use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::fast::FAST_HEADER;

use super::circuits::{RelayNeighbours, Through};
use super::generator::Neighbours;
use super::node::{ONION_SEED, Relay};
use super::plan::{Case, Plan};
use super::wires::{Wire, Wires};
use super::{Middle, SLICE, pin};
use crate::Fault;

/// Honest packets of one magazine, in all.
const MAGAZINE: usize = 8_192;
/// After so long without an arrival what is missing counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(50);
const UNTIL_FAST: Duration = Duration::from_secs(20);
/// From how many addresses packets come that nobody is at.
const STRANGERS: u8 = 32;

/// What is sent with each honest packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// From a neighbour's address: a fast packet's first byte and noise.
    Garbage,
    /// From a neighbour's address: the header of the honest packet that follows, which opens, and a body that does not.
    WrongTags,
    /// From a neighbour's address: packets that were sent before.
    Replays,
    /// Such packets from addresses where no neighbour is.
    Strangers,
}

impl Hostile {
    pub const ALL: [Self; 4] = [Self::Garbage, Self::WrongTags, Self::Replays, Self::Strangers];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::WrongTags => "wrong_tags",
            Self::Replays => "replays",
            Self::Strangers => "strangers",
        }
    }

    /// The reason under which the relay counts most of them.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Garbage | Self::WrongTags => "packet_forged",
            Self::Replays => "packet_replayed",
            Self::Strangers => "fast_unknown",
        }
    }
}

/// Packets per second that came out of a round, and how many hostile packets there were for one that was honest.
#[derive(Clone, Copy, Debug)]
pub struct Withstood {
    pub clean_per_s: f64,
    pub flooded_per_s: f64,
    pub hostile_per_honest: f64,
    /// Of one core's time, what the relay spent: without the flood, and with it.
    pub busy: [f64; 2],
}

#[derive(Default)]
struct Sum {
    sent: u64,
    came: u64,
    hostile: u64,
    took: Duration,
    spent: Duration,
}

impl Sum {
    fn per_s(&self) -> f64 {
        self.came as f64 / self.took.as_secs_f64()
    }

    fn busy(&self) -> f64 {
        self.spent.as_secs_f64() / self.took.as_secs_f64()
    }
}

/// A relay, its neighbours, and who floods it.
pub struct Flood {
    relay: Relay,
    neighbours: RelayNeighbours,
    wires: Wires,
    strangers: Vec<Wire>,
    plan: Plan,
    packet_bytes: usize,
    per_send: usize,
    random: Seeded,
    /// Packets that the relay has had, of the neighbour that is flooded with.
    old: Vec<Vec<u8>>,
    half_per_s: f64,
}

impl Flood {
    /// Starts the relay and finds out what it can do.
    ///
    /// # Errors
    /// What the system refuses, a case beyond the limits, or a CPU without AES instructions.
    pub fn start(case: Case, suite: Suite) -> Result<Self, Fault> {
        let plan = Plan::new(&case)?;
        let mut wires = Wires::bind(plan.neighbours()).map_err(|e| format!("no socket for a neighbour: {e}"))?;
        let relay = Relay::start(case.shards, 0)?;
        let through = Through { address: relay.address(), id: relay.id(), onion_seed: ONION_SEED };
        let neighbours =
            pin::off_middle(|| RelayNeighbours::start(&through, &case, &plan, suite, &mut wires, &mut |_| {}))?;
        let stranger = |n: u8| -> std::io::Result<Wire> {
            // Where the system has no further loopback addresses, other ports do.
            let io =
                UdpSocket::bind(SocketAddr::from(([127, 0, 1, n], 0))).or_else(|_| UdpSocket::bind("127.0.0.1:0"))?;
            Wire::of(io)
        };
        let strangers = (1..=STRANGERS).map(stranger).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        let packet_bytes = case.packet_bytes();
        let per_send = wires.wires[0].packets_per_send(packet_bytes);
        let mut this = Self {
            relay,
            neighbours,
            wires,
            strangers,
            plan,
            packet_bytes,
            per_send,
            random: Seeded::new(7),
            old: Vec::new(),
            half_per_s: f64::INFINITY,
        };
        this.until_fast()?;
        this.half_per_s = pin::off_middle(|| this.capacity_per_s())? / 2.0;
        Ok(this)
    }

    /// Half of what the relay can do, packets per second.
    pub fn half_per_s(&self) -> f64 {
        self.half_per_s
    }

    fn until_fast(&mut self) -> Result<(), Fault> {
        let end = Instant::now() + UNTIL_FAST;
        while !self.relay.fast_on(self.plan.neighbours(), self.packet_bytes)? {
            if Instant::now() > end {
                return Err("the relay's links do not become fast".into());
            }
            self.listen()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn listen(&mut self) -> Result<(), Fault> {
        let Self { wires, neighbours, .. } = self;
        wires.receive(|at, bytes, stride| {
            neighbours.take(at, bytes, stride);
        });
        neighbours.keep_up(wires)
    }

    /// What passes while as much is on its way as may be: no more at any moment than sockets hold.
    fn capacity_per_s(&mut self) -> Result<f64, Fault> {
        let mut sum = Sum::default();
        let mut best: f64 = 0.0;
        for turn in 0..12 {
            let magazine = self.magazine()?;
            let mut this = Sum::default();
            self.fire(&magazine, None, Pace::InFlight(1024), &mut this)?;
            // The first ones bring caches and sockets to their working state.
            if turn >= 2 {
                best = best.max(this.per_s());
                (sum.came, sum.took) = (sum.came + this.came, sum.took + this.took);
            }
        }
        if sum.came == 0 {
            return Err("the relay lets no packet out".into());
        }
        Ok(best.min(1.1 * sum.per_s()))
    }

    /// Honest packets, one send's after another, by the neighbours in turn.
    fn magazine(&mut self) -> Result<Vec<(usize, Vec<u8>)>, Fault> {
        let busy: Vec<usize> = self.plan.busy().collect();
        let mut magazine = Vec::new();
        for n in 0..MAGAZINE / self.per_send {
            let from = busy[n % busy.len()];
            let mut bytes = vec![0; self.per_send * self.packet_bytes];
            for packet in bytes.chunks_mut(self.packet_bytes) {
                let drawn = self.plan.draw(from, &mut self.random);
                self.neighbours.write(from, drawn, packet)?;
            }
            magazine.push((from, bytes));
            self.listen()?;
        }
        Ok(magazine)
    }

    /// As many hostile packets as there are honest ones, in the sends that go before them; all from where clients call.
    fn hostile(&mut self, kind: Hostile, magazine: &[(usize, Vec<u8>)]) -> Vec<Vec<u8>> {
        // Forwards, where a relay can tell: a body that comes back is noise to it, whoever made it.
        let forward: Vec<&Vec<u8>> = magazine.iter().filter(|(from, _)| *from == 0).map(|(_, bytes)| bytes).collect();
        let all = (0..magazine.len()).map(|n| {
            let mut bytes = match kind {
                Hostile::Replays | Hostile::Strangers if !self.old.is_empty() => self.old[n % self.old.len()].clone(),
                // What goes out next from there.
                _ => forward[n.div_ceil(2) % forward.len()].clone(),
            };
            for packet in bytes.chunks_mut(self.packet_bytes) {
                match kind {
                    Hostile::Garbage => self.random.fill(&mut packet[1..]),
                    Hostile::WrongTags => packet[FAST_HEADER + 200] ^= 1,
                    Hostile::Replays | Hostile::Strangers => {}
                }
            }
            bytes
        });
        let all: Vec<Vec<u8>> = all.collect();
        self.old = forward.into_iter().cloned().collect();
        all
    }

    fn fire(
        &mut self,
        magazine: &[(usize, Vec<u8>)],
        hostile: Option<(Hostile, &[Vec<u8>])>,
        pace: Pace,
        sum: &mut Sum,
    ) -> Result<(), Fault> {
        let before = self.relay.cpu()?;
        let Self { relay, neighbours, wires, strangers, packet_bytes, per_send, .. } = self;
        let (to, bytes) = (relay.address(), *packet_bytes);
        let start = Instant::now();
        let (mut next, mut sent, mut came, mut heard_at) = (0, 0, 0, start);
        while next < magazine.len() || came < sent {
            let due = match pace {
                Pace::InFlight(most) => sent - came + *per_send <= most,
                Pace::PerSecond(rate) => start.elapsed().as_secs_f64() * rate >= (next * *per_send) as f64,
            };
            if let Some((from, honest)) = magazine.get(next).filter(|_| due) {
                if let Some((kind, packets)) = hostile {
                    let stranger = &strangers[next % strangers.len()];
                    let wire = if kind == Hostile::Strangers { stranger } else { &wires.wires[0] };
                    if wire.send(to, &packets[next], bytes) {
                        sum.hostile += *per_send as u64;
                    }
                }
                // What the kernel does not take is lost, as it would be on a wire that is full.
                wires.wires[*from].send(to, honest, bytes);
                (next, sent, heard_at) = (next + 1, sent + *per_send, Instant::now());
                continue;
            }
            if wires.receive(|at, bytes, stride| came += neighbours.take(at, bytes, stride)) {
                heard_at = Instant::now();
            } else if next == magazine.len() && heard_at.elapsed() > LOST_AFTER {
                break;
            } else if matches!(pace, Pace::InFlight(_)) && heard_at.elapsed() > LOST_AFTER {
                return Err("the relay lets nothing out".into());
            }
            neighbours.answer(wires);
        }
        sum.spent += relay.cpu()? - before;
        (sum.sent, sum.came, sum.took) =
            (sum.sent + sent as u64, sum.came + came as u64, sum.took + (heard_at - start));
        self.listen()
    }

    /// Half of what the relay can do, with and without a flood as fast, a magazine of each in turn.
    ///
    /// # Errors
    /// A relay that is gone, or lets nothing out.
    pub fn round(&mut self, kind: Hostile, time: Duration) -> Result<Withstood, Fault> {
        self.until_fast()?;
        pin::off_middle(|| {
            let (mut clean, mut flooded) = (Sum::default(), Sum::default());
            let pace = Pace::PerSecond(self.half_per_s);
            for _ in 0..(time.as_nanos() / SLICE.as_nanos()).max(1) {
                let magazine = self.magazine()?;
                self.fire(&magazine, None, pace, &mut clean)?;
                let magazine = self.magazine()?;
                let hostile = self.hostile(kind, &magazine);
                self.fire(&magazine, Some((kind, &hostile)), pace, &mut flooded)?;
            }
            Ok(Withstood {
                clean_per_s: clean.per_s(),
                flooded_per_s: flooded.per_s(),
                hostile_per_honest: flooded.hostile as f64 / flooded.sent as f64,
                busy: [clean.busy(), flooded.busy()],
            })
        })
    }

    /// What the relay dropped so far, by reason.
    ///
    /// # Errors
    /// A relay that is gone.
    pub fn drops(&self) -> Result<Vec<(&'static str, u64)>, Fault> {
        self.relay.drops()
    }
}

/// When the next packets are due.
#[derive(Clone, Copy)]
enum Pace {
    /// While no more are on their way.
    InFlight(usize),
    /// By the clock.
    PerSecond(f64),
}
