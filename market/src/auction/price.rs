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

/// Finds the price. `bids` come highest limit first, `offers` lowest first.
///
/// Demand and supply change only where a limit lies: supply at an offer's limit, demand just above a
/// bid's. Between two such prices all are equally good, so one sweep over the limits sees every price
/// that there is. Volume is the smaller of a falling and a rising curve, and the imbalance shrinks up
/// to the best price and grows behind it, so the equally good prices lie side by side.
pub(super) fn find(bids: &[Ranked], offers: &[Ranked]) -> Option<Cleared> {
    let highest_bid = bids.first()?.limit.micro_per_kwh();
    let mut next_offer = offers.iter().peekable();
    // From the lowest limit up, as prices rise.
    let mut next_bid = bids.iter().rev().peekable();
    let mut demand_wh: i64 = bids.iter().map(|bid| bid.energy_wh).sum();
    let mut supply_wh = 0;
    let mut best: Option<Best> = None;
    let mut from = offers.first()?.limit.micro_per_kwh();
    while from <= highest_bid {
        while let Some(offer) = next_offer.next_if(|offer| offer.limit.micro_per_kwh() <= from) {
            supply_wh += offer.energy_wh;
        }
        while let Some(bid) = next_bid.next_if(|bid| bid.limit.micro_per_kwh() < from) {
            demand_wh -= bid.energy_wh;
        }
        // The run ends with the next bid's limit, or just below the next offer's.
        let last_with_demand = next_bid.peek().map_or(highest_bid, |bid| bid.limit.micro_per_kwh());
        let last_with_supply = next_offer.peek().map_or(highest_bid, |offer| offer.limit.micro_per_kwh() - 1);
        let to = last_with_demand.min(last_with_supply);
        consider(&mut best, demand_wh, supply_wh, from, to);
        let Some(next) = to.checked_add(1) else { break };
        from = next;
    }
    best.map(|best| Cleared {
        price: Price::from_micro_per_kwh(midpoint(best.lowest, best.highest)),
        volume_wh: best.volume_wh,
    })
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
