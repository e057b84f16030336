//! A TLS handshake's first bytes: what they offer is the same however much of them has come, once it can be told at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_quic::hello::{Malformed, offered};

fuzz_target!(|data: &[u8]| {
    let whole = offered(data);
    if let Ok(Some(offer)) = &whole {
        let names: Vec<&[u8]> = offer.iter().collect();
        assert!(names.iter().all(|name| !name.is_empty() && offer.has(name)));
        assert!(names.iter().map(|name| name.len() + 1).sum::<usize>() <= data.len());
    }
    for cut in [data.len() / 4, data.len() / 2, data.len().saturating_sub(1)] {
        match offered(&data[..cut]) {
            Ok(None) => {}
            Err(Malformed) => assert_eq!(whole, Err(Malformed)),
            said @ Ok(Some(_)) => assert_eq!(said, whole),
        }
    }
});
