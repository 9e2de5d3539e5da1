//! How far along the limits an energy reaches, without sorting the orders.

const MOST_BITS: u32 = 11;
const FEWEST_BITS: u32 = 4;

/// A place of limits, and what lies before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) rank: u64,
    /// What the orders of the places before it add up to, in Wh.
    pub(super) before_wh: u64,
}

/// The first place of limits at which the energies of `orders` (place and Wh) up to it, itself included, add up to
/// more than `energy_wh`; `None` if all together do not. The energies add up in 64 bits.
///
/// The range of places is cut into equal parts, the part is found in which the sum passes `energy_wh`, and that is cut
/// again. Tariffs bound the limits, so two rounds are the rule; any 64-bit limits take six, and few orders, for which
/// fewer parts are used, some more.
pub(super) fn first_beyond(
    orders: impl Iterator<Item = (u64, i64)> + Clone,
    energy_wh: u64,
) -> Option<Reached> {
    let (mut lowest, mut highest, mut count) = (u64::MAX, 0, 0_u32);
    orders.clone().for_each(|(rank, _)| {
        (lowest, highest) = (lowest.min(rank), highest.max(rank));
        count = count.saturating_add(1);
    });
    let bits = count.checked_ilog2()?.clamp(FEWEST_BITS, MOST_BITS);
    let mut parts_wh = [0_u64; 1 << MOST_BITS];
    let mut before_wh = 0;
    loop {
        let width = highest - lowest;
        let shift = (u64::BITS - width.leading_zeros()).saturating_sub(bits);
        let parts_wh = &mut parts_wh[..1 << bits];
        parts_wh.fill(0);
        orders.clone().for_each(|(rank, wh)| {
            let offset = rank.wrapping_sub(lowest);
            if offset <= width {
                parts_wh[part(offset, shift)] += wh.cast_unsigned();
            }
        });
        let passed = parts_wh.iter().position(|wh| {
            let is_passed = *wh > energy_wh - before_wh;
            before_wh += if is_passed { 0 } else { *wh };
            is_passed
        })?;
        lowest += (passed as u64) << shift;
        if shift == 0 {
            return Some(Reached { rank: lowest, before_wh });
        }
        highest = highest.min(lowest.saturating_add((1 << shift) - 1));
    }
}

#[allow(clippy::cast_possible_truncation)] // below 2 to the power of 11
const fn part(offset: u64, shift: u32) -> usize {
    (offset >> shift) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_sorted_walk(
            near in prop::collection::vec((80_000..80_020_u64, 1..9_i64), 0..600),
            far in prop::collection::vec((any::<u64>(), 1..9_i64), 0..20),
            permille in 0_i64..1_100,
        ) {
            let mut orders: Vec<(u64, i64)> = near.into_iter().chain(far).collect();
            let energy_wh = orders.iter().map(|(_, wh)| wh).sum::<i64>() * permille / 1_000;
            let found = first_beyond(orders.iter().copied(), energy_wh.cast_unsigned());
            orders.sort_unstable();
            let mut sum_wh = 0;
            let expected = orders.chunk_by(|a, b| a.0 == b.0).find_map(|level| {
                let before_wh = sum_wh;
                sum_wh += level.iter().map(|(_, wh)| wh).sum::<i64>();
                (sum_wh > energy_wh).then_some(Reached { rank: level[0].0, before_wh: before_wh.cast_unsigned() })
            });
            prop_assert_eq!(found, expected);
        }
    }
}
