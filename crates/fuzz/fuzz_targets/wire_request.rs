//! Requests, answers and windows: whatever parses is emitted unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_wire::{Answer, Request, WindowDecoder};

fuzz_target!(|bytes: &[u8]| {
    let mut again = Vec::new();
    if let Ok(Some((request, consumed))) = Request::parse(bytes) {
        request.encode(&mut again);
        assert_eq!(again, bytes[..consumed]);
    }
    if let Ok(Some((answer, consumed))) = Answer::parse(bytes) {
        again.clear();
        answer.encode(&mut again);
        assert_eq!(Answer::parse(&again), Ok(Some((answer, consumed))));
    }
    let (mut decoder, mut rest, mut windows) = (WindowDecoder::default(), bytes, Vec::new());
    while let Some(window) = decoder.next(&mut rest) {
        windows.extend(window.to_bytes());
    }
    assert!(rest.is_empty() && bytes.starts_with(&windows));
});
