//! A relay under fire: whatever else arrives, honest packets go out as they would have gone out alone, and every other one is
//! counted under its reason.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "an instant to begin with; what fails here fails the test"
)]

mod common;
mod linked;

use common::{PACKET, hop_keys};
use linked::connected;
use wayfare_fast::{BatchOut, FastLink, Local, Stage};
use wayfare_onion::{BackwardHop, ClientPath, ForwardHop};
use wayfare_relay::{CircuitTable, Duty, Next};
use wayfare_testkit::Seeded;
use wayfare_types::{Counters, Random, Reason};
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{SizeClass, TAGS};

const CLIENT_SIDE: u32 = 1;
const EXIT_SIDE: u32 = 2;

/// A relay with a neighbour on either side, and the circuits of one of them.
struct Relay {
    stage: Stage,
    table: CircuitTable,
    /// The relay's own end of each link, and its neighbour's.
    own: [FastLink; 2],
    neighbours: [FastLink; 2],
    counters: Counters,
    relayed: u64,
    local: Vec<Local>,
}

impl Relay {
    fn new(seed: u64) -> Self {
        let rng = &mut Seeded::new(seed);
        let [(a, b), (c, d)] = std::array::from_fn(|_| connected(rng, &[PACKET]));
        Self {
            stage: Stage::default(),
            table: CircuitTable::new(1000),
            own: [b, d],
            neighbours: [a, c],
            counters: Counters::default(),
            relayed: 0,
            local: Vec::new(),
        }
    }

    /// A receive of these packets over a link, as GRO has them: those of one size behind one another in one buffer. Returns
    /// what goes out, packet by packet.
    fn receive(&mut self, link: u32, packets: &[Vec<u8>]) -> Vec<(u32, Vec<u8>)> {
        let mut buffers: Vec<Vec<u8>> = Vec::new();
        for (at, run) in packets.chunk_by(|a, b| a.len() == b.len()).enumerate() {
            buffers.push(run.concat());
            let (own, stride) = (&self.own[link as usize - 1], run[0].len());
            self.stage.take(link, own.view(), (at, 0), &buffers[at], stride, &mut self.counters);
        }
        self.work(&mut buffers)
    }

    fn work(&mut self, buffers: &mut [Vec<u8>]) -> Vec<(u32, Vec<u8>)> {
        let Self { stage, table, own, counters, local, .. } = self;
        let relayed = stage.work(buffers, table.slots(), true, counters, |_, what, _| local.push(what));
        self.relayed += relayed.packets_forward + relayed.packets_backward;
        let mut out = Vec::new();
        stage.send(
            buffers,
            |link| own.get(link as usize - 1).map(FastLink::view),
            |batch| match batch {
                BatchOut::Fast { link, segment, slices, .. } => {
                    let bytes: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
                    out.extend(bytes.chunks(segment).map(|packet| (link, packet.to_vec())));
                }
                BatchOut::Plain { .. } => panic!("both links are fast"),
            },
        );
        assert!(stage.is_empty());
        out
    }

    fn dropped(&self) -> Vec<(Reason, u64)> {
        self.counters.iter().filter(|&(_, count)| count > 0).collect()
    }
}

/// A circuit through the relay: the client before it, the exit behind it.
struct Circuit {
    client: ClientPath,
    exit: ForwardHop,
    back: BackwardHop,
    /// What the relay calls it, on the client's side and on the exit's.
    cids: [u32; 2],
}

impl Circuit {
    fn open(relay: &mut Relay, circuit: u32, start: u64, rng: &mut Seeded) -> Self {
        let keys = [hop_keys(rng), hop_keys(rng)];
        let forward = Duty::Forward(ForwardHop::new(keys[0].suite, &keys[0].forward), Next { link: EXIT_SIDE, cid: 7 });
        let backward =
            Duty::Backward(BackwardHop::new(keys[0].suite, &keys[0].backward, 0), Next { link: CLIENT_SIDE, cid: 9 });
        Self {
            client: ClientPath::new(&keys, start).unwrap(),
            exit: ForwardHop::new(keys[1].suite, &keys[1].forward),
            back: BackwardHop::new(keys[1].suite, &keys[1].backward, keys[1].backward_start),
            cids: [
                relay.table.give(CLIENT_SIDE, circuit, SizeClass::M, forward).unwrap(),
                relay.table.give(EXIT_SIDE, circuit, SizeClass::M, backward).unwrap(),
            ],
        }
    }

    /// A packet from the client, as it reaches the relay.
    fn forwards(&mut self, relay: &Relay, rng: &mut Seeded) -> Vec<u8> {
        let mut packet = vec![0; PACKET];
        rng.fill(&mut packet[FAST_HEADER + TAGS..]);
        let counter = self.client.wrap(&mut packet[FAST_HEADER..], rng).unwrap();
        relay.neighbours[0].sealer().put(&mut packet, self.cids[0], counter).unwrap();
        packet
    }

    fn backwards(&mut self, relay: &Relay, rng: &mut Seeded) -> Vec<u8> {
        let mut packet = vec![0; PACKET];
        rng.fill(&mut packet[FAST_HEADER + TAGS..]);
        let counter = self.back.origin(&mut packet[FAST_HEADER..]).unwrap();
        relay.neighbours[1].sealer().put(&mut packet, self.cids[1], counter).unwrap();
        packet
    }
}

/// What someone without the link's keys sends: noise, noise that looks right, and captured packets in part changed.
fn outsiders(honest: &[u8], n: usize, rng: &mut Seeded) -> (Vec<u8>, Reason) {
    let mut noise = vec![0; PACKET];
    rng.fill(&mut noise);
    let mut changed = honest.to_vec();
    match n % 6 {
        0 => {
            noise[0] = 0x20 | noise[0] & 3;
            (noise, Reason::PacketVersion)
        }
        1 => {
            noise[0] = honest[0];
            (noise, Reason::PacketForged)
        }
        2 => {
            // The header, or the tag that is its tweak.
            let at = 1 + rng.next_u64() as usize % 32;
            changed[at] ^= 1 << (rng.next_u64() % 8);
            (changed, Reason::PacketForged)
        }
        3 => {
            changed[0] = honest[0] ^ 2;
            (changed, Reason::PacketVersion)
        }
        4 => {
            changed.truncate(rng.next_u64() as usize % (FAST_HEADER + 16));
            changed.resize(changed.len().max(1), 0);
            (changed, Reason::PacketTruncated)
        }
        // A longer one under a captured header.
        _ => {
            changed.push(0);
            (changed, Reason::PacketSize)
        }
    }
}

/// Hostile packets one to one among honest ones, in one receive: the same goes out as without them.
fn flood(
    seed: u64,
    link: u32,
    mut hostile: impl FnMut(&Relay, &Circuit, &[Vec<u8>], usize, &mut Seeded) -> (Vec<u8>, Reason),
) {
    let [mut alone, mut under_fire] = [(); 2].map(|()| {
        let rng = &mut Seeded::new(seed);
        let mut relay = Relay::new(seed);
        let circuit = Circuit::open(&mut relay, 1, rng.next_u64(), rng);
        (relay, circuit, rng.clone())
    });
    let rng = &mut Seeded::new(seed + 1);
    let mut expected = Counters::default();
    let mut sent = Vec::new();
    for batch in 0..100 {
        let honest = [&mut alone, &mut under_fire].map(|(relay, circuit, rng)| {
            let make =
                |_| if link == CLIENT_SIDE { circuit.forwards(relay, rng) } else { circuit.backwards(relay, rng) };
            (0..20).map(make).collect::<Vec<_>>()
        });
        assert_eq!(honest[0], honest[1]);
        let [honest, _] = honest;
        sent.extend_from_slice(&honest);
        let mut mixed = Vec::new();
        for (n, packet) in honest.iter().enumerate() {
            let known = &sent[..sent.len() - honest.len() + n + 1];
            let (packet_of_mallory, reason) = hostile(&under_fire.0, &under_fire.1, known, 20 * batch + n, rng);
            expected.count(reason);
            // A replay comes after what it repeats, all else before.
            mixed.push(packet.clone());
            mixed.insert(if reason == Reason::PacketReplayed { 2 * n + 1 } else { 2 * n }, packet_of_mallory);
        }
        let went = alone.0.receive(link, &honest);
        assert_eq!(went.len(), honest.len());
        assert_eq!(went, under_fire.0.receive(link, &mixed));
    }
    assert_eq!(alone.0.dropped(), []);
    assert_eq!(under_fire.0.dropped(), expected.iter().filter(|&(_, count)| count > 0).collect::<Vec<_>>());
    assert_eq!((under_fire.0.relayed, under_fire.0.local.len()), (2000, 0));
}

#[test]
fn garbage_and_changed_packets_change_nothing() {
    for link in [CLIENT_SIDE, EXIT_SIDE] {
        flood(1, link, |_, _, sent, n, rng| outsiders(&sent[sent.len() - 1], n, rng));
    }
}

#[test]
fn replays_change_nothing() {
    for link in [CLIENT_SIDE, EXIT_SIDE] {
        flood(2, link, |_, _, sent, _, rng| {
            (sent[rng.next_u64() as usize % sent.len()].clone(), Reason::PacketReplayed)
        });
    }
}

/// A neighbour has the link's keys, so its headers are right: for this circuit with whatever counter, for ids that are not in
/// use, of another epoch's look. No tag of its own passes, and the window stays as it is.
#[test]
fn right_headers_with_wrong_tags_change_nothing() {
    flood(3, CLIENT_SIDE, |relay, circuit, sent, n, rng| {
        let sealer = relay.neighbours[0].sealer();
        let (cid, counter) = relay.own[0].opener(sent[0][0]).unwrap().get(&sent[sent.len() - 1]).unwrap();
        assert_eq!(cid, circuit.cids[0]);
        let mut packet = vec![0; PACKET];
        rng.fill(&mut packet);
        let (cid, counter, reason) = match n % 5 {
            0 => (cid, counter, Reason::PacketForged),
            1 => (cid, counter.wrapping_add(rng.next_u64() % 4096), Reason::PacketForged),
            // Given out on the other link.
            2 => (circuit.cids[1], counter, Reason::CircuitUnknown),
            3 => (cid ^ 1 << (24 + rng.next_u64() % 8), counter, Reason::CircuitUnknown),
            _ => (rng.next_u64() as u32 | 1 << 20, counter, Reason::CircuitUnknown),
        };
        sealer.put(&mut packet, cid, counter).unwrap();
        (packet, reason)
    });
}

/// From another link, that is from another address: even what is right on its own link is nothing there.
#[test]
fn packets_of_other_links_are_forged() {
    flood(4, CLIENT_SIDE, |relay, circuit, sent, n, rng| {
        let mut packet = sent[sent.len() - 1].clone();
        let keys = if n.is_multiple_of(2) { relay.neighbours[1].sealer() } else { relay.own[0].sealer() };
        keys.put(&mut packet, circuit.cids[0], rng.next_u64()).unwrap();
        (packet, Reason::PacketForged)
    });
}

#[test]
fn packets_for_a_circuit_just_closed_have_nowhere_to_go() {
    let rng = &mut Seeded::new(5);
    let mut relay = Relay::new(5);
    let mut old = Circuit::open(&mut relay, 1, 0, rng);
    let packets: Vec<_> = (0..10).map(|_| old.forwards(&relay, rng)).collect();
    assert_eq!(relay.receive(CLIENT_SIDE, &packets[..5]).len(), 5);
    // Closed between the receive and the work on it.
    for (at, packet) in packets[5..].iter().enumerate() {
        relay.stage.take(CLIENT_SIDE, relay.own[0].view(), (at, 0), packet, PACKET, &mut relay.counters);
    }
    old.cids.iter().for_each(|&cid| relay.table.take(cid));
    assert_eq!(relay.work(&mut packets[5..].to_vec()), []);
    // The place serves another circuit: under another id.
    let mut new = Circuit::open(&mut relay, 2, 0, rng);
    assert_eq!(relay.receive(CLIENT_SIDE, &packets), []);
    assert_eq!(relay.dropped(), [(Reason::CircuitUnknown, 15)]);
    let packet = new.forwards(&relay, rng);
    assert_eq!(relay.receive(CLIENT_SIDE, &[packet]).len(), 1);
}

/// Counters run on over 2^64; one 2^32 beyond the first is refused, even from the neighbour.
#[test]
fn counters_at_their_end() {
    let rng = &mut Seeded::new(6);
    let mut relay = Relay::new(6);
    let mut circuit = Circuit::open(&mut relay, 1, u64::MAX - 4, rng);
    for n in 0..10 {
        let packet = circuit.forwards(&relay, rng);
        let (_, counter) = relay.own[0].opener(packet[0]).unwrap().get(&packet).unwrap();
        assert_eq!(counter, (u64::MAX - 4).wrapping_add(n));
        let went = relay.receive(CLIENT_SIDE, &[packet]);
        let mut packet = went[0].1.clone();
        let (_, counter) = relay.neighbours[1].opener(packet[0]).unwrap().get(&packet).unwrap();
        assert!(circuit.exit.open(counter, &mut packet[FAST_HEADER..]).is_ok());
    }
    let mut packet = vec![0; PACKET];
    rng.fill(&mut packet);
    for (beyond, reason) in [((1 << 32) - 1, Reason::PacketForged), (1 << 32, Reason::PacketReplayed)] {
        let before = relay.counters.get(reason);
        relay.neighbours[0].sealer().put(&mut packet, circuit.cids[0], (u64::MAX - 4).wrapping_add(beyond)).unwrap();
        assert_eq!(relay.receive(CLIENT_SIDE, std::slice::from_ref(&packet)), []);
        assert_eq!(relay.counters.get(reason), before + 1, "{beyond} beyond the first");
    }
    let packet = circuit.forwards(&relay, rng);
    assert_eq!(relay.receive(CLIENT_SIDE, &[packet]).len(), 1);
}

/// Circuit id 0 is the link's own: its packets reach no circuit, and one that is not sealed by the neighbour reaches nothing.
#[test]
fn the_links_own_id_reaches_no_circuit() {
    let rng = &mut Seeded::new(7);
    let mut relay = Relay::new(7);
    Circuit::open(&mut relay, 1, 0, rng);
    let mut packet = vec![0; PACKET];
    rng.fill(&mut packet);
    relay.neighbours[0].sealer().put(&mut packet, 0, 1 << 20).unwrap();
    assert_eq!(relay.receive(CLIENT_SIDE, std::slice::from_ref(&packet)), []);
    assert_eq!(relay.local, [Local::Control { counter: 1 << 20 }]);
    let taken = relay.own[0].take_control(std::time::Instant::now(), 1 << 20, &mut packet);
    assert_eq!(taken, Err(Reason::PacketForged));
}
