//! The target of a request line (RFC 9112 §3.2): `host:port` of a CONNECT, or an absolute `http://` URL.

use std::net::Ipv6Addr;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// An IPv6 address without its brackets.
    pub host: &'a str,
    pub port: u16,
    /// `host[:port]` as the client wrote it, for the Host field. Empty for a CONNECT.
    pub authority: &'a str,
    /// Path and query, not always with a slash in front. Empty for a CONNECT.
    pub path: &'a str,
}

/// RFC 9112 §3.2.3: the port is not optional.
pub(super) fn connect(text: &str) -> Result<Target<'_>, &'static str> {
    match host_port(text)? {
        (host, Some(port)) => Ok(Target { host, port, authority: "", path: "" }),
        (_, None) => Err("CONNECT needs a port, as in CONNECT example.net:443."),
    }
}

/// RFC 9112 §3.2.2.
pub(super) fn absolute(text: &str) -> Result<Target<'_>, &'static str> {
    if text.starts_with('/') || text == "*" {
        return Err("This is Wayfare's HTTP proxy, not a web site: set it as a browser's or curl's proxy.");
    }
    let (scheme, rest) = text.split_once("://").ok_or("The request's target is neither http:// nor host:port.")?;
    if scheme.eq_ignore_ascii_case("https") {
        return Err("A proxy cannot open https:// for its client; the client has to ask with CONNECT.");
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err("This proxy carries http:// requests and CONNECT tunnels only.");
    }
    if rest.contains('#') {
        return Err("A request's target has no fragment.");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = host_port(authority)?;
    Ok(Target { host, port: port.unwrap_or(80), authority, path })
}

/// RFC 3986 §3.2 without user information, which RFC 9110 §4.2.4 tells recipients to distrust.
fn host_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').ok_or("The IPv6 address lacks its closing bracket.")?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let host_is_good = if text.starts_with('[') {
        host.parse::<Ipv6Addr>().is_ok()
    } else {
        (1..=255).contains(&host.len())
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    if !host_is_good {
        return Err("The request's host is no name and no address.");
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port| port != 0).ok_or("A port is a number from 1 to 65535.")?)
        }
        _ => return Err("A port is a number from 1 to 65535."),
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let read = |text| absolute(text).map(|t| (t.host, t.port, t.authority, t.path)).unwrap();
        assert_eq!(read("http://example.net"), ("example.net", 80, "example.net", ""));
        assert_eq!(read("HTTP://a.b:8080/x?y=http://z"), ("a.b", 8080, "a.b:8080", "/x?y=http://z"));
        assert_eq!(read("http://a?q"), ("a", 80, "a", "?q"));
        assert_eq!(read("http://a:/"), ("a", 80, "a:", "/"));
        assert_eq!(read("http://[::1]:81/"), ("::1", 81, "[::1]:81", "/"));
        assert_eq!(connect("[2001:db8::1]:443").map(|t| (t.host, t.port)), Ok(("2001:db8::1", 443)));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "a",
            "/",
            "*",
            "http:/a",
            "http://",
            "http://:80/",
            "http://u@a/",
            "http://u:p@a/",
            "http://a b/",
            "https://a/",
            "ftp://a/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[a]/",
            "http://[fe80::1%1]/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:+80/",
            "http://a:80:80/",
            "http://a/#f",
            "http://%61/",
            "http://a\\b/",
        ] {
            assert!(absolute(text).is_err(), "{text}");
        }
        for text in ["", "a", "a:", ":443", "a:0", "a:99999", "::1:443", "http://a:443", "a:443/", "a:443@b:1"] {
            assert!(connect(text).is_err(), "{text}");
        }
    }
}
