//! What an exit dials for others: a fixed table of refused blocks, narrowed or widened by the operator's lists.
//!
//! Invariant: the operator's `deny` wins over everything, `allow` and `allow_loopback` win over the table, and an
//! address passes or fails whole, in whatever spelling it came. Source: threats "SSRF" and "rebinding".

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use wayfare_types::Reason;

use crate::cidr::Cidr;
use crate::special;

/// The rules of one exit. The default refuses port 25 and every address that is not global unicast.
///
/// An operator whose network translates IPv4 under a NAT64 prefix of its own (RFC 6052), or whose services listen on
/// the exit's public addresses, adds those to `deny`: no table can know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitPolicy {
    /// Lets clients reach services on the exit's own machine: 127.0.0.0/8 and ::1. For tests and demonstrations.
    pub allow_loopback: bool,
    /// Ports that are never dialled, at no address.
    pub denied_ports: Vec<u16>,
    /// Blocks that are never dialled.
    pub deny: Vec<Cidr>,
    /// Blocks that are dialled although the table refuses them, such as a private network behind the exit.
    pub allow: Vec<Cidr>,
    /// Blocks that are neither dialled nor refused: whoever asks waits, as before a firewall that drops.
    pub drop: Vec<Cidr>,
}

impl Default for ExitPolicy {
    fn default() -> Self {
        Self { allow_loopback: false, denied_ports: vec![25], deny: Vec::new(), allow: Vec::new(), drop: Vec::new() }
    }
}

/// Why nothing is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A port in `denied_ports`, or port 0.
    Port(u16),
    /// An address in `deny`.
    Listed(IpAddr),
    /// A special-purpose address, and what it is reserved for.
    Special(IpAddr, &'static str),
    /// The name has no addresses at all.
    NoAddress,
}

impl Denied {
    /// Under what the refusal is counted.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Port(_) => Reason::ExitPortDenied,
            Self::Listed(_) | Self::Special(..) => Reason::ExitAddressDenied,
            Self::NoAddress => Reason::ExitNameUnresolved,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "the exit does not dial port {port}"),
            Self::Listed(address) => write!(f, "the exit's operator refuses {address}"),
            Self::Special(address, what) => write!(f, "the exit does not dial {address}: {what}"),
            Self::NoAddress => f.write_str("the name has no addresses"),
        }
    }
}

impl std::error::Error for Denied {}

impl ExitPolicy {
    /// Whether the port may be dialled at all. Ask before resolving.
    pub fn check_port(&self, port: u16) -> Result<(), Denied> {
        if port == 0 || self.denied_ports.contains(&port) { Err(Denied::Port(port)) } else { Ok(()) }
    }

    /// Whether the address may be dialled.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Denied> {
        let address = address.to_canonical();
        if self.denies(address) {
            return Err(Denied::Listed(address));
        }
        if self.allow_loopback && address.is_loopback() || self.allow.iter().any(|block| block.contains(address)) {
            return Ok(());
        }
        match special::special_purpose(address) {
            Some(what) => Err(Denied::Special(address, what)),
            None => Ok(()),
        }
    }

    /// [`Self::check_port`] and [`Self::check_address`].
    pub fn check(&self, destination: SocketAddr) -> Result<(), Denied> {
        self.check_port(destination.port())?;
        self.check_address(destination.ip())
    }

    /// Of a name's answers those that may be dialled, each once, in the order given and with v4-mapped ones as IPv4;
    /// if none may, why the first may not.
    pub fn select(&self, resolved: &[IpAddr]) -> Result<Vec<IpAddr>, Denied> {
        let mut dialled: Vec<IpAddr> = Vec::new();
        let mut denied = Denied::NoAddress;
        for address in resolved.iter().map(IpAddr::to_canonical) {
            match self.check_address(address) {
                Ok(()) if !dialled.contains(&address) => dialled.push(address),
                Ok(()) => {}
                Err(why) if denied == Denied::NoAddress => denied = why,
                Err(_) => {}
            }
        }
        if dialled.is_empty() { Err(denied) } else { Ok(dialled) }
    }

    /// Whether nothing is to be heard of the address, although it may be dialled.
    pub fn is_silent(&self, address: IpAddr) -> bool {
        lists(&self.drop, address.to_canonical())
    }

    fn denies(&self, address: IpAddr) -> bool {
        lists(&self.deny, address)
    }
}

/// A block also counts for the IPv4 address that is carried inside an IPv6 one.
fn lists(blocks: &[Cidr], address: IpAddr) -> bool {
    let inside = match address {
        IpAddr::V6(v6) => special::nat64(v6).or_else(|| special::isatap(v6)).map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    blocks.iter().any(|block| block.contains(address) || inside.is_some_and(|v4| block.contains(v4)))
}
