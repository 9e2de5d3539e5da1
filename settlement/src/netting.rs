//! Net positions of a batch: what each account is to gain or lose, and what it can.
//!
//! Pure. Every map of positions here sums to zero: what one account is not able to pay, another does
//! not receive, and the difference is carried into the next batch as a receivable or a payable.

use std::collections::BTreeMap;

use domain::ids::AccountId;
use domain::units::{Money, Overflow};

/// Signed amounts an account; positive is due to the account, negative is owed by it.
pub type Positions = BTreeMap<AccountId, Money>;

/// Positions cannot be settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NettingError {
    /// The positions handed in do not sum to zero.
    #[error(
        "the positions sum to {sum_nano} nano-currency instead of zero: the statements are corrupt, settle nothing"
    )]
    NotZero {
        /// The sum.
        sum_nano: i64,
    },
    /// Absurd amounts.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// What a revision changes: its statements' nets less those of the revision before. Accounts for
/// which nothing changes are left out.
///
/// # Errors
/// [`NettingError`] if the nets of either revision do not sum to zero.
pub fn differences(current: &Positions, previous: &Positions) -> Result<Positions, NettingError> {
    require_zero(current)?;
    require_zero(previous)?;
    let mut positions = current.clone();
    for (account, net) in previous {
        let position = positions.entry(account.clone()).or_default();
        *position = position.checked_sub(*net)?;
    }
    positions.retain(|_, net| !net.is_zero());
    Ok(positions)
}

/// What a batch should move: what it owes by itself, and what earlier batches could not move.
///
/// # Errors
/// [`NettingError`] if either does not sum to zero.
pub fn targets(owed: &Positions, carried: &Positions) -> Result<Positions, NettingError> {
    require_zero(owed)?;
    require_zero(carried)?;
    let mut positions = owed.clone();
    for (account, open) in carried {
        let position = positions.entry(account.clone()).or_default();
        *position = position.checked_add(*open)?;
    }
    positions.retain(|_, net| !net.is_zero());
    Ok(positions)
}

/// What a batch can move: `targets`, with every debtor capped at its balance.
///
/// The shortfall is covered by the `reserve` account as far as it holds credits (counting what the
/// batch pays back to it), and is then a receivable of the reserve. What the reserve cannot cover is
/// taken off the creditors pro rata, by largest remainder, then the lower account. In each case the
/// difference to the target stays open for the next batch.
///
/// # Errors
/// [`NettingError`] if the targets do not sum to zero.
pub fn cap(
    targets: &Positions,
    balances: &BTreeMap<AccountId, Money>,
    reserve: &AccountId,
) -> Result<Positions, NettingError> {
    require_zero(targets)?;
    let holds = |account: &AccountId| balances.get(account).copied().unwrap_or_default().max(Money::ZERO);
    let mut settled = targets.clone();
    let mut shortfall = Money::ZERO;
    for (account, target) in targets.iter().filter(|(account, _)| *account != reserve) {
        let after = target.checked_add(holds(account))?;
        if target.is_negative() && after.is_negative() {
            settled.insert(account.clone(), holds(account).checked_neg()?);
            shortfall = shortfall.checked_sub(after)?;
        }
    }
    shortfall = cover_from_reserve(&mut settled, holds(reserve), reserve, shortfall)?;
    if shortfall.is_positive() {
        reduce_creditors(&mut settled, reserve, shortfall)?;
    }
    require_zero(&settled)?;
    settled.retain(|_, amount| !amount.is_zero());
    Ok(settled)
}

/// Lets the reserve pay `shortfall` as far as it can; returns what stays uncovered. A reserve that
/// owes more than it holds adds to it.
fn cover_from_reserve(
    settled: &mut Positions,
    holds: Money,
    reserve: &AccountId,
    shortfall: Money,
) -> Result<Money, Overflow> {
    let target = settled.get(reserve).copied().unwrap_or_default();
    let available = target.checked_add(holds)?;
    let covered = shortfall.min(available);
    settled.insert(reserve.clone(), target.checked_sub(covered)?);
    shortfall.checked_sub(covered)
}

/// Takes `shortfall` off the creditors in proportion to what they are due.
fn reduce_creditors(settled: &mut Positions, reserve: &AccountId, shortfall: Money) -> Result<(), Overflow> {
    let due = |settled: &Positions| -> Vec<(AccountId, i128)> {
        let creditors = settled.iter().filter(|(account, due)| *account != reserve && due.is_positive());
        creditors.map(|(account, due)| (account.clone(), i128::from(due.nano()))).collect()
    };
    let creditors = due(settled);
    let total: i128 = creditors.iter().map(|(_, due)| due).sum();
    let shortfall = i128::from(shortfall.nano());
    if total == 0 {
        return Ok(());
    }
    let mut cuts: Vec<(AccountId, i128, i128)> = creditors
        .into_iter()
        .map(|(account, due)| (account, due * shortfall / total, due * shortfall % total))
        .collect();
    let mut left = shortfall - cuts.iter().map(|(_, cut, _)| cut).sum::<i128>();
    // The sort is stable and the accounts ascend, so equal remainders go to the lower account.
    cuts.sort_by_key(|(_, _, remainder)| std::cmp::Reverse(*remainder));
    for (account, cut, _) in cuts {
        let extra = i128::from(left > 0);
        left -= extra;
        let cut = i64::try_from(cut + extra)
            .map_err(|_| Overflow { unit: "money (nano-currency)", operation: "rationing" })?;
        let amount = settled.entry(account).or_default();
        *amount = amount.checked_sub(Money::from_nano(cut))?;
    }
    Ok(())
}

/// Rounds what a batch moves toward zero to multiples of `quantum`, the least that the currency token can
/// move, so that the sum stays zero: the side that would move more gives the surplus back, one quantum
/// an account at a time, smaller remainders first. Nobody pays or gets more than before.
///
/// # Errors
/// [`NettingError`] if the positions do not sum to zero.
pub fn quantise(positions: &Positions, quantum: Money) -> Result<Positions, NettingError> {
    require_zero(positions)?;
    let step = quantum.nano().max(1);
    let mut rounded: Vec<(&AccountId, i64, i64)> = positions
        .iter()
        .map(|(account, amount)| (account, amount.nano() / step, (amount.nano() % step).abs()))
        .collect();
    let mut surplus: i128 = rounded.iter().map(|(_, quanta, _)| i128::from(*quanta)).sum();
    // Stable, so equal remainders go by the lower account.
    rounded.sort_by_key(|(_, _, remainder)| *remainder);
    while surplus != 0 {
        let sign = if surplus > 0 { 1 } else { -1 };
        for (_, quanta, _) in &mut rounded {
            if surplus != 0 && quanta.signum() == sign {
                *quanta -= sign;
                surplus -= i128::from(sign);
            }
        }
    }
    let moved = rounded.into_iter().filter(|(_, quanta, _)| *quanta != 0);
    Ok(moved.map(|(account, quanta, _)| (account.clone(), Money::from_nano(quanta * step))).collect())
}

fn require_zero(positions: &Positions) -> Result<(), NettingError> {
    let sum = Money::checked_sum(positions.values().copied())?;
    if sum.is_zero() { Ok(()) } else { Err(NettingError::NotZero { sum_nano: sum.nano() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn account(name: &str) -> AccountId {
        AccountId::new(name).unwrap()
    }

    fn amounts(entries: &[(&str, i64)]) -> Positions {
        entries.iter().map(|(name, nano)| (account(name), Money::from_nano(*nano))).collect()
    }

    fn capped(targets: &[(&str, i64)], balances: &[(&str, i64)]) -> Positions {
        cap(&amounts(targets), &amounts(balances), &AccountId::reserve()).unwrap()
    }

    #[test]
    fn a_revision_moves_only_the_difference() {
        let current = amounts(&[("a", -10), ("b", 10), ("c", 0)]);
        let previous = amounts(&[("a", -4), ("b", 10), ("d", -6)]);
        assert_eq!(differences(&current, &previous).unwrap(), amounts(&[("a", -6), ("d", 6)]));
    }

    #[test]
    fn covered_debtors_are_left_alone() {
        let targets = [("a", -10), ("b", 10)];
        assert_eq!(capped(&targets, &[("a", 10)]), amounts(&targets));
    }

    #[test]
    fn the_reserve_covers_a_shortfall_and_is_paid_back_from_the_next_top_up() {
        let settled = capped(&[("a", -100), ("b", 100)], &[("a", 60), ("reserve", 50)]);
        assert_eq!(settled, amounts(&[("a", -60), ("b", 100), ("reserve", -40)]));
        let carried = differences(&amounts(&[("a", -100), ("b", 100)]), &settled).unwrap();
        assert_eq!(carried, amounts(&[("a", -40), ("reserve", 40)]));
        let next = targets(&amounts(&[("a", -5), ("b", 5)]), &carried).unwrap();
        let balances = amounts(&[("a", 45), ("reserve", 10)]);
        assert_eq!(cap(&next, &balances, &AccountId::reserve()).unwrap(), next);
    }

    #[test]
    fn creditors_share_what_the_reserve_cannot_cover() {
        let targets = [("a", -100), ("b", 50), ("c", 25), ("d", 25)];
        let settled = capped(&targets, &[("a", 1), ("reserve", 2)]);
        // 97 are missing: 48.5, 24.25 and 24.25; the one unit left goes to the largest remainder.
        assert_eq!(settled, amounts(&[("a", -1), ("b", 1), ("c", 1), ("d", 1), ("reserve", -2)]));
    }

    #[test]
    fn what_is_paid_back_to_the_reserve_covers_the_next_shortfall_at_once() {
        let settled = capped(&[("a", -40), ("reserve", 40), ("b", -30), ("c", 30)], &[("a", 40)]);
        assert_eq!(settled, amounts(&[("a", -40), ("c", 30), ("reserve", 10)]));
    }

    #[test]
    fn positions_that_do_not_sum_to_zero_are_refused() {
        let bad = amounts(&[("a", 1)]);
        assert_eq!(differences(&bad, &amounts(&[])), Err(NettingError::NotZero { sum_nano: 1 }));
        assert!(cap(&bad, &amounts(&[]), &AccountId::reserve()).is_err());
    }

    fn zero_sum() -> impl Strategy<Value = Positions> {
        prop::collection::vec(-1_000_i64..1_000, 1..12).prop_map(|parts| {
            let mut names = ["reserve".to_owned(), "z-last".to_owned()].to_vec();
            names.extend((1..parts.len()).map(|i| format!("m-{i}")));
            let rest = -parts.iter().sum::<i64>();
            let nano = parts.into_iter().chain([rest]);
            names.iter().zip(nano).map(|(n, v)| (account(n), Money::from_nano(v))).collect()
        })
    }

    proptest! {
        #[test]
        fn a_capped_batch_sums_to_zero_and_overdraws_nobody(
            targets in zero_sum(),
            holdings in prop::collection::vec(-50_i64..1_500, 14),
        ) {
            let balances: Positions =
                targets.keys().cloned().zip(holdings.into_iter().map(Money::from_nano)).collect();
            let settled = cap(&targets, &balances, &AccountId::reserve()).unwrap();
            prop_assert!(Money::checked_sum(settled.values().copied()).unwrap().is_zero());
            for (account, amount) in &settled {
                let target = targets.get(account).copied().unwrap_or_default();
                let holds = balances.get(account).copied().unwrap_or_default().max(Money::ZERO);
                prop_assert!(!amount.checked_add(holds).unwrap().is_negative(), "{account} is overdrawn");
                prop_assert!(*amount <= target.max(Money::ZERO), "{account} gets more than it is due");
                if *account != AccountId::reserve() {
                    prop_assert!(*amount >= target.min(Money::ZERO), "{account} pays more than it owes");
                }
            }
        }

        #[test]
        fn rounding_keeps_the_sum_and_takes_from_nobody(positions in zero_sum(), step in 1_i64..600) {
            let rounded = quantise(&positions, Money::from_nano(step)).unwrap();
            prop_assert!(Money::checked_sum(rounded.values().copied()).unwrap().is_zero());
            for (account, amount) in &positions {
                let (exact, moved) = (amount.nano(), rounded.get(account).copied().unwrap_or_default().nano());
                prop_assert_eq!(moved % step, 0);
                prop_assert!(moved.abs() <= exact.abs() && moved.signum() * exact.signum() >= 0);
            }
            // What is left is less than a quantum an account.
            let left: i64 = positions.values().map(|a| a.nano().abs()).sum::<i64>()
                - rounded.values().map(|a| a.nano().abs()).sum::<i64>();
            prop_assert!(left < 2 * step * i64::try_from(positions.len()).unwrap());
        }

        #[test]
        fn with_enough_credits_nothing_is_capped(targets in zero_sum()) {
            let rich: Positions = targets.keys().map(|a| (a.clone(), Money::from_nano(20_000))).collect();
            let mut expected = targets.clone();
            expected.retain(|_, amount| !amount.is_zero());
            prop_assert_eq!(cap(&targets, &rich, &AccountId::reserve()).unwrap(), expected);
        }
    }
}
