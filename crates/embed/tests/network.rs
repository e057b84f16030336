//! Embedded engines joined by shuttling their records, on virtual time: links, circuits, flows, and whoever forges.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use serde_json::Value;
use wayfare_embed::*;

const START_MS: f64 = 1_800_000_000_000.0;
const MTU: f64 = 1420.0;
const OPTIONS: &str = r#"{"roles":{"client":true,"relay":true,"exit":true},"freshKeys":true}"#;

fn engine(node: u8) -> EmbeddedEngine {
    let mut engine = EmbeddedEngine::new(OPTIONS, &[node + 1; 32], &[node + 51; 32], 0.0, START_MS).unwrap();
    engine.set_onion_keys(&[node + 101; 32]).unwrap();
    engine
}

/// Bytes of `hops` for a path through these nodes.
fn hops(path: &[u8]) -> Vec<u8> {
    let hop = |&node: &u8| {
        let id = wayfare_quic::tls::Identity::from_seed(&[node + 1; 32]).unwrap().id();
        let key = wayfare_engine::OnionSecret::from_seed([node + 101; 32]).public();
        [&id.0[..], &key.0[..]].concat()
    };
    path.iter().flat_map(hop).collect()
}

fn records(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<OUTPUT_HEADER>() {
        let [kind, a, b, c, d, e, f, g, h] = *head;
        let (data, rest) = rest.split_at(u32::from_be_bytes([e, f, g, h]) as usize);
        all.push((kind, u32::from_be_bytes([a, b, c, d]), data.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    all
}

/// Gets the link, who sends, and the bytes.
type Tamper = dyn Fn(u32, usize, &mut Vec<u8>);

/// Link `10 * dialler + acceptor`, by the same number at either end.
struct Network {
    now_us: f64,
    nodes: Vec<EmbeddedEngine>,
    events: Vec<Vec<Value>>,
    links: Vec<(u32, usize, usize)>,
    /// What of a control frame is changed on its way, if anything.
    tamper: Box<Tamper>,
}

impl Network {
    fn new(count: u8) -> Self {
        Self {
            now_us: 0.0,
            nodes: (0..count).map(engine).collect(),
            events: vec![Vec::new(); count.into()],
            links: Vec::new(),
            tamper: Box::new(|_, _, _| {}),
        }
    }

    fn id(&mut self, node: usize) -> String {
        self.nodes[node].id().unwrap()
    }

    fn dial(&mut self, a: usize, b: usize, named: &[u8], shown: &[u8]) -> u32 {
        let link = (10 * a + b) as u32;
        self.links.push((link, a, b));
        let peer = self.id(b);
        self.nodes[b].link_start(self.now_us, link.into(), false, "", "", shown, MTU).unwrap();
        self.nodes[a].link_start(self.now_us, link.into(), true, &peer, "", named, MTU).unwrap();
        link
    }

    /// Moves what is due, and time when nothing is, until `done` or a quiet second has passed.
    fn run(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now_us + 10_000_000.0;
        loop {
            let mut moved = false;
            for node in 0..self.nodes.len() {
                let mut buffer = vec![0; OUTPUT_BYTES_MIN];
                loop {
                    let used = self.nodes[node].outputs(self.now_us, &mut buffer).unwrap() as usize;
                    if used == 0 {
                        break;
                    }
                    moved = true;
                    for (kind, link, data) in records(&buffer[..used]) {
                        self.deliver(node, kind, link, data);
                    }
                }
                let events = self.nodes[node].events().unwrap();
                if !events.is_empty() {
                    self.events[node].extend(serde_json::from_str::<Vec<Value>>(&events).unwrap());
                }
            }
            if done(self) {
                return true;
            }
            if moved {
                continue;
            }
            let now_us = self.now_us;
            let due = self.nodes.iter_mut().map(|n| n.next_timeout(now_us).unwrap()).filter(|&at| at >= 0.0);
            let next = due.fold(f64::INFINITY, f64::min).max(now_us + 1.0);
            if next > end {
                return false;
            }
            self.now_us = next;
            for node in &mut self.nodes {
                node.handle_timeout(next, START_MS + (next / 1000.0).floor()).unwrap();
            }
        }
    }

    fn deliver(&mut self, from: usize, kind: u8, link: u32, mut data: Vec<u8>) {
        let &(_, a, b) = self.links.iter().find(|l| l.0 == link).unwrap();
        let to = if from == a { b } else { a };
        if kind == OUTPUT_CONTROL {
            (self.tamper)(link, from, &mut data);
            // In pieces, as a stream may cut it.
            for piece in data.chunks(100) {
                self.nodes[to].handle_control(self.now_us, link.into(), piece).unwrap();
            }
        } else {
            let batch = [&(data.len() as u16).to_be_bytes(), &data[..]].concat();
            self.nodes[to].handle_packets(self.now_us, link.into(), &batch).unwrap();
        }
    }

    /// The first event of this type, taken out.
    fn wait(&mut self, node: usize, kind: &str) -> Value {
        let mut found = None;
        self.run(|n| {
            let at = n.events[node].iter().position(|e| e["type"] == kind);
            found = at.map(|i| n.events[node].remove(i));
            found.is_some()
        });
        found.unwrap_or_else(|| panic!("{kind} never came: {:?}", self.events[node]))
    }

    fn drops(&mut self, node: usize, reason: &str) -> u64 {
        let stats: Value = serde_json::from_str(&self.nodes[node].stats().unwrap()).unwrap();
        stats["drops"][reason].as_u64().unwrap()
    }
}

#[test]
fn bytes_pass_three_hops_both_ways() {
    let mut n = Network::new(4);
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        let certificate = [a as u8; 32];
        let link = n.dial(a, b, &[[9; 32], certificate].concat(), &certificate);
        let (at_a, at_b) = (n.wait(a, "link_up"), n.wait(b, "link_up"));
        assert_eq!((at_a["peer"].clone(), at_b["peer"].clone()), (n.id(b).into(), n.id(a).into()));
        assert_eq!((at_a["link"].as_u64(), at_a["version"].as_u64()), (Some(link.into()), Some(1)));
    }
    let circuit = n.nodes[0].circuit_open(n.now_us, &hops(&[1, 2, 3]), "L", "", 3.0).unwrap();
    assert_eq!(n.wait(0, "circuit_up")["circuit"], circuit);
    let connection = n.nodes[0].connection_open(n.now_us, circuit.into()).unwrap();
    n.wait(0, "connection_up");
    let near = n.nodes[0].flow_open(n.now_us, connection.into(), "origin.example", 443.0).unwrap();
    let asked = n.wait(3, "flow_requested");
    assert_eq!((asked["host"].as_str(), asked["port"].as_u64()), (Some("origin.example"), Some(443)));
    let far = asked["flow"].as_f64().unwrap();
    n.nodes[3].flow_accept(n.now_us, far, "192.0.2.1:4000").unwrap();
    // A second answer would be bytes of the flow.
    n.nodes[3].flow_accept(n.now_us, far, "192.0.2.1:4000").unwrap();
    n.nodes[3].flow_refuse(n.now_us, far, "refused").unwrap();
    assert_eq!(n.wait(0, "flow_opened")["local"], "192.0.2.1:4000");

    let data: Vec<u8> = (0..600_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    for (from, to) in [((0, f64::from(near)), (3, far)), ((3, far), (0, f64::from(near)))] {
        let (mut sent, mut got, mut buffer) = (0, Vec::new(), [0; 5000]);
        let finished = n.run(|n| {
            while sent < data.len() {
                match n.nodes[from.0].flow_write(n.now_us, from.1, &data[sent..]).unwrap() {
                    FLOW_BLOCKED => break,
                    taken => sent += usize::try_from(taken).unwrap(),
                }
                if sent == data.len() {
                    n.nodes[from.0].flow_finish(n.now_us, from.1).unwrap();
                }
            }
            loop {
                match n.nodes[to.0].flow_read(n.now_us, to.1, &mut buffer).unwrap() {
                    FLOW_BLOCKED => return false,
                    FLOW_FINISHED => return true,
                    read => got.extend_from_slice(&buffer[..usize::try_from(read).unwrap()]),
                }
            }
        });
        assert!(finished && got == data, "{} of {} bytes", got.len(), data.len());
    }
    for (node, flow) in [(0, f64::from(near)), (3, far)] {
        n.nodes[node].flow_release(n.now_us, flow).unwrap();
        assert_eq!(n.nodes[node].flow_read(n.now_us, flow, &mut [0; 9]).unwrap(), FLOW_CLOSED);
        assert_eq!(n.nodes[node].flow_write(n.now_us, flow, b"x").unwrap(), FLOW_CLOSED);
    }
    let stats: Value = serde_json::from_str(&n.nodes[1].stats().unwrap()).unwrap();
    assert!(stats["relayed"]["bytes_backward"].as_u64().unwrap() > 600_000, "{stats}");
    assert_eq!(stats["circuits"]["relay"], 1);
    let carried: Value = serde_json::from_str(&n.nodes[0].circuit_stats(circuit.into()).unwrap()).unwrap();
    assert!(carried["bytes_forward"].as_u64().unwrap() > 600_000, "{carried}");
    assert_eq!(n.nodes[0].circuit_stats(99.0).unwrap(), "");

    // A lost link takes the circuit along on both of its sides.
    n.nodes[2].link_stop(n.now_us, 12.0).unwrap();
    n.nodes[1].link_stop(n.now_us, 12.0).unwrap();
    assert_eq!(n.wait(0, "circuit_down")["reason"], "link_gone");
    n.nodes[1].handle_packets(n.now_us, 12.0, &[0, 1, 7]).unwrap();
    assert_eq!(n.drops(1, "link_gone"), 1);
}

#[test]
fn two_runs_of_one_seed_say_the_same() {
    let trace = || {
        let mut n = Network::new(2);
        n.dial(0, 1, &[], &[]);
        n.wait(0, "link_up");
        let circuit = n.nodes[0].circuit_open(n.now_us, &hops(&[1]), "M", "aes128gcm", 0.0).unwrap();
        n.wait(0, "circuit_up");
        n.nodes[0].connection_open(n.now_us, circuit.into()).unwrap();
        n.wait(0, "connection_up");
        n.run(|_| false);
        (n.now_us, n.events.clone(), n.nodes[0].stats().unwrap(), n.nodes[1].stats().unwrap())
    };
    assert_eq!(trace(), trace());
}

#[test]
fn whoever_is_not_who_was_dialled_is_refused_and_the_link_closed() {
    let flip = |at: usize| {
        move |_: u32, from: usize, data: &mut Vec<u8>| {
            if from == 1 && data[0] == 0x42 {
                data[at] ^= 1;
            }
        }
    };
    // Of the acceptor's proof: its id, its nonce, its binding, its signature.
    for at in [3, 40, 70, 100] {
        let mut n = Network::new(2);
        n.tamper = Box::new(flip(at));
        n.dial(0, 1, &[], &[]);
        assert_eq!(n.wait(0, "link_close")["reason"], "link_refused", "byte {at}");
        assert_eq!(n.drops(0, "link_refused"), 1);
        // Nobody tells the other side; it gives up by itself.
        assert_eq!(n.wait(1, "link_close")["reason"], "timeout");
        assert_eq!((n.now_us, n.drops(1, "timeout")), (5_000_000.0, 1));
    }
    // The dialler's answer is forged.
    let mut n = Network::new(2);
    n.tamper = Box::new(|_, from, data| {
        if from == 0 && data[0] == 0x43 {
            data[20] ^= 1;
        }
    });
    n.dial(0, 1, &[], &[]);
    assert_eq!(n.wait(1, "link_close")["reason"], "link_refused");
    assert!(n.events[1].iter().all(|e| e["type"] != "link_up"));
}

#[test]
fn a_certificate_nobody_named_and_a_version_nobody_speaks_are_refused() {
    for (named, shown) in [(&[1; 32][..], &[2; 32][..]), (&[1; 32], &[]), (&[], &[2; 32])] {
        let mut n = Network::new(2);
        n.dial(0, 1, named, shown);
        assert_eq!(n.wait(0, "link_close")["reason"], "link_refused", "{named:?} {shown:?}");
    }
    for versions in [[0, 0], [2, 9]] {
        let mut n = Network::new(2);
        n.tamper = Box::new(move |_, _, data| {
            // HELLO stands behind the answer of 67 bytes, or alone.
            let at = if data[0] == 0x43 { 67 } else { 0 };
            if data[at] == 1 {
                data[at + 3..at + 5].copy_from_slice(&versions);
            }
        });
        n.dial(0, 1, &[], &[]);
        assert_eq!(n.wait(1, "link_close")["reason"], "link_refused");
        assert!(n.events.iter().flatten().all(|e| e["type"] != "link_up"));
    }
}

#[test]
fn a_proven_link_needs_no_proofs_and_a_proof_of_another_is_refused() {
    let mut n = Network::new(3);
    n.links.push((1, 0, 1));
    let (a, b, c) = (n.id(0), n.id(1), n.id(2));
    n.nodes[0].link_start(0.0, 1.0, true, &b, &b, &[], MTU).unwrap();
    n.nodes[1].link_start(0.0, 1.0, false, "", &a, &[], MTU).unwrap();
    assert_eq!(n.wait(0, "link_up")["peer"], b);
    assert_eq!(n.wait(1, "link_up")["peer"], a);
    for (proven, link) in [(&c, 2.0), (&a, 3.0)] {
        n.nodes[0].link_start(0.0, link, true, &b, proven, &[], MTU).unwrap();
        assert_eq!(n.wait(0, "link_close")["link"], link);
    }
    n.nodes[0].link_start(0.0, 4.0, true, &a, "", &[], MTU).unwrap();
    assert_eq!(n.wait(0, "link_close")["reason"], "link_refused", "one's own id");
}

#[test]
fn a_peer_that_breaks_the_framing_loses_its_link() {
    let mut n = Network::new(2);
    n.dial(0, 1, &[], &[]);
    n.wait(0, "link_up");
    n.wait(1, "link_up");
    n.nodes[1].handle_control(n.now_us, 1.0, &[99, 0, 0]).unwrap();
    assert_eq!(n.wait(1, "link_close")["reason"], "control_malformed");
    // What still comes of it is counted.
    n.nodes[1].handle_control(n.now_us, 1.0, &[99, 0, 0]).unwrap();
    assert_eq!(n.drops(1, "link_gone"), 1);
}
