//! Size classes: every packet of a circuit has the same size, so that sizes tell an observer nothing.
//!
//! Invariant: no class is smaller than what QUIC demands of its path (1,200 bytes, RFC 9000 section 14).

use crate::fast::FAST_HEADER;
use crate::{HEADER, TAGS};

/// How large every packet of a circuit is.
///
/// The jumbo classes fill a path's MTU less the headers of IPv6 and UDP (48 bytes), the fast header (17) and the tag slots (80),
/// rounded down to even bytes: 9,000 - 145 = 8,855 and 16,384 - 145 = 16,239.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SizeClass {
    /// Inner datagrams of up to 1,200 bytes: fits every path that carries QUIC in QUIC over Ethernet.
    M = 1,
    /// Inner datagrams of up to 1,312 bytes: for links whose path takes 1,500 bytes.
    L = 2,
    /// Jumbo, inner datagrams of up to 8,852 bytes: fast links whose path takes 9,000 bytes.
    J = 3,
    /// Jumbo, inner datagrams of up to 16,236 bytes: fast links whose path takes 16,384 bytes.
    X = 4,
}

impl SizeClass {
    /// Every class, smallest first.
    pub const ALL: [Self; 4] = [Self::M, Self::L, Self::J, Self::X];

    /// Bytes of the payload, its length field included.
    pub const fn payload_bytes(self) -> usize {
        match self {
            Self::M => 1202,
            Self::L => 1314,
            Self::J => 8854,
            Self::X => 16_238,
        }
    }

    /// Whether only fast links whose path was found to take it carry it. Links carry the others in halves, where need be.
    pub const fn is_jumbo(self) -> bool {
        matches!(self, Self::J | Self::X)
    }

    /// The largest inner datagram that fits.
    pub const fn inner_bytes(self) -> usize {
        self.payload_bytes() - 2
    }

    /// Packets that a datagram spans where a path loses little: what QUIC does per datagram is then done once for that many. Nine or ten such
    /// datagrams fill what one call sends, and a connection's first window has room for one beside its first request.
    pub const SPAN: usize = 5;

    /// The largest inner datagram that is sent, in pieces where it does not fit: full ones, of the classes that Ethernet takes.
    pub const fn spanned_bytes(self) -> usize {
        if self.is_jumbo() { self.inner_bytes() } else { self.inner_bytes() * Self::SPAN }
    }

    /// Bytes of a body: tag slots and payload.
    pub const fn body_bytes(self) -> usize {
        TAGS + self.payload_bytes()
    }

    /// Bytes of a whole link datagram.
    pub const fn packet_bytes(self) -> usize {
        HEADER + self.body_bytes()
    }

    /// Bytes of a whole packet on a fast link, as UDP carries it.
    pub const fn fast_bytes(self) -> usize {
        FAST_HEADER + self.body_bytes()
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
            3 => Some(Self::J),
            4 => Some(Self::X),
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
        assert_eq!((SizeClass::from_code(0), SizeClass::from_code(5)), (None, None));
    }

    #[test]
    fn a_class_fills_the_path_it_is_for_under_ipv6_and_udp() {
        for (class, mtu) in [(SizeClass::L, 1500), (SizeClass::J, 9000), (SizeClass::X, 16_384)] {
            assert!(class.fast_bytes() + 40 + 8 <= mtu, "{class:?}");
        }
        // A byte or two are left to the even size; of an Ethernet path, room for QUIC's own headers.
        assert_eq!((SizeClass::J.fast_bytes() + 49, SizeClass::X.fast_bytes() + 49), (9000, 16_384));
    }
}
