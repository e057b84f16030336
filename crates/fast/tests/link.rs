//! What a link reaches, on virtual time: probes, echoes, change-over, addresses.
#![allow(clippy::unwrap_used)]

mod pipe;

use std::time::Duration;

use pipe::{MS, Pair, Path, SIZES};
use wayfare_fast::Taken;
use wayfare_testkit::Seeded;
use wayfare_types::{Random, Reason};

const ANSWER: Duration = Duration::from_millis(150);

/// The next probe of one end, or none.
fn probe(pair: &mut Pair, end: usize, seed: u64) -> Option<Vec<u8>> {
    pair.ends[end].poll_probe(pair.now, &mut Seeded::new(seed))
}

fn answer(pair: &mut Pair, to: usize, packet: Vec<u8>) -> Vec<u8> {
    match pair.arrives(to, packet) {
        Some(Ok(Taken::Answer(answer))) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_size_is_used_once_its_probe_came_back_and_no_sooner() {
    let mut pair = Pair::new(1, Path::default());
    assert_eq!(pair.ends[0].max_packet(), 0);
    let probes: Vec<Vec<u8>> = (0..3).map_while(|seed| probe(&mut pair, 0, seed)).collect();
    assert_eq!(probes.iter().map(Vec::len).collect::<Vec<_>>(), SIZES, "a probe is as long as what it asks for");
    assert!(probe(&mut pair, 0, 9).is_none());
    // In another order than they were sent.
    for (at, max) in [(1, SIZES[1]), (0, SIZES[1]), (2, SIZES[2])] {
        let echo = answer(&mut pair, 1, probes[at].clone());
        assert_eq!(echo.len(), SIZES[0], "an echo is never longer than its probe");
        assert_eq!(pair.ends[1].max_packet(), 0, "the neighbour's probe says nothing of the way there");
        assert_eq!(pair.arrives(0, echo), Some(Ok(Taken::Reach)));
        assert_eq!(pair.ends[0].max_packet(), max);
    }
}

#[test]
fn a_size_that_does_not_pass_is_left_after_three_probes_and_asked_for_in_doubling_pauses() {
    let mut pair = Pair::new(2, Path { mtu: Some(1500), ..Path::default() });
    pair.run(Duration::from_secs(2000), &[]);
    assert_eq!(pair.ends.each_ref().map(|end| end.max_packet()), [SIZES[1]; 2]);
    let asked = pair.asked(0, SIZES[2]);
    let gaps = |at: &[Duration]| at.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>();
    for three in asked.chunks_exact(3) {
        assert_eq!(gaps(three), [ANSWER; 2], "three probes, each waited for");
    }
    // From the end of one round to the beginning of the next.
    let pauses: Vec<u64> =
        asked.chunks(3).collect::<Vec<_>>().windows(2).map(|w| (w[1][0] - w[0][2] - ANSWER).as_secs()).collect();
    let doubling: Vec<u64> = (0..).map(|n| 1u64 << n).map(|s| s.min(320)).take(pauses.len()).collect();
    assert_eq!(pauses, doubling);
    assert!(pauses.len() >= 10, "it is never given up: {pauses:?}");
    // Nobody used the link: what passes was asked for once.
    assert_eq!(pair.asked(0, SIZES[1]).len(), 1);
}

#[test]
fn an_idle_link_asks_nothing() {
    let mut pair = Pair::new(3, Path::default());
    pair.run(50 * MS, &[]);
    let sent = pair.sent.len();
    assert_eq!(pair.ends.each_ref().map(|end| end.max_packet()), [SIZES[2]; 2]);
    assert_eq!(pair.ends[0].poll_timeout(), None, "nothing to be woken for");
    pair.run(Duration::from_secs(3600), &[]);
    assert_eq!(pair.sent.len(), sent);
}

#[test]
fn a_path_that_stops_taking_packets_is_left_within_about_a_second_and_taken_again() {
    for seed in 0..20 {
        let mut pair = Pair::new(seed, Path { loss: 0.01, jitter_ms: 5, ..Path::default() });
        pair.run(Duration::from_secs(3), &[0]);
        assert_eq!(pair.ends[0].max_packet(), SIZES[2], "a lossy path is kept");
        pair.path.loss = 1.0;
        let cut = pair.now;
        while pair.ends[0].max_packet() > 0 {
            pair.run(MS, &[0]);
        }
        assert!(pair.now - cut < Duration::from_millis(1500), "{:?}", pair.now - cut);
        // Ten seconds later: pauses of 1, 2, 4 and 8 s.
        pair.run(Duration::from_secs(10), &[0]);
        assert_eq!(pair.ends[0].max_packet(), 0);
        pair.path.loss = 0.0;
        pair.run(Duration::from_secs(8), &[0]);
        assert_eq!(pair.ends[0].max_packet(), SIZES[2]);
    }
}

#[test]
fn a_path_that_narrows_keeps_the_sizes_that_still_pass() {
    let mut pair = Pair::new(5, Path::default());
    pair.run(Duration::from_secs(1), &[0]);
    pair.path.mtu = Some(1400);
    let narrowed = pair.now;
    while pair.ends[0].max_packet() != SIZES[0] {
        pair.run(MS, &[0]);
        assert!(pair.now - narrowed < Duration::from_secs(3), "{}", pair.ends[0].max_packet());
        assert!(pair.ends[0].max_packet() > 0);
    }
    pair.run(Duration::from_secs(5), &[0]);
    assert_eq!(pair.ends[0].max_packet(), SIZES[0]);
}

#[test]
fn after_a_change_of_the_path_only_challenges_sent_since_count() {
    let mut pair = Pair::new(6, Path::default());
    let before: Vec<Vec<u8>> = (0..3).map_while(|seed| probe(&mut pair, 0, seed)).collect();
    let old: Vec<Vec<u8>> = before.into_iter().map(|p| answer(&mut pair, 1, p)).collect();
    assert_eq!(pair.arrives(0, old[0].clone()), Some(Ok(Taken::Reach)));
    assert_eq!(pair.ends[0].max_packet(), SIZES[0]);
    pair.ends[0].path_changed(pair.now);
    assert_eq!(pair.ends[0].max_packet(), 0);
    for echo in &old[1..] {
        assert_eq!(pair.arrives(0, echo.clone()), Some(Err(Reason::Timeout)));
        assert_eq!(pair.ends[0].max_packet(), 0);
    }
    assert_eq!(pair.arrives(0, old[0].clone()), Some(Err(Reason::PacketReplayed)));
    let fresh = probe(&mut pair, 0, 77).unwrap();
    let echo = answer(&mut pair, 1, fresh);
    assert_eq!(pair.arrives(0, echo), Some(Ok(Taken::Reach)));
    assert_eq!(pair.ends[0].max_packet(), SIZES[0]);
}

#[test]
fn an_address_is_proven_by_a_new_challenge_and_gets_no_more_than_three_times_what_came_from_it() {
    let mut pair = Pair::new(7, Path::default());
    assert!(pair.ends[0].is_proven(), "the session's handshake has shown the first one");
    let stale = probe(&mut pair, 0, 1).unwrap();
    let stale = answer(&mut pair, 1, stale);
    pair.ends[0].moved(pair.now);
    assert!(!pair.ends[0].is_proven());
    assert_eq!(pair.arrives(0, stale), Some(Err(Reason::Timeout)), "an answer to what went to the old address");
    assert!(!pair.ends[0].is_proven());

    // Who spoofed a victim's address gets nothing sent there, however long one waits.
    assert_eq!(pair.ends[0].poll_timeout(), None);
    pair.now += Duration::from_secs(1000);
    assert!(probe(&mut pair, 0, 2).is_none());
    pair.ends[0].heard(1299);
    assert!(pair.ends[0].poll_timeout().is_some());
    let (mut bytes, mut challenged) = (0, Vec::new());
    for round in 0..100 {
        pair.now += Duration::from_secs(400);
        while let Some(probe) = probe(&mut pair, 0, 3 + round) {
            bytes += probe.len();
            challenged.push(probe);
        }
    }
    assert!(bytes > 0 && bytes <= 3 * 1299, "{bytes}");
    let echo = answer(&mut pair, 1, challenged.pop().unwrap());
    assert_eq!(pair.arrives(0, echo), Some(Ok(Taken::Reach)));
    assert!(pair.ends[0].is_proven());
    pair.run(Duration::from_secs(400), &[]);
    assert_eq!(pair.ends[0].max_packet(), SIZES[2], "all sizes are asked for again");
}

#[test]
fn what_is_replayed_forged_cut_or_sent_back_does_nothing_and_has_its_reason() {
    let mut pair = Pair::new(8, Path::default());
    let asked = probe(&mut pair, 0, 1).unwrap();
    let control = |pair: &mut Pair, to: usize, mut packet: Vec<u8>, counter: u64| {
        pair.ends[to].take_control(pair.now, counter, &mut packet)
    };
    assert_eq!(control(&mut pair, 1, asked[..96].to_vec(), 0), Err(Reason::PacketTruncated));
    assert_eq!(control(&mut pair, 1, Vec::new(), 0), Err(Reason::PacketTruncated));
    // Every part of it is authenticated: first slot, kind, challenge, padding, counter, epoch.
    for at in [17, 33, 34, 41, 42, 600, 1298] {
        let mut forged = asked.clone();
        forged[at] ^= 1;
        assert_eq!(control(&mut pair, 1, forged, 0), Err(Reason::PacketForged), "{at}");
    }
    assert_eq!(control(&mut pair, 1, asked.clone(), 1), Err(Reason::PacketForged));
    assert_eq!(control(&mut pair, 1, asked[..1298].to_vec(), 0), Err(Reason::PacketForged));
    for (bits, reason) in [(1, Reason::PacketForged), (2, Reason::PacketVersion), (3, Reason::PacketVersion)] {
        let mut other = asked.clone();
        other[0] ^= bits;
        assert_eq!(control(&mut pair, 1, other, 0), Err(reason), "epoch {bits}");
    }
    // Sent back where it came from, neither its header nor its body opens.
    assert_eq!(pair.arrives(0, asked.clone()), None);
    assert_eq!((pair.opened, pair.unopened), ([0, 0], [1, 0]));
    assert_eq!(control(&mut pair, 0, asked.clone(), 0), Err(Reason::PacketForged));
    // All of that changed nothing: the true one is answered, once.
    let echo = answer(&mut pair, 1, asked.clone());
    assert_eq!(pair.arrives(1, asked), Some(Err(Reason::PacketReplayed)));
    assert_eq!(pair.arrives(1, echo.clone()), None, "an echo sent back to its sender does not open");
    assert_eq!(pair.arrives(0, echo.clone()), Some(Ok(Taken::Reach)));
    assert_eq!(pair.arrives(0, echo), Some(Err(Reason::PacketReplayed)));
    assert_eq!(pair.ends.each_ref().map(|end| end.max_packet()), [SIZES[0], 0]);
}

/// Counts what is drawn, and gives what nobody has guessed.
struct Drawn(Vec<[u8; 8]>, Seeded);

impl Random for Drawn {
    fn fill(&mut self, out: &mut [u8]) {
        self.1.fill(out);
        self.0.push(out.try_into().unwrap());
    }
}

#[test]
fn challenges_are_what_the_port_gives_anew_for_each_size_and_round() {
    let mut pair = Pair::new(9, Path::default());
    let mut drawn = Drawn(Vec::new(), Seeded::new(99));
    let mut rounds = 0;
    while rounds < 30 {
        match pair.ends[0].poll_probe(pair.now, &mut drawn) {
            Some(_) => rounds += 1,
            None => pair.now += Duration::from_millis(50),
        }
    }
    // Three tries of each size share a challenge; a round after the pause has another.
    let expected: Vec<[u8; 8]> = {
        let mut port = Seeded::new(99);
        std::iter::repeat_with(|| {
            let mut bytes = [0; 8];
            port.fill(&mut bytes);
            bytes
        })
        .take(drawn.0.len())
        .collect()
    };
    assert_eq!(drawn.0, expected);
    assert_eq!(
        drawn.0.len(),
        12,
        "30 probes: three rounds of three tries for three sizes, and one probe of the next for each"
    );
}
