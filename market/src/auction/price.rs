//! Which price clears the auction, and how much trades at it.

use std::hint::select_unpredictable;

use domain::order::Side;
use domain::units::{Energy, Overflow, Price};

use super::select::first_beyond;
use super::sides::{Sides, limit_at, rank};

/// The clearing price and what trades at it, in Wh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cleared {
    pub(super) price: Price,
    pub(super) volume_wh: i64,
}

/// The best prices seen so far: a run of neighbouring prices that are equally good.
struct Best {
    volume_wh: i64,
    imbalance_wh: i64,
    lowest: i64,
    highest: i64,
}

/// One side seen from a price, in Wh and micro-currency per kWh.
struct Around {
    /// What the orders that accept the price add up to.
    accepting_wh: i64,
    /// The worst limit that still accepts it.
    last: i64,
    /// The best limit that does not, if there is one.
    next: Option<i64>,
}

impl Around {
    fn of(sides: &Sides, side: Side, price: Price) -> Result<Self, Overflow> {
        let bound = rank(price, side);
        let (mut accepting, mut worst, mut best, mut count) = (Energy::ZERO, 0, u64::MAX, 0);
        for order in sides.of(side) {
            let accepts = order.rank <= bound;
            let accepting_wh = select_unpredictable(accepts, order.energy_wh, 0);
            accepting = accepting.checked_add(Energy::from_wh(accepting_wh))?;
            worst = worst.max(select_unpredictable(accepts, order.rank, 0));
            best = best.min(select_unpredictable(accepts, u64::MAX, order.rank));
            count += usize::from(accepts);
        }
        let next = (count < sides.of(side).len()).then(|| limit_at(best, side));
        Ok(Self { accepting_wh: accepting.wh(), last: limit_at(worst, side), next })
    }
}

/// Finds the price; `None` if nothing trades. The bids are `bid_wh` in all.
///
/// Demand and supply change only where a limit lies: supply at an offer's limit, demand just above a
/// bid's. Between two such prices all are equally good: a run. Demand falls and supply rises, so volume
/// grows and the imbalance shrinks as long as demand is the larger, and both turn round behind that. So
/// one of two neighbouring runs is the best: the last where demand covers supply, or the first where it
/// does not.
pub(super) fn find(sides: &Sides, bid_wh: i64) -> Result<Option<Cleared>, Overflow> {
    let mut best = None;
    for price in turn(sides, bid_wh).into_iter().flatten().flatten().map(Price::from_micro_per_kwh) {
        let demand = Around::of(sides, Side::Bid, price)?;
        consider(&mut best, &demand, &Around::of(sides, Side::Offer, price)?);
    }
    Ok(best.map(|best: Best| Cleared {
        price: Price::from_micro_per_kwh(midpoint(best.lowest, best.highest)),
        volume_wh: best.volume_wh,
    }))
}

/// The last price at which demand covers supply, and the next one; `None` if nothing is offered.
///
/// What bids with a limit below a price ask for is what demand has lost there. So demand covers supply as long as
/// this and what is offered up to the price together are no more than all bids.
fn turn(sides: &Sides, bid_wh: i64) -> Option<[Option<i64>; 2]> {
    let bid_wh = bid_wh.cast_unsigned();
    let passed = first_beyond(sides.by_limit(), bid_wh)?;
    let limit = limit_at(passed.rank, Side::Offer);
    // Of the orders of one limit supply grows by the offers at it, demand falls only above it.
    let at_limit = sides.of(Side::Offer).iter().filter(|order| order.rank == passed.rank);
    let offered_wh: u64 = at_limit.map(|order| order.energy_wh.cast_unsigned()).sum();
    Some(if passed.before_wh + offered_wh > bid_wh {
        [limit.checked_sub(1), Some(limit)]
    } else {
        [Some(limit), limit.checked_add(1)]
    })
}

/// Takes the run around a price if it is better than, or as good as, the runs before.
fn consider(best: &mut Option<Best>, demand: &Around, supply: &Around) {
    let volume_wh = demand.accepting_wh.min(supply.accepting_wh);
    let imbalance_wh = demand.accepting_wh.abs_diff(supply.accepting_wh).cast_signed();
    // The run: the first and the last price between which neither demand nor supply changes.
    let lowest = demand.next.map_or(supply.last, |next| supply.last.max(next + 1));
    let highest = supply.next.map_or(demand.last, |next| demand.last.min(next - 1));
    match best {
        Some(best) if (best.volume_wh, -best.imbalance_wh) > (volume_wh, -imbalance_wh) => {}
        Some(best) if (best.volume_wh, best.imbalance_wh) == (volume_wh, imbalance_wh) => {
            best.highest = highest
        }
        _ if volume_wh > 0 => *best = Some(Best { volume_wh, imbalance_wh, lowest, highest }),
        _ => {}
    }
}

/// The midpoint, rounded down, without leaving 64 bits.
fn midpoint(lowest: i64, highest: i64) -> i64 {
    let sum = i128::from(lowest) + i128::from(highest);
    // Between two 64-bit numbers lies a 64-bit number.
    i64::try_from(sum.div_euclid(2)).unwrap_or(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_midpoint_is_rounded_down() {
        assert_eq!(midpoint(1, 2), 1);
        assert_eq!(midpoint(-2, -1), -2);
        assert_eq!(midpoint(i64::MAX - 1, i64::MAX), i64::MAX - 1);
    }
}
