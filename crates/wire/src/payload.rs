//! What a body carries for its ends: `piece 2 bits, length 14 bits | inner datagram or a piece of it | zeros`.

use wayfare_types::Reason;

use crate::Piece;

/// Fills `payload` with a whole inner datagram and its padding.
///
/// # Errors
/// [`Reason::PayloadLength`] when it does not fit.
#[inline]
pub fn put_payload(payload: &mut [u8], inner: &[u8]) -> Result<(), Reason> {
    let length = Piece::Whole.length_field(inner.len()).ok_or(Reason::PayloadLength)?;
    if payload.len() < 2 + inner.len() {
        return Err(Reason::PayloadLength);
    }
    let (head, rest) = payload.split_at_mut(2);
    head.copy_from_slice(&length.to_be_bytes());
    let (data, zeros) = rest.split_at_mut(inner.len());
    data.copy_from_slice(inner);
    zeros.fill(0);
    Ok(())
}

/// The inner datagram of a payload, or which piece of one. The padding is not looked at: it was authenticated with the rest.
///
/// # Errors
/// [`Reason::PayloadLength`] when the length field says more than there is.
#[inline]
pub fn get_payload(payload: &[u8]) -> Result<(Piece, &[u8]), Reason> {
    let Some((head, rest)) = payload.split_first_chunk::<2>() else { return Err(Reason::PayloadLength) };
    let (piece, bytes) = Piece::from_length_field(u16::from_be_bytes(*head));
    Ok((piece, rest.get(..bytes).ok_or(Reason::PayloadLength)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn too_long_is_refused_both_ways() {
        assert_eq!(put_payload(&mut [0; 5], &[1; 4]), Err(Reason::PayloadLength));
        assert_eq!(put_payload(&mut vec![0; 70_000], &vec![1; 65_536]), Err(Reason::PayloadLength));
        assert_eq!(get_payload(&[0, 4, 1, 1, 1]), Err(Reason::PayloadLength));
        assert_eq!(get_payload(&[0]), Err(Reason::PayloadLength));
    }

    proptest! {
        #[test]
        fn round_trips_and_pads_with_zeros(inner in prop::collection::vec(any::<u8>(), 0..100), spare in 0..50usize) {
            let mut payload = vec![0xff; 2 + inner.len() + spare];
            put_payload(&mut payload, &inner).unwrap();
            prop_assert_eq!(get_payload(&payload), Ok((Piece::Whole, &inner[..])));
            prop_assert!(payload[2 + inner.len()..].iter().all(|&b| b == 0));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok((_, inner)) = get_payload(&bytes) {
                prop_assert!(inner.len() + 2 <= bytes.len());
            }
        }
    }
}
