//! A SOCKS5 client's bytes: no panic, and the same outcome at once, cut in two and byte by byte; a datagram that is
//! read is written as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_proxy::socks5::{emit_datagram, parse_datagram};
use wayfare_proxy::{Credentials, Progress, Socks5, Step};

fn cut(credentials: Option<Credentials>, input: &[u8], first: usize, then: usize) -> Step {
    let mut socks = Socks5::new(credentials);
    let mut whole = Step { consumed: 0, send: Vec::new(), progress: Progress::NeedMore };
    let mut len = first;
    while whole.consumed < input.len() && whole.progress == Progress::NeedMore {
        let rest = &input[whole.consumed..];
        let step = socks.feed(&rest[..len.clamp(1, rest.len())]);
        whole.consumed += step.consumed;
        whole.send.extend(step.send);
        whole.progress = step.progress;
        len = then;
    }
    whole
}

fuzz_target!(|data: &[u8]| {
    let [control, input @ ..] = data else { return };
    let credentials = (control & 1 == 1).then(|| Credentials::new("a", "b").expect("short"));
    let at_once = cut(credentials.clone(), input, input.len(), input.len());
    assert_eq!(cut(credentials.clone(), input, 1, 1), at_once);
    assert_eq!(cut(credentials, input, usize::from(control >> 1), input.len()), at_once);
    if let Ok(datagram) = parse_datagram(input) {
        let mut out = Vec::new();
        emit_datagram(&datagram, &mut out).expect("it was read");
        assert_eq!(out[3..], input[3..]);
    }
});
