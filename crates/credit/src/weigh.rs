//! By what the increase is shared: what each neighbour has done for us, and a part for newcomers.

use crate::accounts::Accounts;
use crate::config::Rule;
use crate::mint::WEIGHT_LEAST;

/// Every weight when all are equal.
const EQUAL: u64 = WEIGHT_LEAST << 10;
/// What the largest contribution has of bits; a newcomer's part is added to it.
const BITS: u32 = 40;

/// wᵢ = contributedᵢ + newcomer, where all newcomers' parts together are `newcomer_share` of what contributors have on average, each
/// counting as much as it gave: a crowd that gives next to nothing changes no average. In 1/2^32.
pub(crate) fn weigh(accounts: &mut Accounts, rule: Rule, newcomer_share: u32) {
    let mut most = 0;
    for id in members(accounts) {
        accounts.settle(id);
        most = most.max(accounts.slots[id as usize].contributed);
    }
    let bits = most.checked_ilog2().unwrap_or(0);
    // Amounts are kept in 1/2^65: less than a credit is nothing.
    let contributed = rule == Rule::Contributed && bits >= 65;
    let shift = bits.saturating_sub(BITS - 1);
    let given = |amount: u128| if contributed { (amount >> shift) as u64 } else { 0 };

    let (mut sum, mut squares) = (0u128, 0u128);
    for id in members(accounts) {
        let given = u128::from(given(accounts.slots[id as usize].contributed));
        (sum, squares) = (sum + given, squares + given * given);
    }
    accounts.newcomer = EQUAL;
    if contributed {
        let parts = ((squares / sum) * u128::from(newcomer_share)) >> 32;
        accounts.newcomer = ((parts / u128::from(accounts.live.max(1))) as u64).max(WEIGHT_LEAST);
    }
    let newcomer = accounts.newcomer;
    accounts.reweigh(|n| newcomer + given(n.contributed));
}

fn members(accounts: &Accounts) -> impl Iterator<Item = u32> + use<> {
    let ids: Vec<u32> =
        (0..accounts.holdings.len() as u32).filter(|&id| accounts.holdings[id as usize].is_open()).collect();
    ids.into_iter()
}
