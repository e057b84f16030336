//! `CreditOptions` and `CreditChangeable` of ts/core/credit.ts.

use serde::Deserialize;
use wayfare_credit::{Config, Rule};

use crate::failure::Failure;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GivenRule {
    Contributed,
    Equal,
}

/// What is left out stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Changed {
    increase: Option<u64>,
    rule: Option<GivenRule>,
    newcomer_share: Option<f64>,
    always_share: Option<f64>,
    rent: Option<u32>,
    free: Option<bool>,
    valuation: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Given {
    increase: Option<u64>,
    #[serde(rename = "halfLife_us")]
    half_life_us: Option<u64>,
    rule: Option<GivenRule>,
    newcomer_share: Option<f64>,
    #[serde(rename = "weigh_us")]
    weigh_us: Option<u64>,
    #[serde(rename = "period_us")]
    period_us: Option<u64>,
    always_share: Option<f64>,
    rent: Option<u32>,
    capacity: Option<u32>,
    neighbours: Option<u32>,
    free: Option<bool>,
    valuation: Option<bool>,
}

fn share(given: Option<f64>, old: u32, what: &str) -> Result<u32, Failure> {
    match given {
        None => Ok(old),
        Some(share) if (0.0..=1.0).contains(&share) => Ok(wayfare_credit::share(share)),
        Some(share) => Err(Failure::invalid(format!("{what} is 0 to 1, not {share}"))),
    }
}

impl Changed {
    fn over(self, old: &Config) -> Result<Config, Failure> {
        Ok(Config {
            increase: self.increase.unwrap_or(old.increase),
            rule: match self.rule {
                None => old.rule,
                Some(GivenRule::Contributed) => Rule::Contributed,
                Some(GivenRule::Equal) => Rule::Equal,
            },
            newcomer_share: share(self.newcomer_share, old.newcomer_share, "newcomerShare")?,
            always_share: share(self.always_share, old.always_share, "alwaysShare")?,
            rent: self.rent.unwrap_or(old.rent),
            free: self.free.unwrap_or(old.free),
            valuation: self.valuation.unwrap_or(old.valuation),
            ..old.clone()
        })
    }
}

pub(crate) fn config(json: &str) -> Result<Config, Failure> {
    let Given { half_life_us, weigh_us, period_us, capacity, neighbours, .. } = &parsed::<Given>(json)?;
    let usual = Config::default();
    let fixed = Config {
        half_life_us: half_life_us.unwrap_or(usual.half_life_us),
        weigh_us: weigh_us.unwrap_or(usual.weigh_us),
        period_us: period_us.unwrap_or(usual.period_us),
        capacity: capacity.unwrap_or(usual.capacity),
        neighbours: neighbours.unwrap_or(usual.neighbours),
        ..usual
    };
    let Given { increase, rule, newcomer_share, always_share, rent, free, valuation, .. } = parsed(json)?;
    Changed { increase, rule, newcomer_share, always_share, rent, free, valuation }.over(&fixed)
}

pub(super) fn changed(json: &str, old: &Config) -> Result<Config, Failure> {
    parsed::<Changed>(json)?.over(old)
}

fn parsed<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|e| Failure::invalid(format!("the options of credits: {e}")))
}
