//! The bytes that an AEAD XORs onto its plaintext. AEAD interfaces hide them; the client needs the first eighty to
//! foresee what each hop makes of the slots it appends and drops.
//!
//! AES-GCM is CTR from block 2 (SP 800-38D with a 96-bit nonce), ChaCha20-Poly1305 is ChaCha20 from block 1 (RFC 8439).

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use wayfare_wire::{LADDER, SLOT, SLOTS};
use zeroize::Zeroizing;

use super::chacha_lanes;
use crate::Suite;

const BLOCK: usize = SLOT;
/// Packets whose keystream is computed at once.
pub(crate) const BATCH: usize = 8;
/// A ChaCha20 block.
const CHACHA_BLOCK: usize = 64;

/// A key prepared for its keystream.
pub(crate) enum Keystream {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
    ChaCha20(Zeroizing<[u8; 32]>),
}

impl Keystream {
    pub(crate) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        let mut short = Zeroizing::new([0; 16]);
        short.copy_from_slice(&key[..16]);
        match suite {
            Suite::Aes128Gcm => Self::Aes128(Box::new(Aes128::new(&(*short).into()))),
            Suite::Aes256Gcm => Self::Aes256(Box::new(Aes256::new(&(*key).into()))),
            Suite::ChaCha20Poly1305 => Self::ChaCha20(Zeroizing::new(*key)),
        }
    }

    /// XORs slots `from..from + slots.len()` of the keystream onto `slots`; the first [`SLOTS`] can be had.
    #[inline]
    pub(crate) fn xor(&self, nonce: &[u8; 12], from: usize, slots: &mut [[u8; SLOT]]) {
        debug_assert!(from + slots.len() <= SLOTS);
        match self {
            Self::Aes128(cipher) => xor_ctr(&**cipher, nonce, from, slots),
            Self::Aes256(cipher) => xor_ctr(&**cipher, nonce, from, slots),
            Self::ChaCha20(key) => chacha20_xor(key, nonce, from * SLOT, slots.as_flattened_mut()),
        }
    }
}

impl Keystream {
    /// The same for several packets at once, from slot `from` to the last. Blocks that do not depend on one another keep
    /// the CPU's pipelines full, which a packet's own few cannot.
    pub(crate) fn xor_batch(
        &self,
        nonces: &[[u8; 12]; BATCH],
        from: usize,
        packets: &mut [[[u8; SLOT]; SLOTS]; BATCH],
    ) {
        match self {
            Self::Aes128(cipher) => xor_ctr_batch(&**cipher, nonces, from, packets),
            Self::Aes256(cipher) => xor_ctr_batch(&**cipher, nonces, from, packets),
            Self::ChaCha20(key) => {
                let second = chacha_lanes::blocks(key, nonces, 2);
                for (packet, block) in packets.iter_mut().zip(&second) {
                    xor_slot(&mut packet[SLOTS - 1], block, 0);
                }
                if from < SLOTS - 1 {
                    let first = chacha_lanes::blocks(key, nonces, 1);
                    for (packet, block) in packets.iter_mut().zip(&first) {
                        (from..SLOTS - 1).for_each(|slot| xor_slot(&mut packet[slot], block, slot));
                    }
                }
            }
        }
    }
}

#[inline]
fn xor_slot(slot: &mut [u8; SLOT], block: &[u8; CHACHA_BLOCK], at: usize) {
    slot.iter_mut().zip(&block[at * SLOT..]).for_each(|(s, k)| *s ^= k);
}

#[inline]
fn ctr_block(nonce: &[u8; 12], slot: usize) -> [u8; BLOCK] {
    let mut input = [0; BLOCK];
    input[..12].copy_from_slice(nonce);
    input[12..].copy_from_slice(&((2 + slot) as u32).to_be_bytes());
    input
}

fn xor_ctr_batch<C>(cipher: &C, nonces: &[[u8; 12]; BATCH], from: usize, packets: &mut [[[u8; SLOT]; SLOTS]; BATCH])
where
    C: BlockCipherEncrypt<BlockSize = aes::cipher::typenum::U16>,
{
    let mut blocks: [Array<u8, _>; SLOTS * BATCH] = std::array::from_fn(|_| Array::default());
    let blocks = &mut blocks[..(SLOTS - from) * BATCH];
    for (i, block) in blocks.iter_mut().enumerate() {
        *block = ctr_block(&nonces[i % BATCH], from + i / BATCH).into();
    }
    cipher.encrypt_blocks(blocks);
    for (i, block) in blocks.iter().enumerate() {
        let slot = &mut packets[i % BATCH][from + i / BATCH];
        *slot = (u128::from_ne_bytes(*slot) ^ u128::from_ne_bytes((*block).into())).to_ne_bytes();
    }
}

#[inline]
fn xor_ctr<C>(cipher: &C, nonce: &[u8; 12], from: usize, slots: &mut [[u8; SLOT]])
where
    C: BlockCipherEncrypt<BlockSize = aes::cipher::typenum::U16>,
{
    let mut blocks: [Array<u8, _>; SLOTS] = Default::default();
    let blocks = &mut blocks[..slots.len()];
    for (i, block) in blocks.iter_mut().enumerate() {
        *block = ctr_block(nonce, from + i).into();
    }
    cipher.encrypt_blocks(blocks);
    for (slot, block) in slots.iter_mut().zip(blocks) {
        *slot = (u128::from_ne_bytes(*slot) ^ u128::from_ne_bytes((*block).into())).to_ne_bytes();
    }
}

/// XORs the ChaCha20-Poly1305 keystream from byte `offset` onto `data`.
pub(crate) fn chacha20_xor(key: &[u8; 32], nonce: &[u8; 12], offset: usize, data: &mut [u8]) {
    const _: () = assert!(LADDER == CHACHA_BLOCK);
    let mut cipher = ChaCha20::new(key.into(), nonce.into());
    cipher.seek(CHACHA_BLOCK + offset);
    cipher.apply_keystream(data);
}
