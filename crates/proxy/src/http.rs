//! An HTTP/1 forward proxy (RFC 9110, RFC 9112): `CONNECT host:port`, and `http://` requests in absolute form.
//!
//! Invariant: at most 64 KiB of a head are held, and one connection carries one request: what is forwarded says
//! `Connection: close`, and [`Body`] ends where the message ends, so that no second request ever slips through to the
//! first one's origin. A head that two parsers could read differently is refused, never mended.

mod body;
mod head;
mod machine;
mod response;
mod target;

pub use body::Body;
pub use machine::{HEAD_LEN_MAX, Http};
pub use response::{ESTABLISHED, Status, response};
