//! Whatever comes and however it is cut: no panic, the same outcome, nothing held beyond the limits.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use proptest::prelude::*;
use wayfare_proxy::http::{Body, HEAD_LEN_MAX};
use wayfare_proxy::socks5::parse_datagram;
use wayfare_proxy::{Credentials, Http, Progress, Socks5, Step};

/// Feeds the input in pieces of the given sizes, over and over, as a driver would.
fn in_pieces(mut feed: impl FnMut(&[u8]) -> Step, input: &[u8], sizes: &[usize]) -> Step {
    let mut whole = Step { consumed: 0, send: Vec::new(), progress: Progress::NeedMore };
    let mut sizes = sizes.iter().cycle();
    while whole.consumed < input.len() && whole.progress == Progress::NeedMore {
        let rest = &input[whole.consumed..];
        let piece = &rest[..rest.len().min(*sizes.next().unwrap())];
        let step = feed(piece);
        assert!(step.consumed == piece.len() || step.progress != Progress::NeedMore, "waits for more but leaves some");
        whole.consumed += step.consumed;
        whole.send.extend(step.send);
        whole.progress = step.progress;
    }
    whole
}

fn credentials(demanded: bool) -> Option<Credentials> {
    demanded.then(|| Credentials::new("a", "b").unwrap())
}

/// Bytes that often get past the first checks of SOCKS5.
fn socks_bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(vec![5, 1, 0]),
        Just(vec![5, 2, 0, 2]),
        Just(vec![1, 1, b'a', 1, b'b']),
        Just(vec![5, 1, 0, 3, 1, b'a', 0, 80]),
        Just(vec![5, 3, 0, 1, 0, 0, 0, 0, 0, 0]),
        (0u8..6, 0u8..6).prop_map(|(command, kind)| vec![5, command, 0, kind]),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

/// Text that often is nearly an HTTP request.
fn http_bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        &b"GET http://a.b:8/c?d HTTP/1.1\r\n"[..],
        b"CONNECT [::1]:443 HTTP/1.1\r\n",
        b"POST http://a HTTP/1.0\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close, a\r\n",
        b"Proxy-Authorization: Basic YTpi\r\n",
        b"Host: a\r\n",
        b"A: b\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\0",
        b"\xff",
    ]);
    let text = prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat());
    prop_oneof![4 => text, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn socks5_does_not_care_about_pieces(
        input in socks_bytes(), sizes in prop::collection::vec(1usize..9, 1..5), demanded: bool
    ) {
        let at_once = Socks5::new(credentials(demanded)).feed(&input);
        let mut pieces = Socks5::new(credentials(demanded));
        prop_assert_eq!(&in_pieces(|piece| pieces.feed(piece), &input, &sizes), &at_once);
        let mut bytes = Socks5::new(credentials(demanded));
        prop_assert_eq!(&in_pieces(|piece| bytes.feed(piece), &input, &[1]), &at_once);
        prop_assert!(at_once.consumed <= 257 + 513 + 262 && at_once.send.len() <= 400);
    }

    #[test]
    fn http_does_not_care_about_pieces(
        input in http_bytes(), sizes in prop::collection::vec(1usize..40, 1..5), demanded: bool
    ) {
        let at_once = Http::new(credentials(demanded)).feed(&input);
        let mut pieces = Http::new(credentials(demanded));
        prop_assert_eq!(&in_pieces(|piece| pieces.feed(piece), &input, &sizes), &at_once);
        let mut bytes = Http::new(credentials(demanded));
        prop_assert_eq!(&in_pieces(|piece| bytes.feed(piece), &input, &[1]), &at_once);
        prop_assert!(at_once.consumed <= HEAD_LEN_MAX);
        if let Progress::Request(request) = at_once.progress {
            prop_assert!(request.port != 0 && !request.host.is_empty());
            prop_assert!(request.host.bytes().all(|b| b.is_ascii_graphic()));
            // What goes to the origin is itself one well-formed head, and says that it is the last.
            if !request.head.is_empty() {
                prop_assert_eq!(request.head.windows(4).position(|w| w == b"\r\n\r\n"), Some(request.head.len() - 4));
                prop_assert!(request.head.ends_with(b"\r\nConnection: close\r\n\r\n"));
            }
        }
    }

    #[test]
    fn a_body_does_not_care_about_pieces(
        body in "([0-9a-f]{1,2}\r\n|;|x{0,9}|0\r\n\r\n|\r\n|\r|\n){0,9}", size in 1usize..9
    ) {
        let Progress::Request(request) =
            Http::new(None).feed(b"POST http://a/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").progress
        else { panic!() };
        let (mut at_once, mut pieces): (Body, Body) = (request.body.clone(), request.body);
        let expected = at_once.accept(body.as_bytes());
        let mut taken = Ok(0);
        for piece in body.as_bytes().chunks(size) {
            match pieces.accept(piece) {
                Ok(n) => {
                    taken = taken.map(|t| t + n);
                    if n < piece.len() {
                        break;
                    }
                }
                Err(reason) => {
                    taken = Err(reason);
                    break;
                }
            }
        }
        prop_assert_eq!(taken, expected);
    }

    #[test]
    fn no_datagram_panics(input in prop::collection::vec(any::<u8>(), 0..300), kind in 0u8..6) {
        if let Ok(read) = parse_datagram(&[&[0, 0, 0, kind][..], &input].concat()) {
            prop_assert!(input.ends_with(read.payload));
        }
    }
}
