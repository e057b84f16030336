//! Reads the host part of a request: an address in any spelling a resolver accepts, or a name to look up.
//!
//! Invariant: what any common resolver could read as an address is read here as that address, or refused; only the
//! rest is a name. Sources: RFC 1123, RFC 4291 §2.2, inet_aton(3), WHATWG URL §3.5 (a host that ends in a number is an
//! IPv4 address or nothing), RFC 6761 §6.3 (localhost).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name in text form without its final dot (RFC 1035: 255 bytes on the wire).
const NAME_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

/// What a request's host means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address; a v4-mapped one is given as IPv4.
    Ip(IpAddr),
    /// `localhost` or a name under it: loopback by definition, never looked up.
    Localhost,
    /// A name to resolve: lower case ASCII, without a final dot. It is absolute: search domains do not apply.
    Name(String),
}

impl Host {
    /// The addresses that need no resolver; `None` for a name.
    pub fn addresses(&self) -> Option<Vec<IpAddr>> {
        match self {
            Self::Ip(address) => Some(vec![*address]),
            Self::Localhost => Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
            Self::Name(_) => None,
        }
    }
}

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Nothing there, or a dot alone.
    Empty,
    /// More than 253 characters, or a label of more than 63.
    TooLong,
    /// Two dots in a row, or one at the start.
    EmptyLabel,
    /// A character other than ASCII letters, digits, hyphen, underscore and dot. International names come as `xn--…`.
    Character(char),
    /// An IPv6 address with a zone (`%eth0`): it means something on one machine only.
    Zone,
    /// Brackets or colons, but no IPv6 address.
    Ipv6,
    /// It ends in a number, but is no IPv4 address.
    Ipv4,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the host is empty"),
            Self::TooLong => f.write_str("a host name has at most 253 characters, and 63 between dots"),
            Self::EmptyLabel => f.write_str("a host name has no empty part between dots"),
            Self::Character(c) => write!(f, "a host name has no {c:?}; international names are written as xn--…"),
            Self::Zone => f.write_str("an IPv6 address with a zone means nothing at the exit"),
            Self::Ipv6 => f.write_str("a host with brackets or colons is an IPv6 address, and this is none"),
            Self::Ipv4 => f.write_str("a host that ends in a number is an IPv4 address, and this is none"),
        }
    }
}

impl std::error::Error for HostError {}

/// Reads a host as it stands in a SOCKS request, a URL or a `host:port`, without the port.
pub fn parse_host(text: &str) -> Result<Host, HostError> {
    if text.contains([':', '[', ']']) {
        return ipv6(text);
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.len() > NAME_LEN_MAX {
        return Err(HostError::TooLong);
    }
    if let Some(c) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        return Err(HostError::Character(c));
    }
    let name = name.to_ascii_lowercase();
    if name.split('.').any(str::is_empty) {
        return Err(HostError::EmptyLabel);
    }
    if name.split('.').any(|label| label.len() > LABEL_LEN_MAX) {
        return Err(HostError::TooLong);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) || number(last).is_some() {
        return ipv4(&name).map(|address| Host::Ip(address.into())).ok_or(HostError::Ipv4);
    }
    Ok(if last == "localhost" { Host::Localhost } else { Host::Name(name) })
}

fn ipv6(text: &str) -> Result<Host, HostError> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or(HostError::Ipv6)?,
        None => text,
    };
    if bare.contains('%') {
        return Err(HostError::Zone);
    }
    let address: Ipv6Addr = bare.parse().map_err(|_| HostError::Ipv6)?;
    Ok(Host::Ip(IpAddr::V6(address).to_canonical()))
}

/// One to four numbers; the last one fills all bytes that are left.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = name.split('.').take(5).map(number).collect::<Option<_>>()?;
    let (&last, front) = parts.split_last()?;
    if front.len() > 3 || front.iter().any(|&part| part > 255) || last >= 1 << (8 * (4 - front.len())) {
        return None;
    }
    let high = front.iter().enumerate().map(|(i, part)| part << (8 * (3 - i))).sum::<u64>();
    Some(Ipv4Addr::from_bits((high | last) as u32))
}

/// A number as inet_aton reads it: `0x` hexadecimal (with no digits: 0), a leading 0 octal, else decimal.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None if text.is_empty() => return None,
        None => (text, 10),
    };
    digits.chars().try_fold(0u64, |value, c| {
        // Saturates far above any address, so that a long run of digits stays a number that is too large.
        Some((value * u64::from(radix) + u64::from(c.to_digit(radix)?)).min(1 << 40))
    })
}
