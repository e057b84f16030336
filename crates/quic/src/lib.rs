//! Many QUIC connections on one endpoint, without I/O: links between nodes and inner connections alike run on it.
//!
//! Drive it so: hand in a datagram, a timeout or a change to a connection; then take events until there are none; then take
//! transmits until there are none; then sleep until `poll_timeout`. Around quinn-proto (RFC 9000, 9001, 9221); identities are
//! raw Ed25519 public keys (RFC 7250), so a connection's peer is its key and nothing else.
//!
//! Invariant: reads no clock and opens no socket. Everything that belongs to a connection goes when it has drained.

mod bare;
#[cfg(not(target_family = "wasm"))]
pub mod certificate;
mod congestion;
pub mod hello;
mod host;
#[cfg(not(target_family = "wasm"))]
mod listener;

mod provider;
mod spans;
#[cfg(test)]
mod test_host;
pub mod tls;
mod transport;

pub use congestion::{InnerCubic, PassThrough};
pub use host::{HostConfig, QuicEvent, QuicHost};
#[cfg(not(target_family = "wasm"))]
pub use listener::{WEB_ALPN, WebCertificate, certificate_hash, listener};
pub use quinn_proto::{
    ApplicationClose, ClientConfig, Connection, ConnectionError, ConnectionHandle, Dir, EcnCodepoint, EndpointConfig,
    FinishError, RandomConnectionIdGenerator, ReadError, ReadableError, SendDatagramError, ServerConfig, Side,
    StreamId, Transmit, TransportConfig, VarInt, WriteError,
};
pub use transport::{InnerSizes, InnerWindows, LINK_MTU_MAX, SPAN_MTU_MAX, inner_transport, link_transport};

/// The clock's type: what the host passes in.
#[cfg(not(target_family = "wasm"))]
pub type Instant = std::time::Instant;
/// The clock's type: what the host passes in.
#[cfg(target_family = "wasm")]
pub type Instant = web_time::Instant;
