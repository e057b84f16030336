//! What others can send, and the defined answer to each. Rows are those of docs/threats.md.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::network::{Network, Seeded, onion_seed, seed};
use proptest::prelude::*;
use wayfare_engine::*;
use wayfare_onion::ClientSetup;
use wayfare_types::Random;
use wayfare_wire::{Control, SETUP_BYTES};

const MINUTE: u32 = (crate::network::START_MS / 60_000) as u32;
const SETTLE: Duration = Duration::from_millis(500);

fn frame(control: &Control) -> Vec<u8> {
    let mut out = Vec::new();
    control.encode(&mut out);
    out
}

/// A set-up of its own, each time.
fn setup_for(hops: &[HopSpec], minute: u32) -> Box<[u8; SETUP_BYTES]> {
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    let mut random = Seeded(NEXT.fetch_add(1, Ordering::Relaxed));
    ClientSetup::build(hops, Suite::preferred(), SizeClass::M, minute, &mut random).unwrap().1
}

fn sent(n: &mut Network, node: usize, message: Box<[u8; SETUP_BYTES]>) {
    let bytes = frame(&Control::Setup { back_cid: 0x00ab_cdef, message });
    n.inject_control(0, node, &bytes);
    n.run(SETTLE, |_| false);
}

fn count(n: &mut Network, node: usize, reason: Reason) -> u64 {
    n.nodes[node].counters().get(reason)
}

/// Row 2: set-ups replayed, within a run and across a restart, with and without the file of set-ups seen.
#[test]
fn a_replayed_set_up_is_refused_also_after_a_restart() {
    let mut n = Network::new(1, 1, Limits::default());
    let message = setup_for(&[n.hop(2)], MINUTE);
    sent(&mut n, 2, message.clone());
    assert_eq!((n.nodes[2].stats().setups_accepted, n.remembered[2].len()), (1, 1));
    for _ in 0..100 {
        sent(&mut n, 2, message.clone());
    }
    assert_eq!((n.nodes[2].stats().setups_accepted, count(&mut n, 2, Reason::SetupReplayed)), (1, 100));

    let restarted = |records: Option<Vec<u8>>| {
        let mut n = Network::new(1, 1, Limits::default());
        let now = n.now;
        match records {
            Some(records) => n.nodes[2].load_replays(now, &records),
            None => n.nodes[2].refuse_older_setups(now),
        }
        sent(&mut n, 2, message.clone());
        let stats = n.nodes[2].stats();
        (stats.setups_accepted, count(&mut n, 2, Reason::SetupReplayed), count(&mut n, 2, Reason::SetupStale))
    };
    let file = n.remembered[2].concat();
    assert_eq!(restarted(Some(file.clone())), (0, 1, 0));
    assert_eq!(restarted(None), (0, 0, 1), "the file was lost");
    // A record that a crash cut short belongs to a reply that never left.
    assert_eq!(restarted(Some(file[..file.len() - 1].to_vec())), (1, 0, 0));
}

#[test]
fn set_ups_of_the_wrong_minute_key_role_or_shape_have_their_reasons() {
    let mut n = Network::new(2, 1, Limits::default());
    let (relay, other, exit) = (n.hop(1), n.hop(2), n.hop(3));
    let forged = {
        let mut hop = n.hop(1);
        hop.onion_key = OnionSecret::from_seed([9; 32]).public();
        hop
    };
    let mut noise = Box::new([0; SETUP_BYTES]);
    Seeded(1).fill(&mut noise[..]);
    for (message, reason) in [
        (setup_for(&[relay.clone(), exit.clone()], MINUTE - 4), Reason::SetupStale),
        (setup_for(&[relay.clone(), exit.clone()], MINUTE + 4), Reason::SetupStale),
        (setup_for(&[forged, exit.clone()], MINUTE), Reason::SetupSealed),
        (noise, Reason::SetupSealed),
        (setup_for(std::slice::from_ref(&relay), MINUTE), Reason::SetupRole),
        (setup_for(&[relay.clone(), relay.clone(), exit.clone()], MINUTE), Reason::SetupLoop),
    ] {
        let before = count(&mut n, 1, reason);
        sent(&mut n, 1, message);
        assert_eq!(count(&mut n, 1, reason), before + 1, "{reason:?}");
        assert_eq!(n.nodes[1].stats().circuits_relay, 0, "{reason:?}");
    }
    // Back to where it came from is a loop as well.
    let client = HopSpec { node: n.nodes[0].id(), onion_key: OnionSecret::from_seed(onion_seed(0)).public() };
    sent(&mut n, 1, setup_for(&[relay, client, exit], MINUTE));
    assert_eq!(count(&mut n, 1, Reason::SetupLoop), 2);
    let through_the_exit = setup_for(&[n.hop(3), other], MINUTE);
    sent(&mut n, 3, through_the_exit);
    assert_eq!(count(&mut n, 3, Reason::SetupRole), 1, "an exit does not relay unless it is one");
}

/// Row 3: once rotated out, a key opens nothing.
#[test]
fn a_rotated_onion_key_opens_set_ups_no_more() {
    let mut n = Network::new(1, 1, Limits::default());
    let message = setup_for(&[n.hop(2)], MINUTE);
    n.nodes[2].set_onion_keys(&[[77; 32], onion_seed(2)]);
    sent(&mut n, 2, message);
    assert_eq!(n.nodes[2].stats().setups_accepted, 1, "the key before is still taken");
    n.nodes[2].set_onion_keys(&[[78; 32], [77; 32]]);
    let late = setup_for(&[n.hop(2)], MINUTE);
    sent(&mut n, 2, late);
    assert_eq!((n.nodes[2].stats().setups_accepted, count(&mut n, 2, Reason::SetupSealed)), (1, 1));
}

/// Row 7: a set-up of another size closes the link.
#[test]
fn a_set_up_of_another_size_closes_the_link() {
    for bytes in [SETUP_BYTES - 1248, SETUP_BYTES + 1248, SETUP_BYTES - 1] {
        let mut n = Network::new(1, 1, Limits::default());
        let mut raw = vec![2];
        raw.extend_from_slice(&((4 + bytes) as u16).to_be_bytes());
        raw.resize(3 + 4 + bytes, 0);
        n.inject_control(0, 1, &raw);
        n.run(SETTLE, |_| false);
        assert_eq!(n.closed, [(1, Reason::SetupSize)]);
    }
}

/// Row 5: junk set-ups beyond a link's budget cost no key encapsulation.
#[test]
fn a_flood_of_set_ups_is_cut_to_the_budget() {
    let limits = Limits { setups_per_s: 10, ..Limits::default() };
    let mut n = Network::new(1, 1, limits);
    let bytes = frame(&Control::Setup { back_cid: 1, message: Box::new([7; SETUP_BYTES]) });
    for _ in 0..500 {
        n.inject_control(0, 1, &bytes);
    }
    n.run(Duration::from_millis(10), |_| false);
    assert_eq!(count(&mut n, 1, Reason::SetupSealed), 20, "twice a second's worth was saved up");
    assert_eq!(count(&mut n, 1, Reason::SetupBudget), 480);
    n.run(Duration::from_secs(1), |_| false);
    n.inject_control(0, 1, &bytes);
    n.run(SETTLE, |_| false);
    assert_eq!(count(&mut n, 1, Reason::SetupSealed), 21, "the budget comes back");
}

#[test]
fn the_circuit_table_has_an_end() {
    let limits = Limits { circuits: 3, ..Limits::default() };
    // Nobody pays rent, or half of it would be all.
    let mut n = Network::with_credits(1, 1, limits, CreditConfig { free: true, ..CreditConfig::default() });
    let (hops, now) = ([n.hop(2)], n.now);
    // The client's own table is as large; a second client would be needed to see the exit's alone.
    let mut client_full = 0;
    for _ in 0..5 {
        match n.nodes[0].circuit_open(now, &hops, SizeClass::M, None) {
            Ok(_) => {}
            Err(reason) => {
                assert_eq!(reason, Reason::CircuitTableFull);
                client_full += 1;
            }
        }
    }
    n.run(SETTLE, |_| false);
    let exits = n.nodes[2].stats().circuits_exit;
    let refused = count(&mut n, 2, Reason::CircuitTableFull);
    assert_eq!((u64::from(exits) + refused + client_full, exits), (5, 3));
}

/// Rows 1 and 2 at the level of nodes: replayed, altered, cut and misdirected packets are counted and change nothing.
#[test]
fn packets_replayed_altered_cut_or_misdirected_are_counted_and_dropped() {
    let mut n = Network::new(2, 1, Limits::default());
    n.watch = true;
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    n.watch = false;
    let real: Vec<Vec<u8>> = n.seen.iter().filter(|s| (s.0, s.1) == (0, 1)).map(|s| s.2.clone()).collect();
    for packet in &real {
        n.inject(0, 1, packet);
    }
    let mut fresh = real[0].clone();
    let counter = u64::from_be_bytes(real[0][5..13].try_into().unwrap()).wrapping_add(500);
    fresh[5..13].copy_from_slice(&counter.to_be_bytes());
    n.inject(0, 1, &fresh);
    n.inject(0, 1, &fresh[..12]);
    n.inject(0, 1, &fresh[..900]);
    n.inject(0, 1, &[]);
    let mut odd = fresh.clone();
    odd[0] = 9;
    n.inject(0, 1, &odd);
    let mut unknown = fresh.clone();
    unknown[1] ^= 0x80;
    n.inject(0, 1, &unknown);
    // The same circuit id on another link names nothing.
    n.inject(3, 1, &real[0]);
    n.run(SETTLE, |_| false);
    for (reason, times) in [
        (Reason::PacketReplayed, real.len() as u64),
        (Reason::PacketForged, 1),
        (Reason::PacketTruncated, 2),
        (Reason::PacketSize, 1),
        (Reason::PacketVersion, 1),
        (Reason::CircuitUnknown, 2),
    ] {
        assert_eq!(count(&mut n, 1, reason), times, "{reason:?} {:?}", n.nodes[1].counters());
    }
    let honest = n.nodes[0].stats().client_packets_forward;
    assert_eq!(n.nodes[1].stats().relayed_packets_forward, honest, "only what the client sent went on");
    let data = vec![1; 50_000];
    assert!(n.transfer((3, far), (0, near), &data, Duration::from_secs(9)) == data, "nothing else broke");
}

#[test]
fn an_answer_or_an_end_that_nobody_asked_for_is_refused() {
    let mut n = Network::new(1, 1, Limits::default());
    n.inject_control(2, 1, &frame(&Control::Reply { back_cid: 5, forward_cid: 6, message: [1; 240] }));
    n.inject_control(2, 1, &frame(&Control::Destroy { cid: 9, reason: 255 }));
    n.run(SETTLE, |_| false);
    // The second comes back: the node tells the answerer to drop its end, which it does not have either.
    assert_eq!(count(&mut n, 1, Reason::CircuitUnknown), 2);
    assert_eq!(count(&mut n, 2, Reason::CircuitUnknown), 1);
}

/// Row 3: circuits cannot be left behind by sending set-ups and closing the link before their answers.
#[test]
fn a_set_up_whose_sender_leaves_before_the_answer_leaves_nothing_behind() {
    let mut n = Network::new(2, 1, Limits::default());
    let message = setup_for(&[n.hop(1), n.hop(3)], MINUTE);
    n.inject_control(0, 1, &frame(&Control::Setup { back_cid: 7, message }));
    // Passed on to the exit, whose answer is on its way (5 ms a link).
    n.run(Duration::from_millis(12), |_| false);
    assert_eq!((n.nodes[1].stats().circuits_relay, n.nodes[3].stats().circuits_exit), (1, 1));
    let now = n.now;
    n.nodes[1].link_down(now, 0);
    n.run(SETTLE, |_| false);
    assert_eq!((n.nodes[1].stats().circuits_relay, n.nodes[3].stats().circuits_exit), (0, 0));
}

#[test]
fn a_draining_node_takes_no_new_circuit_and_keeps_the_old() {
    let mut n = Network::new(2, 1, Limits::default());
    let circuit = n.circuit(&[1, 2, 3]);
    let connection = n.connection(circuit);
    let (near, far) = n.flow(connection, 3);
    n.nodes[1].drain();
    let (hops, now) = ([1, 3].map(|i| n.hop(i)), n.now);
    let refused = n.nodes[0].circuit_open(now, &hops, SizeClass::M, None).unwrap();
    n.wait(0, "the refusal", |e| *e == Event::CircuitDown { circuit: refused, reason: Reason::Draining });
    assert_eq!(n.transfer((3, far), (0, near), &[5; 9000], Duration::from_secs(5)).len(), 9000);
}

#[test]
fn an_impostor_exit_is_not_connected_to() {
    // The descriptor's onion key is node 3's, its identity another's: the circuit stands, the inner handshake does not.
    let mut n = Network::new(2, 1, Limits::default());
    let mut hops = [1, 2, 3].map(|i| n.hop(i));
    let impostor = EngineConfig {
        identity_seed: [200; 32],
        roles: Roles::default(),
        limits: Limits::default(),
        credits: CreditConfig::default(),
    };
    let claimed = Engine::new(impostor, n.now, 0, Box::new(Seeded(3))).unwrap().id();
    assert_ne!(claimed.0, seed(3));
    hops[2].node = claimed;
    let now = n.now;
    let circuit = n.nodes[0].circuit_open(now, &hops, SizeClass::M, None).unwrap();
    n.wait(0, "the end", |e| matches!(e, Event::CircuitDown { circuit: c, .. } if *c == circuit));
    let asked = n.events[2].contains(&Event::NextHopWanted(claimed));
    assert!(asked, "the relay asked its policy for a link to the claimed identity");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_on_a_link_are_counted_and_never_panic(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1400), 0..20),
        control in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut n = Network::new(1, 1, Limits::default());
        for packet in &packets {
            n.inject(0, 1, packet);
        }
        n.inject_control(0, 1, &control);
        n.run(SETTLE, |_| false);
        let dropped: u64 = n.nodes[1].counters().iter().map(|(_, c)| c).sum();
        prop_assert!(dropped >= packets.len() as u64);
    }
}
