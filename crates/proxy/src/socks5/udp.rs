//! The header that each datagram of a UDP association carries (RFC 1928 §7).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wayfare_types::Reason;

use super::{ATYP_NAME, ATYP_V4, ATYP_V6, name, put_address};

/// An address or a name in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address<'a> {
    Ip(IpAddr),
    /// 1 to 255 printable ASCII characters.
    Name(&'a str),
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A datagram between client and proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// From the client: where to; to the client: where from.
    pub address: Address<'a>,
    pub port: u16,
    pub payload: &'a [u8],
}

/// Reads a client's datagram. Fragments (RFC 1928: may be left out) are refused as unsupported.
pub fn parse_datagram(bytes: &[u8]) -> Result<Datagram<'_>, Reason> {
    let [_, _, fragment, address_type, rest @ ..] = bytes else { return Err(Reason::ProxyMalformed) };
    if *fragment != 0 {
        return Err(Reason::ProxyUnsupported);
    }
    let (address, rest) = match *address_type {
        ATYP_V4 => rest.split_first_chunk::<4>().map(|(a, rest)| (Address::Ip(Ipv4Addr::from(*a).into()), rest)),
        ATYP_V6 => rest.split_first_chunk::<16>().map(|(a, rest)| (Address::Ip(Ipv6Addr::from(*a).into()), rest)),
        ATYP_NAME => rest
            .split_first()
            .and_then(|(&len, rest)| rest.split_at_checked(usize::from(len)))
            .and_then(|(text, rest)| Some((Address::Name(name(text)?), rest))),
        _ => return Err(Reason::ProxyUnsupported),
    }
    .ok_or(Reason::ProxyMalformed)?;
    match rest.split_first_chunk::<2>() {
        Some((port, payload)) if *port != [0, 0] => Ok(Datagram { address, port: u16::from_be_bytes(*port), payload }),
        _ => Err(Reason::ProxyMalformed),
    }
}

/// Appends header and payload to `out`. A name longer than 255 bytes does not fit the header and is an error.
pub fn emit_datagram(datagram: &Datagram<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
    let start = [0, 0, 0];
    match datagram.address {
        Address::Ip(ip) => {
            out.extend(start);
            put_address(ip, datagram.port, out);
        }
        Address::Name(text) => {
            let len = u8::try_from(text.len()).map_err(|_| Reason::ProxyMalformed)?;
            out.extend(start);
            out.extend([ATYP_NAME, len]);
            out.extend(text.as_bytes());
            out.extend(datagram.port.to_be_bytes());
        }
    }
    out.extend_from_slice(datagram.payload);
    Ok(())
}
