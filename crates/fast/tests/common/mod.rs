//! Two circuits over the same three links, as an observer of the links captures their packets.
#![allow(dead_code, clippy::unwrap_used)]

use wayfare_onion::{BackwardHop, ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_testkit::Seeded;
use wayfare_types::Random;
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{FastHeader, SizeClass, TAGS, put_payload};

pub const PACKET: usize = FAST_HEADER + SizeClass::M.body_bytes();
/// Links of a path: client to first hop, first to second, second to exit.
pub const LINKS: usize = 3;

pub fn key(rng: &mut Seeded) -> [u8; 32] {
    let mut key = [0; 32];
    rng.fill(&mut key);
    key
}

pub fn hop_keys(rng: &mut Seeded) -> HopKeys {
    let mut direction = || {
        let mut keys = DirectionKeys { key: key(rng), iv: [0; 12], step: rng.next_u64() };
        rng.fill(&mut keys.iv);
        keys
    };
    let (forward, backward) = (direction(), direction());
    HopKeys { suite: Suite::Aes128Gcm, forward, backward, backward_start: rng.next_u64() }
}

struct Circuit {
    client: ClientPath,
    forward: Vec<ForwardHop>,
    backward: Vec<BackwardHop>,
    /// Per link: what its packets are called forwards and backwards.
    cids: [[u32; 2]; LINKS],
}

/// How headers are written onto a link.
pub type Writer = fn(&FastHeader, &mut [u8], u32, u64);

/// The packets of one payload each way, per link.
pub struct Captured {
    pub forward: [Vec<u8>; LINKS],
    pub backward: [Vec<u8>; LINKS],
}

impl Captured {
    pub fn new() -> Self {
        Self { forward: std::array::from_fn(|_| vec![0; PACKET]), backward: std::array::from_fn(|_| vec![0; PACKET]) }
    }
}

pub struct Network {
    pub rng: Seeded,
    circuits: [Circuit; 2],
    /// Per link: the headers' keys forwards and backwards.
    links: [[FastHeader; 2]; LINKS],
    write: Writer,
    body: Vec<u8>,
}

impl Network {
    pub fn new(seed: u64, write: Writer) -> Self {
        let mut rng = Seeded::new(seed);
        let circuits = std::array::from_fn(|_| {
            let keys: Vec<HopKeys> = (0..LINKS).map(|_| hop_keys(&mut rng)).collect();
            Circuit {
                // Counters from zero, where they tell the most.
                client: ClientPath::new(&keys, 0).unwrap(),
                forward: keys.iter().map(|k| ForwardHop::new(k.suite, &k.forward)).collect(),
                backward: keys.iter().map(|k| BackwardHop::new(k.suite, &k.backward, k.backward_start)).collect(),
                cids: std::array::from_fn(|_| std::array::from_fn(|_| rng.next_u64() as u32 % 1000)),
            }
        });
        let links = std::array::from_fn(|_| std::array::from_fn(|_| FastHeader::new(&key(&mut rng), 0)));
        Self { rng, circuits, links, write, body: vec![0; PACKET] }
    }

    /// An empty acknowledgement or the like goes each way over a circuit: nearly all of its payload is zeros.
    pub fn exchange(&mut self, circuit: usize, out: &mut Captured) {
        let Self { rng, circuits, links, write, body } = self;
        let circuit = &mut circuits[circuit];
        let capture = |link: usize, way: usize, counter: u64, body: &mut Vec<u8>, out: &mut Vec<u8>| {
            write(&links[link][way], body, circuit.cids[link][way], counter);
            out.copy_from_slice(body);
        };
        put_payload(&mut body[FAST_HEADER + TAGS..], &[0x40; 40]).unwrap();
        let mut counter = circuit.client.wrap(&mut body[FAST_HEADER..], rng).unwrap();
        for (link, hop) in circuit.forward.iter_mut().enumerate() {
            capture(link, 0, counter, body, &mut out.forward[link]);
            counter = hop.open(counter, &mut body[FAST_HEADER..]).unwrap();
        }
        put_payload(&mut body[FAST_HEADER + TAGS..], &[0x40; 40]).unwrap();
        let mut counter = 0;
        for (link, hop) in circuit.backward.iter_mut().enumerate().rev() {
            let body_only = &mut body[FAST_HEADER..];
            counter = if link == LINKS - 1 { hop.origin(body_only) } else { hop.seal(counter, body_only) }.unwrap();
            capture(link, 1, counter, body, &mut out.backward[link]);
        }
        circuit.client.open(counter, &mut body[FAST_HEADER..]).unwrap();
    }
}
