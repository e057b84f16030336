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
    Some(Case { circuits: circuits.parse().ok()?, neighbours: neighbours.parse().ok()?, class, shards: 1 })
}

/// A relay of two shards beside one of a single thread, on the same core.
pub fn shards(case: Case) -> Result<Value, Fault> {
    let start = |shards| Contest::start(Case { shards, ..case }, Suite::Aes128Gcm, &mut |_| {});
    let (mut one, mut two) = (start(1)?, start(2)?);
    let (mut one_by_floor, mut two_by_floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Each beside the same floor in the same moment, so that what the machine does meanwhile cancels out.
        let (one, two) = (one.round(ROUND)?, two.round(ROUND)?);
        one_by_floor.push(one.ours_ns / one.floor_ns);
        two_by_floor.push(two.ours_ns / two.floor_ns);
    }
    let (_, lost_one) = one.lost();
    let (_, lost_two) = two.lost();
    Ok(json!({
        "circuits": case.circuits, "neighbours": case.neighbours, "payload_bytes": case.class.payload_bytes(),
        "one_by_floor": one_by_floor, "two_by_floor": two_by_floor, "lost_one": lost_one, "lost_two": lost_two,
        "passed_by_shard": two.passed_by_shard()?,
    }))
}

/// A relay whose circuits pay, and whose links could fill up, beside one that has nothing to schedule, on the same core.
pub fn scheduled(case: Case) -> Result<Value, Fault> {
    let mut plain = Contest::start(case, Suite::Aes128Gcm, &mut |_| {})?;
    let mut scheduled = Contest::start_scheduled(case, Suite::Aes128Gcm, &mut |_| {})?;
    let (mut plain_by_floor, mut scheduled_by_floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (plain, scheduled) = (plain.round(ROUND)?, scheduled.round(ROUND)?);
        plain_by_floor.push(plain.ours_ns / plain.floor_ns);
        scheduled_by_floor.push(scheduled.ours_ns / scheduled.floor_ns);
    }
    Ok(json!({
        "circuits": case.circuits, "neighbours": case.neighbours, "payload_bytes": case.class.payload_bytes(),
        "plain_by_floor": plain_by_floor, "scheduled_by_floor": scheduled_by_floor,
    }))
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
