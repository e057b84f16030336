//! The special-purpose blocks of IPv4 and IPv6, and the IPv4 addresses that IPv6 addresses carry inside.
//!
//! Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190 and what they list since),
//! the IPv6 address space registry (RFC 4291), and the multicast and class E blocks (RFC 5771, RFC 1112).
//!
//! Invariant: every block of those registries is here, also the few that are marked globally reachable (192.0.0.9/32,
//! AS112, AMT, ORCHIDv2, DRIP and their like): no ordinary service lives there, and their anycast sinks are often
//! inside the operator's own network, where an exit must not reach. The one exception is 64:ff9b::/96, through which
//! an exit behind NAT64 reaches the public IPv4 internet: it is judged by the IPv4 address inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// (first address, prefix length, what it is). Blocks may lie in one another; the first that matches names the refusal.
#[rustfmt::skip]
pub(crate) const IPV4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0),         8, "this network (RFC 791)"),
    (Ipv4Addr::new(10, 0, 0, 0),        8, "private use (RFC 1918)"),
    (Ipv4Addr::new(100, 64, 0, 0),     10, "shared address space (RFC 6598)"),
    (Ipv4Addr::new(127, 0, 0, 0),       8, "loopback (RFC 1122)"),
    (Ipv4Addr::new(169, 254, 0, 0),    16, "link-local (RFC 3927)"),
    (Ipv4Addr::new(172, 16, 0, 0),     12, "private use (RFC 1918)"),
    (Ipv4Addr::new(192, 0, 0, 0),      24, "IETF protocol assignments (RFC 6890)"),
    (Ipv4Addr::new(192, 0, 2, 0),      24, "documentation (RFC 5737)"),
    (Ipv4Addr::new(192, 31, 196, 0),   24, "AS112 (RFC 7535)"),
    (Ipv4Addr::new(192, 52, 193, 0),   24, "AMT (RFC 7450)"),
    (Ipv4Addr::new(192, 88, 99, 0),    24, "6to4 and 6a44 relay anycast (RFC 7526, RFC 6751)"),
    (Ipv4Addr::new(192, 168, 0, 0),    16, "private use (RFC 1918)"),
    (Ipv4Addr::new(192, 175, 48, 0),   24, "direct delegation AS112 (RFC 7534)"),
    (Ipv4Addr::new(198, 18, 0, 0),     15, "benchmarking (RFC 2544)"),
    (Ipv4Addr::new(198, 51, 100, 0),   24, "documentation (RFC 5737)"),
    (Ipv4Addr::new(203, 0, 113, 0),    24, "documentation (RFC 5737)"),
    (Ipv4Addr::new(224, 0, 0, 0),       4, "multicast (RFC 5771)"),
    (Ipv4Addr::new(255, 255, 255, 255), 32, "limited broadcast (RFC 8190)"),
    (Ipv4Addr::new(240, 0, 0, 0),       4, "reserved (RFC 1112)"),
];

/// 64:ff9b::/96 and ::ffff:0:0/96 are not here: they are judged by the IPv4 address inside.
#[rustfmt::skip]
pub(crate) const IPV6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0),       128, "unspecified (RFC 4291)"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 1),       128, "loopback (RFC 4291)"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0),        96, "IPv4-compatible (RFC 4291, deprecated)"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "IPv4-IPv6 translation of local use (RFC 8215)"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0),    64, "discard only (RFC 6666)"),
    (Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 0),    64, "dummy prefix (RFC 9780)"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),   32, "Teredo (RFC 4380)"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),   23, "IETF protocol assignments (RFC 2928)"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation (RFC 3849)"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),   16, "6to4 (RFC 3056)"),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, "direct delegation AS112 (RFC 7534)"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),   20, "documentation (RFC 9637)"),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0),   16, "segment routing SIDs (RFC 9602)"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),    7, "unique local (RFC 4193)"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),   10, "link-local (RFC 4291)"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0),   10, "site-local (RFC 3879, deprecated)"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),    8, "multicast (RFC 4291)"),
];

/// What an address is reserved for, or `None` if it is an ordinary, globally reachable unicast address.
pub fn special_purpose(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(v4) => of_v4(v4),
        IpAddr::V6(v6) => of_v6(v6),
    }
}

fn of_v4(address: Ipv4Addr) -> Option<&'static str> {
    IPV4.iter().find(|(first, len, _)| (address.to_bits() ^ first.to_bits()) >> (32 - len) == 0).map(|b| b.2)
}

fn of_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(v4) = nat64(address) {
        return of_v4(v4);
    }
    if let Some(block) = IPV6.iter().find(|(first, len, _)| (address.to_bits() ^ first.to_bits()) >> (128 - len) == 0) {
        return Some(block.2);
    }
    if address.segments()[0] >> 13 != 0b001 {
        return Some("outside the global unicast space 2000::/3 (RFC 4291)");
    }
    // Under any prefix: a router at the exit's site would unwrap it and send to the IPv4 address.
    isatap(address).and_then(of_v4).map(|_| "ISATAP with a non-global IPv4 address inside (RFC 5214)")
}

/// The IPv4 address that a NAT64 translator at the well-known prefix 64:ff9b::/96 (RFC 6052) would send to.
pub(crate) fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    (address.to_bits() >> 32 == 0x0064_ff9b << 64).then(|| Ipv4Addr::from_bits(address.to_bits() as u32))
}

/// The IPv4 address in an ISATAP interface id, `…:0000:5efe:a.b.c.d` or `…:0200:5efe:a.b.c.d`.
pub(crate) fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    (s[4] & !0x0200 == 0 && s[5] == 0x5efe).then(|| Ipv4Addr::from_bits(address.to_bits() as u32))
}
