//! The head of an inner stream: what the client asks of the exit, and the exit's answer.
//!
//! Request: `kind u8 (1 = TCP) | port u16 | host length u8 | host`.
//! Answer: `status u8 | address kind u8 (0, 4, 6) | address | port u16`: the exit's own socket towards the origin.
//! Both are followed by the stream's bytes, so parsing says how much it consumed.

use std::net::{IpAddr, SocketAddr};

use wayfare_types::Reason;

use crate::Host;
use crate::read::Reader;

const TCP: u8 = 1;

/// Asks the exit for a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub host: Host,
    pub port: u16,
}

impl Request {
    /// The most bytes a request has.
    pub const MAX: usize = 4 + Host::MAX;

    /// Appends the request to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(TCP);
        out.extend_from_slice(&self.port.to_be_bytes());
        self.host.emit(out);
    }

    /// The request at the front of `bytes` and its length; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`Reason::RequestMalformed`] as soon as no continuation could make it a request.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Reason> {
        if bytes.first().is_some_and(|&kind| kind != TCP) || bytes.get(3) == Some(&0) {
            return Err(Reason::RequestMalformed);
        }
        let mut r = Reader::new(bytes);
        let mut fields = || {
            r.u8()?;
            let (port, length) = (r.u16()?, r.u8()?);
            Some((port, r.slice(length.into())?, r.consumed()))
        };
        match fields() {
            None => Ok(None),
            Some((port, host, consumed)) => Ok(Some((Self { host: Host::from_bytes(host)?, port }, consumed))),
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Connected.
    Ok = 0,
    /// The exit's policy refuses the address.
    AddressDenied = 1,
    /// The exit's policy refuses the port.
    PortDenied = 2,
    /// The name does not resolve.
    NameUnresolved = 3,
    /// The destination refused the connection.
    Refused = 4,
    /// The destination cannot be reached.
    Unreachable = 5,
    /// The destination did not answer in time.
    TimedOut = 6,
    /// The exit could not read the request.
    Malformed = 7,
    /// The exit has no room for another connection.
    Overloaded = 8,
}

impl Status {
    /// Every status, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::AddressDenied,
        Self::PortDenied,
        Self::NameUnresolved,
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Malformed,
        Self::Overloaded,
    ];

    /// Its number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status of a number from the wire.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// The exit's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: Status,
    /// The exit's own address and port towards the destination, when there is a connection.
    pub local: Option<SocketAddr>,
}

impl Answer {
    /// The most bytes an answer has.
    pub const MAX: usize = 20;

    /// Appends the answer to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.status.code());
        put_address(self.local, out);
    }

    /// The answer at the front of `bytes` and its length; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`Reason::RequestMalformed`] as soon as no continuation could make it an answer.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Reason> {
        let mut r = Reader::new(bytes);
        let Some(status) = r.u8() else { return Ok(None) };
        let status = Status::from_code(status).ok_or(Reason::RequestMalformed)?;
        let Some(kind) = r.u8() else { return Ok(None) };
        let mut socket = || {
            let ip = match kind {
                4 => IpAddr::from(r.array::<4>()?),
                _ => IpAddr::from(r.array::<16>()?),
            };
            Some(SocketAddr::new(ip, r.u16()?))
        };
        match kind {
            0 => Ok(r.u16().map(|_| (Self { status, local: None }, r.consumed()))),
            4 | 6 => Ok(socket().map(|s| (Self { status, local: Some(s) }, r.consumed()))),
            _ => Err(Reason::RequestMalformed),
        }
    }
}

fn put_address(address: Option<SocketAddr>, out: &mut Vec<u8>) {
    match address.map(|a| a.ip()) {
        None => out.push(0),
        Some(IpAddr::V4(ip)) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.map_or(0, |a| a.port()).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn requests_round_trip_and_no_prefix_is_complete(host in "[!-~]{1,255}", port: u16, tail in prop::collection::vec(any::<u8>(), 0..9)) {
            let request = Request { host: Host::new(&host).unwrap(), port };
            let mut bytes = Vec::new();
            request.encode(&mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(Request::parse(&bytes[..cut]), Ok(None));
            }
            let length = bytes.len();
            bytes.extend(tail);
            prop_assert_eq!(Request::parse(&bytes), Ok(Some((request, length))));
        }

        #[test]
        fn answers_round_trip_and_no_prefix_is_complete(code in 0..9u8, local: Option<SocketAddr>) {
            // A flow label or scope has no place in an answer.
            let local = local.map(|a| SocketAddr::new(a.ip(), a.port()));
            let answer = Answer { status: Status::from_code(code).unwrap(), local };
            let mut bytes = Vec::new();
            answer.encode(&mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(Answer::parse(&bytes[..cut]), Ok(None));
            }
            prop_assert_eq!(Answer::parse(&bytes), Ok(Some((answer, bytes.len()))));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (Request::parse(&bytes), Answer::parse(&bytes));
        }
    }

    #[test]
    fn malformed_heads_are_refused() {
        for bytes in [
            &[2u8][..],
            &[1, 0, 80, 0],
            &[1, 0, 80, 3, b'a', 0, b'b'],
            &[1, 0, 80, 2, b'a', b' '],
            &[1, 0, 80, 1, 0xe9],
        ] {
            assert_eq!(Request::parse(bytes), Err(Reason::RequestMalformed), "{bytes:?}");
        }
        assert_eq!(Answer::parse(&[9]), Err(Reason::RequestMalformed));
        assert_eq!(Answer::parse(&[0, 5]), Err(Reason::RequestMalformed));
        assert_eq!(Host::new(""), Err(Reason::RequestMalformed));
        assert_eq!(Host::new(&"a".repeat(256)), Err(Reason::RequestMalformed));
    }
}
