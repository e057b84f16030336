//! Rows of numbers, in the layouts that ts/core/egress.ts names, and JSON for what is asked rarely.

use serde_json::json;
use wayfare_stats::{Connection, Counters, Groups, Held};

use super::{EmbeddedEgress, destination, time};
use crate::failure::Failure;
use crate::options;

const HOP: usize = 15;
const PAIR: usize = 9;
const DESTINATION: usize = 6;
const FLOW: usize = 10;

fn when(at_us: Option<u64>) -> f64 {
    at_us.map_or(-1.0, |at_us| at_us as f64)
}

fn flag(flag: bool) -> f64 {
    f64::from(u8::from(flag))
}

/// Fills rows as far as they go; how many there are in all.
fn fill<const N: usize>(out: &mut [f64], rows: impl Iterator<Item = [f64; N]>) -> u32 {
    let mut places = out.as_chunks_mut::<N>().0.iter_mut();
    let mut count = 0;
    for row in rows {
        if let Some(place) = places.next() {
            *place = row;
        }
        count += 1;
    }
    count
}

/// Fills a page of rows that say where to go on; where that is, 0 at the end. Rows that are left begin with -1.
fn page<const N: usize>(out: &mut [f64], rows: impl Iterator<Item = (u32, [f64; N])>) -> u32 {
    let mut next = 0;
    let mut rows = rows.peekable();
    for place in out.as_chunks_mut::<N>().0 {
        place[0] = -1.0;
        next = 0;
        if let Some((after, row)) = rows.next() {
            (*place, next) = (row, after);
        }
    }
    if rows.peek().is_none() { 0 } else { next }
}

impl EmbeddedEgress {
    pub fn hops(&mut self, now_us: f64, out: &mut [f64]) -> Result<u32, Failure> {
        let rows = self.state()?.egress.hop_rows(time(now_us)?);
        let row = rows.map(|row| -> [f64; HOP] {
            [
                row.hop.into(),
                row.added_us as f64,
                flag(row.draining),
                row.estimate,
                row.sent_bytes as f64,
                row.received_bytes as f64,
                row.data_bytes as f64,
                row.opened.into(),
                row.failed.into(),
                row.speed,
                row.weight as f64,
                flag(row.untried),
                row.flows.into(),
                when(row.last_us),
                row.excluded_until_us as f64,
            ]
        });
        Ok(fill(out, row))
    }

    pub fn pairs(&mut self, now_us: f64, to: f64, out: &mut [f64]) -> Result<u32, Failure> {
        let (now_us, to) = (time(now_us)?, destination(to)?);
        let rows = self.state()?.egress.pair_rows(now_us, to).map_err(super::refused)?;
        let row = rows.map(|row| -> [f64; PAIR] {
            [
                row.hop.into(),
                row.data_bytes as f64,
                row.opened.into(),
                row.failed.into(),
                row.speed,
                row.weight as f64,
                row.flows.into(),
                when(row.last_us),
                row.excluded_until_us as f64,
            ]
        });
        Ok(fill(out, row))
    }

    pub fn destinations(&mut self, now_us: f64, from: f64, out: &mut [f64]) -> Result<u32, Failure> {
        let (now_us, from) = (time(now_us)?, options::id(from, "from")?);
        let rows = self.state()?.egress.destination_rows(now_us, from);
        let row = rows.map(|(next, row)| -> (u32, [f64; DESTINATION]) {
            let numbers = [
                row.destination.number() as f64,
                row.connections.into(),
                row.connections_l.into(),
                row.flows.into(),
                row.hops.into(),
                when(row.last_us),
            ];
            (next, numbers)
        });
        Ok(page(out, row))
    }

    pub fn flows(&mut self, from: f64, out: &mut [f64]) -> Result<u32, Failure> {
        let rows = self.state()?.egress.flow_rows(options::id(from, "from")?);
        let row = rows.map(|(next, row)| -> (u32, [f64; FLOW]) {
            let moved = row.interval;
            let time = |at_us| if moved.is_empty() { -1.0 } else { at_us as f64 };
            let numbers = [
                row.flow.number() as f64,
                row.hop.into(),
                row.destination.number() as f64,
                flag(row.live),
                time(moved.first_us),
                time(moved.last_us),
                moved.sent_bytes as f64,
                moved.received_bytes as f64,
                moved.sent_packets.into(),
                moved.received_packets.into(),
            ];
            (next, numbers)
        });
        Ok(page(out, row))
    }
}

pub(super) fn groups(connections: &[Connection], found: &Groups) -> String {
    let groups = found.groups.iter().map(|group| {
        json!({
            "start_us": group.start_us,
            "end_us": group.end_us,
            "connections": group.connections,
            "peak": group.peak,
        })
    });
    let chains = found.chains.iter().filter_map(|chain| {
        let first = &connections[*chain.connections.first()?];
        Some(json!({
            "destination": first.destination,
            "start_us": first.start_us,
            "tries": chain.connections.len(),
            "hops": chain.connections.iter().map(|&i| connections[i].hop).collect::<Vec<_>>(),
            "failed": chain.failed,
        }))
    });
    json!({
        "connections": connections.len(),
        "running": found.running,
        "peak": found.peak,
        "groups": groups.collect::<Vec<_>>(),
        "chains": chains.collect::<Vec<_>>(),
    })
    .to_string()
}

pub(super) fn stats(held: &Held, counters: &Counters, malformed: u64) -> String {
    json!({
        "hops": held.hops,
        "draining": held.draining,
        "destinations": held.destinations,
        "pairs": held.pairs,
        "flowsLive": held.flows_live,
        "tuplesIdle": held.tuples_idle,
        "tuplesEvicted": counters.tuples_evicted,
        "destinationsEvicted": counters.destinations_evicted,
        "pairsEvicted": counters.pairs_evicted,
        "recordsStale": counters.records_stale,
        "recordsMalformed": malformed,
        "recordsLate": counters.records_late,
        "clockFell": counters.clock_fell,
        "refused": counters.refused,
        "forced": counters.forced,
        "memoryBytes": held.memory_bytes,
    })
    .to_string()
}
