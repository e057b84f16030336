//! A hostile DNS owner flips, mixes and disguises answers: nothing private is ever dialled.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::IpAddr;

use proptest::prelude::*;
use wayfare_exit::{Denied, ExitPolicy};
use wayfare_types::Reason;

const PUBLIC: [&str; 4] = ["1.1.1.1", "::ffff:9.9.9.9", "2606:4700:4700::1111", "64:ff9b::8.8.8.8"];
const PRIVATE: [&str; 8] = [
    "127.0.0.1",
    "::ffff:10.0.0.1",
    "::1",
    "fe80::1",
    "169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "0.0.0.0",
    "fd00:ec2::254",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_answer_that_flips_between_lookups_never_leads_inside() {
    let policy = ExitPolicy::default();
    let (mut public_dials, mut refusals) = (0, 0);
    for connection in 0..1_000 {
        // The owner answers differently each time it is asked; an exit asks once per connection and dials the answer.
        let answer = if connection % 2 == 0 { ip(PUBLIC[connection / 2 % 4]) } else { ip(PRIVATE[connection / 2 % 8]) };
        match policy.select(&[answer]) {
            Ok(dialled) => {
                assert_eq!(dialled, [answer.to_canonical()]);
                public_dials += 1;
            }
            Err(denied) => {
                assert_eq!(denied.reason(), Reason::ExitAddressDenied);
                refusals += 1;
            }
        }
    }
    assert_eq!((public_dials, refusals), (500, 500));
}

#[test]
fn a_name_without_addresses_is_told_apart() {
    assert_eq!(ExitPolicy::default().select(&[]), Err(Denied::NoAddress));
    assert_eq!(Denied::NoAddress.reason(), Reason::ExitNameUnresolved);
    assert_eq!(Denied::Port(25).reason(), Reason::ExitPortDenied);
}

proptest! {
    /// Exactly the public answers are left, each once, in their order.
    #[test]
    fn private_answers_among_public_ones_are_dropped(picks in prop::collection::vec((any::<bool>(), 0usize..8), 0..12)) {
        let answers: Vec<IpAddr> =
            picks.iter().map(|&(public, i)| ip(if public { PUBLIC[i % 4] } else { PRIVATE[i] })).collect();
        let mut expected: Vec<IpAddr> = Vec::new();
        for (answer, _) in answers.iter().zip(&picks).filter(|(_, (public, _))| *public) {
            if !expected.contains(&answer.to_canonical()) {
                expected.push(answer.to_canonical());
            }
        }
        prop_assert_eq!(ExitPolicy::default().select(&answers).unwrap_or_default(), expected);
    }

    /// What is selected passes the check, and only that: the two never disagree on any address.
    #[test]
    fn selection_and_check_agree(bits: u128, low: u32, shape in 0..4) {
        let policy = ExitPolicy::default();
        let address: IpAddr = match shape {
            0 => std::net::Ipv4Addr::from(low).into(),
            1 => std::net::Ipv6Addr::from(bits).into(),
            2 => std::net::Ipv6Addr::from(0xffff_0000_0000 | u128::from(low)).into(),
            _ => std::net::Ipv6Addr::from((bits >> 3) | 1 << 125).into(),
        };
        prop_assert_eq!(policy.select(&[address]).is_ok(), policy.check_address(address).is_ok());
    }
}
