//! First, last and outside-edge address of every special-purpose block in every spelling: none that is not global is
//! ever dialled, and the neighbours that are global still are.
//!
//! The blocks are copied from the IANA registries by hand, apart from the crate's own table, and the arithmetic of
//! spellings is done here on plain integers.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wayfare_exit::{Denied, ExitPolicy, HostError, parse_host};

/// IANA IPv4 Special-Purpose Address Registry, all rows, and the multicast and reserved space.
const IPV4: &str = "
    0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
    192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24
    192.52.193.0/24 192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
    203.0.113.0/24 240.0.0.0/4 255.255.255.255/32 224.0.0.0/4";

/// IANA IPv6 Special-Purpose Address Registry, all rows but 64:ff9b::/96 and ::ffff:0:0/96 (judged by what is inside),
/// and the multicast, site-local and IPv4-compatible space.
const IPV6: &str = "
    ::1/128 ::/128 ::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128 2001:1::2/128
    2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32
    2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8";

fn v4_blocks() -> Vec<(u32, u32)> {
    let block = |text: &str| {
        let (first, len) = text.split_once('/').unwrap();
        let first = u32::from(first.parse::<Ipv4Addr>().unwrap());
        (first, first + ((1u64 << (32 - len.parse::<u32>().unwrap())) - 1) as u32)
    };
    IPV4.split_whitespace().map(block).collect()
}

fn v6_blocks() -> Vec<(u128, u128)> {
    let block = |text: &str| {
        let (first, len) = text.split_once('/').unwrap();
        let first = u128::from(first.parse::<Ipv6Addr>().unwrap());
        (first, first + (u128::MAX >> len.parse::<u32>().unwrap().min(127) >> u32::from(len == "128")))
    };
    IPV6.split_whitespace().map(block).collect()
}

fn v4_is_special(address: u32) -> bool {
    v4_blocks().iter().any(|&(first, last)| (first..=last).contains(&address))
}

/// Also outside 2000::/3.
fn v6_is_special(address: u128) -> bool {
    v6_blocks().iter().any(|&(first, last)| (first..=last).contains(&address)) || address >> 125 != 1
}

/// First and last address of every block, and the ones just outside.
fn v4_edges() -> HashSet<u32> {
    v4_blocks().iter().flat_map(|&(a, z)| [a, z, a.wrapping_sub(1), z.wrapping_add(1)]).collect()
}

fn v6_edges() -> HashSet<u128> {
    v6_blocks().iter().flat_map(|&(a, z)| [a, z, a.wrapping_sub(1), z.wrapping_add(1)]).collect()
}

/// Every way inet_aton and URL parsers know to write an IPv4 address.
fn v4_spellings(address: u32) -> Vec<String> {
    let [a, b, c, d] = address.to_be_bytes();
    let parts: Vec<Vec<u32>> = vec![
        vec![a.into(), b.into(), c.into(), d.into()],
        vec![a.into(), b.into(), address & 0xffff],
        vec![a.into(), address & 0xff_ffff],
        vec![address],
    ];
    let writers: [fn(u32) -> String; 6] = [
        |n| format!("{n}"),
        |n| format!("0x{n:x}"),
        |n| format!("0X{n:X}"),
        |n| format!("0{n:o}"),
        |n| format!("0x{n:020x}"),
        |n| format!("{n:030o}"),
    ];
    let mut texts = Vec::new();
    for parts in &parts {
        for (w, write) in writers.iter().enumerate() {
            let uniform: Vec<String> = parts.iter().map(|&n| write(n)).collect();
            let mixed: Vec<String> = parts.iter().enumerate().map(|(i, &n)| writers[(w + i) % 6](n)).collect();
            for text in [uniform.join("."), mixed.join(".")] {
                texts.push(format!("{text}."));
                texts.push(text);
            }
        }
    }
    let mapped = Ipv6Addr::from(0xffff_0000_0000 | u128::from(address));
    texts.extend(v6_spellings(mapped.into()));
    texts.push(format!("::ffff:{a}.{b}.{c}.{d}"));
    texts.push(format!("[0:0:0:0:0:FFFF:{a}.{b}.{c}.{d}]"));
    texts
}

fn v6_spellings(address: u128) -> Vec<String> {
    let short = Ipv6Addr::from(address).to_string();
    let groups: Vec<String> = (0..8).map(|i| format!("{:04x}", (address >> (112 - 16 * i)) as u16)).collect();
    let full = groups.join(":");
    let dotted = format!("{}:{}", groups[..6].join(":"), Ipv4Addr::from(address as u32));
    let mut texts: Vec<String> = [&short, &full, &dotted].into_iter().map(|t| format!("[{t}]")).collect();
    texts.extend([short.to_uppercase(), full.to_uppercase(), short, full, dotted]);
    texts
}

/// IPv6 addresses that carry the IPv4 address inside, and whether they are ever dialled.
fn carriers(address: u32) -> Vec<(u128, bool)> {
    let v4 = u128::from(address);
    vec![
        (v4, false),                                                 // IPv4-compatible
        (0x64_ff9b << 96 | v4, true),                                // NAT64
        (0x64_ff9b_0001 << 80 | v4, false),                          // NAT64 of local use
        (0x2002 << 112 | v4 << 80 | 1, false),                       // 6to4
        (0x2001_0000_4136_e378 << 64 | u128::from(!address), false), // Teredo
        (0x2606_4700_0000_0000_0000_5efe << 32 | v4, true),          // ISATAP
        (0x2606_4700_0000_0000_0200_5efe << 32 | v4, true),          // ISATAP, universal bit
    ]
}

/// What an exit would dial for this host.
fn dials(policy: &ExitPolicy, text: &str) -> Vec<IpAddr> {
    let Ok(host) = parse_host(text) else { return Vec::new() };
    let resolved = host.addresses().unwrap_or_else(|| panic!("{text} would go to a resolver"));
    policy.select(&resolved).unwrap_or_default()
}

#[test]
fn no_special_ipv4_address_is_dialled_in_any_spelling() {
    let policy = ExitPolicy::default();
    let (mut refused, mut allowed) = (0, 0);
    for address in v4_edges() {
        for text in v4_spellings(address) {
            if v4_is_special(address) {
                assert_eq!(dials(&policy, &text), [] as [IpAddr; 0], "{text}");
                refused += 1;
            } else {
                assert_eq!(dials(&policy, &text), [IpAddr::from(Ipv4Addr::from(address))], "{text}");
                allowed += 1;
            }
        }
    }
    assert!(refused > 3_000 && allowed > 1_500, "{refused} {allowed}");
}

#[test]
fn no_special_ipv6_address_is_dialled_in_any_spelling() {
    let policy = ExitPolicy::default();
    let (mut refused, mut allowed) = (0, 0);
    for address in v6_edges() {
        for text in v6_spellings(address) {
            if v6_is_special(address) {
                assert_eq!(dials(&policy, &text), [] as [IpAddr; 0], "{text}");
                refused += 1;
            } else {
                assert_eq!(dials(&policy, &text), [IpAddr::from(Ipv6Addr::from(address))], "{text}");
                allowed += 1;
            }
        }
    }
    assert!(refused > 300 && allowed >= 40, "{refused} {allowed}");
}

#[test]
fn an_ipv4_address_inside_an_ipv6_one_counts() {
    let policy = ExitPolicy::default();
    for address in v4_edges() {
        for (carrier, may_pass) in carriers(address) {
            for text in v6_spellings(carrier) {
                let dialled = !dials(&policy, &text).is_empty();
                assert_eq!(dialled, may_pass && !v4_is_special(address), "{text} for {}", Ipv4Addr::from(address));
            }
        }
    }
}

#[test]
fn all_ipv6_outside_global_unicast_is_refused() {
    let policy = ExitPolicy::default();
    for top in (0..=u16::MAX).filter(|top| !(0x2000..0x4000).contains(top)) {
        let address = Ipv6Addr::new(top, 0xffff, 2, 3, 4, 5, 6, 7);
        assert!(policy.check_address(address.into()).is_err(), "{address}");
    }
}

#[test]
fn a_zone_or_another_script_is_no_way_around() {
    for (text, error) in [
        ("fe80::1%eth0", HostError::Zone),
        ("[fe80::1%25eth0]", HostError::Zone),
        ("2606:4700::1111%1", HostError::Zone),
        ("\u{ff11}27.0.0.1", HostError::Character('\u{ff11}')),
        ("127\u{3002}0\u{3002}0\u{3002}1", HostError::Character('\u{3002}')),
        ("\u{2460}27.0.0.1", HostError::Character('\u{2460}')),
        ("127.0.0.1\0", HostError::Character('\0')),
        ("127.0.0.1 ", HostError::Character(' ')),
        ("127.0.0.1%00", HostError::Character('%')),
        ("127.0.0.1#", HostError::Character('#')),
        ("user@127.0.0.1", HostError::Character('@')),
        ("127.0.0.1/8", HostError::Character('/')),
        ("[127.0.0.1]", HostError::Ipv6),
        ("[::1", HostError::Ipv6),
        ("::1]", HostError::Ipv6),
        ("[[::1]]", HostError::Ipv6),
        ("[::1].", HostError::Ipv6),
        ("127.0.0.1:80", HostError::Ipv6),
        ("::ffff:127.1", HostError::Ipv6),
        ("::ffff:0x7f.0.0.1", HostError::Ipv6),
        ("256.0.0.1", HostError::Ipv4),
        ("127.0.0.256", HostError::Ipv4),
        ("127.16777216", HostError::Ipv4),
        ("4294967296", HostError::Ipv4),
        ("99999999999999999999999999", HostError::Ipv4),
        ("0x100000000", HostError::Ipv4),
        ("08.0.0.1", HostError::Ipv4),
        ("127.0.0.09", HostError::Ipv4),
        ("1.127.0.0.1", HostError::Ipv4),
        ("name.1", HostError::Ipv4),
        ("name.0x7f", HostError::Ipv4),
        ("127..1", HostError::EmptyLabel),
        (".127.0.0.1", HostError::EmptyLabel),
        ("127.0.0.1..", HostError::EmptyLabel),
        ("", HostError::Empty),
        (".", HostError::Empty),
    ] {
        assert_eq!(parse_host(text), Err(error), "{text:?}");
    }
}

#[test]
fn localhost_is_loopback_and_only_on_permission() {
    let (closed, open) = (ExitPolicy::default(), ExitPolicy { allow_loopback: true, ..ExitPolicy::default() });
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for text in ["localhost", "LOCALHOST", "localhost.", "a.b.LocalHost", "x.localhost."] {
        assert!(dials(&closed, text).is_empty(), "{text}");
        assert_eq!(dials(&open, text), loopback, "{text}");
    }
    for text in ["127.1", "127.255.255.255", "0x7f000001", "2130706433", "0177.0.0.1", "::1", "[::ffff:127.0.0.1]"] {
        assert!(dials(&closed, text).is_empty(), "{text}");
        assert_eq!(dials(&open, text).len(), 1, "{text}");
    }
    // The permission is for 127.0.0.0/8, ::1 and the mapped spelling alone.
    let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
    assert_eq!(open.select(&[mapped]), Ok(vec![Ipv4Addr::LOCALHOST.into()]));
    assert_eq!((open.check_address(mapped), closed.check_address(mapped).is_err()), (Ok(()), true));
    for address in v4_edges().into_iter().filter(|&a| v4_is_special(a) && a >> 24 != 127) {
        assert!(open.check_address(Ipv4Addr::from(address).into()).is_err(), "{}", Ipv4Addr::from(address));
    }
    for text in ["::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::1", "::", "2606:4700::5efe:7f00:1"] {
        assert!(dials(&open, text).is_empty(), "{text}");
    }
}

#[test]
fn the_operators_lists_widen_and_narrow_in_every_spelling() {
    let policy = ExitPolicy {
        allow: vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()],
        deny: vec!["10.1.2.0/24".parse().unwrap(), "8.8.8.0/24".parse().unwrap(), "2606::/16".parse().unwrap()],
        ..ExitPolicy::default()
    };
    for text in ["10.1.0.1", "::ffff:10.1.0.1", "fd00::1", "1.1.1.1", "64:ff9b::1.1.1.1"] {
        assert_eq!(dials(&policy, text).len(), 1, "{text}");
    }
    for text in [
        "10.1.2.1",
        "::ffff:10.1.2.1",
        "10.2.0.1",
        "fc00::1",
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2607:f8b0::5efe:808:808",
        "2606::1",
        "64:ff9b::10.1.0.1",
    ] {
        assert!(dials(&policy, text).is_empty(), "{text}");
    }
    let shut = ExitPolicy { allow_loopback: true, deny: vec!["127.0.0.1".parse().unwrap()], ..ExitPolicy::default() };
    assert_eq!(dials(&shut, "localhost"), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
}

#[test]
fn ports_are_refused_at_every_address() {
    let policy = ExitPolicy::default();
    assert_eq!(policy.check("1.1.1.1:25".parse().unwrap()), Err(Denied::Port(25)));
    assert_eq!(policy.check_port(0), Err(Denied::Port(0)));
    assert_eq!(policy.check("1.1.1.1:443".parse().unwrap()), Ok(()));
    assert!(matches!(policy.check("[::1]:443".parse().unwrap()), Err(Denied::Special(..))));
    assert!((1..=u16::MAX).filter(|&port| policy.check_port(port).is_err()).eq([25]));
}

#[test]
fn what_an_operator_drops_is_silent_in_every_spelling_and_may_still_be_dialled_elsewhere() {
    let policy = ExitPolicy { drop: vec!["203.0.114.0/24".parse().unwrap()], ..ExitPolicy::default() };
    for text in ["203.0.114.7", "::ffff:203.0.114.7", "64:ff9b::203.0.114.7"] {
        let address: IpAddr = text.parse().unwrap();
        assert!(policy.is_silent(address), "{text}");
        assert!(policy.check_address(address).is_ok(), "{text}");
    }
    assert!(!policy.is_silent("203.0.115.7".parse().unwrap()));
    assert!(!ExitPolicy::default().is_silent("203.0.114.7".parse().unwrap()));
}
