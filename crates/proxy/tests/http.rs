//! What the HTTP proxy makes of requests: by RFC 9110 and RFC 9112, and by the ways requests get smuggled.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use wayfare_proxy::http::{ESTABLISHED, HEAD_LEN_MAX};
use wayfare_proxy::{Credentials, Failure, Http, Kind, Progress, Request};
use wayfare_types::Reason;

fn feed(input: &str) -> (String, Progress) {
    let step = Http::new(None).feed(input.as_bytes());
    (String::from_utf8(step.send).unwrap(), step.progress)
}

fn accepted(input: &str) -> Request {
    match feed(input) {
        (sent, Progress::Request(request)) if sent.is_empty() => request,
        other => panic!("{input:?} gave {other:?}"),
    }
}

/// The status of a refusal.
fn refused(input: &str) -> String {
    match feed(input) {
        (sent, Progress::Refused(_)) => {
            let status = sent.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{sent}"));
            let (head, body) = sent.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("\r\nConnection: close") && body.ends_with(".\n"), "{sent}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{sent}");
            status[..3].to_owned()
        }
        other => panic!("{input:?} gave {other:?}"),
    }
}

fn head(request: &Request) -> &str {
    std::str::from_utf8(&request.head).unwrap()
}

#[test]
fn connect_opens_a_tunnel() {
    let input = b"CONNECT example.net:443 HTTP/1.1\r\nHost: example.net:443\r\n\r\n\x16\x03\x01";
    let mut http = Http::new(None);
    let step = http.feed(input);
    let Progress::Request(mut request) = step.progress else { panic!() };
    assert_eq!((request.kind, &request.host[..], request.port), (Kind::Connect, "example.net", 443));
    assert!(request.head.is_empty() && step.send.is_empty());
    assert_eq!(&input[step.consumed..], b"\x16\x03\x01");
    assert_eq!(request.body.accept(&[0; 5000]), Ok(5000));
    assert_eq!(http.feed(b"more").consumed, 0);
    let v6 = accepted("CONNECT [2001:db8::1]:8443 HTTP/1.0\r\n\r\n");
    assert_eq!((&v6.host[..], v6.port), ("2001:db8::1", 8443));
    assert_eq!(ESTABLISHED, b"HTTP/1.1 200 Connection Established\r\n\r\n");
}

#[test]
fn an_absolute_request_becomes_the_origins() {
    let request = accepted(
        "POST http://Example.net:8080/a/b?c=http://d HTTP/1.1\r\nHost: other.example\r\nUser-Agent: curl/8\r\n\
         Proxy-Connection: Keep-Alive\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         TE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nProxy-Foo: 1\r\nAccept: */*\r\nCookie: a=1\r\nCookie: b=2\r\n\
         Content-Length: 3\r\n\r\nabc",
    );
    assert_eq!((request.kind, &request.host[..], request.port), (Kind::Forward, "Example.net", 8080));
    assert_eq!(
        head(&request),
        "POST /a/b?c=http://d HTTP/1.1\r\nHost: Example.net:8080\r\nUser-Agent: curl/8\r\nAccept: */*\r\nCookie: a=1\r\n\
         Cookie: b=2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn targets_keep_their_meaning() {
    for (line, first, port) in [
        ("GET http://a HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n", 80),
        ("GET http://a?q HTTP/1.0", "GET /?q HTTP/1.0\r\nHost: a\r\n", 80),
        ("GET HTTP://a:81/%7e//../x HTTP/1.1", "GET /%7e//../x HTTP/1.1\r\nHost: a:81\r\n", 81),
        ("HEAD http://[::1]:1/ HTTP/1.1", "HEAD / HTTP/1.1\r\nHost: [::1]:1\r\n", 1),
        ("OPTIONS http://a HTTP/1.1", "OPTIONS * HTTP/1.1\r\nHost: a\r\n", 80),
        ("OPTIONS http://a/ HTTP/1.1", "OPTIONS / HTTP/1.1\r\nHost: a\r\n", 80),
        ("PROPFIND http://a/x HTTP/1.1", "PROPFIND /x HTTP/1.1\r\nHost: a\r\n", 80),
    ] {
        let request = accepted(&format!("{line}\r\nHost: a\r\n\r\n"));
        assert_eq!(head(&request), format!("{first}Connection: close\r\n\r\n"));
        assert_eq!(request.port, port);
    }
}

#[test]
fn the_body_is_bounded_so_that_no_second_request_slips_through() {
    let second = b"GET http://elsewhere/ HTTP/1.1\r\n\r\n";
    for (fields, body) in [
        ("", &b""[..]),
        ("Content-Length: 5\r\n", b"hello"),
        ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let start = format!("POST http://a/ HTTP/1.1\r\n{fields}\r\n");
        let input = [start.as_bytes(), body, second].concat();
        let step = Http::new(None).feed(&input);
        assert_eq!(step.consumed, start.len());
        let Progress::Request(mut request) = step.progress else { panic!() };
        assert_eq!(request.body.accept(&input[step.consumed..]), Ok(body.len()));
        assert!(request.body.is_finished());
        assert_eq!(request.body.accept(second), Ok(0));
    }
}

#[test]
fn what_parsers_differ_on_is_refused() {
    for fields in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: -1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length : 1\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
        "Connection: close, content-length\r\nContent-Length: 1\r\n",
        "Connection: Host\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nhost: a\r\n",
        "A: b\r\n c\r\n",
        "A: b\r\n\tc\r\n",
        " A: b\r\n",
        "A: b\nC: d\r\n",
        "A: b\rC: d\r\n",
        "A: b\r\r\n",
        "A: b\0\r\n",
        "A\0: b\r\n",
        "A b: c\r\n",
        ": c\r\n",
        "no colon\r\n",
        "A: \x01\r\n",
    ] {
        assert_eq!(refused(&format!("POST http://a/ HTTP/1.1\r\n{fields}\r\n")), "400", "{fields:?}");
    }
    assert_eq!(refused("POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), "400");
}

#[test]
fn what_is_no_request_for_a_proxy_is_refused() {
    for line in [
        "GET / HTTP/1.1",
        "GET * HTTP/1.1",
        "GET https://a/ HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET a:80 HTTP/1.1",
        "GET http://u:p@a/ HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET http://a/#f HTTP/1.1",
        "GET http://a/\u{e9} HTTP/1.1",
        "GET http://a/ HTTP/2.0",
        "GET http://a/ HTTP/1.2",
        "GET http://a/",
        "GET  http://a/ HTTP/1.1",
        "GET http://a/ b HTTP/1.1",
        "GET http://a/ HTTP/1.1 ",
        "G\u{e9}T http://a/ HTTP/1.1",
        "CONNECT a HTTP/1.1",
        "CONNECT http://a:80 HTTP/1.1",
        "CONNECT a:0 HTTP/1.1",
        "CONNECT [fe80::1%25lo]:80 HTTP/1.1",
        "",
        " GET http://a/ HTTP/1.1",
        "\x16\x03\x01",
    ] {
        assert_eq!(refused(&format!("{line}\r\n\r\n")), "400", "{line:?}");
    }
    let (page, progress) = feed("GET / HTTP/1.1\r\nHost: 127.0.0.1:8118\r\n\r\n");
    assert!(page.contains("This is Wayfare's HTTP proxy, not a web site"), "{page}");
    assert_eq!(progress, Progress::Refused(Reason::ProxyUnsupported));
    let (page, _) = feed("GET https://a/ HTTP/1.1\r\n\r\n");
    assert!(page.contains("has to ask with CONNECT"), "{page}");
    let socks = Http::new(None).feed(&[5, 1, 0]);
    assert_eq!((&socks.send[..], socks.progress), (&[5, 0xff][..], Progress::Refused(Reason::ProxyUnsupported)));
}

#[test]
fn heads_have_a_largest_size() {
    let start = "GET http://a/ HTTP/1.1\r\nA: ";
    let fits = format!("{start}{}\r\n\r\n", "x".repeat(HEAD_LEN_MAX - start.len() - 4));
    assert_eq!(fits.len(), HEAD_LEN_MAX);
    assert_eq!(accepted(&fits).port, 80);
    assert_eq!(refused(&fits.replace("A: ", "A: x")), "431");
    let step = Http::new(None).feed(&[b'a'; 10 * HEAD_LEN_MAX]);
    assert_eq!((step.consumed, step.progress), (HEAD_LEN_MAX, Progress::Refused(Reason::ProxyMalformed)));
    let fields = |count: usize| format!("GET http://a/ HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(accepted(&fields(128)).port, 80);
    assert_eq!(refused(&fields(129)), "431");
}

/// `ann:secret` in base64 is `YW5uOnNlY3JldA==`, by RFC 4648.
#[test]
fn credentials_are_demanded_when_there_are_some() {
    let step = |fields: &str| {
        let ours = Credentials::new("ann", "secret").unwrap();
        Http::new(Some(ours)).feed(format!("CONNECT a:443 HTTP/1.1\r\n{fields}\r\n").as_bytes())
    };
    for good in ["Basic YW5uOnNlY3JldA==", "basic YW5uOnNlY3JldA==", "BASIC   YW5uOnNlY3JldA=="] {
        let Progress::Request(request) = step(&format!("Proxy-Authorization: {good}\r\n")).progress else { panic!() };
        assert_eq!(request.isolation, None);
    }
    for bad in ["", "Basic", "Basic ", "Basic YW5uOnNlY3JldB==", "Basic YW5u", "Bearer YW5uOnNlY3JldA==", "Basic !"] {
        let step = step(&format!("Proxy-Authorization: {bad}\r\n"));
        assert!(step.send.starts_with(b"HTTP/1.1 407 "), "{bad}");
        let text = String::from_utf8(step.send).unwrap();
        assert!(text.contains("\r\nProxy-Authenticate: Basic realm=\"wayfare\"\r\n"), "{text}");
        assert_eq!(step.progress, Progress::Refused(Reason::ProxyCredentials));
    }
    assert_eq!(step("").progress, Progress::Refused(Reason::ProxyCredentials));
    assert_eq!(step("Authorization: Basic YW5uOnNlY3JldA==\r\n").progress, Progress::Refused(Reason::ProxyCredentials));
    let twice = "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n".repeat(2);
    assert_eq!(step(&twice).progress, Progress::Refused(Reason::ProxyMalformed));
}

#[test]
fn credentials_nobody_asked_for_isolate_and_never_travel_on() {
    let fields = "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\nAuthorization: Basic eDp5\r\n";
    let request = accepted(&format!("GET http://a/ HTTP/1.1\r\n{fields}\r\n"));
    assert_eq!(request.isolation.as_deref(), Some("ann:secret"));
    let expected = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\nConnection: close\r\n\r\n";
    assert_eq!(head(&request), expected);
    assert_eq!(accepted("GET http://a/ HTTP/1.1\r\nProxy-Authorization: Digest x\r\n\r\n").isolation, None);
}

#[test]
fn failures_have_their_status() {
    for (failure, status) in [
        (Failure::Denied, "403 Forbidden"),
        (Failure::Unreachable, "502 Bad Gateway"),
        (Failure::Refused, "502 Bad Gateway"),
        (Failure::TimedOut, "504 Gateway Timeout"),
        (Failure::Network, "502 Bad Gateway"),
    ] {
        let text = String::from_utf8(failure.http()).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
    }
}
