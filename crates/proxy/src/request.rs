//! What a proxy's client asked for, in one shape for both protocols.

use wayfare_types::Reason;

use crate::http::Body;

/// What to do with the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Open a TCP connection and join it to the client's.
    Connect,
    /// Open a UDP port for the client and relay its datagrams while this connection lives (SOCKS5 only). Host and port
    /// are where the client will send from, all zero if it does not know yet.
    UdpAssociate,
    /// Open a TCP connection and send the rewritten request on it (HTTP only).
    Forward,
}

/// A complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub kind: Kind,
    /// An address or a name as the client spelled it, printable ASCII, an IPv6 address without brackets.
    pub host: String,
    /// Not 0, except in [`Kind::UdpAssociate`].
    pub port: u16,
    /// User name and password of a client that sent some although none were asked for: connections with different ones
    /// are not to share a circuit. Percent-encoded, so that different credentials never look the same.
    pub isolation: Option<String>,
    /// Goes to the destination before anything else. Empty except in [`Kind::Forward`].
    pub head: Vec<u8>,
    /// Which of the client's further bytes belong to this request.
    pub body: Body,
}

/// Where a conversation stands after a [`Step`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More input is needed.
    NeedMore,
    /// The client's request. The conversation is over; feeding again consumes nothing and gives the same.
    Request(Request),
    /// The client's input is refused. The conversation is over, as above.
    Refused(Reason),
}

/// What one call of `feed` came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many bytes of the input are used up. The rest is the client's first data, or not to be looked at.
    pub consumed: usize,
    /// Bytes for the client.
    pub send: Vec<u8>,
    pub progress: Progress,
}
