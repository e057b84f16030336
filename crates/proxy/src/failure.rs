//! Why a request could not be carried out, as each protocol says it.

use crate::http::{self, Status};
use crate::socks5::{self, ReplyCode};

/// What a client is told when its destination was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The exit's policy, or this node's, refuses it.
    Denied,
    /// The name does not resolve, or no way leads to the address.
    Unreachable,
    /// The destination itself refused.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The network between here and the exit failed, or no path could be had.
    Network,
}

impl Failure {
    /// A SOCKS5 reply (RFC 1928 §6).
    pub fn socks5(self) -> Vec<u8> {
        let code = match self {
            Self::Denied => ReplyCode::NotAllowed,
            Self::Unreachable => ReplyCode::HostUnreachable,
            Self::Refused => ReplyCode::ConnectionRefused,
            Self::TimedOut => ReplyCode::TtlExpired,
            Self::Network => ReplyCode::NetworkUnreachable,
        };
        socks5::reply(code, socks5::UNSPECIFIED)
    }

    /// An HTTP response with one sentence. Close after it.
    pub fn http(self) -> Vec<u8> {
        let (status, sentence) = match self {
            Self::Denied => (Status::Forbidden, "The exit's policy does not allow this destination."),
            Self::Unreachable => (Status::BadGateway, "The exit finds no way to this destination."),
            Self::Refused => (Status::BadGateway, "The destination refused the connection."),
            Self::TimedOut => (Status::GatewayTimeout, "The destination did not answer in time."),
            Self::Network => (Status::BadGateway, "No path through the network to an exit could be had."),
        };
        http::response(status, sentence)
    }
}
