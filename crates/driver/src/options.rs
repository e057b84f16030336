//! What a node is made of, as `HostOptions` in ts/core/host.ts says it, and the rules that can change while it runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use wayfare_engine::{CreditConfig, CreditRule, credit_share};
use wayfare_exit::{Cidr, ExitPolicy};
use wayfare_proxy::Credentials;
use wayfare_relay::SHARDS_MAX;
use zeroize::Zeroizing;

use crate::Failure;

/// See `HostOptions`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Set by the caller, never part of a text.
    #[serde(skip)]
    pub identity_seed: Zeroizing<[u8; 32]>,
    pub listen: Vec<String>,
    pub roles: Roles,
    #[serde(default)]
    pub replay_file: Option<PathBuf>,
    #[serde(default)]
    pub fresh_keys: bool,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub credits: Credits,
}

/// See `Roles`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    pub client: bool,
    pub relay: bool,
    pub exit: bool,
    /// Takes streams to itself.
    #[serde(default)]
    pub listener: bool,
}

/// See `HostLimits`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    pub circuits: u32,
    pub setups_per_second: u32,
    pub reader_bytes: u64,
    pub window_bytes_max: u64,
    pub link_idle_ms: u32,
    /// Whether packets go beside QUIC where both ends can.
    pub fast_links: bool,
    /// Whether system calls move many datagrams at once where the system can.
    pub offload: bool,
    /// What may leave on each link; 0 is as much as goes.
    pub link_bytes_per_second: u64,
    /// Threads that work fast packets, the main one included.
    pub shards: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            circuits: 100_000,
            setups_per_second: 200,
            reader_bytes: 64 << 20,
            window_bytes_max: 16 << 20,
            link_idle_ms: 3000,
            fast_links: true,
            offload: true,
            link_bytes_per_second: 0,
            shards: 1,
        }
    }
}

/// See `CreditOptions`; its `capacity` is `limits.circuits`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Credits {
    pub increase: Option<u64>,
    #[serde(rename = "halfLife_us")]
    pub half_life_us: Option<u64>,
    pub rule: Option<String>,
    pub newcomer_share: Option<f64>,
    #[serde(rename = "weigh_us")]
    pub weigh_us: Option<u64>,
    #[serde(rename = "period_us")]
    pub period_us: Option<u64>,
    pub always_share: Option<f64>,
    pub rent: Option<u32>,
    pub neighbours: Option<u32>,
    pub free: Option<bool>,
    pub valuation: Option<bool>,
}

impl Credits {
    /// Reads `CreditOptions` from JSON.
    pub fn from_json(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(|e| Failure::new(Failure::INVALID, format!("the options of credits: {e}")))
    }

    /// What of it cannot be is refused where the ledger is made.
    pub(crate) fn config(&self) -> CreditConfig {
        let defaults = CreditConfig::default();
        CreditConfig {
            increase: self.increase.unwrap_or(defaults.increase),
            half_life_us: self.half_life_us.unwrap_or(defaults.half_life_us),
            rule: match self.rule.as_deref() {
                Some("equal") => CreditRule::Equal,
                _ => CreditRule::Contributed,
            },
            newcomer_share: self.newcomer_share.map_or(defaults.newcomer_share, credit_share),
            weigh_us: self.weigh_us.unwrap_or(defaults.weigh_us),
            period_us: self.period_us.unwrap_or(defaults.period_us),
            always_share: self.always_share.map_or(defaults.always_share, credit_share),
            rent: self.rent.unwrap_or(defaults.rent),
            capacity: defaults.capacity,
            neighbours: self.neighbours.unwrap_or(defaults.neighbours),
            free: self.free.unwrap_or(defaults.free),
            valuation: self.valuation.unwrap_or(defaults.valuation),
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        if !(1..=SHARDS_MAX).contains(&self.shards) {
            return Err(format!("limits.shards cannot be {}; give a number from 1 to {SHARDS_MAX}", self.shards));
        }
        if self.shards > 1 && !cfg!(any(target_os = "linux", target_os = "android")) {
            return Err("only Linux spreads one port's packets over several shards; set limits.shards to 1".into());
        }
        if self.shards > 1 && self.link_bytes_per_second > 0 {
            let text = "limits.linkBytesPerSecond is kept by one shard for all that leaves on a link; \
                        set limits.shards to 1, or limits.linkBytesPerSecond to 0";
            return Err(text.into());
        }
        Ok(())
    }
}

impl Options {
    /// Reads `HostOptions` without its seed from JSON.
    pub fn from_json(json: &str, identity_seed: &[u8]) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::new(Failure::INVALID, text);
        let mut options: Self = serde_json::from_str(json).map_err(|e| invalid(format!("the node's options: {e}")))?;
        let seed = identity_seed.try_into().map_err(|_| invalid("an identity seed has 32 bytes".into()))?;
        options.identity_seed = Zeroizing::new(seed);
        options.addresses()?;
        options.limits.check().map_err(invalid)?;
        Ok(options)
    }

    /// One socket per family: a reply leaves by the socket of its family, so it always has the port it was asked at.
    pub(crate) fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let mut found: Vec<SocketAddr> = Vec::new();
        for text in &self.listen {
            let address: SocketAddr = text.parse().map_err(|_| {
                Failure::new(Failure::INVALID, format!("{text:?} is no UDP address; write 0.0.0.0:4400 or [::]:4400"))
            })?;
            if found.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
                let text =
                    "a node listens on at most one IPv4 and one IPv6 address; use 0.0.0.0 or [::] for all of them";
                return Err(Failure::new(Failure::INVALID, text));
            }
            found.push(address);
        }
        if found.is_empty() {
            return Err(Failure::new(Failure::INVALID, "a node needs an address to listen on, such as 127.0.0.1:0"));
        }
        Ok(found)
    }
}

/// See `ExitRules`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExitRules {
    pub allow_loopback: bool,
    pub deny_ports: Vec<u16>,
    pub deny: Vec<String>,
    pub allow: Vec<String>,
    pub drop: Vec<String>,
}

impl Default for ExitRules {
    fn default() -> Self {
        Self { allow_loopback: false, deny_ports: vec![25], deny: Vec::new(), allow: Vec::new(), drop: Vec::new() }
    }
}

impl ExitRules {
    /// The policy they mean.
    pub fn policy(&self) -> Result<ExitPolicy, Failure> {
        let blocks = |texts: &[String]| -> Result<Vec<Cidr>, Failure> {
            texts
                .iter()
                .map(|t| t.parse().map_err(|e| Failure::new(Failure::INVALID, format!("exit rule {t:?}: {e}"))))
                .collect()
        };
        Ok(ExitPolicy {
            allow_loopback: self.allow_loopback,
            denied_ports: self.deny_ports.clone(),
            deny: blocks(&self.deny)?,
            allow: blocks(&self.allow)?,
            drop: blocks(&self.drop)?,
        })
    }
}

/// Where a proxy listens, and who may use it.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    pub listen: SocketAddr,
    pub credentials: Option<Credentials>,
}

impl ProxyOptions {
    /// A proxy that others can reach demands credentials: it would be open to everybody otherwise.
    pub fn new(listen: &str, credentials: Option<(&str, &str)>) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::new(Failure::INVALID, text);
        let address: SocketAddr = listen
            .parse()
            .map_err(|_| invalid(format!("{listen:?} is no address to listen on; write 127.0.0.1:1080")))?;
        let credentials = credentials
            .map(|(user, password)| Credentials::new(user, password).map_err(|e| invalid(e.to_string())))
            .transpose()?;
        if !address.ip().to_canonical().is_loopback() && credentials.is_none() {
            return Err(invalid(format!("a proxy on {listen} can be reached by others and needs credentials")));
        }
        Ok(Self { listen: address, credentials })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_with_defaults_and_name_what_is_wrong() {
        let json =
            |listen: &str| format!(r#"{{"listen":{listen},"roles":{{"client":true,"relay":false,"exit":false}}}}"#);
        let options = Options::from_json(&json(r#"["127.0.0.1:0","[::1]:0"]"#), &[7; 32]).unwrap();
        assert_eq!((options.limits.circuits, options.limits.link_idle_ms), (100_000, 3000));
        assert_eq!(options.addresses().unwrap().len(), 2);
        for (listen, seed) in
            [(r#"["127.0.0.1:0","127.0.0.1:1"]"#, 32), (r#"["localhost"]"#, 32), ("[]", 32), (r#"["127.0.0.1:0"]"#, 31)]
        {
            let failure = Options::from_json(&json(listen), &vec![0; seed]).unwrap_err();
            assert_eq!(failure.code, Failure::INVALID, "{listen}");
        }
    }

    #[test]
    fn shards_are_bounded_and_exclude_a_rate_per_link() {
        let json = |limits: &str| {
            format!(
                r#"{{"listen":["127.0.0.1:0"],"roles":{{"client":false,"relay":true,"exit":false}},"limits":{{{limits}}}}}"#
            )
        };
        for limits in [r#""shards":1,"linkBytesPerSecond":1000"#, r#""shards":8"#, ""] {
            assert!(Options::from_json(&json(limits), &[7; 32]).is_ok(), "{limits}");
        }
        for limits in [r#""shards":2,"linkBytesPerSecond":1000"#, r#""shards":0"#, r#""shards":9"#] {
            let failure = Options::from_json(&json(limits), &[7; 32]).unwrap_err();
            assert_eq!(failure.code, Failure::INVALID);
            assert!(failure.text.contains("set limits.shards to 1") || failure.text.contains("from 1 to 8"));
        }
    }

    #[test]
    fn a_proxy_in_reach_of_others_needs_credentials() {
        assert!(ProxyOptions::new("127.0.0.1:0", None).is_ok());
        assert!(ProxyOptions::new("[::1]:0", None).is_ok());
        assert!(ProxyOptions::new("0.0.0.0:0", None).is_err());
        assert!(ProxyOptions::new("0.0.0.0:0", Some(("ann", "secret"))).is_ok());
        assert!(ProxyOptions::new("0.0.0.0:0", Some(("", ""))).is_err());
    }
}
