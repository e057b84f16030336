//! Names stay names, addresses never become names, and nothing makes the parser panic.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use wayfare_exit::{Host, HostError, parse_host};

#[test]
fn names_are_kept_in_one_spelling() {
    for (text, name) in [
        ("example.net", "example.net"),
        ("Example.NET.", "example.net"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_dmarc.a-b.c", "_dmarc.a-b.c"),
        ("1.2.3.com", "1.2.3.com"),
        ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
        ("0xyz", "0xyz"),
        ("a.0x7g", "a.0x7g"),
        ("deadbeef", "deadbeef"),
        ("notlocalhost", "notlocalhost"),
        ("localhost.example", "localhost.example"),
        ("1-1", "1-1"),
    ] {
        assert_eq!(parse_host(text), Ok(Host::Name(name.into())), "{text}");
    }
    let label = "a".repeat(63);
    let longest = [&label[..], &label, &label, &label[..61]].join(".");
    assert_eq!(parse_host(&longest), Ok(Host::Name(longest.clone())));
    assert_eq!(parse_host(&format!("{longest}.")), Ok(Host::Name(longest.clone())));
    assert_eq!(parse_host(&format!("a{longest}")), Err(HostError::TooLong));
    assert_eq!(parse_host(&format!("{label}a.net")), Err(HostError::TooLong));
}

/// The examples of inet_aton(3), glibc.
#[test]
fn old_ways_of_writing_addresses_are_addresses() {
    for (text, address) in [
        ("226.000.000.037", [226, 0, 0, 31]),
        ("0x7f.1", [127, 0, 0, 1]),
        ("127.1", [127, 0, 0, 1]),
        ("127.0.1", [127, 0, 0, 1]),
        ("2130706433", [127, 0, 0, 1]),
        ("017700000001", [127, 0, 0, 1]),
        ("0x", [0, 0, 0, 0]),
        ("0", [0, 0, 0, 0]),
    ] {
        assert_eq!(parse_host(text), Ok(Host::Ip(Ipv4Addr::from(address).into())), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_every_result_reads_back_as_itself(text in ".{0,300}") {
        match parse_host(&text) {
            Ok(Host::Ip(ip)) => prop_assert_eq!(parse_host(&ip.to_string()), Ok(Host::Ip(ip))),
            Ok(Host::Name(name)) => prop_assert_eq!(parse_host(&name), Ok(Host::Name(name.clone()))),
            Ok(Host::Localhost) | Err(_) => {}
        }
    }

    /// Texts made of what addresses are made of: whatever the standard library reads as an address is that address.
    #[test]
    fn nothing_the_standard_library_reads_as_an_address_becomes_a_name(text in "[0-9a-fxA-FX.:\\[\\]%]{1,24}") {
        if let Ok(ip) = text.parse::<IpAddr>() {
            prop_assert_eq!(parse_host(&text), Ok(Host::Ip(ip.to_canonical())));
        }
    }
}

/// The system's own resolver is the judge: a text that it reads as an address without asking anyone is never a name.
#[test]
fn nothing_the_system_reads_as_an_address_becomes_a_name() {
    use std::net::ToSocketAddrs;
    for text in [
        "127.1",
        "0x7f.1",
        "0177.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.0.0.1",
        "127.0.1",
        "0",
        "0x0",
        "00",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "1.1",
        "0xffffffff",
        "4294967295",
        "0X7F.0.0.0x1",
    ] {
        let system: Vec<IpAddr> =
            (text, 80).to_socket_addrs().unwrap().map(|found| found.ip().to_canonical()).collect();
        assert_eq!(parse_host(text).unwrap().addresses(), Some(system), "{text}");
    }
}
