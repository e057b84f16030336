//! Size classes: every packet of a circuit has the same size, so that sizes tell an observer nothing.
//!
//! Invariant: no class is smaller than what QUIC demands of its path (1,200 bytes, RFC 9000 section 14).

use crate::{HEADER, TAGS};

/// How large every packet of a circuit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SizeClass {
    /// Inner datagrams of up to 1,200 bytes: fits every path that carries QUIC in QUIC over Ethernet.
    M = 1,
    /// Inner datagrams of up to 1,312 bytes: for links whose path takes 1,500 bytes.
    L = 2,
}

impl SizeClass {
    /// Every class.
    pub const ALL: [Self; 2] = [Self::M, Self::L];

    /// Bytes of the payload, its length field included.
    pub const fn payload_bytes(self) -> usize {
        match self {
            Self::M => 1202,
            Self::L => 1314,
        }
    }

    /// The largest inner datagram that fits.
    pub const fn inner_bytes(self) -> usize {
        self.payload_bytes() - 2
    }

    /// Bytes of a body: tag slots and payload.
    pub const fn body_bytes(self) -> usize {
        TAGS + self.payload_bytes()
    }

    /// Bytes of a whole link datagram.
    pub const fn packet_bytes(self) -> usize {
        HEADER + self.body_bytes()
    }

    /// Its number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The class of a number from the wire.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::M),
            2 => Some(Self::L),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_holds_a_quic_packet_and_splits_evenly() {
        for class in SizeClass::ALL {
            assert!(class.inner_bytes() >= 1200);
            assert_eq!(class.body_bytes() % 2, 0);
            assert_eq!(SizeClass::from_code(class.code()), Some(class));
        }
        assert_eq!((SizeClass::M.body_bytes(), SizeClass::L.body_bytes()), (1282, 1394));
        assert_eq!(SizeClass::from_code(0), None);
    }
}
