//! Inner datagrams larger than a packet travel in pieces: in packets with consecutive counters, one piece each.
//!
//! Invariant: whatever arrives, at most [`PieceJoiner::PLACES`] datagrams are under way and none grows beyond [`SPAN_BYTES_MAX`]. Pieces
//! that arrive in another order are lost, and the datagram with them: who sends looks at what it loses, and sends smaller ones.

use bytes::BytesMut;
use wayfare_types::{Counters, Reason};

use crate::SizeClass;

/// The largest inner datagram, in pieces or whole.
pub const SPAN_BYTES_MAX: usize = SizeClass::X.inner_bytes();

/// What part of an inner datagram a payload has: the two highest bits of its length field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Piece {
    Whole = 0,
    /// The next packet has more.
    First = 0b10 << 14,
    /// The one before had some, the next has more.
    Middle = 0b11 << 14,
    /// The one before had the rest.
    Last = 0b01 << 14,
}

impl Piece {
    const MASK: u16 = 0b11 << 14;

    /// The piece that begins at the datagram's start or not, and ends at its end or not.
    pub const fn of(first: bool, last: bool) -> Self {
        match (first, last) {
            (true, true) => Self::Whole,
            (true, false) => Self::First,
            (false, false) => Self::Middle,
            (false, true) => Self::Last,
        }
    }

    /// The length field of so many bytes, if there can be so many.
    #[inline]
    pub const fn length_field(self, bytes: usize) -> Option<u16> {
        if bytes <= SPAN_BYTES_MAX { Some(self as u16 | bytes as u16) } else { None }
    }

    /// What a length field says.
    #[inline]
    pub const fn from_length_field(field: u16) -> (Self, usize) {
        let piece = match field >> 14 {
            0b00 => Self::Whole,
            0b10 => Self::First,
            0b11 => Self::Middle,
            _ => Self::Last,
        };
        (piece, (field & !Self::MASK) as usize)
    }
}

const _: () = assert!(SPAN_BYTES_MAX < 1 << 14);

struct Partial {
    circuit: u32,
    next: u64,
    data: BytesMut,
}

/// Puts the datagrams of many circuits together again.
#[derive(Default)]
pub struct PieceJoiner {
    /// By circuit, several to one place. Empty until the first piece comes.
    places: Vec<Option<Partial>>,
}

impl PieceJoiner {
    /// Datagrams that can be under way; one more pushes out another.
    pub const PLACES: usize = 256;

    /// Takes a piece that came to `circuit` with this counter. When it completes a datagram, that is returned. A datagram that is given up, and
    /// a piece that belongs to none, is counted as [`Reason::PieceLost`].
    pub fn join(
        &mut self,
        circuit: u32,
        counter: u64,
        piece: Piece,
        bytes: &[u8],
        counters: &mut Counters,
    ) -> Option<BytesMut> {
        if self.places.is_empty() {
            self.places.resize_with(Self::PLACES, || None);
        }
        let place = &mut self.places[circuit as usize % Self::PLACES];
        if matches!(piece, Piece::Whole | Piece::First) {
            if place.take().is_some() {
                counters.count(Reason::PieceLost);
            }
            if piece == Piece::Whole {
                return Some(BytesMut::from(bytes));
            }
            // As many as senders make of one; a longer datagram grows once more.
            let mut data = BytesMut::with_capacity((bytes.len() * SizeClass::SPAN).min(SPAN_BYTES_MAX));
            data.extend_from_slice(bytes);
            *place = Some(Partial { circuit, next: counter.wrapping_add(1), data });
            return None;
        }
        let Some(partial) = place.as_mut().filter(|p| p.circuit == circuit) else {
            counters.count(Reason::PieceLost);
            return None;
        };
        if partial.next != counter || partial.data.len() + bytes.len() > SPAN_BYTES_MAX {
            *place = None;
            counters.count(Reason::PieceLost);
            return None;
        }
        partial.data.extend_from_slice(bytes);
        partial.next = counter.wrapping_add(1);
        if piece == Piece::Last { place.take().map(|p| p.data) } else { None }
    }

    /// Bytes of datagrams that are under way.
    pub fn pending_bytes(&self) -> usize {
        self.places.iter().flatten().map(|p| p.data.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(datagram: &[u8], size: usize) -> Vec<(Piece, &[u8])> {
        let count = datagram.len().div_ceil(size);
        datagram.chunks(size).enumerate().map(|(i, p)| (Piece::of(i == 0, i + 1 == count), p)).collect()
    }

    #[test]
    fn a_length_field_says_piece_and_bytes() {
        for piece in [Piece::Whole, Piece::First, Piece::Middle, Piece::Last] {
            for bytes in [0, 1, 1200, SPAN_BYTES_MAX] {
                assert_eq!(Piece::from_length_field(piece.length_field(bytes).unwrap()), (piece, bytes));
            }
            assert_eq!(piece.length_field(SPAN_BYTES_MAX + 1), None);
        }
        assert_eq!(Piece::Whole.length_field(1200), Some(1200), "as before there were pieces");
    }

    #[test]
    fn what_grows_too_large_or_is_pushed_out_is_counted() {
        let (mut joiner, mut counters) = (PieceJoiner::default(), Counters::default());
        let full = vec![1; SPAN_BYTES_MAX];
        assert_eq!(joiner.join(1, 0, Piece::First, &full, &mut counters), None);
        assert_eq!(joiner.join(1, 1, Piece::Last, &[1], &mut counters), None);
        assert_eq!((counters.get(Reason::PieceLost), joiner.pending_bytes()), (1, 0));
        // Another circuit of the same place.
        assert_eq!(joiner.join(1, 2, Piece::First, &[1], &mut counters), None);
        let other = 1 + PieceJoiner::PLACES as u32;
        assert_eq!(joiner.join(other, 3, Piece::First, &[2], &mut counters), None);
        assert_eq!(joiner.join(1, 3, Piece::Last, &[1], &mut counters), None);
        assert_eq!(counters.get(Reason::PieceLost), 3);
        assert_eq!(joiner.join(other, 4, Piece::Last, &[3], &mut counters), Some(BytesMut::from(&[2, 3][..])));
        assert_eq!(counters.get(Reason::PieceLost), 3);
    }

    proptest! {
        /// Of whatever subset of the packets of whichever circuits arrives in order, what comes out are the datagrams of which all pieces did.
        #[test]
        fn exactly_the_complete_datagrams_come_out(
            datagrams in prop::collection::vec((0..4u32, prop::collection::vec(any::<u8>(), 1..60)), 1..20),
            size in 1..20usize, lost in prop::collection::vec(prop::bool::weighted(0.1), 400), start: u64,
        ) {
            let (mut joiner, mut counters) = (PieceJoiner::default(), Counters::default());
            let (mut next, mut lost) = ([start; 4], lost.into_iter());
            for (circuit, datagram) in &datagrams {
                let (mut out, mut whole) = (None, true);
                for (piece, bytes) in pieces(datagram, size) {
                    let counter = next[*circuit as usize];
                    next[*circuit as usize] = counter.wrapping_add(1);
                    if lost.next().unwrap_or(false) {
                        whole = false;
                    } else {
                        out = joiner.join(*circuit, counter, piece, bytes, &mut counters);
                    }
                }
                prop_assert_eq!(out.as_deref(), whole.then_some(&datagram[..]));
            }
        }

        #[test]
        fn whatever_arrives_memory_is_bounded(
            arrivals in prop::collection::vec((any::<u16>(), 0..9u64, any::<u16>()), 0..300),
        ) {
            let (mut joiner, mut counters) = (PieceJoiner::default(), Counters::default());
            for (circuit, counter, field) in arrivals {
                let (piece, bytes) = Piece::from_length_field(field);
                let bytes = vec![0; bytes.min(SPAN_BYTES_MAX)];
                let out = joiner.join(circuit.into(), counter, piece, &bytes, &mut counters);
                prop_assert!(out.is_none_or(|d| d.len() <= SPAN_BYTES_MAX));
                prop_assert!(joiner.pending_bytes() <= PieceJoiner::PLACES * SPAN_BYTES_MAX);
            }
        }
    }
}
