//! ChaCha20 blocks (RFC 8439 section 2.3) of one key and several nonces, a nonce per vector lane.
//!
//! The usual implementations put consecutive blocks of one nonce side by side; a packet needs one or two blocks of its
//! own nonce and would throw the rest away.

use wide::u32x4;

use super::keystream::BATCH;

const LANES: usize = 4;

/// A word of the state, for every lane.
type Row = u32x4;

#[inline(always)]
fn rotate<const LEFT: u32, const RIGHT: u32>(row: Row) -> Row {
    const { assert!(LEFT + RIGHT == 32) };
    row << LEFT | row >> RIGHT
}

#[inline(always)]
fn quarter_round(s: &mut [Row; 16], a: usize, b: usize, c: usize, d: usize) {
    s[a] += s[b];
    s[d] = rotate::<16, 16>(s[d] ^ s[a]);
    s[c] += s[d];
    s[b] = rotate::<12, 20>(s[b] ^ s[c]);
    s[a] += s[b];
    s[d] = rotate::<8, 24>(s[d] ^ s[a]);
    s[c] += s[d];
    s[b] = rotate::<7, 25>(s[b] ^ s[c]);
}

/// Block number `counter` of each nonce.
pub(super) fn blocks(key: &[u8; 32], nonces: &[[u8; 12]; BATCH], counter: u32) -> [[u8; 64]; BATCH] {
    let mut out = [[0; 64]; BATCH];
    for (out, nonces) in out.chunks_exact_mut(LANES).zip(nonces.chunks_exact(LANES)) {
        lanes(key, nonces, counter, out);
    }
    out
}

#[inline]
fn lanes(key: &[u8; 32], nonces: &[[u8; 12]], counter: u32, out: &mut [[u8; 64]]) {
    let word = |bytes: &[u8], i: usize| {
        u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
    };
    let start: [Row; 16] = std::array::from_fn(|i| match i {
        0..4 => Row::splat(word(b"expand 32-byte k", i)),
        4..12 => Row::splat(word(key, i - 4)),
        12 => Row::splat(counter),
        _ => Row::new(std::array::from_fn(|lane| word(&nonces[lane], i - 13))),
    });
    let mut s = start;
    for _ in 0..10 {
        quarter_round(&mut s, 0, 4, 8, 12);
        quarter_round(&mut s, 1, 5, 9, 13);
        quarter_round(&mut s, 2, 6, 10, 14);
        quarter_round(&mut s, 3, 7, 11, 15);
        quarter_round(&mut s, 0, 5, 10, 15);
        quarter_round(&mut s, 1, 6, 11, 12);
        quarter_round(&mut s, 2, 7, 8, 13);
        quarter_round(&mut s, 3, 4, 9, 14);
    }
    for (i, (row, start)) in s.iter().zip(&start).enumerate() {
        for (out, word) in out.iter_mut().zip((*row + *start).to_array()) {
            out[4 * i..4 * i + 4].copy_from_slice(&word.to_le_bytes());
        }
    }
}
