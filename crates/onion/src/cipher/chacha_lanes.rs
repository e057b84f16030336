//! ChaCha20 blocks (RFC 8439 section 2.3) of one key and several nonces, a nonce per vector lane.
//!
//! The usual implementations put consecutive blocks of one nonce side by side; a packet needs one or two blocks of its
//! own nonce and would throw the rest away. Plain arrays: the compiler turns each row into a vector register.

use super::keystream::BATCH;

const LANES: usize = 4;

/// A word of the state, for every lane.
#[derive(Clone, Copy)]
struct Row([u32; LANES]);

impl Row {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_add(other.0[i])))
    }

    #[inline(always)]
    fn xor_rotate<const N: u32>(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| (self.0[i] ^ other.0[i]).rotate_left(N)))
    }
}

#[inline(always)]
fn quarter_round(s: &mut [Row; 16], a: usize, b: usize, c: usize, d: usize) {
    s[a] = s[a].add(s[b]);
    s[d] = s[d].xor_rotate::<16>(s[a]);
    s[c] = s[c].add(s[d]);
    s[b] = s[b].xor_rotate::<12>(s[c]);
    s[a] = s[a].add(s[b]);
    s[d] = s[d].xor_rotate::<8>(s[a]);
    s[c] = s[c].add(s[d]);
    s[b] = s[b].xor_rotate::<7>(s[c]);
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
        0..4 => Row([word(b"expand 32-byte k", i); LANES]),
        4..12 => Row([word(key, i - 4); LANES]),
        12 => Row([counter; LANES]),
        _ => Row(std::array::from_fn(|lane| word(&nonces[lane], i - 13))),
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
        let row = row.add(*start);
        for (out, word) in out.iter_mut().zip(row.0) {
            out[4 * i..4 * i + 4].copy_from_slice(&word.to_le_bytes());
        }
    }
}
