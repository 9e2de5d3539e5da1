//! Gas limits: what a transaction may use at most. What it does not use costs nothing.

/// The most that a transaction may ask for (EIP-7825).
pub const TRANSACTION_CAP: u64 = 16_777_216;
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
    let words = u64::try_from(positions).unwrap_or(u64::MAX);
    words.saturating_mul(2_000).saturating_add(100_000).min(TRANSACTION_CAP)
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
}
