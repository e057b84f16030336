//! The two proxies that programs on this machine speak to: SOCKS5 and HTTP, as state machines over bytes.
//!
//! How to drive one, [`Socks5`] or [`Http`], for each accepted connection: [`Socks5::feed`] what was read; write
//! [`Step::send`]; drop the first [`Step::consumed`] bytes; look at [`Step::progress`]:
//! - `NeedMore`: read again;
//! - `Refused`: count the reason, write what there is to send, shut the writing side, read to the end, close;
//! - `Request`: dial it. Then answer with [`socks5::reply`] or [`http::ESTABLISHED`] (nothing for
//!   [`Kind::Forward`]), or with a [`Failure`]; send [`Request::head`] to the destination, and after it the bytes left
//!   over and those still to come as far as [`Body::accept`] says they belong to this request.
//!
//! Invariant: no panic and bounded memory on any input, and the same outcome however the input is cut into pieces.
//! No sockets, no clock; a host is a text here, and what it means is decided at the exit.

mod credentials;
mod failure;
pub mod http;
mod request;
pub mod socks5;

pub use credentials::{Credentials, CredentialsError};
pub use failure::Failure;
pub use http::{Body, Http};
pub use request::{Kind, Progress, Request, Step};
pub use socks5::Socks5;
