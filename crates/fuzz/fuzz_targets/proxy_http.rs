//! An HTTP proxy client's bytes: no panic, the same outcome however they are cut, and what is forwarded is one
//! unambiguous request that says it is the last.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_proxy::{Credentials, Http, Kind, Progress, Request, Step};

fn cut(credentials: Option<Credentials>, input: &[u8], first: usize, then: usize) -> Step {
    let mut http = Http::new(credentials);
    let mut whole = Step { consumed: 0, send: Vec::new(), progress: Progress::NeedMore };
    let mut len = first;
    while whole.consumed < input.len() && whole.progress == Progress::NeedMore {
        let rest = &input[whole.consumed..];
        let step = http.feed(&rest[..len.clamp(1, rest.len())]);
        whole.consumed += step.consumed;
        whole.send.extend(step.send);
        whole.progress = step.progress;
        len = then;
    }
    whole
}

/// How much of the input belongs to the body, or none if its framing is broken.
fn body_len(request: &Request, input: &[u8], step: usize) -> Option<usize> {
    let mut body = request.body.clone();
    let mut len = 0;
    for piece in input.chunks(step.max(1)) {
        let taken = body.accept(piece).ok()?;
        len += taken;
        if taken < piece.len() {
            break;
        }
    }
    Some(len)
}

fuzz_target!(|data: &[u8]| {
    let [control, input @ ..] = data else { return };
    let credentials = (control & 1 == 1).then(|| Credentials::new("a", "b").expect("short"));
    let at_once = cut(credentials.clone(), input, input.len(), input.len());
    assert_eq!(cut(credentials.clone(), input, 1, 1), at_once);
    assert_eq!(cut(credentials, input, usize::from(control >> 1), input.len()), at_once);
    let Progress::Request(request) = at_once.progress else { return };
    assert!(request.port != 0 && request.host.bytes().all(|b| b.is_ascii_graphic()));
    let rest = &input[at_once.consumed..];
    assert_eq!(body_len(&request, rest, 1), body_len(&request, rest, rest.len()));
    if request.kind == Kind::Forward {
        let head = &request.head;
        assert_eq!(head.windows(4).position(|w| w == b"\r\n\r\n"), Some(head.len() - 4));
        assert!(head.ends_with(b"\r\nConnection: close\r\n\r\n"));
        assert!(!head.contains(&0));
        let lower = head.to_ascii_lowercase();
        let fields = |name: &[u8]| lower.windows(name.len()).filter(|w| *w == name).count();
        assert_eq!(fields(b"\r\nhost: "), 1);
        assert_eq!(fields(b"\r\nproxy-"), 0);
        assert!(fields(b"\r\ncontent-length:") + fields(b"\r\ntransfer-encoding:") <= 1);
    }
});
