//! Payloads of one circuit, whatever they say: a datagram comes out when all its pieces came, one behind the other, and the quota is given back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_types::Counters;
use wayfare_wire::{Piece, PieceJoiner, PieceQuota, get_payload, pieces::SPAN_BYTES_MAX};

fuzz_target!(|arrivals: Vec<(u8, &[u8])>| {
    let (quota, mut joiner, mut counters) = (PieceQuota::new(1), PieceJoiner::default(), Counters::default());
    let mut counter = u64::MAX - 2;
    // The definition: what has come of a datagram, and the counter that goes on with it.
    let mut model: Option<(u64, Vec<u8>)> = None;
    for (skipped, payload) in arrivals {
        counter = counter.wrapping_add(u64::from(skipped)).wrapping_add(1);
        let Ok((piece, bytes)) = get_payload(payload) else { continue };
        let begun = model.take();
        if piece == Piece::Whole {
            // It waits for nothing and disturbs nothing.
            let got = joiner.join(&quota, counter, piece, bytes, &mut counters);
            assert_eq!(got.as_deref(), Some(bytes));
            model = begun;
            continue;
        }
        let before = begun.filter(|(next, data)| *next == counter && data.len() + bytes.len() <= SPAN_BYTES_MAX);
        let expected = match piece {
            Piece::Whole => unreachable!(),
            Piece::First => {
                model = (bytes.len() <= SPAN_BYTES_MAX).then(|| (counter.wrapping_add(1), bytes.to_vec()));
                None
            }
            Piece::Middle => {
                model = before.map(|(_, data)| (counter.wrapping_add(1), [&data[..], bytes].concat()));
                None
            }
            Piece::Last => before.map(|(_, data)| [&data[..], bytes].concat()),
        };
        let got = joiner.join(&quota, counter, piece, bytes, &mut counters);
        assert_eq!(got.as_deref(), expected.as_deref());
        assert_eq!(quota.held(), usize::from(model.is_some()));
    }
    drop(joiner);
    assert_eq!(quota.held(), 0);
});
