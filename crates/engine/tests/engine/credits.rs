//! Flows of credits along circuits, and accounts that stay.

use std::time::Duration;

use wayfare_engine::*;
use wayfare_wire::Control;

use crate::network::{Network, Wire};

const SECOND: Duration = Duration::from_secs(1);

fn network(relays: usize) -> Network {
    Network::with_credits(relays, 1, Limits::default(), CreditConfig { always_share: 0, ..CreditConfig::default() })
}

/// The classes that come in and go out, forward and backward, on the newest circuit of a node.
fn classes(n: &mut Network, node: usize) -> [(u8, u8); 2] {
    let flows = n.nodes[node].circuit_credits().last().expect("a circuit").flows;
    flows.map(|flow| (flow.class_in, flow.class_out))
}

fn count(n: &mut Network, node: usize, reason: Reason) -> u64 {
    n.nodes[node].counters().get(reason)
}

/// Values of one, whatever flows: with them what is passed on follows from what each has where.
fn plain(relays: usize) -> Network {
    let credits = CreditConfig { always_share: 0, valuation: false, ..CreditConfig::default() };
    Network::with_credits(relays, 1, Limits::default(), credits)
}

/// A flow begins with its set-up, is turned round at the exit, comes home, and changes while it runs.
#[test]
fn a_flow_goes_with_its_circuit_and_comes_back() {
    let mut n = plain(2);
    // Neighbours have something before they spend it.
    n.run(20 * SECOND, |_| false);
    let hops = [1, 2, 3].map(|node| n.hop(node));
    let now = n.now;
    let id = n.nodes[0].circuit_open_with(now, &hops, SizeClass::M, None, 4).unwrap();
    n.wait(0, "the circuit", |e| *e == Event::CircuitUp(id));
    n.run(SECOND / 2, |_| false);
    assert_eq!(classes(&mut n, 0), [(0, 4), (4, 0)]);
    for relay in [1, 2] {
        assert_eq!(classes(&mut n, relay), [(4, 4), (4, 4)], "relay {relay}");
    }
    assert_eq!(classes(&mut n, 3), [(4, 0), (0, 4)]);
    let weights = n.nodes[1].circuit_credits()[0].flows.map(|flow| flow.weight());
    assert_eq!(weights, [64_000; 2]);
    let now = n.now;
    n.nodes[0].circuit_flow(now, id, 2).unwrap();
    n.run(SECOND / 2, |_| false);
    assert_eq!((classes(&mut n, 2), classes(&mut n, 3)), ([(2, 2), (2, 2)], [(2, 0), (0, 2)]));
    // The exit adds its own: back comes what came, and that.
    let (now, exit) = (n.now, n.nodes[3].circuit_credits()[0].circuit);
    n.nodes[3].circuit_flow(now, exit, 5).unwrap();
    n.run(SECOND / 2, |_| false);
    assert_eq!(classes(&mut n, 1), [(2, 2), (5, 5)]);
    n.run(5 * SECOND, |_| false);
    // What was announced was there: nobody was throttled, and what the client paid is what it was asked for.
    for node in 1..=3 {
        assert!(n.nodes[node].circuit_credits()[0].flows.iter().all(|flow| flow.throttled == 0), "node {node}");
    }
    let now = n.now;
    n.nodes[0].circuit_close(now, id);
    n.run(SECOND, |_| false);
    assert!((0..4).all(|node| n.nodes[node].circuit_credits().is_empty()));
}

/// A neighbour without credits pays nothing: its circuit goes on at weight 0, and what it did not pay is counted.
#[test]
fn who_has_nothing_left_is_throttled_and_not_cut() {
    let mut n = plain(1);
    n.run(SECOND, |_| false);
    let circuit = n.circuit(&[1, 2]);
    let now = n.now;
    // Sixteen times what is minted for all neighbours together; a part of it comes back from the exit.
    n.nodes[0].circuit_flow(now, circuit, 8).unwrap();
    n.run(30 * SECOND, |_| false);
    let flow = n.nodes[1].circuit_credits()[0].flows[0];
    assert!(flow.throttled > 5 * flow.paid && flow.paid > 0, "{flow:?}");
    assert!(flow.weight() < 16_384_000 / 5);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 2);
    assert_eq!(n.transfer((2, far), (0, near), &[7; 100_000], 30 * SECOND), [7; 100_000]);
}

#[test]
fn what_is_no_announcement_is_counted_and_changes_nothing() {
    let mut n = network(1);
    let circuit = n.circuit(&[1, 2]);
    let frame = |frame: Control| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        bytes
    };
    for class in [9, 255] {
        n.inject_control(0, 1, &frame(Control::Flow { cid: 1, class }));
        n.inject_control(0, 1, &frame(Control::Flow { cid: 0, class }));
    }
    n.inject_control(0, 1, &frame(Control::Flow { cid: 77, class: 1 }));
    // An id of this node's, on another link than its own.
    n.inject_control(2, 1, &frame(Control::Flow { cid: 2, class: 1 }));
    n.inject_control(0, 1, &frame(Control::Credit { account: u64::MAX, increase: 1 }));
    n.inject_control(0, 1, &frame(Control::Credit { account: 1 << 53, increase: 7 }));
    n.run(SECOND, |_| false);
    assert_eq!((count(&mut n, 1, Reason::CreditClass), count(&mut n, 1, Reason::CreditReport)), (4, 1));
    assert!(count(&mut n, 1, Reason::CircuitUnknown) >= 1);
    assert!(n.closed.is_empty() && classes(&mut n, 1) == [(0, 0), (0, 0)]);
    let now = n.now;
    assert_eq!(n.nodes[0].circuit_flow(now, circuit, 9), Err(Reason::CreditClass));
    assert_eq!(n.nodes[0].circuit_flow(now, 99, 1), Err(Reason::CircuitUnknown));
}

/// Older ends, which have not said that they keep accounts, are told nothing.
#[test]
fn who_keeps_no_accounts_is_told_of_no_flow() {
    let mut n = network(1);
    n.join_with(0, 1, Wire::default(), false);
    let hop = [n.hop(1), n.hop(2)];
    let now = n.now;
    n.nodes[0].circuit_open_with(now, &hop, SizeClass::M, None, 5).unwrap();
    n.run(SECOND, |_| false);
    assert_eq!((classes(&mut n, 0)[0], classes(&mut n, 1)[0]), ((0, 5), (0, 0)));
}

/// Nothing flows: nothing is to be done. Accounts of who leaves are kept, and halve in a half-life.
#[test]
fn accounts_are_kept_and_an_idle_node_sleeps() {
    let mut n = network(1);
    let circuit = n.circuit(&[1, 2]);
    n.run(100 * SECOND, |_| false);
    let now = n.now;
    assert_eq!(n.nodes[1].poll_timeout(now), None);
    let at = |n: &mut Network, node: usize| {
        let (now, peer) = (n.now, n.nodes[0].id());
        let all = n.nodes[node].credits_export(now);
        all.into_iter().find(|account| account.peer == peer).expect("the client's account").account
    };
    let before = at(&mut n, 1);
    assert!(before > 1_000_000);
    n.nodes[0].circuit_close(now, circuit);
    n.lose_links(0);
    n.run(600 * SECOND, |_| false);
    assert!(at(&mut n, 1).abs_diff(before / 2) <= 1, "half after a half-life");
    n.join(1, 0, Wire::default());
    assert!(at(&mut n, 1).abs_diff(before / 2) <= 1, "and had again");

    // What is exported is taken by another engine as it is, except of neighbours that it has.
    let now = n.now;
    let kept = n.nodes[1].credits_export(now);
    assert_eq!(n.nodes[2].credits_restore(now, 0, &kept), 1, "the client's, not its own");
    let mut other = Network::with_credits(0, 1, Limits::default(), CreditConfig::default());
    let (now, stranger) = (other.now, kept[0]);
    other.lose_links(0);
    assert_eq!(other.nodes[1].credits_restore(now, 0, &[Account { account: 12_345, ..stranger }]), 1);
    other.join(1, 0, Wire::default());
    let peer = other.nodes[0].id();
    let account = other.nodes[1].credits_export(now).into_iter().find(|account| account.peer == peer).unwrap();
    assert_eq!((account.peer, account.account), (stranger.peer, 12_345));

    // What they were some time before this node began has halved so often, and goes on to.
    let aged = |half_lives: f64| {
        let mut other = Network::with_credits(0, 1, Limits::default(), CreditConfig::default());
        other.lose_links(0);
        let (now, ago_us) = (other.now, (half_lives * 600e6) as u64);
        let kept = Account { account: 1 << 40, mirror: 1 << 41, contributed: 1 << 42, expected: 7, ..stranger };
        assert_eq!(other.nodes[1].credits_restore(now, ago_us, &[kept]), 1);
        other.run(600 * SECOND, |_| false);
        let now = other.now;
        let all = other.nodes[1].credits_export(now);
        all.into_iter().find(|account| account.peer == stranger.peer).unwrap()
    };
    for (half_lives, left) in [(0.0, 0.5), (1.0, 0.25), (2.5, 2f64.powf(-3.5)), (1e9, 0.0)] {
        let Account { account, mirror, contributed, expected, .. } = aged(half_lives);
        for (found, of) in [(account, 1u64 << 40), (mirror, 1 << 41), (contributed, 1 << 42)] {
            let expected = of as f64 * left;
            assert!(
                (found as f64 - expected).abs() <= expected * 1e-9 + 1.0,
                "{found} after {half_lives}, not {expected}"
            );
        }
        assert_eq!(expected, 7, "a rate does not decay");
    }
}

/// What queues charged reaches the circuit's flow, credits in whole and the rest later.
#[test]
fn charges_reach_the_circuit_that_waited() {
    let mut n = plain(1);
    n.run(20 * SECOND, |_| false);
    let hops = [n.hop(1), n.hop(2)];
    let now = n.now;
    let id = n.nodes[0].circuit_open_with(now, &hops, SizeClass::M, None, 4).unwrap();
    n.wait(0, "the circuit", |e| *e == Event::CircuitUp(id));
    // The relay's first two ids: one back, given with the set-up, and one forward, given with the reply.
    let now = n.now;
    for credit_us in [1_500_000, 700_000, 800_000, 2_000_000_000] {
        n.nodes[1].charge(now, [Charge { cid: 2, credit_us, bytes: 1000 }]);
    }
    n.nodes[1].charge(now, [Charge { cid: 99, credit_us: 5, bytes: 5 }, Charge { cid: 0, credit_us: 5, bytes: 5 }]);
    n.run(2 * SECOND, |_| false);
    let flow = n.nodes[1].circuit_credits()[0].flows[0];
    // It waited for next to none of the time, and so for an equally small part of what it moves elsewhere: four times as much, in 1/255.
    assert_eq!((flow.charged, flow.load, flow.bytes), (2_003, 2_003 * 255 / 64, 4_000));
    let json = n.nodes[1].credits(n.now);
    assert!(json.contains("\"load\":7980") && json.starts_with('{') && json.ends_with('}'), "{json}");
    // The link to the exit is where they waited.
    let [client, exit] = [0, 2].map(|node| format!("{{\"peer\":\"{}\"", n.nodes[node].id()));
    let of = |peer: &str| json.split("{\"peer\"").find(|part| peer.ends_with(part.split(',').next().unwrap())).unwrap();
    assert!(of(&exit).contains("\"waitedBytes\":4000}") && of(&client).contains("\"waitedBytes\":0}"), "{json}");
    let circuits = n.nodes[1].credits_circuits();
    let ends = [("previous", 0), ("next", 2)].map(|(end, node)| format!("\"{end}\":\"{}\"", n.nodes[node].id()));
    assert!(ends.iter().all(|end| circuits.contains(end)) && circuits.contains("\"charged\":2003"), "{circuits}");
}

/// What a next hop carries is its contribution, where nothing waits too; nobody's who pays and moves nothing.
#[test]
fn what_moves_counts_for_the_next_hop_wherever_it_waits() {
    let mut n = plain(2);
    n.run(20 * SECOND, |_| false);
    let hops = [1, 2, 3].map(|node| n.hop(node));
    let now = n.now;
    let id = n.nodes[0].circuit_open_with(now, &hops, SizeClass::M, None, 2).unwrap();
    n.wait(0, "the circuit", |e| *e == Event::CircuitUp(id));
    let contributed = |n: &mut Network, node: usize, of: usize| {
        let (now, peer) = (n.now, n.nodes[of].id());
        n.nodes[node].credits_export(now).into_iter().find(|a| a.peer == peer).map_or(0, |a| a.contributed)
    };
    n.run(3 * SECOND, |_| false);
    assert_eq!(contributed(&mut n, 1, 2), 0, "paid, and nothing carried");
    let connection = n.connection(id);
    let (here, there) = n.flow(connection, 3);
    let data = vec![7; 200_000];
    assert_eq!(n.transfer((0, here), (3, there), &data, 10 * SECOND).len(), data.len());
    n.run(3 * SECOND, |_| false);
    // By the client's own count, and by relays' slots: about as much each, and more than the data, as packets have headers.
    for (node, next) in [(0, 1), (1, 2), (2, 3)] {
        let carried = contributed(&mut n, node, next);
        assert!((200_000..300_000).contains(&carried), "{node} → {next}: {carried}");
        assert_eq!(contributed(&mut n, next, node), 0, "who comes first is served");
    }
    let flow = n.nodes[1].circuit_credits()[0].flows[0];
    assert!((200_000..300_000).contains(&flow.bytes) && flow.load == 0, "{flow:?}");
}

/// A circuit that leads back to the node which set it up: what comes home stays, and is more where a value on the way makes it more, which
/// its own flow ends. An exit it is for itself alone.
#[test]
fn a_circle_brings_home_what_values_make_of_it_until_they_have_followed() {
    let mut n = network(3);
    n.run(20 * SECOND, |_| false);
    // At 2 a credit of 1's is worth four of 3's.
    let (now, one) = (n.now, n.nodes[1].id());
    n.lose_links(1);
    let kept = n.nodes[2].credits_export(now).into_iter().find(|account| account.peer == one).unwrap();
    assert_eq!(n.nodes[2].credits_restore(now, 0, &[Account { value: 2 << 32, ..kept }]), 1);
    [0, 2, 3, 4].into_iter().for_each(|other| n.join(other, 1, Wire::default()));
    let hops = [2, 3, 1].map(|node| n.hop(node));
    let id = n.nodes[1].circuit_open_with(now, &hops, SizeClass::M, None, 2).unwrap();
    n.wait(1, "the circle", |e| *e == Event::CircuitUp(id));
    let credits = |n: &mut Network, seconds: u32| {
        n.run(seconds * SECOND, |_| false);
        let info = n.nodes[1].circuit_info(id).unwrap();
        (info.credits_paid, info.credits_home)
    };
    let (paid, home) = credits(&mut n, 4);
    assert!(home > 2 * paid && paid >= 8_000, "{paid} became {home}");
    let before = credits(&mut n, 30);
    let after = credits(&mut n, 30);
    let [paid, home] = [after.0 - before.0, after.1 - before.1];
    assert!((110_000..=120_000).contains(&paid) && home <= paid && home >= paid * 9 / 10, "{paid} became {home}");
    assert_eq!(n.nodes[1].circuit_credits().len(), 2, "it begins and ends here");

    // To others this node is no exit; and the circle's end goes with it.
    let hops = [2, 1].map(|node| n.hop(node));
    let now = n.now;
    let other = n.nodes[3].circuit_open_with(now, &hops, SizeClass::M, None, 2).unwrap();
    n.wait(3, "the refusal", |e| *e == Event::CircuitDown { circuit: other, reason: Reason::SetupRole });
    let now = n.now;
    n.nodes[1].circuit_close(now, id);
    n.run(SECOND, |_| false);
    assert!((0..5).all(|node| n.nodes[node].circuit_credits().is_empty()));
}
