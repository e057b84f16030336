//! A host's text: no panic; what the standard library reads as an address is that address; every result reads back as
//! itself; and what the policy selects, its check lets pass.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use wayfare_exit::{ExitPolicy, Host, parse_host};

fuzz_target!(|text: &str| {
    let host = parse_host(text);
    if let Ok(ip) = text.parse::<IpAddr>() {
        assert_eq!(host, Ok(Host::Ip(ip.to_canonical())));
    }
    let Ok(host) = host else { return };
    match &host {
        Host::Ip(ip) => assert_eq!(parse_host(&ip.to_string()), Ok(host.clone())),
        Host::Name(name) => assert_eq!(parse_host(name), Ok(host.clone())),
        Host::Localhost => {}
    }
    let policy = ExitPolicy::default();
    for ip in policy.select(&host.addresses().unwrap_or_default()).unwrap_or_default() {
        assert_eq!(policy.check_address(ip), Ok(()));
        assert!(!ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast());
    }
});
