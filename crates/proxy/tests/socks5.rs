//! SOCKS5 conversations, byte for byte as RFC 1928 and RFC 1929 lay them out.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::SocketAddr;

use wayfare_proxy::socks5::{Address, Datagram, ReplyCode, emit_datagram, parse_datagram, reply};
use wayfare_proxy::{Credentials, Failure, Kind, Progress, Request, Socks5};
use wayfare_types::Reason;

/// All that is sent, what is left of the input, and the end.
fn talk(mut socks: Socks5, input: &[u8]) -> (Vec<u8>, usize, Progress) {
    let step = socks.feed(input);
    (step.send, input.len() - step.consumed, step.progress)
}

fn request(input: &[u8]) -> Request {
    match talk(Socks5::new(None), input) {
        (_, 0, Progress::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn ann() -> Option<Credentials> {
    Some(Credentials::new("ann", "secret").unwrap())
}

const OPEN: &[u8] = &[5, 1, 0];

#[test]
fn the_three_address_types_are_read() {
    let v4 = request(&[OPEN, &[5, 1, 0, 1, 192, 0, 2, 1, 0x1f, 0x90]].concat());
    assert_eq!((v4.kind, &v4.host[..], v4.port, v4.isolation), (Kind::Connect, "192.0.2.1", 8080, None));
    let name = request(&[OPEN, &[5, 1, 0, 3, 11], b"example.net", &[1, 187]].concat());
    assert_eq!((&name.host[..], name.port, &name.head[..]), ("example.net", 443, &[][..]));
    let v6 = request(&[OPEN, &[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]].concat());
    assert_eq!((&v6.host[..], v6.port), ("2001:db8::1", 80));
    let udp = request(&[OPEN, &[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]].concat());
    assert_eq!((udp.kind, &udp.host[..], udp.port), (Kind::UdpAssociate, "0.0.0.0", 0));
}

#[test]
fn data_sent_along_with_the_request_is_left_over() {
    let input = [OPEN, &[5, 1, 0, 1, 192, 0, 2, 1, 0, 80], b"GET /"].concat();
    let mut socks = Socks5::new(None);
    let step = socks.feed(&input);
    assert_eq!((&step.send[..], &input[step.consumed..]), (&[5, 0][..], &b"GET /"[..]));
    let again = socks.feed(&input[step.consumed..]);
    assert_eq!((again.consumed, &again.send[..], again.progress), (0, &[][..], step.progress));
}

#[test]
fn a_password_is_demanded_when_there_is_one() {
    let connect = [5, 1, 0, 1, 192, 0, 2, 1, 0, 80];
    let good = [&[5, 2, 0, 2, 1, 3][..], b"ann", &[6], b"secret", &connect].concat();
    let (sent, left, progress) = talk(Socks5::new(ann()), &good);
    assert_eq!((&sent[..], left), (&[5, 2, 1, 0][..], 0));
    assert!(matches!(progress, Progress::Request(Request { isolation: None, .. })));

    for (input, sent) in [
        ([&[5, 1, 2, 1, 3][..], b"ann", &[6], b"Secret", &connect].concat(), &[5, 2, 1, 1][..]),
        ([&[5, 1, 2, 1, 3][..], b"ann", &[0], &connect].concat(), &[5, 2, 1, 1]),
        ([OPEN, &connect].concat(), &[5, 0xff]),
        (vec![5, 0], &[5, 0xff]),
    ] {
        let (got, _, progress) = talk(Socks5::new(ann()), &input);
        assert_eq!((&got[..], progress), (sent, Progress::Refused(Reason::ProxyCredentials)));
    }
}

#[test]
fn a_password_nobody_asked_for_isolates() {
    let talk = |user: &[u8], password: &[u8]| {
        let lens = [user.len() as u8, password.len() as u8];
        let connect = [5, 1, 0, 1, 192, 0, 2, 1, 0, 80];
        request(&[&[5, 2, 0, 2, 1, lens[0]], user, &lens[1..], password, &connect].concat()).isolation.unwrap()
    };
    assert_eq!(talk(b"tab-1", b"x"), "tab-1:x");
    assert_ne!(talk(b"a", b"b:c"), talk(b"a:b", b"c"));
    assert_eq!(talk(b"", b""), ":");
    assert_eq!(talk(&[0xff; 255], &[0; 255]).len(), 2 * 255 * 3 + 1);
}

#[test]
fn what_is_not_spoken_gets_its_code() {
    let unsupported = Progress::Refused(Reason::ProxyUnsupported);
    let malformed = Progress::Refused(Reason::ProxyMalformed);
    let to = [192, 0, 2, 1, 0, 80];
    for (message, code, progress) in [
        (&[5, 2, 0, 1][..], 7, &unsupported), // BIND
        (&[5, 0, 0, 1], 7, &unsupported),
        (&[5, 1, 0, 2], 8, &unsupported),
        (&[4, 1, 0, 1], 1, &malformed),
        (&[5, 1, 0, 3, 0], 1, &malformed), // a name of no length
        (&[5, 1, 0, 3, 3, b'a', b' ', b'b'], 1, &malformed),
        (&[5, 1, 0, 3, 2, 0xc3, 0xa9], 1, &malformed),
        (&[5, 1, 0, 3, 2, b'a', 0], 1, &malformed),
    ] {
        let (sent, _, end) = talk(Socks5::new(None), &[OPEN, message, &to].concat());
        assert_eq!((&sent[2..], &end), (&[5, code, 0, 1, 0, 0, 0, 0, 0, 0][..], progress), "{message:?}");
    }
    let (sent, _, end) = talk(Socks5::new(None), &[OPEN, &[5, 1, 0, 1, 192, 0, 2, 1, 0, 0]].concat());
    assert_eq!((sent[3], end), (1, malformed.clone()), "port 0");
    assert_eq!(talk(Socks5::new(None), &[5, 1, 1]), (vec![5, 0xff], 0, unsupported.clone()), "GSSAPI only");
    assert_eq!(talk(Socks5::new(None), &[5, 0]), (vec![5, 0xff], 0, unsupported));
    assert_eq!(talk(Socks5::new(None), &[5, 1, 2, 2]).0, [5, 2, 1, 1], "a password message of another version");
    assert_eq!(talk(Socks5::new(None), &[22, 3, 1]), (vec![], 2, malformed), "TLS");
}

#[test]
fn other_protocols_are_answered_in_their_own_words() {
    let (sent, _, end) = talk(Socks5::new(None), &[4, 1, 0, 80, 192, 0, 2, 1, 0]);
    assert_eq!((&sent[..], end), (&[0, 91, 0, 0, 0, 0, 0, 0][..], Progress::Refused(Reason::ProxyUnsupported)));
    for head in ["GET / HTTP/1.1\r\n", "CONNECT a:443 HTTP/1.1\r\n", "POST http://a/ HTTP/1.1\r\n"] {
        let socks = Socks5::new(None).with_http_proxy("127.0.0.1:8118".parse().unwrap());
        let (sent, _, end) = talk(socks, head.as_bytes());
        let text = String::from_utf8(sent).unwrap();
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        assert!(
            text.ends_with("This is a SOCKS5 proxy, and this request is HTTP. The HTTP proxy is at 127.0.0.1:8118.\n")
        );
        assert_eq!(end, Progress::Refused(Reason::ProxyUnsupported));
    }
}

#[test]
fn replies_are_laid_out_as_the_rfc_says() {
    let v4: SocketAddr = "192.0.2.7:1080".parse().unwrap();
    assert_eq!(reply(ReplyCode::Succeeded, v4), [5, 0, 0, 1, 192, 0, 2, 7, 4, 0x38]);
    let v6 = reply(ReplyCode::TtlExpired, "[2001:db8::7]:1".parse().unwrap());
    assert_eq!(v6, [5, 6, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1]);
    let codes = [Failure::Denied, Failure::Network, Failure::Unreachable, Failure::Refused, Failure::TimedOut];
    assert_eq!(codes.map(|failure| failure.socks5()[1]), [2, 3, 4, 5, 6]);
}

#[test]
fn datagrams_round_trip() {
    let addresses =
        [Address::Ip("192.0.2.1".parse().unwrap()), Address::Ip("2001:db8::1".parse().unwrap()), Address::Name("a.b")];
    for (address, header_len) in addresses.into_iter().zip([10, 22, 10]) {
        for payload in [&[][..], &[7; 1472]] {
            let datagram = Datagram { address, port: 53, payload };
            let mut bytes = Vec::new();
            emit_datagram(&datagram, &mut bytes).unwrap();
            assert_eq!(bytes.len(), header_len + payload.len());
            assert_eq!(parse_datagram(&bytes), Ok(datagram));
        }
    }
    let mut bytes = Vec::new();
    let address = Address::Ip("192.0.2.1".parse().unwrap());
    emit_datagram(&Datagram { address, port: 258, payload: b"x" }, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 0, 0, 1, 192, 0, 2, 1, 1, 2, b'x']);
    let name = "a".repeat(256);
    let too_long = Datagram { address: Address::Name(&name), port: 1, payload: b"" };
    assert_eq!(emit_datagram(&too_long, &mut bytes), Err(Reason::ProxyMalformed));
    assert_eq!(bytes.len(), 11, "nothing was appended");
}

#[test]
fn datagrams_that_are_none_are_dropped_by_reason() {
    for (bytes, reason) in [
        (&[0, 0, 1, 1, 192, 0, 2, 1, 0, 53, 1][..], Reason::ProxyUnsupported), // a fragment
        (&[0, 0, 0, 2, 192, 0, 2, 1, 0, 53], Reason::ProxyUnsupported),
        (&[], Reason::ProxyMalformed),
        (&[0, 0, 0], Reason::ProxyMalformed),
        (&[0, 0, 0, 1, 192, 0, 2, 1, 0], Reason::ProxyMalformed),
        (&[0, 0, 0, 4, 192, 0, 2, 1, 0, 53], Reason::ProxyMalformed),
        (&[0, 0, 0, 3, 0, 0, 53], Reason::ProxyMalformed),
        (&[0, 0, 0, 3, 9, b'a', 0, 53], Reason::ProxyMalformed),
        (&[0, 0, 0, 3, 1, 0xff, 0, 53], Reason::ProxyMalformed),
        (&[0, 0, 0, 1, 192, 0, 2, 1, 0, 0], Reason::ProxyMalformed),
    ] {
        assert_eq!(parse_datagram(bytes), Err(reason), "{bytes:?}");
    }
}
