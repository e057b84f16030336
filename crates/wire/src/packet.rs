//! Link datagrams: `version u8 | circuit id u32 | counter u64 | body`, or application bytes behind a zero.
//!
//! The body is opaque here; the onion crate opens it in place and the relay rewrites the header in place, so a packet
//! crosses a node in the buffer it came in.

use wayfare_types::Reason;

use crate::HEADER;

/// Which part of a body a datagram carries; told apart by the version byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Part {
    /// All of it.
    Whole = 1,
    /// The first half of a body too large for its link.
    FirstHalf = 2,
    /// The second half.
    SecondHalf = 3,
}

/// What stands before a body. The circuit id was allocated by the receiver of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub part: Part,
    pub cid: u32,
    pub counter: u64,
}

impl Header {
    /// Reads the header of a link datagram without looking at the body.
    #[inline]
    pub fn parse(datagram: &[u8]) -> Result<Self, Reason> {
        let part = match datagram.first() {
            None => return Err(Reason::PacketTruncated),
            Some(1) => Part::Whole,
            Some(2) => Part::FirstHalf,
            Some(3) => Part::SecondHalf,
            Some(_) => return Err(Reason::PacketVersion),
        };
        let Some((header, _)) = datagram.split_first_chunk::<HEADER>() else { return Err(Reason::PacketTruncated) };
        let [_, c0, c1, c2, c3, n @ ..] = *header;
        Ok(Self { part, cid: u32::from_be_bytes([c0, c1, c2, c3]), counter: u64::from_be_bytes(n) })
    }

    /// The header's bytes.
    #[inline]
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[0] = self.part as u8;
        out[1..5].copy_from_slice(&self.cid.to_be_bytes());
        out[5..].copy_from_slice(&self.counter.to_be_bytes());
        out
    }

    /// Writes the header over the first bytes of `datagram`, which must hold them.
    ///
    /// # Panics
    /// If `datagram` is shorter than [`HEADER`]: the buffer is the caller's own.
    #[inline]
    pub fn emit(self, datagram: &mut [u8]) {
        datagram[..HEADER].copy_from_slice(&self.to_bytes());
    }
}

/// Gives a parsed packet the next link's circuit id and counter; the version byte stays.
///
/// # Panics
/// If `datagram` is shorter than [`HEADER`]: it has been parsed before.
#[inline]
pub fn rewrite(datagram: &mut [u8], cid: u32, counter: u64) {
    datagram[1..5].copy_from_slice(&cid.to_be_bytes());
    datagram[5..HEADER].copy_from_slice(&counter.to_be_bytes());
}

/// A view of a link datagram that carries a body or half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub header: Header,
    pub body: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks and splits a datagram.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Reason> {
        Ok(Self { header: Header::parse(datagram)?, body: &datagram[HEADER..] })
    }

    /// Appends the datagram to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header.to_bytes());
        out.extend_from_slice(self.body);
    }
}

/// Anything that comes as a datagram of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// A circuit's packet.
    Packet(Packet<'a>),
    /// Bytes of the application above, behind a zero byte.
    Application(&'a [u8]),
}

impl<'a> Datagram<'a> {
    /// The first byte of application datagrams.
    pub const APPLICATION: u8 = 0;

    /// Checks and splits a datagram of either kind.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Reason> {
        match datagram {
            [Self::APPLICATION, rest @ ..] => Ok(Self::Application(rest)),
            _ => Packet::parse(datagram).map(Self::Packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layout_is_version_cid_counter_body() {
        let packet = Packet {
            header: Header { part: Part::Whole, cid: 0x01020304, counter: 0x1112131415161718 },
            body: &[0xaa; 3],
        };
        let mut bytes = Vec::new();
        packet.emit(&mut bytes);
        assert_eq!(bytes, [1, 1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0xaa, 0xaa, 0xaa]);
        rewrite(&mut bytes, 5, 6);
        assert_eq!(bytes, [1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0xaa, 0xaa, 0xaa]);
    }

    #[test]
    fn short_and_foreign_datagrams_are_named() {
        assert_eq!(Packet::parse(&[]), Err(Reason::PacketTruncated));
        assert_eq!(Packet::parse(&[1; 12]), Err(Reason::PacketTruncated));
        assert_eq!(Packet::parse(&[4; 20]), Err(Reason::PacketVersion));
        assert_eq!(Packet::parse(&[0; 20]), Err(Reason::PacketVersion));
        assert_eq!(Datagram::parse(&[0, 9]), Ok(Datagram::Application(&[9])));
    }

    proptest! {
        #[test]
        fn whatever_parses_is_emitted_unchanged(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                let mut again = Vec::new();
                packet.emit(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
