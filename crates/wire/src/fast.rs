//! The fast header: circuit id and counter in one AES-128-XTS block beside QUIC on the same socket.
//!
//! `0x10 | epoch, u8 | XTS(circuit id u32 | counter u64 | 32 zero bits) | body`. The tweak is the body's first slot as
//! it stands (IEEE 1619 with one data unit of one block), and the zero bits are checked before any state is touched.
//! An XOR mask in the manner of QUIC's header protection would not do: the client chooses the first slot and could make
//! two packets share a mask.

use aes::Aes128;
use aes::cipher::common::Block;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use wayfare_types::Reason;

use crate::SLOT;

/// Bytes before the body.
pub const FAST_HEADER: usize = 17;
/// Headers worked at once: blocks that do not depend on one another keep the CPU's pipelines full.
pub const FAST_BATCH: usize = 16;
const KIND: u8 = 0x10;

/// Whether a datagram is a fast packet, of whatever epoch: its first bytes are clear of QUIC's (RFC 9000, section 17: the
/// fixed bit) and of STUN's (RFC 7983).
#[inline]
pub const fn is_fast(first_byte: u8) -> bool {
    first_byte & !3 == KIND
}

/// The two bits of the epoch that a fast packet's first byte shows.
#[inline]
pub const fn epoch_bits(first_byte: u8) -> u8 {
    first_byte & 3
}

/// Seals and opens the headers of one link and direction.
pub struct FastHeader {
    block: Aes128,
    tweak: Aes128,
    first_byte: u8,
}

impl FastHeader {
    /// For a key (data half, tweak half) and an epoch, of which the two lowest bits are used.
    pub fn new(key: &[u8; 32], epoch: u8) -> Self {
        let (mut data, mut tweak) = ([0; 16], [0; 16]);
        data.copy_from_slice(&key[..16]);
        tweak.copy_from_slice(&key[16..]);
        Self { block: Aes128::new(&data.into()), tweak: Aes128::new(&tweak.into()), first_byte: KIND | (epoch & 3) }
    }

    /// What every packet of this epoch begins with.
    pub fn first_byte(&self) -> u8 {
        self.first_byte
    }

    /// Writes the header in front of a body that stands at `packet[FAST_HEADER..]`.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`] when there is no room for a header and a slot.
    #[inline]
    pub fn put(&self, packet: &mut [u8], cid: u32, counter: u64) -> Result<(), Reason> {
        let mask = self.mask(packet)?;
        let mut block = Block::<Aes128>::from(xor(clear(cid, counter), mask));
        self.block.encrypt_block(&mut block);
        packet[0] = self.first_byte;
        packet[1..FAST_HEADER].copy_from_slice(&xor(block.into(), mask));
        Ok(())
    }

    /// The circuit id and counter of a packet.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`], [`Reason::PacketVersion`] for another kind or epoch, [`Reason::PacketForged`] when
    /// the check bits are not zero.
    #[inline]
    pub fn get(&self, packet: &[u8]) -> Result<(u32, u64), Reason> {
        let mask = self.mask(packet)?;
        if packet[0] != self.first_byte {
            return Err(Reason::PacketVersion);
        }
        let mut sealed = [0; SLOT];
        sealed.copy_from_slice(&packet[1..FAST_HEADER]);
        let mut block = Block::<Aes128>::from(xor(sealed, mask));
        self.block.decrypt_block(&mut block);
        opened(xor(block.into(), mask))
    }

    /// Opens up to [`FAST_BATCH`] headers at once, of packets that stand `stride` bytes apart at the beginning of `run`; the
    /// last one may be shorter. Each is as [`Self::get`] has it, from the front of `out`; returns how many there were.
    #[inline]
    pub fn get_run(&self, run: &[u8], stride: usize, out: &mut [Result<(u32, u64), Reason>; FAST_BATCH]) -> usize {
        let mut masks: [Block<Aes128>; FAST_BATCH] = Default::default();
        let mut blocks: [Block<Aes128>; FAST_BATCH] = Default::default();
        let mut count = 0;
        for (packet, out) in run.chunks(stride.max(1)).zip(out.iter_mut()) {
            *out = match packet.first_chunk::<{ FAST_HEADER + SLOT }>() {
                None => Err(Reason::PacketTruncated),
                Some(head) if head[0] != self.first_byte => Err(Reason::PacketVersion),
                Some(head) => {
                    let (header, slot) = head.split_at(FAST_HEADER);
                    blocks[count].copy_from_slice(&header[1..]);
                    masks[count].copy_from_slice(slot);
                    Ok((0, 0))
                }
            };
            count += 1;
        }
        self.tweak.encrypt_blocks(&mut masks[..count]);
        for (block, mask) in blocks.iter_mut().zip(&masks).take(count) {
            *block = xor((*block).into(), (*mask).into()).into();
        }
        self.block.decrypt_blocks(&mut blocks[..count]);
        for ((block, mask), out) in blocks.iter().zip(&masks).zip(out.iter_mut()).take(count) {
            if out.is_ok() {
                *out = opened(xor((*block).into(), (*mask).into()));
            }
        }
        count
    }

    /// The headers of up to [`FAST_BATCH`] packets of which each is given by its circuit id, its counter and its body's
    /// first slot; the bytes stand in front of the body, from the front of `out`.
    #[inline]
    pub fn seal_batch(&self, packets: &[(u32, u64, [u8; SLOT])], out: &mut [[u8; FAST_HEADER]; FAST_BATCH]) {
        let count = packets.len().min(FAST_BATCH);
        let mut masks: [Block<Aes128>; FAST_BATCH] = Default::default();
        let mut blocks: [Block<Aes128>; FAST_BATCH] = Default::default();
        for (mask, (_, _, slot)) in masks.iter_mut().zip(packets) {
            mask.copy_from_slice(slot);
        }
        self.tweak.encrypt_blocks(&mut masks[..count]);
        for ((block, mask), (cid, counter, _)) in blocks.iter_mut().zip(&masks).zip(packets) {
            *block = xor(clear(*cid, *counter), (*mask).into()).into();
        }
        self.block.encrypt_blocks(&mut blocks[..count]);
        for ((block, mask), out) in blocks.iter().zip(&masks).zip(out.iter_mut()).take(count) {
            out[0] = self.first_byte;
            out[1..].copy_from_slice(&xor((*block).into(), (*mask).into()));
        }
    }

    fn mask(&self, packet: &[u8]) -> Result<[u8; SLOT], Reason> {
        let slot: [u8; SLOT] =
            packet.get(FAST_HEADER..).and_then(|body| body.first_chunk().copied()).ok_or(Reason::PacketTruncated)?;
        let mut block = Block::<Aes128>::from(slot);
        self.tweak.encrypt_block(&mut block);
        Ok(block.into())
    }
}

/// `circuit id u32 | counter u64 | 32 zero bits`.
#[inline]
fn clear(cid: u32, counter: u64) -> [u8; SLOT] {
    (u128::from(cid) << 96 | u128::from(counter) << 32).to_be_bytes()
}

#[inline]
fn opened(block: [u8; SLOT]) -> Result<(u32, u64), Reason> {
    let block = u128::from_be_bytes(block);
    if block as u32 != 0 { Err(Reason::PacketForged) } else { Ok(((block >> 96) as u32, (block >> 32) as u64)) }
}

#[inline]
fn xor(a: [u8; SLOT], b: [u8; SLOT]) -> [u8; SLOT] {
    (u128::from_ne_bytes(a) ^ u128::from_ne_bytes(b)).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips_and_every_changed_bit_of_header_or_tweak_is_noticed(key: [u8; 32], cid: u32, counter: u64, slot: [u8; 16], bit in 0..8 * 33usize) {
            let header = FastHeader::new(&key, 1);
            let mut packet = [0; 33];
            packet[17..].copy_from_slice(&slot);
            header.put(&mut packet, cid, counter).unwrap();
            prop_assert_eq!(header.get(&packet), Ok((cid, counter)));
            packet[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(header.get(&packet).is_err());
            prop_assert_eq!(FastHeader::new(&key, 2).get(&packet[..32]), Err(Reason::PacketTruncated));
        }

        #[test]
        fn batches_are_what_single_headers_are(key: [u8; 32], packets in prop::collection::vec(any::<(u32, u64, [u8; 16])>(), 0..=FAST_BATCH), spoilt in 0..40usize, cut in 0..40usize) {
            const STRIDE: usize = 40;
            let header = FastHeader::new(&key, 3);
            let mut sealed = [[0; FAST_HEADER]; FAST_BATCH];
            header.seal_batch(&packets, &mut sealed);
            let mut run = Vec::new();
            for ((cid, counter, slot), sealed) in packets.iter().zip(&sealed) {
                let mut packet = [7; STRIDE];
                packet[FAST_HEADER..FAST_HEADER + SLOT].copy_from_slice(slot);
                header.put(&mut packet, *cid, *counter).unwrap();
                prop_assert_eq!(&packet[..FAST_HEADER], sealed);
                packet[spoilt] ^= (counter % 2) as u8;
                run.extend_from_slice(&packet);
            }
            run.truncate(run.len().saturating_sub(cut));
            let mut opened = [Ok((0, 0)); FAST_BATCH];
            let count = header.get_run(&run, STRIDE, &mut opened);
            prop_assert_eq!(&opened[..count], &run.chunks(STRIDE).map(|p| header.get(p)).collect::<Vec<_>>()[..]);
        }
    }
}
