//! AES-GCM (NIST SP 800-38D) for CPUs with AVX-512, VAES and VPCLMULQDQ: a block per vector lane, for packets.
//!
//! The usual libraries are made for long messages: of the 240 ns that ring and AWS-LC take for a packet, half is what comes before and after
//! the bulk, one block after another. Here nothing of that waits for anything but its data, and a key with what is made of it takes five lines of
//! memory. Why it is our own, and what speaks for its being right: docs/decisions/0013.
//!
//! Invariant: no branch and no address depends on key or data; whoever has a [`Gcm`] has a CPU with the instructions.

#![allow(unsafe_code, reason = "vectors are loaded and stored by pointer, and the CPU is asked once a key")]

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aeskeygenassist_si128, _mm_cvtsi32_si128,
    _mm_cvtsi128_si32, _mm_loadu_si128, _mm_set_epi8, _mm_setzero_si128, _mm_shuffle_epi8, _mm_storeu_si128,
    _mm_test_all_zeros, _mm_xor_si128, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_xor_si256,
    _mm512_add_epi32, _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_broadcast_i32x4, _mm512_castsi512_si128,
    _mm512_castsi512_si256, _mm512_clmulepi64_epi128, _mm512_extracti64x4_epi64, _mm512_loadu_si512,
    _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_maskz_mov_epi8, _mm512_set1_epi64, _mm512_setr_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_epi32, _mm512_shuffle_i64x2, _mm512_storeu_si512,
    _mm512_ternarylogic_epi64, _mm512_xor_si512, _mm512_zextsi128_si512,
};

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::TAG;

const BLOCK: usize = 16;
/// Blocks of a vector.
const LANES: usize = 4;
/// Bytes of a vector.
const VECTOR: usize = LANES * BLOCK;
/// Vectors that are worked between two reductions.
const GROUP: usize = 4;
/// Powers of the hash's key that are kept. Those up to the 16th are made of them for each packet: that is 5 ns, two more lines of memory would be 16.
const POWERS: usize = 8;
/// `x^128 + x^127 + x^126 + x^121 + 1`, the field's polynomial in reflected bits, without its highest term.
const POLYNOMIAL: u128 = 0xc200_0000_0000_0000_0000_0000_0000_0001;
/// For [`_mm512_ternarylogic_epi64`]: the sum of all three.
const XOR3: i32 = 0x96;

/// AES-128-GCM.
pub(crate) type Gcm128 = Gcm<11>;
/// AES-256-GCM.
pub(crate) type Gcm256 = Gcm<15>;

/// A key, by the number of AES's round keys.
#[derive(Zeroize, ZeroizeOnDrop)]
#[repr(C)]
pub(crate) struct Gcm<const KEYS: usize> {
    /// The 8th first, each times x and in reflected bytes.
    powers: [[u8; BLOCK]; POWERS],
    round_keys: [[u8; BLOCK]; KEYS],
}

/// Whether this CPU has what is asked for below.
pub(super) fn available() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx512f")
        && has!("avx512bw")
        && has!("avx512vl")
        && has!("vaes")
        && has!("vpclmulqdq")
        && has!("aes")
        && has!("pclmulqdq")
}

impl<const KEYS: usize> Gcm<KEYS> {
    /// The state for a key of 16 or 32 bytes; `None` where the CPU lacks an instruction.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        assert_eq!(key.len(), 4 * (KEYS - 7), "a key as long as its type says");
        // SAFETY: the CPU has the features.
        available().then(|| unsafe { Self::expanded(key) })
    }

    /// Whether `tag` belongs to the ciphertext in `data`, which becomes the plaintext (or what nobody may read when not).
    #[inline]
    pub(super) fn open(&self, nonce: &[u8; 12], aad: &[u8], tag: &[u8; TAG], data: &mut [u8]) -> bool {
        // SAFETY: `new` has found the features.
        unsafe { self.opened(nonce, aad, tag, data) }
    }

    /// Turns the plaintext in `data` into ciphertext and returns its tag.
    #[inline]
    pub(super) fn seal(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        // SAFETY: `new` has found the features.
        unsafe { self.sealed(nonce, aad, data) }
    }
}

impl<const KEYS: usize> Gcm<KEYS> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn expanded(key: &[u8]) -> Self {
        let mut out = Self { powers: [[0; BLOCK]; POWERS], round_keys: expand(key) };
        let zero = encrypted(&out.keys(), _mm_setzero_si128());
        // Products of reflected numbers stand one bit too low: times x now, nothing is to be shifted later.
        let hash = u128::from_le_bytes(bytes(reflected(zero)));
        let hash = hash << 1 ^ POLYNOMIAL & 0u128.wrapping_sub(hash >> 127);
        let first = _mm512_zextsi128_si512(block(&hash.to_le_bytes()));
        let mut power = first;
        for place in out.powers.iter_mut().rev() {
            *place = bytes(_mm512_castsi512_si128(power));
            power = product(power, first);
        }
        out
    }

    /// The round keys, each in every lane.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn keys(&self) -> [__m512i; KEYS] {
        // By a loop: a closure of an array's `map` would be compiled without the features.
        let mut keys = [_mm512_setzero_si512(); KEYS];
        for (key, bytes) in keys.iter_mut().zip(&self.round_keys) {
            *key = _mm512_broadcast_i32x4(block(bytes));
        }
        keys
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn opened(&self, nonce: &[u8; 12], aad: &[u8], tag: &[u8; TAG], data: &mut [u8]) -> bool {
        let wrong = _mm_xor_si128(self.work::<false>(nonce, aad, data), block(tag));
        _mm_test_all_zeros(wrong, wrong) == 1
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn sealed(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        bytes(self.work::<true>(nonce, aad, data))
    }

    /// The hash of what is authenticated only.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn absorbed(&self, aad: &[u8]) -> __m128i {
        let power = _mm512_zextsi128_si512(block(&self.powers[POWERS - 1]));
        let mut hash = _mm_setzero_si128();
        for part in aad.chunks(BLOCK) {
            let mut padded = [0; BLOCK];
            padded[..part.len()].copy_from_slice(part);
            hash = _mm_xor_si128(hash, reflected(block(&padded)));
            hash = _mm512_castsi512_si128(product(_mm512_zextsi128_si512(hash), power));
        }
        hash
    }

    /// Adds the keystream to `data` and returns the tag of what is or was the ciphertext.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn work<const SEAL: bool>(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> __m128i {
        // Before there is anything in registers: packets have none.
        let hash = if aad.is_empty() { _mm_setzero_si128() } else { self.absorbed(aad) };
        let mut first = [0; BLOCK];
        first[..12].copy_from_slice(nonce);
        first[15] = 1;
        let first = block(&first);
        let lengths = u128::from(aad.len() as u64 * 8) << 64 | u128::from(data.len() as u64 * 8);

        let (eighth, fourth) = (lanes(&self.powers), lanes(&self.powers[LANES..]));
        let last = _mm512_zextsi128_si512(block(&self.powers[POWERS - 1]));
        let mut pass = Pass::<KEYS, SEAL> {
            counters: _mm512_add_epi32(
                _mm512_broadcast_i32x4(reflected(first)),
                _mm512_setr_epi32(1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0),
            ),
            keys: self.keys(),
            hash,
        };

        let (vectors, rest) = data.as_chunks_mut::<VECTOR>();
        let (groups, left) = vectors.as_chunks_mut::<GROUP>();
        if !groups.is_empty() {
            let eighths = _mm512_shuffle_i64x2::<0>(eighth, eighth);
            let group = [product(eighth, eighths), product(fourth, eighths), eighth, fourth];
            for vectors in groups {
                pass.group(vectors, &group);
            }
        }
        let (pairs, left) = left.as_chunks_mut::<2>();
        for pair in pairs {
            pass.group(pair, &[eighth, fourth]);
        }
        for single in left {
            pass.group(std::array::from_mut(single), &[fourth]);
        }

        // What is left is hashed together with the lengths, which take the last power.
        let mut sum = Sum::new();
        let mut end = block(&lengths.to_le_bytes());
        if rest.is_empty() {
            end = _mm_xor_si128(end, pass.hash);
        } else {
            let blocks = rest.len().div_ceil(BLOCK);
            let hashed = pass.rest(rest);
            // Lanes behind the last block are zeros, whatever they are multiplied by.
            sum.add(
                _mm512_xor_si512(hashed, _mm512_zextsi128_si512(pass.hash)),
                lanes(&self.powers[POWERS - 1 - blocks..]),
            );
        }
        sum.add(_mm512_zextsi128_si512(end), last);
        let hash = sum.reduced();
        let mask = encrypted(&pass.keys, first);
        _mm_xor_si128(reflected(hash), mask)
    }
}

/// Where a packet's pass has come to.
struct Pass<const KEYS: usize, const SEAL: bool> {
    /// The next four counter blocks, in reflected bytes.
    counters: __m512i,
    keys: [__m512i; KEYS],
    hash: __m128i,
}

impl<const KEYS: usize, const SEAL: bool> Pass<KEYS, SEAL> {
    /// The next four blocks, all rounds but the last of them done.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn start<const N: usize>(&mut self) -> [__m512i; N] {
        let mut states = [_mm512_setzero_si512(); N];
        for state in &mut states {
            *state = _mm512_xor_si512(reflected_lanes(self.counters), self.keys[0]);
            self.counters =
                _mm512_add_epi32(self.counters, _mm512_setr_epi32(4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0));
        }
        for key in &self.keys[1..KEYS - 1] {
            for state in &mut states {
                *state = _mm512_aesenc_epi128(*state, *key);
            }
        }
        states
    }

    /// The last round, to which `input` is added: the last round key and the input are both only added.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn finish(&self, state: __m512i, input: __m512i) -> __m512i {
        _mm512_aesenclast_epi128(state, _mm512_xor_si512(self.keys[KEYS - 1], input))
    }

    /// Works full vectors; `powers` are those of their blocks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn group<const N: usize>(&mut self, vectors: &mut [[u8; VECTOR]; N], powers: &[__m512i; N]) {
        let states = self.start::<N>();
        let mut sum = Sum::new();
        for i in 0..N {
            // SAFETY: as many bytes as are loaded and stored.
            let input = unsafe { _mm512_loadu_si512(vectors[i].as_ptr().cast()) };
            let output = self.finish(states[i], input);
            // SAFETY: likewise.
            unsafe { _mm512_storeu_si512(vectors[i].as_mut_ptr().cast(), output) };
            let mut hashed = reflected_lanes(if SEAL { output } else { input });
            if i == 0 {
                hashed = _mm512_xor_si512(hashed, _mm512_zextsi128_si512(self.hash));
            }
            sum.add(hashed, powers[i]);
        }
        self.hash = sum.reduced();
    }

    /// Works what is less than a vector, and returns its ciphertext as it is hashed, with zeros behind it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn rest(&mut self, rest: &mut [u8]) -> __m512i {
        assert!(rest.len() < VECTOR);
        let mask = (1 << rest.len()) - 1;
        let [state] = self.start::<1>();
        // SAFETY: the mask leaves out what is behind `rest`; masked bytes are not touched.
        let input = unsafe { _mm512_maskz_loadu_epi8(mask, rest.as_ptr().cast()) };
        let output = self.finish(state, input);
        // SAFETY: likewise.
        unsafe { _mm512_mask_storeu_epi8(rest.as_mut_ptr().cast(), mask, output) };
        reflected_lanes(if SEAL { _mm512_maskz_mov_epi8(mask, output) } else { input })
    }
}

/// A sum of products of blocks and powers, 255 bits each, before it is reduced: the products of the low halves, of the high ones, and across.
struct Sum {
    low: __m512i,
    across: __m512i,
    high: __m512i,
}

impl Sum {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn new() -> Self {
        let zero = _mm512_setzero_si512();
        Self { low: zero, across: zero, high: zero }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn add(&mut self, a: __m512i, b: __m512i) {
        self.low = _mm512_xor_si512(self.low, _mm512_clmulepi64_epi128::<0x00>(a, b));
        self.high = _mm512_xor_si512(self.high, _mm512_clmulepi64_epi128::<0x11>(a, b));
        let (one, other) = (_mm512_clmulepi64_epi128::<0x01>(a, b), _mm512_clmulepi64_epi128::<0x10>(a, b));
        self.across = _mm512_ternarylogic_epi64::<XOR3>(self.across, one, other);
    }

    /// Modulo the polynomial, lane by lane: twice the lowest 64 bits are folded upwards, by the two words of the polynomial.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn reduced_lanes(self) -> __m512i {
        const SWAP: i32 = 0b01_00_11_10;
        let polynomial = _mm512_set1_epi64((POLYNOMIAL >> 64) as i64);
        let folded = _mm512_clmulepi64_epi128::<0x00>(polynomial, self.low);
        let across = _mm512_ternarylogic_epi64::<XOR3>(self.across, _mm512_shuffle_epi32::<SWAP>(self.low), folded);
        let folded = _mm512_clmulepi64_epi128::<0x00>(polynomial, across);
        _mm512_ternarylogic_epi64::<XOR3>(self.high, _mm512_shuffle_epi32::<SWAP>(across), folded)
    }

    /// Modulo the polynomial, all lanes together.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
    fn reduced(self) -> __m128i {
        let lanes = self.reduced_lanes();
        let halves: __m256i = _mm256_xor_si256(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
        _mm_xor_si128(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
    }
}

/// The product, lane by lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
fn product(a: __m512i, b: __m512i) -> __m512i {
    let mut sum = Sum::new();
    sum.add(a, b);
    sum.reduced_lanes()
}

/// A block under AES.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
fn encrypted<const KEYS: usize>(keys: &[__m512i; KEYS], block: __m128i) -> __m128i {
    let mut state = _mm_xor_si128(block, _mm512_castsi512_si128(keys[0]));
    for key in &keys[1..KEYS - 1] {
        state = _mm_aesenc_si128(state, _mm512_castsi512_si128(*key));
    }
    _mm_aesenclast_si128(state, _mm512_castsi512_si128(keys[KEYS - 1]))
}

/// AES's key schedule (FIPS 197, section 5.2).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
fn expand<const KEYS: usize>(key: &[u8]) -> [[u8; BLOCK]; KEYS] {
    let words = key.len() / 4;
    let mut schedule = [[0; 4]; KEYS];
    for (word, bytes) in schedule.as_flattened_mut().iter_mut().zip(key.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    // The CPU's own, as a table would tell the key by what it leaves in the cache.
    let substituted = |word: u32| {
        let twice = _mm_shuffle_epi8(
            _mm_cvtsi32_si128(word as i32),
            _mm_set_epi8(3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0),
        );
        _mm_cvtsi128_si32(_mm_aeskeygenassist_si128::<0>(twice)) as u32
    };
    let mut constant = 1;
    let flat = schedule.as_flattened_mut();
    for i in words..flat.len() {
        let mut word = flat[i - 1];
        if i % words == 0 {
            word = substituted(word).rotate_right(8) ^ constant;
            constant = constant << 1 ^ if constant & 0x80 == 0 { 0 } else { 0x11b };
        } else if words == 8 && i % 8 == 4 {
            word = substituted(word);
        }
        flat[i] = flat[i - words] ^ word;
    }
    let mut keys = [[0; BLOCK]; KEYS];
    for (key, words) in keys.iter_mut().zip(&schedule) {
        key.copy_from_slice(words.map(u32::to_le_bytes).as_flattened());
    }
    schedule.zeroize();
    keys
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
fn block(bytes: &[u8; BLOCK]) -> __m128i {
    // SAFETY: as many bytes as are loaded.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
fn bytes(block: __m128i) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    // SAFETY: as many bytes as are stored.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), block) };
    bytes
}

/// The first blocks, zeros where there are none.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
fn lanes(blocks: &[[u8; BLOCK]]) -> __m512i {
    let bytes = blocks.as_flattened();
    // SAFETY: the mask leaves out what is behind `bytes`; masked bytes are not touched.
    unsafe { _mm512_maskz_loadu_epi8(u64::MAX >> VECTOR.saturating_sub(bytes.len()), bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
fn reflected(block: __m128i) -> __m128i {
    _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,pclmulqdq")]
fn reflected_lanes(blocks: __m512i) -> __m512i {
    let order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order))
}
