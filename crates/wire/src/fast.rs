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
const KIND: u8 = 0x10;

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

    /// Writes the header in front of a body that stands at `packet[FAST_HEADER..]`.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`] when there is no room for a header and a slot.
    #[inline]
    pub fn put(&self, packet: &mut [u8], cid: u32, counter: u64) -> Result<(), Reason> {
        let mask = self.mask(packet)?;
        let mut block = [0; SLOT];
        block[..4].copy_from_slice(&cid.to_be_bytes());
        block[4..12].copy_from_slice(&counter.to_be_bytes());
        let mut block = Block::<Aes128>::from(xor(block, mask));
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
        let [a, b, c, d, n @ ..] = xor(block.into(), mask);
        let [n0, n1, n2, n3, n4, n5, n6, n7, check @ ..] = n;
        if check != [0; 4] {
            return Err(Reason::PacketForged);
        }
        Ok((u32::from_be_bytes([a, b, c, d]), u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7])))
    }

    fn mask(&self, packet: &[u8]) -> Result<[u8; SLOT], Reason> {
        let slot: [u8; SLOT] =
            packet.get(FAST_HEADER..).and_then(|body| body.first_chunk().copied()).ok_or(Reason::PacketTruncated)?;
        let mut block = Block::<Aes128>::from(slot);
        self.tweak.encrypt_block(&mut block);
        Ok(block.into())
    }
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
    }
}
