//! Bodies too large for a link travel as two equal halves, each behind the full header.
//!
//! Invariant: a joiner holds at most [`Joiner::PENDING`] halves of one circuit, whatever arrives; it allocates nothing
//! until the first half comes. Links reorder, so either half may come first.

use std::collections::VecDeque;

use wayfare_types::{Counters, Reason};

use crate::{HEADER, Header, Part};

/// Writes the two halves of a whole packet and returns the length of each.
///
/// # Errors
/// [`Reason::PacketVersion`] unless `packet` is whole; [`Reason::PacketSize`] when its body is odd or an output is too
/// short for `HEADER` and half a body.
pub fn split(packet: &[u8], first: &mut [u8], second: &mut [u8]) -> Result<usize, Reason> {
    let header = Header::parse(packet)?;
    if header.part != Part::Whole {
        return Err(Reason::PacketVersion);
    }
    let body = &packet[HEADER..];
    let (half, bytes) = (body.len() / 2, HEADER + body.len() / 2);
    if body.is_empty() || !body.len().is_multiple_of(2) || first.len() < bytes || second.len() < bytes {
        return Err(Reason::PacketSize);
    }
    for (out, part, data) in [(first, Part::FirstHalf, &body[..half]), (second, Part::SecondHalf, &body[half..])] {
        Header { part, ..header }.emit(out);
        out[HEADER..bytes].copy_from_slice(data);
    }
    Ok(bytes)
}

struct Pending {
    part: Part,
    counter: u64,
    data: Box<[u8]>,
}

/// Puts the halves of one circuit's packets together again.
pub struct Joiner {
    body_bytes: usize,
    pending: VecDeque<Pending>,
}

impl Joiner {
    /// Halves kept while the others are on their way; one more pushes out the oldest.
    pub const PENDING: usize = 8;

    /// For a circuit whose bodies have `body_bytes`.
    pub fn new(body_bytes: usize) -> Self {
        Self { body_bytes, pending: VecDeque::new() }
    }

    /// Takes one half. When it completes a packet, the packet is written to `out` (header with [`Part::Whole`], body)
    /// and its length returned. Halves that had to make room are counted as [`Reason::HalfLost`].
    ///
    /// # Errors
    /// [`Reason::PacketSize`] when the half is no half of this circuit's bodies or `out` is too short;
    /// [`Reason::PacketVersion`] when the header is that of a whole packet; [`Reason::PacketReplayed`] for a half that
    /// is here already.
    pub fn join(
        &mut self,
        header: Header,
        half: &[u8],
        out: &mut [u8],
        counters: &mut Counters,
    ) -> Result<Option<usize>, Reason> {
        if header.part == Part::Whole {
            return Err(Reason::PacketVersion);
        }
        if half.len() * 2 != self.body_bytes || out.len() < HEADER + self.body_bytes {
            return Err(Reason::PacketSize);
        }
        let Some(at) = self.pending.iter().position(|p| p.counter == header.counter) else {
            self.keep(header, half, counters);
            return Ok(None);
        };
        if self.pending[at].part == header.part {
            return Err(Reason::PacketReplayed);
        }
        let Some(other) = self.pending.remove(at) else { return Ok(None) };
        Header { part: Part::Whole, ..header }.emit(out);
        let (first, second) = out[HEADER..HEADER + self.body_bytes].split_at_mut(half.len());
        let (mine, others) = if header.part == Part::FirstHalf { (first, second) } else { (second, first) };
        mine.copy_from_slice(half);
        others.copy_from_slice(&other.data);
        Ok(Some(HEADER + self.body_bytes))
    }

    fn keep(&mut self, header: Header, half: &[u8], counters: &mut Counters) {
        if self.pending.len() == Self::PENDING {
            self.pending.pop_front();
            counters.count(Reason::HalfLost);
        }
        self.pending.push_back(Pending { part: header.part, counter: header.counter, data: half.into() });
    }

    /// Halves that wait for the other.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packet;
    use proptest::prelude::*;

    fn packet(counter: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let body: Vec<u8> = (0..40).map(|i| i ^ counter as u8).collect();
        Packet { header: Header { part: Part::Whole, cid: 7, counter }, body: &body }.emit(&mut out);
        out
    }

    fn halves(counter: u64) -> [Vec<u8>; 2] {
        let mut out = [vec![0; 33], vec![0; 33]];
        let [a, b] = &mut out;
        assert_eq!(split(&packet(counter), a, b), Ok(33));
        out
    }

    fn join(joiner: &mut Joiner, half: &[u8], counters: &mut Counters) -> Result<Option<Vec<u8>>, Reason> {
        let mut out = vec![0; 53];
        let parsed = Packet::parse(half)?;
        let bytes = joiner.join(parsed.header, parsed.body, &mut out, counters)?;
        Ok(bytes.map(|n| out[..n].to_vec()))
    }

    proptest! {
        #[test]
        fn any_order_within_bounds_gives_every_packet_once(order in Just((0..8usize).collect::<Vec<_>>()).prop_shuffle()) {
            let (mut joiner, mut counters) = (Joiner::new(40), Counters::default());
            let mut whole = Vec::new();
            for i in order {
                whole.extend(join(&mut joiner, &halves(i as u64 / 2)[i % 2], &mut counters).unwrap());
            }
            whole.sort();
            prop_assert_eq!(whole, (0..4).map(packet).collect::<Vec<_>>());
            prop_assert_eq!((joiner.pending(), counters.get(Reason::HalfLost)), (0, 0));
        }
    }

    #[test]
    fn the_oldest_half_makes_room_and_is_counted() {
        let (mut joiner, mut counters) = (Joiner::new(40), Counters::default());
        for counter in 0..10 {
            assert_eq!(join(&mut joiner, &halves(counter)[0], &mut counters), Ok(None));
        }
        assert_eq!((joiner.pending(), counters.get(Reason::HalfLost)), (Joiner::PENDING, 2));
        assert_eq!(join(&mut joiner, &halves(2)[1], &mut counters), Ok(Some(packet(2))));
        assert_eq!(join(&mut joiner, &halves(9)[1], &mut counters), Ok(Some(packet(9))));
    }

    #[test]
    fn wrong_sizes_and_repeats_are_refused() {
        let (mut joiner, mut counters) = (Joiner::new(40), Counters::default());
        let [first, _] = halves(1);
        assert_eq!(join(&mut joiner, &first[..32], &mut counters), Err(Reason::PacketSize));
        assert_eq!(join(&mut joiner, &packet(1), &mut counters), Err(Reason::PacketVersion));
        assert_eq!(join(&mut joiner, &first, &mut counters), Ok(None));
        assert_eq!(join(&mut joiner, &first, &mut counters), Err(Reason::PacketReplayed));
        assert_eq!(split(&packet(1)[..52], &mut [0; 64], &mut [0; 64]), Err(Reason::PacketSize));
        assert_eq!(split(&packet(1), &mut [0; 32], &mut [0; 64]), Err(Reason::PacketSize));
    }
}
