//! The order of priority of each side, by counting instead of comparing where that is faster.

use super::Ranked;

/// Below this many orders comparing is faster.
const FEW: usize = 512;
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;

/// Sorts by limit, lowest first; equal limits stay in the order in which they are.
pub(super) fn by_limit(orders: &mut Vec<Ranked>) {
    if orders.len() < FEW {
        orders.sort_by_key(|order| order.limit);
        return;
    }
    let Some(lowest) = orders.iter().map(place).min() else { return };
    let highest = orders.iter().map(place).max().unwrap_or(lowest);
    let bits = u64::BITS - (highest - lowest).leading_zeros();
    let mut sorted = orders.clone();
    // Tariffs bound the limits, so two passes are the rule; any 64-bit limits take six.
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        scatter(orders, &mut sorted, |order| digit(place(order) - lowest, shift));
        std::mem::swap(orders, &mut sorted);
    }
}

/// Copies `from` to `to`, sorted by a digit of the place, equal digits in the order in which they are.
fn scatter(from: &[Ranked], to: &mut [Ranked], digit: impl Fn(&Ranked) -> usize) {
    let mut next = [0_usize; DIGITS];
    for order in from {
        next[digit(order)] += 1;
    }
    let mut start = 0;
    for count in &mut next {
        start += std::mem::replace(count, start);
    }
    for order in from {
        let digit = digit(order);
        to[next[digit]] = *order;
        next[digit] += 1;
    }
}

/// The limit as a number without sign, in the same order.
const fn place(order: &Ranked) -> u64 {
    order.limit.micro_per_kwh().cast_unsigned() ^ (1 << 63)
}

#[allow(clippy::cast_possible_truncation)] // masked to 11 bits
const fn digit(place: u64, shift: u32) -> usize {
    (place >> shift) as usize & (DIGITS - 1)
}

#[cfg(test)]
mod tests {
    use domain::units::Price;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn agrees_with_a_stable_sort(
            near in prop::collection::vec(80_000..90_000_i64, FEW..FEW * 3),
            far in prop::collection::vec(any::<i64>(), 0..FEW)
        ) {
            let mut orders: Vec<_> = near
                .iter()
                .chain(&far)
                .enumerate()
                .map(|(index, limit)| Ranked { limit: Price::from_micro_per_kwh(*limit), index, energy_wh: 1 })
                .collect();
            let mut sorted = orders.clone();
            sorted.sort_by_key(|order| order.limit);
            by_limit(&mut orders);
            prop_assert!(orders.iter().map(|o| o.index).eq(sorted.iter().map(|o| o.index)));
        }
    }
}
