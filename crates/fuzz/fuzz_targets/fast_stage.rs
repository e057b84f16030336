//! The batch stage over three links, of which one is not fast: every packet that was taken goes on, stays, or is counted; what
//! goes on opens at the neighbour as the circuit it belongs to; honest packets go on whatever lies beside them.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use wayfare_fast::{BatchOut, FastLink, Stage, Taken};
use wayfare_onion::{BackwardHop, ClientPath, DirectionKeys, ForwardHop, HopKeys, Suite};
use wayfare_relay::{CircuitTable, Duty, Next};
use wayfare_types::{Counters, Random};
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{Header, TAGS};

const BODY: usize = TAGS + 32;
const PACKET: usize = FAST_HEADER + BODY;

#[derive(Arbitrary, Debug)]
enum Packet<'a> {
    /// From the client, for the next hop over the second link or over the third.
    Honest {
        third: bool,
    },
    /// A neighbour's: its header is right.
    Neighbours {
        cid: u8,
        counter: u16,
        byte: u8,
    },
    Noise {
        bytes: &'a [u8],
    },
    Last {
        at: u8,
        by: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Run<'a> {
    link: bool,
    stride: u8,
    packets: Vec<Packet<'a>>,
    cut: u8,
    gap: u8,
    close: Option<u8>,
}

struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

/// The relay's ends of its fast links, and its neighbours'.
struct Links {
    own: [FastLink; 2],
    neighbours: [FastLink; 2],
}

fn keys_of(n: u8) -> HopKeys {
    let direction = |n| DirectionKeys { key: [n; 32], iv: [n; 12], step: u64::from(n) };
    HopKeys { suite: Suite::Aes128Gcm, forward: direction(n), backward: direction(n + 1), backward_start: 0 }
}

thread_local! {
    static LINKS: Links = {
        let now = Instant::now();
        let probe = |from: &mut FastLink, to: &mut FastLink| {
            let mut probe = from.poll_probe(now, &mut Zeros).expect("a probe");
            let (_, counter) = to.opener(probe[0]).expect("an epoch").get(&probe).expect("a header");
            let Ok(Taken::Answer(mut echo)) = to.take_control(now, counter, &mut probe) else { panic!("an echo") };
            let (_, counter) = from.opener(echo[0]).expect("an epoch").get(&echo).expect("a header");
            from.take_control(now + Duration::from_millis(1), counter, &mut echo).expect("an echo");
        };
        let [(a, b), (c, d)] = [1, 3].map(|n| {
            let end = |own, other| FastLink::new(now, [own; 32], [other; 32], [PACKET]);
            let (mut own, mut neighbour) = (end(n, n + 1), end(n + 1, n));
            probe(&mut own, &mut neighbour);
            probe(&mut neighbour, &mut own);
            (own, neighbour)
        });
        Links { own: [a, c], neighbours: [b, d] }
    };
}

fuzz_target!(|runs: Vec<Run>| LINKS.with(|links| work(links, &runs)));

fn work(links: &Links, runs: &[Run]) {
    let mut table = CircuitTable::new(16);
    let suite = Suite::Aes128Gcm;
    let mut give = |link, circuit, duty| table.give_bytes(link, circuit, BODY, duty).expect("an id");
    let keys = [keys_of(10), keys_of(20)];
    let second = give(1, 1, Duty::Forward(ForwardHop::new(suite, &keys[0].forward), Next { link: 2, cid: 91 }));
    let third = give(1, 2, Duty::Forward(ForwardHop::new(suite, &keys[1].forward), Next { link: 3, cid: 92 }));
    give(2, 1, Duty::Backward(BackwardHop::new(suite, &keys[0].backward, 0), Next { link: 1, cid: 93 }));
    give(2, 3, Duty::Exit(ForwardHop::new(suite, &keys_of(30).forward)));
    give(2, 4, Duty::Client);
    give(2, 5, Duty::Pending);
    let mut clients = keys.map(|keys| ClientPath::new(&[keys], u64::MAX - 3).expect("a hop"));

    let (mut stage, mut counters) = (Stage::default(), Counters::default());
    let (mut taken, mut honest, mut relayed, mut stayed) = (0, 0, 0, 0);
    let mut out_honest = 0;
    let (mut buffers, mut last) = (Vec::new(), vec![0x10; PACKET]);
    for runs in runs.chunks(4) {
        buffers.clear();
        let mut closing = Vec::new();
        for (n, run) in runs.iter().enumerate() {
            let (link, stride) =
                (usize::from(run.link), PACKET.saturating_sub(usize::from(run.stride % 4) * 40).max(1));
            let whole = stride == PACKET;
            let at = usize::from(run.gap);
            let mut buffer = vec![0x55; at];
            for packet in &run.packets {
                let mut bytes = vec![0; PACKET];
                match *packet {
                    // Before any circuit is closed, so that each of them has to arrive.
                    Packet::Honest { third: other } if whole && link == 0 && run.close.is_none() && run.cut == 0 => {
                        let counter =
                            clients[usize::from(other)].wrap(&mut bytes[FAST_HEADER..], &mut Zeros).expect("a body");
                        let cid = if other { third } else { second };
                        links.neighbours[0].sealer().put(&mut bytes, cid, counter).expect("room for a header");
                        honest += u64::from(table.circuit(1, cid).is_some());
                    }
                    Packet::Honest { .. } => {}
                    Packet::Neighbours { cid, counter, byte } => {
                        bytes[FAST_HEADER..].fill(byte);
                        let cid = u32::from(cid & 15) | u32::from(cid >> 4) << 24;
                        links.neighbours[link]
                            .sealer()
                            .put(&mut bytes, cid, counter.into())
                            .expect("room for a header");
                    }
                    Packet::Noise { bytes: noise } => bytes.iter_mut().zip(noise).for_each(|(b, n)| *b = *n),
                    Packet::Last { at, by } => {
                        bytes.copy_from_slice(&last);
                        bytes[usize::from(at) % PACKET] ^= by;
                    }
                }
                last.copy_from_slice(&bytes);
                buffer.extend_from_slice(&bytes[..stride]);
            }
            buffer.truncate(buffer.len().saturating_sub(usize::from(run.cut)).max(at));
            taken += (buffer.len() - at).div_ceil(stride);
            stage.take(link as u32 + 1, links.own[link].view(), (n, at), &buffer[at..], stride, &mut counters);
            closing.extend(run.close);
            buffers.push(buffer);
        }
        let done = stage.work(&mut buffers, table.slots(), true, &mut counters, |_, _, (buffer, _, bytes)| {
            assert!(buffer < runs.len() && bytes > FAST_HEADER);
            stayed += 1;
        });
        relayed += done.packets_forward + done.packets_backward;
        let mut sent = 0;
        stage.send(
            &mut buffers,
            |link| links.own.get(link as usize - 1).map(FastLink::view),
            |batch| match batch {
                BatchOut::Fast { link, segment, payers, slices } => {
                    let packets = payers.len();
                    let bytes: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
                    assert_eq!((segment, bytes.len()), (PACKET, packets * PACKET));
                    for packet in bytes.chunks(segment) {
                        let opener = links.neighbours[link as usize - 1].opener(packet[0]).expect("an epoch");
                        let (cid, _) = opener.get(packet).expect("a header");
                        assert_eq!(cid, if link == 1 { 93 } else { 91 });
                        out_honest += u64::from(cid == 91);
                    }
                    sent += packets as u64;
                }
                BatchOut::Plain { link, packet } => {
                    assert_eq!((link, Header::parse(packet).expect("a header").cid), (3, 92));
                    out_honest += 1;
                    sent += 1;
                }
            },
        );
        assert_eq!(sent, done.packets_forward + done.packets_backward);
        assert!(stage.is_empty());
        closing.into_iter().for_each(|cid| table.take(u32::from(cid)));
    }
    let dropped: u64 = counters.iter().map(|(_, n)| n).sum();
    assert_eq!(taken as u64, relayed + stayed + dropped);
    assert_eq!(out_honest, honest, "{:?} {runs:?}", counters.iter().filter(|c| c.1 > 0).collect::<Vec<_>>());
}
