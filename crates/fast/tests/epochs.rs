//! A link's keys: one set per direction and epoch, renewed under loss, and computed once more by another HKDF.
#![allow(clippy::unwrap_used)]

mod pipe;

use std::time::Duration;

use hkdf::Hkdf;
use pipe::{MS, Pair, Path, SECRETS};
use sha2::Sha256;
use wayfare_testkit::Seeded;
use wayfare_types::Reason;
use wayfare_wire::FastHeader;
use wayfare_wire::fast::FAST_HEADER;

/// The header key of an epoch by docs/decisions/0008, with RustCrypto's HKDF.
fn header_key(secret: [u8; 32], epoch: u32) -> [u8; 32] {
    let mut secret = secret;
    for _ in 0..epoch {
        let mut next = [0; 32];
        Hkdf::<Sha256>::from_prk(&secret).unwrap().expand(b"wayfare fast epoch", &mut next).unwrap();
        secret = next;
    }
    let mut keys = [0; 60];
    Hkdf::<Sha256>::from_prk(&secret).unwrap().expand(b"wayfare fast keys", &mut keys).unwrap();
    keys[..32].try_into().unwrap()
}

fn data(header: &FastHeader, counter: u64) -> Vec<u8> {
    let mut packet = vec![0x5a; 1299];
    header.put(&mut packet, 7, counter).unwrap();
    packet
}

/// A pair that has used so many epochs in the direction of end 0.
fn at_epoch(epoch: u32) -> Pair {
    let mut pair = Pair::with(1, Path::default(), |link| link.renewing_after(100));
    while pair.ends[0].epoch() < epoch {
        pair.run(MS, &[0]);
    }
    pair
}

#[test]
fn each_direction_and_epoch_has_the_keys_that_another_hkdf_computes() {
    let mut seen = Vec::new();
    for epoch in 0..6 {
        let mut pair = at_epoch(epoch);
        let theirs = header_key(SECRETS[0], epoch);
        let packet = data(&FastHeader::new(&theirs, (epoch & 3) as u8), 4711);
        assert_eq!(pair.ends[1].opener(packet[0]).unwrap().get(&packet), Ok((7, 4711)), "epoch {epoch}");
        let mut own = vec![0x5a; 1299];
        pair.ends[0].sealer().put(&mut own, 7, 4711).unwrap();
        assert_eq!(own, packet);
        // The other direction's keys, and those of the same epoch bits but another turn of them, open nothing.
        let wrong = [header_key(SECRETS[1], epoch), header_key(SECRETS[0], epoch + 4)];
        for key in wrong {
            let packet = data(&FastHeader::new(&key, (epoch & 3) as u8), 4711);
            assert_eq!(pair.ends[1].opener(packet[0]).unwrap().get(&packet), Err(Reason::PacketForged));
        }
        assert_eq!(pair.ends[0].opener(0x10).unwrap().get(&own), {
            let bits = own[0] & 3;
            Err(if bits == 0 { Reason::PacketForged } else { Reason::PacketVersion })
        });
        seen.push(theirs);
        seen.push(header_key(SECRETS[1], epoch));
        pair.run(MS, &[]);
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "no key serves twice");
}

#[test]
fn both_directions_renew_on_a_path_that_loses_repeats_and_reorders() {
    for seed in 0..20 {
        let path = Path { loss: 0.1, repeat: 0.1, jitter_ms: 40, mtu: Some(1500) };
        let mut pair = Pair::with(seed, path, |link| link.renewing_after(300));
        pair.run(Duration::from_secs(15), &[0, 1]);
        for end in 0..2 {
            // 300 packets and at least an answer take 0.3 to 0.5 s of a link that is used; one that was left for a while fewer.
            assert!((8..=50).contains(&pair.ends[end].epoch()), "seed {seed}: {}", pair.ends[end].epoch());
            assert!(pair.opened[end] > 5_000, "seed {seed}: {:?}", pair.opened);
        }
        assert_eq!(pair.unopened, [0, 0], "seed {seed}: what was in flight when an epoch began still opens");
        let expected = [Reason::PacketReplayed, Reason::Timeout];
        let other: Vec<_> = pair.refused.iter().filter(|(_, reason)| !expected.contains(reason)).collect();
        assert!(other.is_empty(), "seed {seed}: {other:?}");
    }
}

#[test]
fn the_epoch_before_still_opens_and_two_before_does_not() {
    let pair = at_epoch(6);
    let packet = |epoch: u32| data(&FastHeader::new(&header_key(SECRETS[0], epoch), (epoch & 3) as u8), 9);
    let get = |epoch: u32| {
        let packet = packet(epoch);
        pair.ends[1].opener(packet[0]).ok_or(Reason::PacketVersion).and_then(|h| h.get(&packet))
    };
    assert_eq!([get(5), get(6)], [Ok((7, 9)); 2]);
    assert_eq!(get(4), Err(Reason::PacketVersion));
    // Its bits are those of the epoch to come, whose keys are others.
    assert_eq!(get(3), Err(Reason::PacketForged));
    assert_eq!(get(2), Err(Reason::PacketForged));
}

#[test]
fn a_receiver_follows_only_a_probe_that_verifies() {
    let mut pair = Pair::with(3, Path::default(), |link| link.renewing_after(100));
    pair.run(50 * MS, &[]);
    pair.ends[0].sent(100);
    let renewal = pair.ends[0].poll_probe(pair.now, &mut Seeded::new(5)).unwrap();
    assert_eq!(renewal[0], 0x11);
    assert_eq!(pair.ends[0].epoch(), 0, "not before it was echoed");
    for at in [1, FAST_HEADER, FAST_HEADER + 20, 1298] {
        let mut forged = renewal.clone();
        forged[at] ^= 0x80;
        pair.arrives(1, forged);
    }
    // Still in the epoch before the first: none comes before that.
    let before = data(&FastHeader::new(&[9; 32], 3), 1);
    assert!(pair.ends[1].opener(before[0]).is_none());
    pair.arrives(1, renewal.clone()).unwrap().unwrap();
    let previous = data(&FastHeader::new(&header_key(SECRETS[0], 0), 0), 1);
    assert_eq!(pair.ends[1].opener(previous[0]).unwrap().get(&previous), Ok((7, 1)));
    // The same probe again does not move it on once more.
    assert_eq!(pair.arrives(1, renewal), Some(Err(Reason::PacketReplayed)));
}

#[test]
fn a_renewal_that_was_asked_for_at_an_old_address_neither_begins_an_epoch_nor_proves_the_new_one() {
    let mut pair = Pair::with(4, Path::default(), |link| link.renewing_after(100));
    pair.run(50 * MS, &[]);
    pair.ends[0].sent(100);
    let renewal = pair.ends[0].poll_probe(pair.now, &mut Seeded::new(5)).unwrap();
    let Some(Ok(wayfare_fast::Taken::Answer(echo))) = pair.arrives(1, renewal) else { panic!("it is answered") };
    pair.ends[0].moved(pair.now);
    assert_eq!(pair.arrives(0, echo), Some(Err(Reason::Timeout)));
    assert!(!pair.ends[0].is_proven());
    assert_eq!((pair.ends[0].epoch(), pair.ends[0].max_packet()), (0, 0));
    // It goes on once the new address has answered.
    pair.ends[0].heard(1299);
    pair.run(Duration::from_secs(1), &[0]);
    assert!(pair.ends[0].is_proven());
    assert!(pair.ends[0].epoch() >= 1);
}
