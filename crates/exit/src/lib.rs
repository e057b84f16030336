//! The exit policy: which ports and addresses an exit may dial for others, and how a host's text is read.
//!
//! Invariant: the address that is checked is the address that is dialled. A name is resolved once, its answers go
//! through [`ExitPolicy::select`], and only what that returns is connected to; a text that any resolver could read as
//! an address is read as that address by [`parse_host`] and never looked up. Pure: no clock, no sockets, no resolver.
//!
//! Order of use at an exit, for a request `host:port`:
//! ```
//! use wayfare_exit::{Denied, ExitPolicy, parse_host};
//! # use std::net::IpAddr;
//! # fn resolve(_: &str) -> Vec<IpAddr> { vec!["10.0.0.1".parse().unwrap(), "1.1.1.1".parse().unwrap()] }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = ExitPolicy::default();
//! policy.check_port(443)?;
//! let host = parse_host("example.net")?;
//! let found = host.addresses().unwrap_or_else(|| resolve("example.net"));
//! assert_eq!(policy.select(&found)?, ["1.1.1.1".parse::<IpAddr>()?]);
//! # Ok(()) }
//! ```

mod cidr;
mod host;
mod policy;
mod special;

pub use cidr::{Cidr, CidrError};
pub use host::{Host, HostError, parse_host};
pub use policy::{Denied, ExitPolicy};
pub use special::special_purpose;
