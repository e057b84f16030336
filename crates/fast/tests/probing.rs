//! Probes, echoes and epochs under a network that does what it likes, and under clocks that do.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "an instant to begin with; what fails here fails the test"
)]

mod linked;

use std::time::{Duration, Instant};

use linked::{connected, deliver, pair, probe};
use proptest::prelude::*;
use wayfare_fast::{FastLink, Taken};
use wayfare_testkit::Seeded;
use wayfare_types::{Random, Reason};
use wayfare_wire::fast::FAST_HEADER;

const SIZES: [usize; 3] = [1299, 1411, 8952];

#[test]
fn control_messages_are_taken_once() {
    let (now, rng) = (Instant::now(), &mut Seeded::new(1));
    let (mut a, mut b) = pair(now, rng, &SIZES, u64::MAX);
    let (mut probes, mut echoes) = (Vec::new(), Vec::new());
    while let Some(probe) = a.poll_probe(now, rng) {
        let Ok(Taken::Answer(echo)) = deliver(now, &mut b, &probe) else { panic!("a probe is answered") };
        // The least that answers: nobody is made to send more than it got.
        assert!(echo.len() <= probe.len());
        probes.push(probe);
        echoes.push(echo);
    }
    assert_eq!(probes.iter().map(Vec::len).collect::<Vec<_>>(), SIZES);
    echoes.iter().for_each(|echo| assert_eq!(deliver(now, &mut a, echo), Ok(Taken::Reach)));
    for _ in 0..3 {
        probes.iter().for_each(|p| assert_eq!(deliver(now, &mut b, p), Err(Reason::PacketReplayed)));
        echoes.iter().for_each(|e| assert_eq!(deliver(now, &mut a, e), Err(Reason::PacketReplayed)));
        // Sent back to whom they came from: keys are per direction.
        probes.iter().for_each(|p| assert_eq!(deliver(now, &mut a, p), Err(Reason::PacketForged)));
    }
    assert_eq!((a.max_packet(), b.max_packet()), (8952, 0));
}

/// Every bit of a probe counts, so none that was changed shows anything or is answered.
#[test]
fn a_changed_probe_is_refused() {
    let (now, rng) = (Instant::now(), &mut Seeded::new(2));
    let (mut a, mut b) = pair(now, rng, &[200], u64::MAX);
    let probe = a.poll_probe(now, rng).unwrap();
    for bit in 0..8 * probe.len() {
        let mut changed = probe.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let refused = deliver(now, &mut b, &changed);
        // Two epochs have keys: the current and the next. The first byte may name another or none.
        assert!(matches!(refused, Err(Reason::PacketForged | Reason::PacketVersion)), "bit {bit}: {refused:?}");
    }
    for length in 0..probe.len() {
        assert!(deliver(now, &mut b, &probe[..length]).is_err());
    }
    assert!(matches!(deliver(now, &mut b, &probe), Ok(Taken::Answer(_))));
}

/// An echo of a probe that went to the old address shows nothing about the new one.
#[test]
fn echoes_from_before_a_change_of_address_show_nothing() {
    let (now, rng) = (Instant::now(), &mut Seeded::new(3));
    let (mut a, mut b) = connected(rng, &[1299]);
    let late = now + Duration::from_secs(1);
    a.sent(1);
    let asked = a.poll_probe(late, rng).unwrap();
    let Ok(Taken::Answer(echo)) = deliver(late, &mut b, &asked) else { panic!("a probe is answered") };
    a.path_changed(late);
    assert_eq!(a.max_packet(), 0);
    assert_eq!(deliver(late, &mut a, &echo), Err(Reason::Timeout));
    assert_eq!(a.max_packet(), 0, "a challenge to the old address is no answer from the new");
    probe(late, &mut a, &mut b, rng);
    assert_eq!(a.max_packet(), 1299);
}

/// Nor does one of the challenge that asks for new keys; they are renewed all the same once the new address is known.
#[test]
fn renewal_does_not_show_an_address() {
    let (now, rng) = (Instant::now(), &mut Seeded::new(4));
    let (mut a, mut b) = pair(now, rng, &[1299], 10);
    probe(now, &mut a, &mut b, rng);
    a.sent(10);
    let renewal = a.poll_probe(now, rng).unwrap();
    let Ok(Taken::Answer(echo)) = deliver(now, &mut b, &renewal) else { panic!("a probe is answered") };
    a.path_changed(now);
    assert_eq!(deliver(now, &mut a, &echo), Err(Reason::Timeout));
    assert_eq!((a.epoch(), a.max_packet()), (0, 0));
    assert!(carries(&a, &b, rng), "the neighbour takes both epochs");
    probe(now, &mut a, &mut b, rng);
    assert_eq!((a.epoch(), a.max_packet()), (1, 1299));
    assert!(carries(&a, &b, rng));
}

/// Whether a data packet of `a` opens at `b`, and as itself.
fn carries(a: &FastLink, b: &FastLink, rng: &mut Seeded) -> bool {
    let mut packet = vec![0; 1299];
    rng.fill(&mut packet[FAST_HEADER..]);
    let (cid, counter) = (rng.next_u64() as u32, rng.next_u64());
    a.sealer().put(&mut packet, cid, counter).unwrap();
    let opened = b.opener(packet[0]).and_then(|opener| opener.get(&packet).ok());
    assert!(opened.is_none_or(|opened| opened == (cid, counter)));
    opened.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Loss, duplicates, reordering, change, and old messages again, while keys are renewed all the time: the ends never
    /// come so far apart that a packet of one does not open at the other, and both are well once the network is.
    #[test]
    fn epochs_stay_together(seed: u64, weather in prop::collection::vec((0..6u8, any::<u16>()), 0..400)) {
        let rng = &mut Seeded::new(seed);
        let mut now = Instant::now();
        let (mut a, mut b) = pair(now, rng, &[1299, 1411], 5);
        let mut on_the_way: Vec<(bool, Vec<u8>)> = Vec::new();
        let mut old: Vec<(bool, Vec<u8>)> = Vec::new();
        for (what, which) in weather {
            let which = usize::from(which);
            match what {
                0 => now += Duration::from_millis(which as u64 % 700),
                1 if !on_the_way.is_empty() => drop(on_the_way.swap_remove(which % on_the_way.len())),
                2 if !old.is_empty() => on_the_way.push(old[which % old.len()].clone()),
                3 if !on_the_way.is_empty() => {
                    let at = which % on_the_way.len();
                    let (to_b, mut packet) = on_the_way.swap_remove(at);
                    let byte = which % packet.len();
                    packet[byte] ^= 1 << (which % 8);
                    let taken = deliver(now, if to_b { &mut b } else { &mut a }, &packet);
                    prop_assert!(taken.is_err());
                }
                _ if !on_the_way.is_empty() => {
                    let (to_b, packet) = on_the_way.swap_remove(which % on_the_way.len());
                    if let Ok(Taken::Answer(echo)) = deliver(now, if to_b { &mut b } else { &mut a }, &packet) {
                        old.push((!to_b, echo.clone()));
                        on_the_way.push((!to_b, echo));
                    }
                }
                _ => {}
            }
            a.sent(1);
            b.sent(1);
            for (to_b, end) in [(true, &mut a), (false, &mut b)] {
                while let Some(packet) = end.poll_probe(now, rng) {
                    old.push((to_b, packet.clone()));
                    on_the_way.push((to_b, packet));
                }
            }
            prop_assert!(carries(&a, &b, rng) && carries(&b, &a, rng), "epochs {} and {}", a.epoch(), b.epoch());
        }
        let epochs = (a.epoch(), b.epoch());
        for _ in 0..60 {
            now += Duration::from_secs(10);
            a.sent(5);
            b.sent(5);
            probe(now, &mut a, &mut b, rng);
            probe(now, &mut b, &mut a, rng);
        }
        prop_assert!(a.epoch() > epochs.0 && b.epoch() > epochs.1);
        prop_assert_eq!((a.max_packet(), b.max_packet()), (1411, 1411));
        prop_assert!(carries(&a, &b, rng) && carries(&b, &a, rng));
    }

    /// A clock that jumps makes no storm of probes, and neither stops a link nor keeps it stopped.
    #[test]
    fn clocks_may_jump(seed: u64, jumps in prop::collection::vec((any::<bool>(), 0..1u64 << 40), 1..60)) {
        let rng = &mut Seeded::new(seed);
        let begin = Instant::now() + Duration::from_secs(1 << 30);
        let (mut a, mut b) = pair(begin, rng, &SIZES, u64::MAX);
        for (answered, us) in jumps {
            let now = begin - Duration::from_secs(1 << 20) + Duration::from_micros(us);
            a.sent(1);
            let mut probes = 0;
            while let Some(probe) = a.poll_probe(now, rng) {
                probes += 1;
                if let Ok(Taken::Answer(echo)) = deliver(now, &mut b, &probe) && answered {
                    prop_assert_eq!(deliver(now, &mut a, &echo), Ok(Taken::Reach));
                }
                prop_assert!(probes <= SIZES.len(), "one of each size at a time");
            }
        }
        let mut now = begin + Duration::from_secs(1 << 21);
        for _ in 0..20 {
            probe(now, &mut a, &mut b, rng);
            now += Duration::from_secs(400);
        }
        prop_assert_eq!(a.max_packet(), 8952);
    }
}
