//! A relay under floods: what honest traffic keeps of its goodput while as many hostile packets come.

use std::time::Duration;

use serde_json::{Map, Value, json};
use wayfare_measure::relay::{Case, Flood, Hostile};
use wayfare_onion::Suite;
use wayfare_wire::SizeClass;

use crate::load::Fault;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(600);
const CASE: Case = Case { circuits: 8, neighbours: 2, class: SizeClass::M, shards: 1 };

pub fn run() -> Result<Value, Fault> {
    let mut flood = Flood::start(CASE, Suite::Aes128Gcm)?;
    let (mut kinds, mut refused) = (Map::new(), 0);
    for kind in Hostile::ALL {
        let counted = |flood: &Flood| -> Result<u64, Fault> {
            Ok(flood.drops()?.iter().find(|(reason, _)| *reason == kind.reason()).map_or(0, |(_, count)| *count))
        };
        let before = counted(&flood)?;
        let rounds: Vec<_> = (0..ROUNDS).map(|_| flood.round(kind, ROUND)).collect::<Result<_, _>>()?;
        let counted = counted(&flood)? - before;
        refused += counted;
        kinds.insert(
            kind.name().into(),
            json!({
                "flooded_per_s": rounds.iter().map(|r| r.flooded_per_s).collect::<Vec<_>>(),
                "clean_per_s": rounds.iter().map(|r| r.clean_per_s).collect::<Vec<_>>(),
                "hostile_per_honest": rounds.iter().map(|r| r.hostile_per_honest).collect::<Vec<_>>(),
                "busy": rounds.iter().map(|r| r.busy).collect::<Vec<_>>(),
                "counted": counted,
            }),
        );
    }
    if refused == 0 {
        return Err("the relay counted nothing of the flood".into());
    }
    Ok(json!({ "half_per_s": flood.half_per_s(), "packet_bytes": CASE.packet_bytes(), "kinds": kinds }))
}
