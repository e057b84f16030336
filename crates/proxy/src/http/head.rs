//! Judges a complete head, and rewrites that of an `http://` request into what its origin is to see.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wayfare_types::Reason;

use super::body::Body;
use super::response::{Status, response};
use super::target;
use crate::credentials::{Credentials, isolation};
use crate::request::{Kind, Request};

const FIELDS_MAX: usize = 128;

/// Fields that speak to the next hop only (RFC 9110 §7.6.1), besides those that `Connection` names and `Proxy-…`.
/// Without Upgrade the origin answers in plain HTTP; who wants another protocol asks with CONNECT.
const HOP_BY_HOP: [&str; 6] = ["connection", "keep-alive", "te", "upgrade", "http2-settings", "host"];

/// Fields that say where the message goes or ends: `Connection` must not make them vanish.
const NEVER_HOP_BY_HOP: [&str; 3] = ["host", "content-length", "transfer-encoding"];

/// An answer for the client, and under what it is counted.
#[derive(Debug)]
pub(super) struct Refusal {
    pub answer: Vec<u8>,
    pub reason: Reason,
}

impl Refusal {
    pub(super) fn malformed(sentence: &str) -> Self {
        Self { answer: response(Status::BadRequest, sentence), reason: Reason::ProxyMalformed }
    }

    fn unsupported(sentence: &str) -> Self {
        Self { answer: response(Status::BadRequest, sentence), reason: Reason::ProxyUnsupported }
    }
}

type Fields<'a> = [httparse::Header<'a>];

/// `head` ends in its empty line.
pub(super) fn request(head: &[u8], credentials: Option<&Credentials>) -> Result<Request, Refusal> {
    let mut space = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut space);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => {
            let answer = response(Status::HeadTooLarge, "A request's head has at most 128 fields.");
            return Err(Refusal { answer, reason: Reason::ProxyMalformed });
        }
        _ => return Err(Refusal::malformed("The request's head is no HTTP/1.1.")),
    }
    let (Some(method), Some(path), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::malformed("The request's head is no HTTP/1.1."));
    };
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Refusal::malformed("A request's target is printable ASCII."));
    }
    let fields: &Fields<'_> = parsed.headers;
    if all(fields, "host").count() > 1 {
        return Err(Refusal::malformed("A request has one Host field."));
    }
    let body = framing(fields, minor)?;
    let isolation = authorise(fields, credentials)?;
    if method == "CONNECT" {
        let target = target::connect(path).map_err(Refusal::malformed)?;
        let (host, port) = (target.host.to_owned(), target.port);
        return Ok(Request { kind: Kind::Connect, host, port, isolation, head: Vec::new(), body: Body::tunnel() });
    }
    let target = target::absolute(path).map_err(Refusal::unsupported)?;
    let head = rewrite(method, &target, minor, fields)?;
    Ok(Request { kind: Kind::Forward, host: target.host.to_owned(), port: target.port, isolation, head, body })
}

fn all<'a>(fields: &'a Fields<'a>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// Where the body ends (RFC 9112 §6.3); anything that could be read in two ways is refused (§11.2).
fn framing(fields: &Fields<'_>, minor: u8) -> Result<Body, Refusal> {
    let mut lengths = all(fields, "content-length");
    let mut codings = all(fields, "transfer-encoding");
    match (lengths.next(), lengths.next(), codings.next(), codings.next()) {
        (None, None, None, None) => Ok(Body::length(0)),
        (Some(digits), None, None, None) => std::str::from_utf8(digits)
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .map(Body::length)
            .ok_or_else(|| Refusal::malformed("Content-Length is a number.")),
        (None, None, Some(coding), None) if minor == 1 && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Body::chunked())
        }
        _ => Err(Refusal::malformed("A request has one Content-Length or Transfer-Encoding: chunked, not both.")),
    }
}

/// RFC 7617. What to isolate the connection by, if the client need not have said anything.
fn authorise(fields: &Fields<'_>, credentials: Option<&Credentials>) -> Result<Option<String>, Refusal> {
    let mut presented = all(fields, "proxy-authorization");
    let decoded = presented.next().and_then(basic);
    if presented.next().is_some() {
        return Err(Refusal::malformed("A request has one Proxy-Authorization field."));
    }
    let pair = decoded.as_deref().and_then(|text| {
        let colon = text.iter().position(|&b| b == b':')?;
        Some((&text[..colon], &text[colon + 1..]))
    });
    match (credentials, pair) {
        (None, pair) => Ok(pair.map(|(user, password)| isolation(user, password))),
        (Some(ours), Some((user, password))) if ours.matches(user, password) => Ok(None),
        (Some(_), _) => Err(Refusal {
            answer: response(Status::ProxyAuthenticationRequired, "This proxy asks for a user name and a password."),
            reason: Reason::ProxyCredentials,
        }),
    }
}

fn basic(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, token) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    STANDARD.decode(token.trim_ascii()).ok()
}

fn rewrite(method: &str, target: &target::Target<'_>, minor: u8, fields: &Fields<'_>) -> Result<Vec<u8>, Refusal> {
    let mut dropped: Vec<&[u8]> = HOP_BY_HOP.iter().map(|name| name.as_bytes()).collect();
    for value in all(fields, "connection") {
        dropped.extend(value.split(|&b| b == b',').map(<[u8]>::trim_ascii));
    }
    let named = &dropped[HOP_BY_HOP.len()..];
    if named.iter().any(|token| NEVER_HOP_BY_HOP.iter().any(|name| token.eq_ignore_ascii_case(name.as_bytes()))) {
        return Err(Refusal::malformed("Connection must not name Host or a field that says where the message ends."));
    }
    let path = match (method, target.path) {
        // RFC 9112 §3.2.4: OPTIONS on a whole server.
        ("OPTIONS", "") => ["*", ""],
        (_, path) if path.starts_with('/') => [path, ""],
        (_, query) => ["/", query],
    };
    let mut out = Vec::new();
    for part in [method, " ", path[0], path[1], if minor == 1 { " HTTP/1.1" } else { " HTTP/1.0" }] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\r\nHost: ");
    out.extend_from_slice(target.authority.as_bytes());
    out.extend_from_slice(b"\r\n");
    for field in fields {
        let name = field.name.as_bytes();
        let to_proxies = name.len() >= 6 && name[..6].eq_ignore_ascii_case(b"proxy-");
        if to_proxies || dropped.iter().any(|other| name.eq_ignore_ascii_case(other)) {
            continue;
        }
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    Ok(out)
}
