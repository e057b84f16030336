//! The server's side of a SOCKS5 conversation (RFC 1928), with user name and password (RFC 1929).
//!
//! Invariant: at most one message (513 bytes) is held; nothing past the request is consumed, so a client may send its
//! data at once. The address of a request is only read here; what it means is the exit's to judge.

mod machine;
mod udp;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use machine::Socks5;
pub use udp::{Address, Datagram, emit_datagram, parse_datagram};

const VERSION: u8 = 5;
const ATYP_V4: u8 = 1;
const ATYP_NAME: u8 = 3;
const ATYP_V6: u8 = 4;

/// The bound address of a reply that has none to tell.
pub const UNSPECIFIED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// RFC 1928 §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplyCode {
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    NetworkUnreachable = 3,
    HostUnreachable = 4,
    ConnectionRefused = 5,
    TtlExpired = 6,
    CommandNotSupported = 7,
    AddressTypeNotSupported = 8,
}

/// The answer to a request. `bound` is the address of the new socket: for UDP ASSOCIATE where to send datagrams.
pub fn reply(code: ReplyCode, bound: SocketAddr) -> Vec<u8> {
    let mut out = vec![VERSION, code as u8, 0];
    put_address(bound.ip(), bound.port(), &mut out);
    out
}

fn put_address(ip: IpAddr, port: u16, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(v4) => {
            out.push(ATYP_V4);
            out.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            out.push(ATYP_V6);
            out.extend(v6.octets());
        }
    }
    out.extend(port.to_be_bytes());
}

/// A name is printable ASCII without spaces; the exit judges the rest.
fn name(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())).then_some(text)
}
