//! The packet model's vectors, reproduced byte for byte.

#![allow(clippy::unwrap_used)]

use wayfare_onion::vectors::{Summary, check};

const FILES: [&str; 4] = [
    include_str!("vectors/packet_1.json"),
    include_str!("vectors/packet_7.json"),
    include_str!("vectors/packet_42.json"),
    include_str!("vectors/packet_20261121.json"),
];

#[test]
fn every_vector_is_reproduced() {
    for file in FILES {
        // 3 suites, 1 to 5 hops; n + 1 forward bodies and n backward ones each.
        assert_eq!(check(file), Ok(Summary { paths: 15, bodies: 3 * (3 + 5 + 7 + 9 + 11), headers: 15 }));
    }
}

#[test]
fn a_changed_vector_is_noticed() {
    let file = FILES[0];
    let digits: Vec<usize> = file.match_indices('"').map(|(at, _)| at + 1).collect();
    let mut noticed = 0;
    for (i, &at) in digits.iter().enumerate().filter(|(i, _)| i % 37 == 0) {
        let value = &file[at..digits.get(i + 1).map_or(file.len(), |end| end - 1)];
        // Keys and bytes, that is; of the decimal numbers some are nobody's, such as the exit's own step.
        if value.len() < 16
            || !value.bytes().all(|b| b.is_ascii_hexdigit())
            || value.bytes().all(|b| b.is_ascii_digit())
        {
            continue;
        }
        let flipped = if value.ends_with('0') { "1" } else { "0" };
        let changed = format!("{}{flipped}{}", &file[..at + value.len() - 1], &file[at + value.len()..]);
        assert!(check(&changed).is_err(), "{value}");
        noticed += 1;
    }
    assert!(noticed > 5);
    for broken in ["", "[]", "[{}]", "{\"suite\":1}"] {
        assert!(check(broken).is_err());
    }
}
