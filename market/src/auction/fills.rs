//! Who of a side trades how much: price priority, and the last level pro rata.

use std::cmp::Reverse;

use domain::ids::OrderId;

use super::Ranked;

/// Serves `side`, in order of priority, until `volume_wh` is used up, and writes what each order gets
/// to its place in `filled_wh`.
///
/// The volume never reaches past the orders that accept the clearing price, since it is the smaller of
/// what the two sides have there.
pub(super) fn serve(
    side: &[Ranked],
    volume_wh: i64,
    number: impl Fn(usize) -> OrderId,
    filled_wh: &mut [i64],
) {
    let mut left_wh = volume_wh;
    for level in side.chunk_by(|a, b| a.limit == b.limit) {
        if left_wh == 0 {
            break;
        }
        let level_wh: i64 = level.iter().map(|order| order.energy_wh).sum();
        if level_wh <= left_wh {
            left_wh -= level_wh;
            for order in level {
                filled_wh[order.index] = order.energy_wh;
            }
        } else {
            ration(level, level_wh, left_wh, &number, filled_wh);
            break;
        }
    }
}

/// Shares `left_wh` among a level that asks for `level_wh`, which is more.
fn ration(
    level: &[Ranked],
    level_wh: i64,
    left_wh: i64,
    number: &impl Fn(usize) -> OrderId,
    filled_wh: &mut [i64],
) {
    let mut shares: Vec<(i128, i64, usize)> = Vec::with_capacity(level.len());
    let mut spare_wh = left_wh;
    for order in level {
        let product = i128::from(order.energy_wh) * i128::from(left_wh);
        // At most `left_wh`, so it fits; the share of the whole level is exact.
        let share_wh = i64::try_from(product / i128::from(level_wh)).unwrap_or(left_wh);
        spare_wh -= share_wh;
        shares.push((product % i128::from(level_wh), share_wh, order.index));
    }
    // Less than a watt-hour an order is left over, so there are fewer of them than orders. Who gets one
    // matters, in which order does not: a selection takes one pass where sorting takes many.
    let spare = usize::try_from(spare_wh).unwrap_or_default();
    let rank = |&(remainder, _, index): &(i128, i64, usize)| (Reverse(remainder), number(index), index);
    if spare < shares.len() {
        shares.select_nth_unstable_by_key(spare, rank);
    }
    for (place, (_, share_wh, index)) in shares.into_iter().enumerate() {
        filled_wh[index] = share_wh + i64::from(place < spare);
    }
}
