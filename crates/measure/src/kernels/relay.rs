//! A relay's whole work on a packet among many circuits, both directions, against one bare pass of the same kind.

use std::time::Duration;

use bytes::BytesMut;
use wayfare_onion::{BackwardHop, ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_relay::{Arrival, CircuitTable, Duty, Next};
use wayfare_testkit::Seeded;
use wayfare_types::{Counters, Random};
use wayfare_wire::{HEADER, Header, Part, SLOT, TAGS};

use super::{BATCH, Group};
use crate::Fault;
use crate::floor::{AwsLc, Bare, Ring};

const IN: u32 = 1;
const OUT: u32 = 2;

#[derive(Clone, Copy)]
enum Way {
    Forward,
    Backward,
}

struct Circuit {
    cid: u32,
    client: ClientPath,
    next: u64,
}

/// A relay with its circuits, and the clients at their other ends.
struct Relay {
    way: Way,
    table: CircuitTable,
    circuits: Vec<Circuit>,
    random: Seeded,
}

fn direction(random: &mut Seeded) -> DirectionKeys {
    let mut keys = DirectionKeys { key: [0; 32], iv: [0; 12], step: random.next_u64() };
    random.fill(&mut keys.key);
    random.fill(&mut keys.iv);
    keys
}

impl Relay {
    fn new(way: Way, suite: Suite, payload_bytes: usize, count: usize) -> Result<Self, Fault> {
        let refused = |r| format!("the table takes no such circuit: {r:?}");
        let mut random = Seeded::new(1);
        let mut table = CircuitTable::new(count);
        let mut circuits = Vec::new();
        for n in 0..count as u32 {
            let (forward, backward) = (direction(&mut random), direction(&mut random));
            let next = Next { link: OUT, cid: n };
            let duty = match way {
                Way::Forward => Duty::Forward(ForwardHop::new(suite, &forward), next),
                Way::Backward => Duty::Backward(BackwardHop::new(suite, &backward, 0), next),
            };
            let cid = table.give_bytes(IN, n, TAGS + payload_bytes, duty).map_err(refused)?;
            let start = random.next_u64();
            let keys = HopKeys { suite, forward, backward, backward_start: 0 };
            let client = ClientPath::new(&[keys], start).ok_or("a path has hops")?;
            circuits.push(Circuit { cid, client, next: start });
        }
        Ok(Self { way, table, circuits, random })
    }

    /// Valid packets of circuits drawn at random.
    fn make(&mut self, packets: &mut [BytesMut]) {
        for packet in packets {
            let at = self.random.next_u64() as usize % self.circuits.len();
            let circuit = &mut self.circuits[at];
            let body = &mut packet[HEADER..];
            let counter = match self.way {
                // A key wears out after 2^28 packets; what a worn one leaves is not opened, and that is noticed.
                Way::Forward => circuit.client.wrap(body, &mut self.random).unwrap_or_default(),
                Way::Backward => {
                    circuit.next = circuit.next.wrapping_add(1);
                    circuit.next
                }
            };
            Header { part: Part::Whole, cid: circuit.cid, counter }.emit(packet);
        }
    }
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut out = [7; 12];
    out[4..].copy_from_slice(&counter.to_be_bytes());
    out
}

/// One key, one pass: the tag lies before the 80 + payload bytes, as in a packet.
fn floor<B: Bare>(group: &mut Group, way: Way, suite: Suite, packets: &mut [BytesMut]) {
    let key = B::new(suite, [9; 32]);
    // The tag takes the header's place and three bytes more: the lengths, and so the passes, are those of a packet.
    let mut packets: Vec<(u64, [u8; SLOT], &mut BytesMut)> = packets.iter_mut().map(|p| (0, [0; SLOT], p)).collect();
    let mut counter = 0;
    let make = |packets: &mut [(u64, [u8; SLOT], &mut BytesMut)]| {
        for (at, tag, packet) in packets {
            counter += 1;
            *at = counter;
            *tag = key.seal(nonce(counter), &mut packet[HEADER..]);
        }
    };
    group.floor(&mut packets, make, |(counter, tag, packet)| match way {
        Way::Forward => assert!(key.open(nonce(*counter), tag, &mut packet[HEADER..])),
        Way::Backward => *tag = key.seal(nonce(*counter), &mut packet[HEADER..]),
    });
}

/// One round of one suite and size, both directions.
pub fn measure(
    suite: Suite,
    payload_bytes: usize,
    circuits: usize,
    time: Duration,
    keep: &mut dyn FnMut(Group),
) -> Result<(), Fault> {
    for (way, name) in [(Way::Forward, "peel_forward"), (Way::Backward, "peel_backward")] {
        let mut group = Group::new(format!("{name}_{}_{payload_bytes}", suite.name()), time);
        let mut packets = vec![BytesMut::zeroed(HEADER + TAGS + payload_bytes); BATCH];
        floor::<AwsLc>(&mut group, way, suite, &mut packets);
        floor::<Ring>(&mut group, way, suite, &mut packets);

        let mut relay = Relay::new(way, suite, payload_bytes, circuits)?;
        let mut table = std::mem::replace(&mut relay.table, CircuitTable::new(0));
        let (mut counters, mut refused) = (Counters::default(), None);
        group.ours(
            &mut packets,
            |packets| relay.make(packets),
            |packet| match table.work(IN, packet, &mut counters) {
                Ok(Arrival::Forward { link: OUT, .. } | Arrival::Backward { link: OUT, .. }) => {}
                other => refused = Some(other),
            },
        );
        if let Some(other) = refused {
            return Err(format!("a good packet was not passed on: {other:?}"));
        }
        keep(group);
    }
    Ok(())
}
