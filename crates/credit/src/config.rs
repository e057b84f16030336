//! What a node's owner decides.

use std::fmt;

/// See `CreditOptions` in ts/core/credit.ts for what each is.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Config {
    pub increase: u64,
    pub half_life_us: u64,
    pub rule: Rule,
    /// In 1/2^32, as all shares.
    pub newcomer_share: u32,
    pub weigh_us: u64,
    pub period_us: u64,
    pub always_share: u32,
    pub rent: u32,
    pub capacity: u32,
    pub neighbours: u32,
    pub free: bool,
    pub valuation: bool,
}

/// By what the increase is shared among neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// What was done for us, and a part for newcomers.
    Contributed,
    /// The same to each.
    Equal,
}

/// The share of a whole that a number from 0 to 1 is, and not less; what is beyond those is they.
pub fn share(of_one: f64) -> u32 {
    (of_one * 4_294_967_296.0).ceil() as u32
}

impl Default for Config {
    fn default() -> Self {
        Self {
            increase: 1_000_000,
            half_life_us: 600_000_000,
            rule: Rule::Contributed,
            newcomer_share: share(0.05),
            weigh_us: 10_000_000,
            period_us: 1_000_000,
            always_share: share(0.01),
            rent: 1000,
            capacity: 65_536,
            neighbours: 131_072,
            free: false,
            valuation: true,
        }
    }
}

/// What of a configuration cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError(pub &'static str);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |what| Err(ConfigError(what));
        if !(1_000_000..=1 << 40).contains(&self.half_life_us) {
            return wrong("halfLife_us is from 1,000,000 to 2^40");
        }
        if !rate_fits(self.increase, self.half_life_us) {
            return wrong("increase is at most 2^40, and increase × halfLife / ln 2 at most 2^52");
        }
        if self.period_us == 0 || self.weigh_us == 0 {
            return wrong("period_us and weigh_us are at least 1");
        }
        if !(2..=1 << 24).contains(&self.capacity) || !(1..=1 << 20).contains(&self.neighbours) {
            return wrong("capacity is from 2 to 2^24, neighbours from 1 to 2^20");
        }
        if self.rent > 1 << 24 {
            return wrong("rent is at most 2^24");
        }
        Ok(())
    }
}

/// Whether what a rate converges to is an amount.
pub(crate) fn rate_fits(per_second: u64, half_life_us: u64) -> bool {
    // 1/ln 2 < 1.4427.
    per_second <= 1 << 40 && u128::from(per_second) * u128::from(half_life_us) / 1_000_000 * 14_427 / 10_000 <= 1 << 52
}
