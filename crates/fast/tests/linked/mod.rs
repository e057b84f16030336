//! Two ends of a fast link, and what carries control messages between them.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use std::time::Instant;

use wayfare_fast::{FastLink, SECRET_BYTES, Taken};
use wayfare_testkit::Seeded;
use wayfare_types::{Random, Reason};

pub fn pair(now: Instant, rng: &mut Seeded, sizes: &[usize], renewing_after: u64) -> (FastLink, FastLink) {
    let secrets: [[u8; SECRET_BYTES]; 2] = std::array::from_fn(|_| {
        let mut secret = [0; SECRET_BYTES];
        rng.fill(&mut secret);
        secret
    });
    let end = |own, other| FastLink::new(now, own, other, sizes.iter().copied()).renewing_after(renewing_after);
    (end(secrets[0], secrets[1]), end(secrets[1], secrets[0]))
}

/// Hands over a control message, as a driver does.
pub fn deliver(now: Instant, to: &mut FastLink, packet: &[u8]) -> Result<Taken, Reason> {
    let opener = to.opener(*packet.first().ok_or(Reason::PacketTruncated)?).ok_or(Reason::PacketVersion)?;
    let (cid, counter) = opener.get(packet)?;
    if cid != 0 {
        return Err(Reason::CircuitUnknown);
    }
    to.take_control(now, counter, &mut packet.to_vec())
}

/// All probes that are due from one end, answered by the other.
pub fn probe(now: Instant, from: &mut FastLink, to: &mut FastLink, rng: &mut Seeded) {
    while let Some(probe) = from.poll_probe(now, rng) {
        let Ok(Taken::Answer(echo)) = deliver(now, to, &probe) else { panic!("a probe is answered") };
        assert_eq!(deliver(now, from, &echo), Ok(Taken::Reach));
    }
}

/// A link that passes packets of these sizes both ways.
pub fn connected(rng: &mut Seeded, sizes: &[usize]) -> (FastLink, FastLink) {
    let now = Instant::now();
    let (mut a, mut b) = pair(now, rng, sizes, u64::MAX);
    probe(now, &mut a, &mut b, rng);
    probe(now, &mut b, &mut a, rng);
    assert_eq!((Some(&a.max_packet()), Some(&b.max_packet())), (sizes.last(), sizes.last()));
    (a, b)
}
