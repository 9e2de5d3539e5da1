//! The closing auction: one call auction at one uniform price, as a pure function.
//!
//! Of all prices in whole micro-currency, those with the largest volume are taken; of these, those
//! with the smallest imbalance; of these, the midpoint of the lowest and the highest, rounded down.
//! The shorter side trades whole. The longer side is served by price priority, and its last price
//! level pro rata in whole watt-hours: each order gets its share rounded down, and the watt-hours left
//! over go to the largest remainders, then to the lower order numbers.

mod fills;
mod price;
mod select;
mod sides;

use domain::ids::OrderId;
use domain::order::Side;
use domain::units::{Energy, Overflow, Price};

use price::Cleared;
pub(crate) use sides::{Ranked, Sides};

/// An order of a call auction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuctionOrder {
    /// Its number; decides only who gets a left-over watt-hour.
    pub id: OrderId,
    /// Buys or sells.
    pub side: Side,
    /// How much; an order of zero or less takes no part.
    pub energy: Energy,
    /// The worst price it accepts.
    pub limit: Price,
}

/// What an order got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// The place of the order in the list that was given.
    pub index: usize,
    /// How much it trades; above zero, at most what it asked for.
    pub energy: Energy,
}

/// The outcome of a call auction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clearing {
    /// The uniform price; `None` if nothing trades.
    pub price: Option<Price>,
    /// How much is bought, which is how much is sold.
    pub volume: Energy,
    /// What each order that trades got, by its place in the list that was given.
    pub fills: Vec<Fill>,
    /// The places of the orders that share the last price level of the longer side, in no order; empty if no
    /// level had to be rationed.
    pub rationed: Vec<usize>,
}

/// Clears a call auction.
///
/// # Errors
/// [`Overflow`] if the energies of one side do not add up in 64 bits.
pub fn clear(orders: &[AuctionOrder]) -> Result<Clearing, Overflow> {
    let mut sides = Sides::with_capacity(orders.len())?;
    for (place, order) in (0..).zip(orders).filter(|(_, order)| order.energy.is_positive()) {
        sides.push(order.side, order.limit, (order.energy.wh(), place, 0));
    }
    let Some(shares) = share(&sides, orders.len(), |index| orders[index].id)? else {
        return Ok(Clearing::default());
    };
    let Shares { price, volume_wh, filled_wh, rationed, .. } = shares;
    let trading: usize = filled_wh.iter().map(|wh| usize::from(*wh > 0)).sum();
    let mut fills = vec![Fill { index: 0, energy: Energy::ZERO }; trading + 1];
    let mut count = 0;
    for (index, wh) in filled_wh.into_iter().enumerate() {
        // Who trades is as good as random, so a branch on it would be mispredicted half of the time: instead the
        // next order takes the place of one that does not.
        fills[count] = Fill { index, energy: Energy::from_wh(wh) };
        count += usize::from(wh > 0);
    }
    fills.truncate(trading);
    let rationed = rationed.iter().map(|order| order.index()).collect();
    Ok(Clearing { price: Some(price), volume: Energy::from_wh(volume_wh), fills, rationed })
}

/// The outcome of a call auction in which something trades.
pub(crate) struct Shares {
    /// The uniform price.
    pub(crate) price: Price,
    /// How much is bought, which is how much is sold, in Wh.
    pub(crate) volume_wh: i64,
    /// What each order of the list got, in Wh.
    pub(crate) filled_wh: Vec<i64>,
    /// The longer side.
    pub(crate) longer: Side,
    /// Its orders that share the last price level, in the order of the list; empty if no level had to be rationed.
    pub(crate) rationed: Vec<Ranked>,
}

/// As [`clear`], for the orders of `sides` out of a list of `count`, where `number` gives an order's number by its
/// place; `None` if nothing trades.
///
/// # Errors
/// [`Overflow`] if the energies of one side do not add up in 64 bits.
pub(crate) fn share(
    sides: &Sides,
    count: usize,
    number: impl Fn(usize) -> OrderId,
) -> Result<Option<Shares>, Overflow> {
    let bid_wh = sides.total_wh(Side::Bid)?;
    sides.total_wh(Side::Offer)?;
    let Some(Cleared { price, volume_wh }) = price::find(sides, bid_wh)? else { return Ok(None) };
    let mut filled_wh = vec![0; count];
    // At most one of them is longer than the volume.
    let mut rationed = fills::serve(sides.of(Side::Bid), volume_wh, &number, &mut filled_wh);
    let longer = if rationed.is_empty() { Side::Offer } else { Side::Bid };
    rationed.extend(fills::serve(sides.of(Side::Offer), volume_wh, &number, &mut filled_wh));
    Ok(Some(Shares { price, volume_wh, filled_wh, longer, rationed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: i64, side: Side, wh: i64, micro: i64) -> AuctionOrder {
        let (energy, limit) = (Energy::from_wh(wh), Price::from_micro_per_kwh(micro));
        AuctionOrder { id: OrderId(id), side, energy, limit }
    }

    fn cleared(orders: &[AuctionOrder]) -> (Option<i64>, i64, Vec<i64>) {
        let clearing = clear(orders).unwrap();
        let mut got = vec![0; orders.len()];
        for fill in clearing.fills {
            got[fill.index] = fill.energy.wh();
        }
        (clearing.price.map(Price::micro_per_kwh), clearing.volume.wh(), got)
    }

    use Side::{Bid, Offer};

    #[test]
    fn passive_members_halve_the_gain_whoever_is_short() {
        for (bid_wh, offer_wh) in [(500, 300), (300, 300)] {
            let orders = [order(1, Bid, bid_wh, 288_000), order(2, Offer, offer_wh, 80_001)];
            assert_eq!(cleared(&orders), (Some(184_000), 300, vec![300, 300]));
        }
    }

    #[test]
    fn nothing_trades_where_nobody_can_agree() {
        assert_eq!(cleared(&[]), (None, 0, vec![]));
        assert_eq!(cleared(&[order(1, Bid, 5, 100)]), (None, 0, vec![0]));
        assert_eq!(cleared(&[order(1, Bid, 5, 100), order(2, Offer, 5, 101)]), (None, 0, vec![0, 0]));
    }

    #[test]
    fn the_smaller_imbalance_decides_between_prices_of_equal_volume() {
        // Up to 150 all 30 Wh are asked for, above it only the 10 Wh that are offered.
        let orders = [order(1, Bid, 10, 200), order(2, Bid, 20, 150), order(3, Offer, 10, 100)];
        assert_eq!(cleared(&orders), (Some(175), 10, vec![10, 0, 10]));
    }

    #[test]
    fn the_last_level_is_rationed_by_largest_remainder_then_lower_number() {
        // 10 Wh over 3, 3 and 9: shares 2, 2 and 6 with the same remainder each.
        let orders =
            [order(7, Bid, 3, 200), order(5, Bid, 3, 200), order(6, Bid, 9, 200), order(1, Offer, 10, 100)];
        assert_eq!(cleared(&orders).2, [2, 2, 6, 10]);
        // 8 Wh over 3, 3 and 3: 2.67 each, so two of them get one more, the lower numbers.
        let orders =
            [order(7, Bid, 3, 200), order(5, Bid, 3, 200), order(6, Bid, 3, 200), order(1, Offer, 8, 100)];
        assert_eq!(cleared(&orders).2, [2, 3, 3, 8]);
    }

    #[test]
    fn energies_that_do_not_add_up_are_refused() {
        let orders = [order(1, Bid, i64::MAX, 2), order(2, Bid, 1, 2), order(3, Offer, 1, 1)];
        assert!(clear(&orders).is_err());
    }
}
