//! Sharing a whole number among parts, in proportion and without a rest.

/// Shares `total` among `parts` in proportion to them: each share is rounded down, and what is left over goes
/// one by one to the largest remainders, then to the earlier parts. The shares add up to the total exactly, and
/// none is larger than its part.
///
/// A total of zero or below gives zeros, one of the sum of the parts or more gives the parts. Parts must not be
/// negative.
#[must_use]
pub fn pro_rata(parts: &[i64], total: i64) -> Vec<i64> {
    let sum: i128 = parts.iter().copied().map(i128::from).sum();
    if total <= 0 {
        return vec![0; parts.len()];
    }
    if i128::from(total) >= sum {
        return parts.to_vec();
    }
    let mut left = total;
    let mut remainders = Vec::with_capacity(parts.len());
    let mut shares: Vec<i64> = Vec::with_capacity(parts.len());
    for (place, part) in parts.iter().enumerate() {
        let product = i128::from(*part) * i128::from(total);
        // At most the part, since the total is below the sum.
        let share = i64::try_from(product / sum).unwrap_or(*part);
        left -= share;
        shares.push(share);
        remainders.push((std::cmp::Reverse(product % sum), place));
    }
    // Less than one a part is left over; who gets one matters, in which order does not.
    let spare = usize::try_from(left).unwrap_or_default();
    if spare > 0 && spare < remainders.len() {
        remainders.select_nth_unstable(spare);
    }
    for (_, place) in remainders.into_iter().take(spare) {
        shares[place] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_left_over_goes_to_the_largest_remainders_then_to_the_earlier_parts() {
        assert_eq!(pro_rata(&[3, 3, 9], 10), [2, 2, 6]);
        assert_eq!(pro_rata(&[3, 3, 3], 8), [3, 3, 2]);
        assert_eq!(pro_rata(&[500, 0, 100], 200), [167, 0, 33]);
        assert_eq!(pro_rata(&[1, 2], 3), [1, 2]);
        assert_eq!(pro_rata(&[1, 2], 9), [1, 2]);
        assert_eq!(pro_rata(&[1, 2], 0), [0, 0]);
        assert_eq!(pro_rata(&[], 5), [0_i64; 0]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_stay_within_one_of_the_exact_share(
            parts in prop::collection::vec(0_i64..1_000_000_000_000, 1..40),
            permille in 0_i128..=1_000,
        ) {
            let sum: i128 = parts.iter().map(|part| i128::from(*part)).sum();
            let total = sum * permille / 1_000;
            let shares = pro_rata(&parts, i64::try_from(total).unwrap());
            prop_assert_eq!(shares.iter().map(|share| i128::from(*share)).sum::<i128>(), total);
            for (share, part) in shares.iter().zip(&parts) {
                prop_assert!(*share <= *part);
                let off = i128::from(*share) * sum - i128::from(*part) * total;
                prop_assert!(off.abs() < sum.max(1), "{share} of {part}");
            }
        }
    }
}
