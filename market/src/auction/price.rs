//! Which price clears the auction, and how much trades at it.

use domain::units::Price;

use super::Ranked;

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

/// One side's orders in their order of priority, and what each and all before it add up to.
struct Curve<'a> {
    orders: &'a [Ranked],
    sums_wh: Vec<i64>,
}

impl<'a> Curve<'a> {
    fn new(orders: &'a [Ranked]) -> Self {
        let mut sum_wh = 0;
        let sums = orders.iter().map(|order| {
            sum_wh += order.energy_wh;
            sum_wh
        });
        Self { orders, sums_wh: std::iter::once(0).chain(sums).collect() }
    }

    /// How many of the first orders `accept` their limit; those behind them do not.
    fn count(&self, accept: impl Fn(i64) -> bool) -> usize {
        self.orders.partition_point(|order| accept(order.limit.micro_per_kwh()))
    }

    fn limit(&self, place: usize) -> Option<i64> {
        self.orders.get(place).map(|order| order.limit.micro_per_kwh())
    }
}

/// Finds the price. `bids` come highest limit first, `offers` lowest first.
///
/// Demand and supply change only where a limit lies: supply at an offer's limit, demand just above a
/// bid's. Between two such prices all are equally good: a run. Demand falls and supply rises, so volume
/// grows and the imbalance shrinks as long as demand is the larger, and both turn round behind that. So
/// one of two neighbouring runs is the best: the last where demand covers supply, or the first where it
/// does not.
pub(super) fn find(bids: &[Ranked], offers: &[Ranked]) -> Option<Cleared> {
    let (demand, supply) = (Curve::new(bids), Curve::new(offers));
    let (lowest, highest) = (supply.limit(0)?, demand.limit(0)?);
    if lowest > highest {
        return None;
    }
    let at = |price: i64| {
        let demand_wh = demand.sums_wh[demand.count(|limit| limit >= price)];
        (demand_wh, supply.sums_wh[supply.count(|limit| limit <= price)])
    };
    let covers = |price: i64| {
        let (demand_wh, supply_wh) = at(price);
        demand_wh >= supply_wh
    };
    let mut best = None;
    let turn = last_that(lowest, highest, covers);
    let behind = turn.map_or(Some(lowest), |turn| turn.checked_add(1)).filter(|price| *price <= highest);
    for price in [turn, behind].into_iter().flatten() {
        let (demand_wh, supply_wh) = at(price);
        let (from, to) = run(&demand, &supply, price);
        consider(&mut best, demand_wh, supply_wh, from, to);
    }
    best.map(|best: Best| Cleared {
        price: Price::from_micro_per_kwh(midpoint(best.lowest, best.highest)),
        volume_wh: best.volume_wh,
    })
}

/// The last price of the range that `holds`, where it holds up to some price and not behind it.
fn last_that(lowest: i64, highest: i64, holds: impl Fn(i64) -> bool) -> Option<i64> {
    // Halves until the next price is known to hold no more; offsets, since the range may be all prices.
    let (mut yes, mut no) = (None, u128::from(highest.abs_diff(lowest)) + 1);
    loop {
        let from = yes.map_or(0, |yes: u64| u128::from(yes) + 1);
        let Some(offset) = (from < no).then(|| from.midpoint(no - 1)) else {
            return yes.map(|offset| lowest.saturating_add_unsigned(offset));
        };
        // Below `no`, so it is the distance of two 64-bit numbers.
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        if holds(lowest.saturating_add_unsigned(offset)) { yes = Some(offset) } else { no = offset.into() }
    }
}

/// The first and the last price around `price` between which neither demand nor supply changes.
fn run(demand: &Curve<'_>, supply: &Curve<'_>, price: i64) -> (i64, i64) {
    let accepting = demand.count(|limit| limit >= price);
    let offering = supply.count(|limit| limit <= price);
    // A price between the lowest offer and the highest bid has an order on both sides.
    let last_bid = accepting.checked_sub(1).and_then(|place| demand.limit(place)).unwrap_or(price);
    let last_offer = offering.checked_sub(1).and_then(|place| supply.limit(place)).unwrap_or(price);
    let from = demand.limit(accepting).map_or(last_offer, |next| last_offer.max(next + 1));
    let to = supply.limit(offering).map_or(last_bid, |next| last_bid.min(next - 1));
    (from, to)
}

fn consider(best: &mut Option<Best>, demand_wh: i64, supply_wh: i64, from: i64, to: i64) {
    let volume_wh = demand_wh.min(supply_wh);
    let imbalance_wh = demand_wh.abs_diff(supply_wh).cast_signed();
    match best {
        Some(best) if (best.volume_wh, -best.imbalance_wh) > (volume_wh, -imbalance_wh) => {}
        Some(best) if (best.volume_wh, best.imbalance_wh) == (volume_wh, imbalance_wh) => best.highest = to,
        _ if volume_wh > 0 => {
            *best = Some(Best { volume_wh, imbalance_wh, lowest: from, highest: to });
        }
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
