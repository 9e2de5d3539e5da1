//! Who of a side trades how much: price priority, and the last level pro rata.

use std::cmp::Reverse;
use std::hint::select_unpredictable;

use domain::ids::OrderId;

use super::Ranked;
use super::select::first_beyond;

/// Serves the orders of `side` by priority until `volume_wh` is used up, and writes what each gets to its place in
/// `filled_wh`, which holds zeros.
///
/// The volume never reaches past the orders that accept the clearing price, since it is the smaller of
/// what the two sides have there. Returns the level that had to be rationed, if one had to be.
pub(super) fn serve(
    side: &[Ranked],
    volume_wh: i64,
    number: impl Fn(usize) -> OrderId,
    filled_wh: &mut [i64],
) -> Vec<Ranked> {
    let volume = volume_wh.cast_unsigned();
    let level = first_beyond(side.iter().map(|order| (order.rank, order.energy_wh)), volume);
    for order in side {
        let is_whole = level.is_none_or(|level| order.rank < level.rank);
        filled_wh[order.index()] = select_unpredictable(is_whole, order.energy_wh, 0);
    }
    let Some(level) = level.filter(|level| level.before_wh < volume) else { return Vec::new() };
    let rationed: Vec<Ranked> = side.iter().filter(|order| order.rank == level.rank).copied().collect();
    ration(&rationed, (volume - level.before_wh).cast_signed(), number, filled_wh);
    rationed
}

/// Shares `left_wh` among a level that asks for more.
fn ration(level: &[Ranked], left_wh: i64, number: impl Fn(usize) -> OrderId, filled_wh: &mut [i64]) {
    let level_wh: i64 = level.iter().map(|order| order.energy_wh).sum();
    let mut remainders: Vec<(i64, u32)> = Vec::with_capacity(level.len());
    let mut spare_wh = left_wh;
    for order in level {
        let (share_wh, remainder) = part(order.energy_wh, left_wh, level_wh);
        spare_wh -= share_wh;
        filled_wh[order.index()] = share_wh;
        remainders.push((remainder, order.place));
    }
    // Less than a watt-hour an order is left over, so there are fewer of them than orders. Who gets one
    // matters, in which order does not: a selection takes one pass where sorting takes many.
    let spare = usize::try_from(spare_wh).unwrap_or_default();
    let rank = |&(remainder, place): &(i64, u32)| (Reverse(remainder), number(place as usize), place);
    if spare < remainders.len() {
        remainders.select_nth_unstable_by_key(spare, rank);
    }
    for (_, place) in remainders.into_iter().take(spare) {
        filled_wh[place as usize] += 1;
    }
}

/// An order's share of what is left for its level, rounded down, and the remainder of the division.
fn part(energy_wh: i64, left_wh: i64, level_wh: i64) -> (i64, i64) {
    match energy_wh.checked_mul(left_wh) {
        // Many times faster than in 128 bits, and nearly always enough.
        Some(product) => (product / level_wh, product % level_wh),
        None => {
            let (product, level) = (i128::from(energy_wh) * i128::from(left_wh), i128::from(level_wh));
            // At most what is left, and less than the level, so both fit.
            let fit = |wh: i128, most_wh| i64::try_from(wh).unwrap_or(most_wh);
            (fit(product / level, left_wh), fit(product % level, level_wh))
        }
    }
}
