//! Inner datagrams larger than a packet travel in pieces: in packets with consecutive counters, one piece each.
//!
//! Invariant: whatever arrives, a circuit has at most one datagram under way, of at most [`SPAN_BYTES_MAX`], and all circuits together at most
//! as many as their [`PieceQuota`] says. Pieces that arrive in another order are lost, and the datagram with them: who sends looks at what it
//! loses, and sends smaller ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::BytesMut;
use wayfare_types::{Counters, Reason};

use crate::SizeClass;

/// The largest datagram that is sent in pieces.
pub const SPAN_BYTES_MAX: usize = SizeClass::L.spanned_bytes();

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
        if bytes <= (!Self::MASK) as usize { Some(self as u16 | bytes as u16) } else { None }
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

const _: () = assert!(SizeClass::X.inner_bytes() < 1 << 14, "the length of a whole one");

/// How many datagrams of all circuits may be under way.
pub struct PieceQuota {
    most: usize,
    held: Arc<AtomicUsize>,
}

impl PieceQuota {
    /// At most so many.
    pub fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// Datagrams that are under way.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    fn take(&self) -> Option<Held> {
        if self.held() >= self.most {
            return None;
        }
        self.held.fetch_add(1, Relaxed);
        Some(Held(self.held.clone()))
    }
}

/// One datagram's part of the quota; it goes with the datagram, or with its circuit.
struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

struct Partial {
    next: u64,
    data: BytesMut,
    _held: Held,
}

/// Puts the datagrams of one circuit together again.
#[derive(Default)]
pub struct PieceJoiner(Option<Partial>);

impl PieceJoiner {
    /// Takes the piece that came in the packet with this counter. When it completes a datagram, that is returned.
    ///
    /// A datagram that is given up, and a piece that belongs to none, is counted as [`Reason::PieceLost`]; one that is not begun for the quota's sake, as
    /// [`Reason::MemoryQuota`].
    pub fn join(
        &mut self,
        quota: &PieceQuota,
        counter: u64,
        piece: Piece,
        bytes: &[u8],
        counters: &mut Counters,
    ) -> Option<BytesMut> {
        if piece == Piece::Whole {
            return Some(BytesMut::from(bytes));
        }
        let began = self.0.take();
        if piece == Piece::First {
            if began.is_some() {
                counters.count(Reason::PieceLost);
            }
            // What was given up has left its place.
            drop(began);
            if bytes.len() > SPAN_BYTES_MAX {
                counters.count(Reason::PieceLost);
                return None;
            }
            let Some(held) = quota.take() else {
                counters.count(Reason::MemoryQuota);
                return None;
            };
            let mut data = BytesMut::with_capacity(SPAN_BYTES_MAX);
            data.extend_from_slice(bytes);
            self.0 = Some(Partial { next: counter.wrapping_add(1), data, _held: held });
            return None;
        }
        let fits = |p: &Partial| p.next == counter && p.data.len() + bytes.len() <= SPAN_BYTES_MAX;
        let Some(mut partial) = began.filter(fits) else {
            counters.count(Reason::PieceLost);
            return None;
        };
        partial.data.extend_from_slice(bytes);
        partial.next = counter.wrapping_add(1);
        if piece == Piece::Last {
            return Some(partial.data);
        }
        self.0 = Some(partial);
        None
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
            for bytes in [0, 1, 1200, SizeClass::X.inner_bytes(), (1 << 14) - 1] {
                assert_eq!(Piece::from_length_field(piece.length_field(bytes).unwrap()), (piece, bytes));
            }
            assert_eq!(piece.length_field(1 << 14), None);
        }
        assert_eq!(Piece::Whole.length_field(1200), Some(1200), "as before there were pieces");
    }

    #[test]
    fn what_grows_too_large_or_begins_anew_is_counted() {
        let (mut joiner, mut counters, quota) = (PieceJoiner::default(), Counters::default(), PieceQuota::new(9));
        let full = vec![1; SPAN_BYTES_MAX];
        assert_eq!(joiner.join(&quota, 0, Piece::First, &full, &mut counters), None);
        assert_eq!(joiner.join(&quota, 1, Piece::Last, &[1], &mut counters), None);
        assert_eq!((counters.get(Reason::PieceLost), quota.held()), (1, 0));
        assert_eq!(joiner.join(&quota, 2, Piece::First, &[1], &mut counters), None);
        assert_eq!(joiner.join(&quota, 3, Piece::First, &[2], &mut counters), None);
        assert_eq!((counters.get(Reason::PieceLost), quota.held()), (2, 1));
        assert_eq!(joiner.join(&quota, 4, Piece::Last, &[3], &mut counters), Some(BytesMut::from(&[2, 3][..])));
        assert_eq!((counters.get(Reason::PieceLost), quota.held()), (2, 0));
        assert_eq!(joiner.join(&quota, 5, Piece::First, &[1; SPAN_BYTES_MAX + 1], &mut counters), None);
        assert_eq!((counters.get(Reason::PieceLost), quota.held()), (3, 0));
    }

    #[test]
    fn circuits_share_a_quota_and_give_it_back_when_they_close() {
        let (mut counters, quota) = (Counters::default(), PieceQuota::new(2));
        let mut circuits: Vec<PieceJoiner> = (0..3).map(|_| PieceJoiner::default()).collect();
        for joiner in &mut circuits {
            assert_eq!(joiner.join(&quota, 7, Piece::First, &[1], &mut counters), None);
        }
        assert_eq!((counters.get(Reason::MemoryQuota), quota.held()), (1, 2));
        circuits.remove(0);
        let last = &mut circuits[1];
        assert_eq!(last.join(&quota, 8, Piece::First, &[1], &mut counters), None);
        assert_eq!(last.join(&quota, 9, Piece::Last, &[2], &mut counters), Some(BytesMut::from(&[1, 2][..])));
        drop(circuits);
        assert_eq!(quota.held(), 0);
    }

    proptest! {
        /// Of whatever packets of a circuit arrive, in order, what comes out are the datagrams of which all pieces did.
        #[test]
        fn exactly_the_complete_datagrams_come_out(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..20),
            size in 1..20usize, lost in prop::collection::vec(prop::bool::weighted(0.1), 400), start: u64,
        ) {
            let (mut joiner, mut counters, quota) = (PieceJoiner::default(), Counters::default(), PieceQuota::new(1));
            let (mut counter, mut lost) = (start, lost.into_iter());
            for datagram in &datagrams {
                let (mut out, mut whole) = (None, true);
                for (piece, bytes) in pieces(datagram, size) {
                    if lost.next().unwrap_or(false) {
                        whole = false;
                    } else {
                        out = joiner.join(&quota, counter, piece, bytes, &mut counters);
                    }
                    counter = counter.wrapping_add(1);
                }
                prop_assert_eq!(out.as_deref(), whole.then_some(&datagram[..]));
            }
        }

        #[test]
        fn whatever_arrives_what_comes_out_is_bounded(
            arrivals in prop::collection::vec((0..9u64, any::<u16>()), 0..300),
        ) {
            let (mut joiner, mut counters, quota) = (PieceJoiner::default(), Counters::default(), PieceQuota::new(1));
            for (counter, field) in arrivals {
                let (piece, bytes) = Piece::from_length_field(field);
                let out = joiner.join(&quota, counter, piece, &vec![0; bytes], &mut counters);
                prop_assert!(out.is_none_or(|d| piece == Piece::Whole || d.len() <= SPAN_BYTES_MAX));
                prop_assert!(quota.held() <= 1);
            }
        }
    }
}
