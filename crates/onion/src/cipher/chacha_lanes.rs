//! ChaCha20 blocks (RFC 8439 section 2.3) of one key, a block per vector lane: of several nonces, or of consecutive counters.
//!
//! The usual implementations have only the latter; of a packet's keystream the client needs one or two blocks, and would throw
//! the rest away. And they have no vectors in WebAssembly.

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

fn word(bytes: &[u8], i: usize) -> u32 {
    u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
}

/// The blocks of one key whose last four words, counter and nonce, are these; word by word.
#[inline(always)]
fn rounds(key: &[u8; 32], last: [Row; 4]) -> [Row; 16] {
    let start: [Row; 16] = std::array::from_fn(|i| match i {
        0..4 => Row::splat(word(b"expand 32-byte k", i)),
        4..12 => Row::splat(word(key, i - 4)),
        _ => last[i - 12],
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
    for (row, start) in s.iter_mut().zip(start) {
        *row += start;
    }
    s
}

#[inline]
fn lanes(key: &[u8; 32], nonces: &[[u8; 12]], counter: u32, out: &mut [[u8; 64]]) {
    let nonce = |i: usize| Row::new(std::array::from_fn(|lane| word(&nonces[lane], i)));
    let s = rounds(key, [Row::splat(counter), nonce(0), nonce(1), nonce(2)]);
    for (i, row) in s.iter().enumerate() {
        for (out, word) in out.iter_mut().zip(row.to_array()) {
            out[4 * i..4 * i + 4].copy_from_slice(&word.to_le_bytes());
        }
    }
}

/// Bytes of the blocks that [`stream`] gives at once.
#[cfg(any(test, target_arch = "wasm32", feature = "portable"))]
pub(super) const STREAM: usize = LANES * 64;

/// Four consecutive blocks of one nonce, from block number `counter`.
#[cfg(any(test, target_arch = "wasm32", feature = "portable"))]
#[inline]
pub(super) fn stream(key: &[u8; 32], nonce: &[u8; 12], counter: u32, out: &mut [u8; STREAM]) {
    let counters = Row::new(std::array::from_fn(|lane| counter.wrapping_add(lane as u32)));
    let nonce = |i: usize| Row::splat(word(nonce, i));
    let s = rounds(key, [counters, nonce(0), nonce(1), nonce(2)]);
    for (quarter, rows) in s.as_chunks::<4>().0.iter().enumerate() {
        for (lane, words) in Row::transpose(*rows).into_iter().enumerate() {
            let at = lane * 64 + quarter * 16;
            out[at..at + 16].copy_from_slice(words.to_array().map(u32::to_le_bytes).as_flattened());
        }
    }
}
