//! `EgressOptions` and `EgressWeighting` of ts/core/egress.ts.

use serde::Deserialize;
use wayfare_stats::{Combine, Config, Limits, Measure, STEPS_MAX, Weighting, Weights, Within};

use crate::failure::Failure;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GivenLimits {
    hops: Option<u32>,
    destinations: Option<u32>,
    pairs: Option<u32>,
    tuples: Option<u32>,
    log: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    window_us: Option<u64>,
    sequence_us: Option<u64>,
    step_us: Option<u64>,
    limits: GivenLimits,
}

/// How many small windows a time is, which must be whole.
fn steps(whole_us: u64, step_us: u64, what: &str) -> Result<u32, Failure> {
    let most = u64::from(STEPS_MAX);
    if whole_us.is_multiple_of(step_us) && (1..=most).contains(&(whole_us / step_us)) {
        return Ok((whole_us / step_us) as u32);
    }
    Err(Failure::invalid(format!("{what} is 1 to {most} whole step_us of {step_us}, not {whole_us}")))
}

pub(super) fn config(json: &str) -> Result<Config, Failure> {
    let Given { window_us, sequence_us, step_us, limits } =
        serde_json::from_str(json).map_err(|e| Failure::invalid(format!("the options: {e}")))?;
    let step_us = step_us.unwrap_or(1_000_000);
    if !(1..=1 << 32).contains(&step_us) {
        return Err(Failure::invalid(format!("step_us is 1 to 2^32, not {step_us}")));
    }
    let window_steps = steps(window_us.unwrap_or(10_000_000), step_us, "window_us")?;
    let sequence_steps = steps(sequence_us.unwrap_or(60_000_000), step_us, "sequence_us")?;
    if sequence_steps < window_steps {
        return Err(Failure::invalid("sequence_us is window_us at least"));
    }
    let usual = Limits::default();
    let or = |given: Option<u32>, usual: usize| given.map_or(usual, |given| given as usize);
    let limits = Limits {
        hops: or(limits.hops, usual.hops),
        destinations: or(limits.destinations, usual.destinations),
        pairs: or(limits.pairs, usual.pairs),
        tuples: or(limits.tuples, usual.tuples),
        log: or(limits.log, usual.log).min(1 << 20),
    };
    Ok(Config { step_us, window_steps, sequence_steps, limits })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GivenMeasure {
    Uniform,
    Data,
    Speed,
    Yield,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenWeights {
    measure: GivenMeasure,
    #[serde(default)]
    roots: u8,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GivenCombine {
    All,
    Destination,
    Mixture,
    Product,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GivenWithin {
    Uniform,
    Exact,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct GivenWeighting {
    all: Option<GivenWeights>,
    destination: Option<GivenWeights>,
    combine: Option<GivenCombine>,
    destination_share: Option<f64>,
    uniform_share: Option<f64>,
    within: Option<GivenWithin>,
    octaves: Option<u32>,
    untried_most: Option<f64>,
    avoid_failed: Option<bool>,
    #[serde(rename = "retryWithin_us")]
    retry_within_us: Option<u64>,
    avoid_tried: Option<bool>,
}

fn weights(given: Option<GivenWeights>, old: Weights) -> Result<Weights, Failure> {
    let Some(GivenWeights { measure, roots }) = given else { return Ok(old) };
    if roots > 8 {
        return Err(Failure::invalid(format!("roots are 0 to 8, not {roots}")));
    }
    let measure = match measure {
        GivenMeasure::Uniform => Measure::Uniform,
        GivenMeasure::Data => Measure::Data,
        GivenMeasure::Speed => Measure::Speed,
        GivenMeasure::Yield => Measure::Yield,
    };
    Ok(Weights { measure, roots })
}

fn share(given: Option<f64>, old: f64, what: &str) -> Result<f64, Failure> {
    let share = given.unwrap_or(old);
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(Failure::invalid(format!("{what} is 0 to 1, not {share}")))
    }
}

pub(super) fn weighting(json: &str, old: &Weighting) -> Result<Weighting, Failure> {
    let given: GivenWeighting =
        serde_json::from_str(json).map_err(|e| Failure::invalid(format!("the weighting: {e}")))?;
    let octaves = given.octaves.unwrap_or(old.octaves);
    if !(1..=8).contains(&octaves) {
        return Err(Failure::invalid(format!("octaves are 1 to 8, not {octaves}")));
    }
    let untried_most = given.untried_most.unwrap_or(old.untried_most);
    if untried_most < 0.0 {
        return Err(Failure::invalid(format!("untriedMost is 0 at least, not {untried_most}")));
    }
    Ok(Weighting {
        all: weights(given.all, old.all)?,
        destination: weights(given.destination, old.destination)?,
        combine: given.combine.map_or(old.combine, |combine| match combine {
            GivenCombine::All => Combine::All,
            GivenCombine::Destination => Combine::Destination,
            GivenCombine::Mixture => Combine::Mixture,
            GivenCombine::Product => Combine::Product,
        }),
        destination_share: share(given.destination_share, old.destination_share, "destinationShare")?,
        uniform_share: share(given.uniform_share, old.uniform_share, "uniformShare")?,
        within: given.within.map_or(old.within, |within| match within {
            GivenWithin::Uniform => Within::Uniform,
            GivenWithin::Exact => Within::Exact,
        }),
        octaves,
        untried_most,
        avoid_failed: given.avoid_failed.unwrap_or(old.avoid_failed),
        retry_within_us: given.retry_within_us.unwrap_or(old.retry_within_us),
        avoid_tried: given.avoid_tried.unwrap_or(old.avoid_tried),
    })
}
