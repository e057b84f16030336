//! Rows of numbers, in the layouts that ts/core/credit.ts names.

use serde_json::json;
use wayfare_credit::{Change, ConnectionRow, Direction, Flow, Ledger, NeighbourRow, NodeBooks, SELF};
use wayfare_types::Reason;

pub(super) const NEIGHBOUR: usize = 32;
pub(super) const CONNECTION: usize = 31;
const FLOW: usize = 12;
pub(super) const BOOKS: usize = 28;
pub(super) const CHANGE: usize = 4;

const OCTAVE: f64 = 4_294_967_296.0;

fn flag(flag: bool) -> f64 {
    f64::from(u8::from(flag))
}

pub(super) fn octaves(value: i64) -> f64 {
    value as f64 / OCTAVE
}

/// Of a number of octaves; none for what is no number.
pub(super) fn of_octaves(octaves: f64) -> Option<i64> {
    octaves.is_finite().then_some((octaves * OCTAVE).round() as i64)
}

pub(super) fn neighbour(row: &NeighbourRow) -> [f64; NEIGHBOUR] {
    let (account, mirror) = (&row.account_books, &row.mirror_books);
    [
        row.neighbour.into(),
        row.account as f64,
        row.mirror as f64,
        row.contributed as f64,
        octaves(row.value),
        row.expected as f64,
        row.increase as f64,
        row.report as f64,
        row.report_increase as f64,
        row.reported_us.map_or(-1.0, |us| us as f64),
        row.price as f64 / 65_536.0,
        row.announced_in as f64,
        row.announced_out as f64,
        row.connections.into(),
        account.opening as f64,
        account.minted as f64,
        account.decayed as f64,
        account.spent as f64,
        account.earned as f64,
        mirror.opening as f64,
        mirror.minted as f64,
        mirror.decayed as f64,
        mirror.spent as f64,
        mirror.earned as f64,
        row.throttled as f64,
        row.overdrawn as f64,
        row.carry as f64,
        row.rent as f64,
        row.always as f64,
        row.load as f64,
        flag(row.leaving),
        octaves(row.value_lately),
    ]
}

fn end(id: u32) -> f64 {
    if id == SELF { -1.0 } else { id.into() }
}

fn flow(flow: &Flow) -> [f64; FLOW] {
    [
        flow.class_in.into(),
        flow.class_out.into(),
        flow.weight().into(),
        flow.paid as f64,
        flow.throttled as f64,
        flow.rent as f64,
        flow.always as f64,
        flow.load as f64,
        flow.rest() as f64,
        flow.passed as f64,
        flow.charged as f64,
        flow.bytes as f64,
    ]
}

pub(super) fn connection(row: &ConnectionRow) -> [f64; CONNECTION] {
    let whole = [
        row.connection.into(),
        end(row.previous),
        end(row.next),
        row.opened_us as f64,
        flag(row.rented),
        row.arrears as f64,
        row.own.into(),
    ];
    let mut out = [0.0; CONNECTION];
    out[..7].copy_from_slice(&whole);
    out[7..19].copy_from_slice(&flow(&row.flows[0]));
    out[19..].copy_from_slice(&flow(&row.flows[1]));
    out
}

pub(super) fn change(change: Change) -> [f64; CHANGE] {
    match change {
        Change::Announce { connection, direction, class } => {
            [0.0, connection.into(), f64::from(direction as u8), class.into()]
        }
        Change::Drop { connection } => [1.0, connection.into(), f64::from(Direction::Forward as u8), 0.0],
    }
}

pub(super) fn books(books: &NodeBooks) -> [f64; BOOKS] {
    let (accounts, mirrors, totals) = (&books.accounts, &books.mirrors, &books.totals);
    [
        accounts.balance as f64,
        accounts.books.opening as f64,
        accounts.books.minted as f64,
        accounts.books.decayed as f64,
        accounts.books.spent as f64,
        accounts.books.earned as f64,
        accounts.burned as f64,
        mirrors.balance as f64,
        mirrors.books.opening as f64,
        mirrors.books.minted as f64,
        mirrors.books.decayed as f64,
        mirrors.books.spent as f64,
        mirrors.books.earned as f64,
        mirrors.burned as f64,
        totals.paid as f64,
        totals.own as f64,
        totals.rent as f64,
        totals.always as f64,
        totals.load as f64,
        totals.turned as f64,
        totals.home as f64,
        totals.rest as f64,
        totals.valued_up as f64,
        totals.valued_down as f64,
        totals.passed as f64,
        books.carry as f64,
        totals.kept as f64,
        totals.overdrawn as f64,
    ]
}

/// JSON of `CreditStats`.
pub(super) fn stats(ledger: &Ledger, charges_malformed: u64) -> String {
    let (neighbours, leaving, connections) = ledger.held();
    let (tallies, counters) = (ledger.tallies(), ledger.counters());
    json!({
        "neighbours": neighbours,
        "leaving": leaving,
        "connections": connections,
        "fill": f64::from(connections) / f64::from(ledger.config().capacity),
        "throttled": tallies.throttled,
        "refusedRent": counters.get(Reason::CreditRent),
        "refusedFull": counters.get(Reason::CircuitTableFull),
        "dropped": counters.get(Reason::CreditArrears),
        "flowsMalformed": counters.get(Reason::CreditClass),
        "reportsMalformed": counters.get(Reason::CreditReport),
        "flowsUnknown": tallies.flows_unknown,
        "chargesUnknown": tallies.charges_unknown,
        "chargesMalformed": charges_malformed,
        "clockFell": tallies.clock_fell,
        "clockLeapt": tallies.clock_leapt,
        "saturated": tallies.saturated,
        "memoryBytes": ledger.memory_bytes(),
    })
    .to_string()
}
