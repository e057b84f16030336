//! What must add up, whatever was called; the fuzz target holds to it as well.

use wayfare_credit::{Ledger, NeighbourRow, SELF, rate};

pub fn rows(ledger: &mut Ledger, now_us: u64) -> Vec<NeighbourRow> {
    let mut from = 0;
    let mut rows = Vec::new();
    while let Some(row) = ledger.neighbour_from(now_us, from) {
        from = row.neighbour + 1;
        rows.push(row);
    }
    rows
}

/// Everything that must add up, now.
pub fn audit(ledger: &mut Ledger, now_us: u64) {
    let (mut accounts, mut mirrors) = (0u128, 0u128);
    for row in rows(ledger, now_us) {
        assert_eq!(i128::from(row.account), row.account_books.balance(), "the account of {}", row.neighbour);
        assert_eq!(i128::from(row.mirror), row.mirror_books.balance(), "the mirror of {}", row.neighbour);
        assert!(row.account <= 1 << 53 && row.mirror <= 1 << 53);
        accounts += u128::from(row.account);
        mirrors += u128::from(row.mirror);
    }
    let books = ledger.books(now_us);
    assert_eq!((books.accounts.balance, books.mirrors.balance), (accounts, mirrors));
    for sum in [books.accounts, books.mirrors] {
        assert_eq!((sum.balance + sum.burned) as i128, sum.books.balance());
    }
    let t = books.totals;
    assert_eq!(t.paid + t.own, t.rent + t.always + t.load + t.home + t.rest);
    let worth = (t.rest + t.valued_up - t.valued_down) as i128;
    assert_eq!(worth, t.passed as i128 + books.carry + t.kept);
    assert!(t.overdrawn <= t.passed);
    let mut from = 0;
    let (mut sum_in, mut sum_out) = (0u64, 0u64);
    while let Some(row) = ledger.connection_from(from) {
        from = row.connection + 1;
        for (flow, payer, payee) in [(row.flows[0], row.previous, row.next), (row.flows[1], row.next, row.previous)] {
            assert!(payer != SELF || flow.class_in == 0);
            assert!(payee != SELF || flow.class_out == 0);
            sum_in += u64::from(rate(flow.class_in).unwrap());
            sum_out += u64::from(rate(flow.class_out).unwrap());
        }
    }
    let announced =
        rows(ledger, now_us).iter().fold((0, 0), |sum, row| (sum.0 + row.announced_in, sum.1 + row.announced_out));
    assert_eq!(announced, (sum_in, sum_out));
}
