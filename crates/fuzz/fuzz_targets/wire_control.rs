//! Control streams: frames that decode encode to the bytes they came from, however the stream is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_wire::ControlDecoder;

fuzz_target!(|input: (u16, Vec<u8>)| {
    let (cut, bytes) = input;
    let (mut decoder, mut again) = (ControlDecoder::default(), Vec::new());
    'stream: for mut chunk in bytes.chunks(usize::from(cut).max(1)) {
        loop {
            match decoder.next(&mut chunk) {
                Ok(Some(frame)) => frame.encode(&mut again),
                Ok(None) => break,
                Err(_) => break 'stream,
            }
        }
    }
    assert!(bytes.starts_with(&again));
});
