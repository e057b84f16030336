//! A relay on fast links beside its floor, and beside a bare quinn datagram hop where nothing is drawn.

use std::time::Duration;

use serde_json::{Value, json};
use wayfare_measure::relay::{Case, Contest};
use wayfare_onion::Suite;
use wayfare_wire::SizeClass;

use crate::hop;
use crate::load::Fault;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(600);

/// Of `CIRCUITS NEIGHBOURS PAYLOAD`.
pub fn case(words: &[&str]) -> Option<Case> {
    let [circuits, neighbours, payload_bytes] = *words else { return None };
    let payload_bytes: usize = payload_bytes.parse().ok()?;
    let class = SizeClass::ALL.into_iter().find(|class| class.payload_bytes() == payload_bytes)?;
    Some(Case { circuits: circuits.parse().ok()?, neighbours: neighbours.parse().ok()?, class })
}

pub async fn run(case: Case) -> Result<Value, Fault> {
    let mut contest = Contest::start(case, Suite::Aes128Gcm, &mut |_| {})?;
    let mut quinn = if case.circuits == 1 { Some(hop::Quinn::start().await?) } else { None };
    let (mut floor_ns, mut ours_ns, mut quinn_ns) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let round = contest.round(ROUND)?;
        floor_ns.push(round.floor_ns);
        ours_ns.push(round.ours_ns);
        if let Some(quinn) = &mut quinn {
            quinn_ns.push(quinn.round().await?);
        }
    }
    let (lost_floor, lost_ours) = contest.lost();
    let drops: serde_json::Map<String, Value> =
        contest.drops()?.into_iter().map(|(reason, count)| (reason.into(), count.into())).collect();
    Ok(json!({
        "circuits": case.circuits, "neighbours": case.neighbours, "payload_bytes": case.class.payload_bytes(),
        "packet_bytes": case.packet_bytes(), "floor_library": contest.library(), "floor_ns": floor_ns, "ours_ns": ours_ns,
        "quinn_ns": quinn_ns, "lost_floor": lost_floor, "lost_ours": lost_ours, "drops": drops,
    }))
}
