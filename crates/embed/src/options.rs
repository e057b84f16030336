//! What an engine is made of, as `EngineOptions` in ts/core/engine.ts says it; and the checks of what JavaScript passes as
//! numbers and text.

use serde::Deserialize;
use wayfare_engine::{EngineConfig, HopSpec, NodeId, OnionPublic, SizeClass, Status, Suite};

use crate::failure::Failure;

/// The largest number that JavaScript counts to without gaps.
const NUMBER_MAX: f64 = 9_007_199_254_740_991.0;

/// See `EngineOptions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Options {
    pub roles: Roles,
    pub fresh_keys: bool,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub credits: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roles {
    pub client: bool,
    pub relay: bool,
    pub exit: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Limits {
    pub circuits: Option<u32>,
    pub setups_per_second: Option<u32>,
    pub reader_bytes: Option<u32>,
    pub window_bytes_max: Option<u32>,
}

impl Options {
    pub fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(|e| Failure::invalid(format!("the engine's options: {e}")))
    }

    pub fn config(&self, identity_seed: &[u8; 32]) -> Result<EngineConfig, Failure> {
        let credits =
            self.credits.as_ref().map_or(Ok(Default::default()), |given| crate::credit::config(&given.to_string()))?;
        let defaults = wayfare_engine::Limits::default();
        let Limits { circuits, setups_per_second, reader_bytes, window_bytes_max } = self.limits;
        Ok(EngineConfig {
            identity_seed: *identity_seed,
            roles: wayfare_engine::Roles { client: self.roles.client, relay: self.roles.relay, exit: self.roles.exit },
            limits: wayfare_engine::Limits {
                circuits: circuits.map_or(defaults.circuits, |n| n as usize),
                setups_per_s: setups_per_second.unwrap_or(defaults.setups_per_s),
                reader_bytes: reader_bytes.map_or(defaults.reader_bytes, u64::from),
                window_bytes_max: window_bytes_max.unwrap_or(defaults.window_bytes_max),
                ..defaults
            },
            credits,
        })
    }
}

/// A whole number from zero to `max`.
fn whole(value: f64, max: f64, what: &str) -> Result<u64, Failure> {
    if value.fract() == 0.0 && (0.0..=max).contains(&value) {
        return Ok(value as u64);
    }
    Err(Failure::invalid(format!("{what} is a whole number from 0 to {max}, not {value}")))
}

/// An id as this engine and its caller count them.
pub(crate) fn id(value: f64, what: &str) -> Result<u32, Failure> {
    whole(value, f64::from(u32::MAX), what).map(|id| id as u32)
}

pub(crate) fn port(value: f64) -> Result<u16, Failure> {
    whole(value, f64::from(u16::MAX), "a port").map(|port| port as u16)
}

pub(crate) fn mtu(value: f64) -> Result<usize, Failure> {
    whole(value, f64::from(u16::MAX), "what a datagram holds").map(|bytes| bytes as usize)
}

/// Time in microseconds or milliseconds; clocks of JavaScript give fractions.
pub(crate) fn time(value: f64, what: &str) -> Result<u64, Failure> {
    if (0.0..=NUMBER_MAX).contains(&value) {
        return Ok(value as u64);
    }
    Err(Failure::invalid(format!("{what} is a time since its origin, not {value}")))
}

pub(crate) fn node(text: &str) -> Result<NodeId, Failure> {
    text.parse().map_err(|e: wayfare_types::IdError| Failure::invalid(e.to_string()))
}

pub(crate) fn seed(bytes: &[u8], what: &str) -> Result<zeroize::Zeroizing<[u8; 32]>, Failure> {
    let seed = bytes.try_into().map_err(|_| Failure::invalid(format!("{what} has 32 bytes, not {}", bytes.len())))?;
    Ok(zeroize::Zeroizing::new(seed))
}

/// Values of 32 bytes, one after the other.
pub(crate) fn each_32<'a>(bytes: &'a [u8], what: &str) -> Result<&'a [[u8; 32]], Failure> {
    match bytes.as_chunks::<32>() {
        (all, []) => Ok(all),
        _ => Err(Failure::invalid(format!("{what} have 32 bytes each, these are {} bytes", bytes.len()))),
    }
}

/// Bytes of a hop: id and onion key.
pub(crate) const HOP: usize = 32 + 1216;

pub(crate) fn hops(bytes: &[u8]) -> Result<Vec<HopSpec>, Failure> {
    let (all, rest) = bytes.as_chunks::<HOP>();
    if all.is_empty() || !rest.is_empty() {
        return Err(Failure::invalid(format!("hops have {HOP} bytes each, these are {} bytes", bytes.len())));
    }
    let hop = |bytes: &[u8; HOP]| {
        let (mut node, mut key) = ([0; 32], [0; 1216]);
        node.copy_from_slice(&bytes[..32]);
        key.copy_from_slice(&bytes[32..]);
        HopSpec { node: NodeId(node), onion_key: OnionPublic(key) }
    };
    Ok(all.iter().map(hop).collect())
}

pub(crate) fn size_class(name: &str) -> Result<SizeClass, Failure> {
    match name {
        "M" => Ok(SizeClass::M),
        "L" => Ok(SizeClass::L),
        // Refused by every link, since none of these is fast: callers fall back as they do elsewhere.
        "J" => Ok(SizeClass::J),
        "X" => Ok(SizeClass::X),
        _ => Err(Failure::invalid(format!("a size class is M, L, J or X, not {name:?}"))),
    }
}

/// `None` for what suits this CPU.
pub(crate) fn suite(name: &str) -> Result<Option<Suite>, Failure> {
    if name.is_empty() {
        return Ok(None);
    }
    let named = Suite::from_name(name).ok_or_else(|| Failure::invalid(format!("there is no cipher suite {name:?}")))?;
    Ok(Some(named))
}

/// What a client is told instead of a connection: a status, by its own name or that of the drop reason it becomes.
pub(crate) fn status(code: &str) -> Result<Status, Failure> {
    match code {
        "address_denied" | "exit_address_denied" => Ok(Status::AddressDenied),
        "port_denied" | "exit_port_denied" => Ok(Status::PortDenied),
        "name_unresolved" | "exit_name_unresolved" => Ok(Status::NameUnresolved),
        "refused" | "exit_connect_failed" => Ok(Status::Refused),
        "unreachable" | "exit_unreachable" => Ok(Status::Unreachable),
        "timed_out" | "timeout" => Ok(Status::TimedOut),
        "malformed" | "request_malformed" => Ok(Status::Malformed),
        "overloaded" | "exit_overloaded" | "draining" | "memory_quota" => Ok(Status::Overloaded),
        _ => Err(Failure::invalid(format!("no client can be told {code:?}"))),
    }
}
