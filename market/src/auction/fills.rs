//! Who of a side trades how much: price priority, and the last level pro rata.

use domain::ids::OrderId;
use domain::units::Energy;

use super::{Fill, Ranked};

/// Serves `side`, in order of priority, until `volume_wh` is used up.
///
/// The volume never reaches past the orders that accept the clearing price, since it is the smaller of
/// what the two sides have there.
pub(super) fn serve(side: &[Ranked], volume_wh: i64, number: impl Fn(usize) -> OrderId) -> Vec<Fill> {
    let mut fills = Vec::new();
    let mut left_wh = volume_wh;
    for level in side.chunk_by(|a, b| a.limit == b.limit) {
        if left_wh == 0 {
            break;
        }
        let level_wh: i64 = level.iter().map(|order| order.energy_wh).sum();
        if level_wh <= left_wh {
            left_wh -= level_wh;
            fills.extend(level.iter().map(|order| fill(order.index, order.energy_wh)));
        } else {
            ration(level, level_wh, left_wh, &number, &mut fills);
            break;
        }
    }
    fills
}

/// Shares `left_wh` among a level that asks for `level_wh`, which is more.
fn ration(
    level: &[Ranked],
    level_wh: i64,
    left_wh: i64,
    number: &impl Fn(usize) -> OrderId,
    fills: &mut Vec<Fill>,
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
    shares
        .sort_unstable_by_key(|&(remainder, _, index)| (std::cmp::Reverse(remainder), number(index), index));
    for (_, share_wh, index) in shares {
        let extra_wh = spare_wh.min(1);
        spare_wh -= extra_wh;
        if share_wh + extra_wh > 0 {
            fills.push(fill(index, share_wh + extra_wh));
        }
    }
}

fn fill(index: usize, energy_wh: i64) -> Fill {
    Fill { index, energy: Energy::from_wh(energy_wh) }
}
