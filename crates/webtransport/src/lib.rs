//! The server's side of WebTransport over HTTP/3, without I/O: as much of HTTP/3 as one session per connection needs.
//!
//! Hand in what streams bring, in the portions that [`Session::wants`] names; do what [`Session::poll`] says; a [`Fault`] ends
//! the connection. Streams and datagrams of the session are their owner's as soon as their few bytes of head are read.
//!
//! Invariant: total over any bytes; what it holds for one connection is bounded, whatever the client sends.
//!
//! Sources: RFC 9114 (HTTP/3), 9204 (QPACK), 9220 (extended CONNECT), 9297 (datagrams, capsules), 7541 (Huffman), and
//! draft-ietf-webtrans-http3, of which browsers speak versions 02 to 13.

pub mod code;
mod huffman;
pub mod qpack;
mod request;
mod session;
pub mod tlv;
mod uni;
pub mod varint;

pub use session::{Action, Fault, Session};
