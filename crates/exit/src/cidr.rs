//! An address block as people write it, `10.0.0.0/8` or `2001:db8::/32`.
//!
//! Invariant: no bits are set past the prefix, and a block of v4-mapped addresses is held as the IPv4 block it means,
//! so that one address has one spelling when it is compared.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    first: IpAddr,
    prefix_len: u8,
}

/// Why a text is not an address block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CidrError {
    /// The part before the slash is no IPv4 or IPv6 address.
    Address,
    /// The part after the slash is no number from 0 to 32 (IPv4) or 128 (IPv6).
    PrefixLength,
    /// Bits are set past the prefix: `10.1.2.3/8`.
    HostBits,
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "an address block starts with an IPv4 or IPv6 address, as in 10.0.0.0/8",
            Self::PrefixLength => "a prefix length is a number from 0 to 32 for IPv4 and from 0 to 128 for IPv6",
            Self::HostBits => "an address block has no bits set past its prefix length",
        })
    }
}

impl std::error::Error for CidrError {}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl Cidr {
    /// The block of `prefix_len` bits that starts at `first`.
    pub fn new(first: IpAddr, prefix_len: u8) -> Result<Self, CidrError> {
        let (value, width) = bits(first);
        if u32::from(prefix_len) > width {
            return Err(CidrError::PrefixLength);
        }
        let host_bits = width - u32::from(prefix_len);
        if value & low_ones(host_bits) != 0 {
            return Err(CidrError::HostBits);
        }
        // A mapped block shorter than /96 holds more than mapped addresses and stays IPv6.
        Ok(match first.to_canonical() {
            IpAddr::V4(v4) if width == 128 && prefix_len >= 96 => {
                Self { first: v4.into(), prefix_len: prefix_len - 96 }
            }
            _ => Self { first, prefix_len },
        })
    }

    /// Whether the address, a v4-mapped one read as IPv4, lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((first, width), (value, value_width)) = (bits(self.first), bits(address.to_canonical()));
        let host_bits = width - u32::from(self.prefix_len);
        width == value_width && (first ^ value) & !low_ones(host_bits) == 0
    }

    /// Its first address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// Its last address.
    pub fn last(&self) -> IpAddr {
        let (value, width) = bits(self.first);
        let last = value | low_ones(width - u32::from(self.prefix_len));
        if width == 32 { Ipv4Addr::from_bits(last as u32).into() } else { Ipv6Addr::from_bits(last).into() }
    }
}

fn low_ones(count: u32) -> u128 {
    if count >= 128 { u128::MAX } else { (1 << count) - 1 }
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Without a slash, the block of that one address.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let first: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let prefix_len = match prefix {
            None => bits(first).1 as u8,
            Some(p) if p.bytes().all(|b| b.is_ascii_digit()) => p.parse().map_err(|_| CidrError::PrefixLength)?,
            Some(_) => return Err(CidrError::PrefixLength),
        };
        Self::new(first, prefix_len)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_faults_are_named() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "::/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1".parse::<Cidr>().unwrap().to_string(), "192.0.2.1/32");
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrError::HostBits));
        for text in ["10.0.0.0/33", "::/129", "::/+1", "::/", "10.0.0.0/-1", "10.0.0.0/256"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::PrefixLength), "{text}");
        }
        for text in ["", "/8", "10.0/8", "host/8", "010.0.0.0/8"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrError::Address), "{text}");
        }
    }

    #[test]
    fn a_block_holds_its_ends_and_not_their_neighbours() {
        let block: Cidr = "172.16.0.0/12".parse().unwrap();
        for (address, inside) in
            [("172.15.255.255", false), ("172.16.0.0", true), ("172.31.255.255", true), ("172.32.0.0", false)]
        {
            assert_eq!(block.contains(address.parse().unwrap()), inside, "{address}");
            assert_eq!(block.contains(format!("::ffff:{address}").parse().unwrap()), inside, "{address} mapped");
        }
        assert_eq!(block.last(), "172.31.255.255".parse::<IpAddr>().unwrap());
        assert!(!"::/0".parse::<Cidr>().unwrap().contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_mapped_block_is_the_ipv4_block_it_means() {
        let mapped: Cidr = "::ffff:10.0.0.0/104".parse().unwrap();
        assert_eq!(mapped.to_string(), "10.0.0.0/8");
        assert_eq!("::ffff:0:0/96".parse::<Cidr>().unwrap().to_string(), "0.0.0.0/0");
    }
}
