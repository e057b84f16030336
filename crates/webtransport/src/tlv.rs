//! `type | length | content` with both numbers as variable-length integers: HTTP/3's frames (RFC 9114, section 7.1) and the
//! capsules inside them (RFC 9297, section 3.2).
//!
//! Invariant: content is never held, only passed on in the pieces it came in.

use crate::varint;

/// A part of the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next element begins; with a length of 0 it has ended as well.
    Head { kind: u64, length: u64 },
    /// The next bytes of its content, at least one, and whether they are the last.
    Content { bytes: &'a [u8], last: bool },
}

/// Where in the sequence we are.
#[derive(Debug, Default)]
pub struct Tlv {
    head: [u8; 16],
    filled: usize,
    left: u64,
}

impl Tlv {
    /// Takes the next part off the front of `input`; `None` once all of it is taken.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        if self.left > 0 {
            if input.is_empty() {
                return None;
            }
            let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
            let (bytes, rest) = input.split_at(take);
            *input = rest;
            self.left -= take as u64;
            return Some(Piece::Content { bytes, last: self.left == 0 });
        }
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.head[self.filled] = byte;
            self.filled += 1;
            let read = varint::read(&self.head[..self.filled])
                .and_then(|(kind, rest)| varint::read(rest).map(|(length, _)| (kind, length)));
            if let Some((kind, length)) = read {
                self.filled = 0;
                self.left = length;
                return Some(Piece::Head { kind, length });
            }
        }
        None
    }

    /// Between two elements: the sequence may end here.
    pub fn at_boundary(&self) -> bool {
        self.filled == 0 && self.left == 0
    }
}

/// Appends an element.
pub fn write(kind: u64, content: &[u8], out: &mut Vec<u8>) {
    varint::write(kind, out);
    varint::write(content.len() as u64, out);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn elements_come_back_however_they_are_cut(
            elements in proptest::collection::vec((0..=varint::MAX, proptest::collection::vec(any::<u8>(), 0..80)), 0..8),
            piece in 1usize..20,
        ) {
            let mut bytes = Vec::new();
            elements.iter().for_each(|(kind, content)| write(*kind, content, &mut bytes));
            let (mut tlv, mut got) = (Tlv::default(), Vec::<(u64, Vec<u8>)>::new());
            for mut input in bytes.chunks(piece) {
                while let Some(piece) = tlv.next(&mut input) {
                    match piece {
                        Piece::Head { kind, .. } => got.push((kind, Vec::new())),
                        Piece::Content { bytes, .. } => got.last_mut().unwrap().1.extend(bytes),
                    }
                }
                prop_assert!(input.is_empty());
            }
            prop_assert!(tlv.at_boundary());
            prop_assert_eq!(got, elements);
        }
    }
}
