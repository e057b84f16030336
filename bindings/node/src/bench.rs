//! For the benchmark of the crossing: batches of packets peeled here, and batches merely passed.

use bytes::BytesMut;
use napi::Result;
use napi::bindgen_prelude::{Uint8Array, Uint32Array};
use napi_derive::napi;
use wayfare_onion::{ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_relay::{Arrival, CircuitTable, Duty, Next};
use wayfare_types::{Counters, Random, Reason};
use wayfare_wire::{HEADER, Header, Part, TAGS};

use crate::kernels::error;

const LINK: u32 = 1;

/// Splitmix64: spreads circuits and fills keys; nothing here is secret.
struct Mix(u64);

impl Random for Mix {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ z >> 31).to_be_bytes()[..chunk.len()]);
        }
    }
}

#[allow(unsafe_code)]
fn written(results: &mut Uint32Array) -> &mut [u32] {
    // SAFETY: JavaScript's thread is in this call, so nobody else reads or writes the array while the slice lives.
    unsafe { results.as_mut() }
}

/// A relay's table of circuits, and the client that fills packets for it.
#[napi]
pub struct PeelBench {
    table: CircuitTable,
    clients: Vec<(u32, ClientPath)>,
    payload_bytes: usize,
    random: Mix,
    counters: Counters,
    packet: BytesMut,
}

#[napi]
impl PeelBench {
    #[napi(constructor)]
    pub fn new(circuits: u32, payload_bytes: u32, suite: Option<String>) -> Result<Self> {
        let broken = |what: &str| error("argument_invalid", what);
        let suite = match suite {
            None => Suite::preferred(),
            Some(name) => Suite::from_name(&name).ok_or_else(|| broken("no such cipher suite"))?,
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
            let cid = table
                .give_bytes(LINK, circuit, TAGS + payload_bytes, duty)
                .map_err(|reason| error(reason.name(), "the table of circuits is full"))?;
            let path = ClientPath::new(&[hop], 0).ok_or_else(|| broken("a path has hops"))?;
            clients.push((cid, path));
        }
        if clients.is_empty() {
            return Err(broken("a table needs circuits"));
        }
        Ok(Self { table, clients, payload_bytes, random, counters: Counters::default(), packet: BytesMut::new() })
    }

    /// Bytes of one packet.
    #[napi(getter)]
    pub fn stride(&self) -> u32 {
        (HEADER + TAGS + self.payload_bytes) as u32
    }

    /// Fresh packets, one behind the other, each for a circuit drawn at random.
    #[napi]
    pub fn packets(&mut self, count: u32) -> Result<Uint8Array> {
        let mut all = Vec::with_capacity(count as usize * self.stride() as usize);
        for _ in 0..count {
            let index = (self.random.next_u64() % self.clients.len() as u64) as usize;
            let (cid, path) = &mut self.clients[index];
            let mut packet = vec![0; HEADER + TAGS + self.payload_bytes];
            self.random.fill(&mut packet[HEADER + TAGS..]);
            let counter =
                path.wrap(&mut packet[HEADER..], &mut self.random).map_err(|r| error(r.name(), "cannot wrap"))?;
            Header { part: Part::Whole, cid: *cid, counter }.emit(&mut packet);
            all.extend_from_slice(&packet);
        }
        Ok(all.into())
    }

    /// Peels each packet of a batch; `results` gets 0, or a reason's code plus one. Says how many were good.
    #[napi]
    pub fn peel(&mut self, packets: &[u8], stride: u32, mut results: Uint32Array) -> u32 {
        let mut good = 0;
        for (packet, result) in packets.chunks_exact((stride as usize).max(1)).zip(written(&mut results)) {
            self.packet.clear();
            self.packet.extend_from_slice(packet);
            *result = match self.table.work(LINK, &mut self.packet, &mut self.counters) {
                Ok(Arrival::Forward(_)) => {
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
    #[napi]
    pub fn pass(&self, packets: &[u8], stride: u32, mut results: Uint32Array) -> u32 {
        let mut count = 0;
        for (packet, result) in packets.chunks_exact((stride as usize).max(1)).zip(written(&mut results)) {
            *result = u32::from(packet[0]);
            count += 1;
        }
        count
    }
}
