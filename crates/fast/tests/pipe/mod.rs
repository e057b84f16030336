//! Two ends of a link on virtual time, and a path between them that loses, repeats and reorders what a seed says.

#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests stand on the machine")]

use std::time::{Duration, Instant};

use wayfare_fast::{FastLink, Taken};
use wayfare_testkit::Seeded;
use wayfare_types::{Random, Reason};

pub const MS: Duration = Duration::from_millis(1);
/// Whole packets of the classes M and L, and one that no usual path takes.
pub const SIZES: [usize; 3] = [1299, 1411, 8952];
pub const SECRETS: [[u8; 32]; 2] = [[0xa1; 32], [0xb2; 32]];

/// What a path does to packets, each with this probability.
#[derive(Clone, Copy, Default)]
pub struct Path {
    pub loss: f64,
    pub repeat: f64,
    /// Delays up to this on top of one millisecond; packets overtake each other by it.
    pub jitter_ms: u64,
    /// Longer packets do not pass.
    pub mtu: Option<usize>,
}

/// A packet under way.
struct Flying {
    at: Instant,
    to: usize,
    bytes: Vec<u8>,
}

pub struct Pair {
    pub ends: [FastLink; 2],
    pub now: Instant,
    pub start: Instant,
    pub path: Path,
    pub random: Seeded,
    /// Everything either end sent, and when.
    pub sent: Vec<(Duration, usize, Vec<u8>)>,
    /// What control messages were refused for.
    pub refused: Vec<(usize, Reason)>,
    /// Data packets that opened, and those that did not.
    pub opened: [u64; 2],
    pub unopened: [u64; 2],
    flying: Vec<Flying>,
    challenges: Seeded,
    counter: u64,
}

impl Pair {
    pub fn new(seed: u64, path: Path) -> Self {
        Self::with(seed, path, |link| link)
    }

    pub fn with(seed: u64, path: Path, made: impl Fn(FastLink) -> FastLink) -> Self {
        let start = Instant::now();
        let end = |own: usize| made(FastLink::new(start, SECRETS[own], SECRETS[1 - own], SIZES));
        Self {
            ends: [end(0), end(1)],
            now: start,
            start,
            path,
            random: Seeded::new(seed),
            sent: Vec::new(),
            refused: Vec::new(),
            opened: [0; 2],
            unopened: [0; 2],
            flying: Vec::new(),
            challenges: Seeded::new(seed ^ 0xc0ffee),
            counter: 0,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn launch(&mut self, from: usize, bytes: Vec<u8>) {
        self.sent.push((self.elapsed(), from, bytes.clone()));
        if self.path.mtu.is_some_and(|mtu| bytes.len() > mtu) {
            return;
        }
        let copies = 1 + usize::from(self.random.chance(self.path.repeat));
        for _ in 0..copies {
            if self.random.chance(self.path.loss) {
                continue;
            }
            let late = if self.path.jitter_ms > 0 { self.random.next_u64() % self.path.jitter_ms } else { 0 };
            self.flying.push(Flying { at: self.now + MS * (1 + late as u32), to: 1 - from, bytes: bytes.clone() });
        }
    }

    /// Sends a data packet of the largest size that passes, if any does.
    pub fn data(&mut self, from: usize) {
        let size = self.ends[from].max_packet();
        if size == 0 {
            return;
        }
        let mut packet = vec![0; size];
        self.random.fill(&mut packet);
        self.counter += 1;
        self.ends[from].sealer().put(&mut packet, 7, self.counter).unwrap();
        self.ends[from].sent(1);
        self.launch(from, packet);
    }

    /// Gives one end a packet as its socket would.
    pub fn arrives(&mut self, to: usize, mut packet: Vec<u8>) -> Option<Result<Taken, Reason>> {
        let header = self.ends[to].opener(packet[0]).ok_or(Reason::PacketVersion).and_then(|h| h.get(&packet));
        match header {
            Ok((0, counter)) => Some(self.ends[to].take_control(self.now, counter, &mut packet)),
            Ok(_) => {
                self.opened[to] += 1;
                None
            }
            Err(_) => {
                self.unopened[to] += 1;
                None
            }
        }
    }

    /// Probes that are due go out.
    pub fn probe(&mut self) {
        for end in 0..2 {
            while let Some(probe) = self.ends[end].poll_probe(self.now, &mut self.challenges) {
                self.launch(end, probe);
            }
        }
    }

    /// So much time passes, a millisecond after the other; in each, `data` are the ends that send a packet.
    pub fn run(&mut self, time: Duration, data: &[usize]) {
        let end = self.now + time;
        while self.now < end {
            self.now += MS;
            data.iter().for_each(|&from| self.data(from));
            self.probe();
            let now = self.now;
            let (mut due, later): (Vec<_>, Vec<_>) = self.flying.drain(..).partition(|f| f.at <= now);
            self.flying = later;
            due.sort_by_key(|f| f.at);
            for Flying { to, bytes, .. } in due {
                match self.arrives(to, bytes) {
                    Some(Ok(Taken::Answer(answer))) => self.launch(to, answer),
                    Some(Err(reason)) => self.refused.push((to, reason)),
                    _ => {}
                }
            }
        }
    }

    /// When one end sent packets of one size that are no data, since the beginning.
    pub fn asked(&self, from: usize, size: usize) -> Vec<Duration> {
        self.sent.iter().filter(|(_, f, b)| *f == from && b.len() == size).map(|(at, ..)| *at).collect()
    }
}
