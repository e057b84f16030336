//! For the benchmarks of both bindings: batches of packets peeled here, batches merely passed, and plain arithmetic.

use bytes::BytesMut;
use wayfare_onion::{ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_relay::{Arrival, CircuitTable, Duty, Next};
use wayfare_types::{Counters, Random, Reason};
use wayfare_wire::{HEADER, Header, Part, TAGS};

use crate::failure::Failure;

const LINK: u32 = 1;

/// Splitmix64: spreads circuits and fills keys; nothing here is secret.
struct Mix(u64);

impl Random for Mix {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_be_bytes()[..chunk.len()]);
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// So many steps of Splitmix64, each mixed into the next: 64-bit multiplications, shifts and additions, no memory.
pub fn arithmetic(steps: u32) -> u32 {
    let mut mix = Mix(u64::from(steps));
    for _ in 0..steps {
        let drawn = mix.next_u64();
        mix.0 ^= drawn;
    }
    mix.0 as u32
}

/// A relay's table of circuits, and the client that fills packets for it.
pub struct PeelBench {
    table: CircuitTable,
    clients: Vec<(u32, ClientPath)>,
    payload_bytes: usize,
    random: Mix,
    counters: Counters,
    packet: BytesMut,
}

impl PeelBench {
    /// Without a suite, the one that suits this CPU.
    pub fn new(circuits: u32, payload_bytes: u32, suite: Option<&str>) -> Result<Self, Failure> {
        let suite = match suite {
            None => Suite::preferred(),
            Some(name) => Suite::from_name(name).ok_or_else(|| Failure::invalid("no such cipher suite"))?,
        };
        let (payload_bytes, mut random) = (payload_bytes as usize, Mix(1));
        let mut table = CircuitTable::new(circuits as usize);
        let mut clients = Vec::new();
        for circuit in 0..circuits {
            let mut direction = || {
                let (mut key, mut iv) = ([0; 32], [0; 12]);
                random.fill(&mut key);
                random.fill(&mut iv);
                DirectionKeys { key, iv, step: random.next_u64() }
            };
            let hop = HopKeys { suite, forward: direction(), backward: direction(), backward_start: 0 };
            let duty = Duty::Forward(ForwardHop::new(suite, &hop.forward), Next { link: LINK, cid: circuit });
            let cid = table.give_bytes(LINK, circuit, TAGS + payload_bytes, duty)?;
            let path = ClientPath::new(&[hop], 0).ok_or_else(|| Failure::invalid("a path has hops"))?;
            clients.push((cid, path));
        }
        if clients.is_empty() {
            return Err(Failure::invalid("a table needs circuits"));
        }
        Ok(Self { table, clients, payload_bytes, random, counters: Counters::default(), packet: BytesMut::new() })
    }

    /// Bytes of one packet.
    pub fn stride(&self) -> usize {
        HEADER + TAGS + self.payload_bytes
    }

    /// Fresh packets, one behind the other, each for a circuit drawn at random.
    pub fn packets(&mut self, count: u32) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::with_capacity(count as usize * self.stride());
        for _ in 0..count {
            let index = (self.random.next_u64() % self.clients.len() as u64) as usize;
            let mut packet = vec![0; self.stride()];
            let (cid, path) = &mut self.clients[index];
            self.random.fill(&mut packet[HEADER + TAGS..]);
            let counter = path.wrap(&mut packet[HEADER..], &mut self.random)?;
            Header { part: Part::Whole, cid: *cid, counter }.emit(&mut packet);
            all.extend_from_slice(&packet);
        }
        Ok(all)
    }

    /// Peels each packet of a batch; `results` gets 0, or a reason's code plus one. Says how many were good.
    pub fn peel(&mut self, packets: &[u8], stride: u32, results: &mut [u32]) -> u32 {
        let mut good = 0;
        for (packet, result) in packets.chunks_exact((stride as usize).max(1)).zip(results) {
            self.packet.clear();
            self.packet.extend_from_slice(packet);
            *result = match self.table.work(LINK, &mut self.packet, &mut self.counters) {
                Ok(Arrival::Forward { .. }) => {
                    good += 1;
                    0
                }
                Ok(_) => Reason::CircuitUnknown as u32 + 1,
                Err(reason) => reason as u32 + 1,
            };
        }
        good
    }

    /// The same crossing with nothing done: a look at each packet's first byte.
    pub fn pass(&self, packets: &[u8], stride: u32, results: &mut [u32]) -> u32 {
        let mut count = 0;
        for (packet, result) in packets.chunks_exact((stride as usize).max(1)).zip(results) {
            *result = u32::from(packet[0]);
            count += 1;
        }
        count
    }
}
