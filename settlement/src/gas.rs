//! Gas limits: what a transaction may use at most. What it does not use costs nothing.

/// The most that a transaction may ask for (EIP-7825).
pub const TRANSACTION_CAP: u64 = 16_777_216;
/// What a transaction uses that does nothing.
pub const PLAIN_TRANSFER: u64 = 21_000;
/// Enough to deploy any of the contracts.
pub const DEPLOY_CONTRACT: u64 = 6_000_000;
/// Enough for any single call that sets up a contract.
pub const SET_UP_CALL: u64 = 300_000;

/// An estimate with a quarter on top, since balances may change until the transaction is mined.
#[must_use]
pub fn with_margin(estimate: u64) -> u64 {
    estimate.saturating_add(estimate / 4).clamp(21_000, TRANSACTION_CAP.max(estimate))
}

/// Enough for the contract to read the calldata of a batch and refuse it.
#[must_use]
pub fn of_refused_settlement(positions: usize) -> u64 {
    of_positions(positions, 2_000)
}

/// What one transaction of a batch may use: its share of a block, and never above [`TRANSACTION_CAP`].
#[must_use]
pub fn budget(block_gas_limit: u64, share_percent: u8) -> u64 {
    let share = block_gas_limit / 100 * u64::from(share_percent);
    share.min(TRANSACTION_CAP)
}

/// The least that settling so many positions in one call can use: below it nobody need be asked.
#[must_use]
pub fn least_of_settlement(positions: usize) -> u64 {
    of_positions(positions, 6_000)
}

/// How many positions a chunk may have so that its dearest transaction stays within a budget: the
/// release to creditors that never held credits. At least one.
#[must_use]
pub fn positions_of_a_chunk(budget: u64) -> usize {
    let most = budget.saturating_sub(CALL_OVERHEAD) / RELEASE_TO_EMPTY;
    usize::try_from(most).unwrap_or(MAX_CHUNK_POSITIONS).clamp(1, MAX_CHUNK_POSITIONS)
}

/// The most that opening a batch of so many chunks uses.
#[must_use]
pub fn of_opening(chunks: usize) -> u64 {
    of_positions(chunks, 25_000).saturating_add(200_000).min(TRANSACTION_CAP)
}

/// The most that pushing a chunk uses: each position that owes is written once.
#[must_use]
pub fn of_push(positions: usize) -> u64 {
    of_positions(positions, 9_500)
}

/// The most that releasing a chunk uses, where so many of its accounts hold nothing.
#[must_use]
pub fn of_release(positions: usize, empty: usize) -> u64 {
    let empty = u64::try_from(empty).unwrap_or(u64::MAX);
    let for_empty = empty.saturating_mul(RELEASE_TO_EMPTY - RELEASE);
    of_positions(positions, RELEASE).saturating_add(for_empty).min(TRANSACTION_CAP)
}

/// The contract takes no more in a chunk.
pub const MAX_CHUNK_POSITIONS: usize = 500;
/// The contract takes no more chunks in a batch.
pub const MAX_CHUNKS: usize = 256;
/// Base price, roles, the batch's own words, its event.
const CALL_OVERHEAD: u64 = 150_000;
/// A position's calldata, its word of storage and its event.
const RELEASE: u64 = 9_000;
/// The same where the word is a new one.
const RELEASE_TO_EMPTY: u64 = 26_000;

fn of_positions(count: usize, each: u64) -> u64 {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    count.saturating_mul(each).saturating_add(CALL_OVERHEAD).min(TRANSACTION_CAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_stays_below_the_cap_and_above_the_estimate() {
        assert_eq!(with_margin(100_000), 125_000);
        assert_eq!(with_margin(16_000_000), TRANSACTION_CAP);
        assert_eq!(with_margin(20_000_000), 20_000_000);
        assert_eq!(of_refused_settlement(1_000_000), TRANSACTION_CAP);
    }

    #[test]
    fn the_dearest_chunk_stays_within_its_budget() {
        for block in [1_000_000, 6_000_000, 30_000_000, 1_000_000_000] {
            for share in [1, 20, 50, 100] {
                let budget = budget(block, share);
                let size = positions_of_a_chunk(budget);
                assert!((1..=MAX_CHUNK_POSITIONS).contains(&size));
                if size > 1 {
                    assert!(of_release(size, size) <= budget, "{block} {share}");
                    assert!(of_push(size) <= of_release(size, size));
                }
            }
        }
        assert_eq!(positions_of_a_chunk(budget(30_000_000, 50)), MAX_CHUNK_POSITIONS);
        assert!(of_opening(MAX_CHUNKS) < TRANSACTION_CAP);
    }
}
