//! The packet kernels, in rounds.

use serde_json::{Map, Value, json};
use wayfare_measure::kernels::Kernels;

use crate::load::Fault;

pub fn run() -> Result<Value, Fault> {
    let kernels = Kernels::all().run(|_, _| {})?;
    let rounds: Map<String, Value> =
        kernels.into_iter().map(|k| (k.name, json!({ "ours_ns": k.ours_ns, "floor_ns": k.floor_ns }))).collect();
    Ok(rounds.into())
}
