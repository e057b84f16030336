//! What a node tells TypeScript, in the shape that `HostEvent` in ts/core/host.ts has.

use serde::Serialize;

/// What a request has moved since it was last asked. Times are ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MovedSince {
    /// Since the first of it moved, and the last.
    pub first_us: u64,
    pub last_us: u64,
    pub sent: u64,
    pub received: u64,
    /// In so many pieces: reads of a stream, datagrams.
    pub pieces_sent: u64,
    pub pieces_received: u64,
}

/// One event. Ids are never used twice by one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    LinkUp {
        link: u32,
        peer: String,
        address: String,
        incoming: bool,
        version: u8,
        transport: &'static str,
    },
    LinkDown {
        link: u32,
        peer: String,
        reason: &'static str,
    },
    NextHopWanted {
        peer: String,
    },
    StreamOpened {
        link: u32,
        stream: u32,
    },
    /// Base64.
    Datagram {
        link: u32,
        data: String,
    },
    CircuitDown {
        circuit: u32,
        reason: &'static str,
    },
    CircuitWorn {
        circuit: u32,
    },
    ConnectionDown {
        connection: u32,
        reason: &'static str,
    },
    ConnectionStalled {
        connection: u32,
        circuit: u32,
        silent_ms: u32,
    },
    ConnectionMoved {
        connection: u32,
        circuit: u32,
    },
    /// A client wants this node itself, at this port; answer with `inbound_accept` or `inbound_refuse`.
    InboundRequested {
        flow: u32,
        port: u16,
    },
    FlowClosed {
        flow: u32,
        reason: &'static str,
        received: u64,
        sent: u64,
    },
    ProxyRequest {
        request: u32,
        kind: &'static str,
        protocol: &'static str,
        host: String,
        port: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        source: String,
        /// The decision that it has taken, made ahead.
        #[serde(skip_serializing_if = "Option::is_none")]
        ahead: Option<u32>,
    },
    /// The exit of this connection has connected: the request is carried there, and its other attempts are over.
    ProxyOpened {
        request: u32,
        connection: u32,
    },
    /// The attempt over this connection failed; assign another one, or refuse.
    ProxyFailed {
        request: u32,
        connection: u32,
        reason: &'static str,
    },
    ProxyClosed {
        request: u32,
        received: u64,
        sent: u64,
        reason: &'static str,
        /// What moved since `proxy_moved` was last asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        moved: Option<MovedSince>,
    },
}

impl Event {
    /// Whether nobody waits for what TypeScript does about it: a little later does as well.
    pub(crate) fn can_wait(&self) -> bool {
        matches!(self, Self::ProxyRequest { ahead: Some(_), .. } | Self::ProxyOpened { .. } | Self::ProxyClosed { .. })
    }
}
