//! Header sections: no panic, and a head is never much longer than what it was read from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_webtransport::qpack;

/// The longest value in the static table that a byte can stand for: "CONNECT" and "OPTIONS".
const STATIC_MAX: usize = 7;

fuzz_target!(|data: &[u8]| {
    for section in [data.to_vec(), [&[0, 0], data].concat()] {
        let Ok(head) = qpack::read(&section) else { continue };
        let values = [head.method, head.scheme, head.path, head.protocol];
        let length: usize = values.iter().flatten().map(Vec::len).sum();
        // Huffman's shortest code has five bits.
        assert!(length <= section.len() * 8 / 5 + 4 * STATIC_MAX);
    }
});
