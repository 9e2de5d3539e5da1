//! Between what the limits of a site's orders may lie in one slot.

use domain::fees::NetworkFees;
use domain::ids::ZoneId;
use domain::order::Side;
use domain::tariff::Tariff;
use domain::units::{Overflow, Price};

/// The bounds of one site's limits in one slot, which depend on its zone where zones pay different network
/// fees: a bid must leave room for the highest fee that its zone may pay, an offer may ask what the zone with the
/// lowest fees can pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The feed-in tariff.
    pub lowest: Price,
    /// The most a bid may name. It may lie below [`Self::lowest`]: then the site cannot buy locally.
    pub highest_bid: Price,
    /// The most an offer may name.
    pub highest_offer: Price,
}

impl Bounds {
    /// The bounds where the tariff's network fee holds everywhere.
    ///
    /// # Errors
    /// [`Overflow`] if the prices are absurd.
    pub fn of_tariff(tariff: &Tariff) -> Result<Self, Overflow> {
        let highest = tariff.highest_limit()?;
        Ok(Self { lowest: tariff.lowest_limit(), highest_bid: highest, highest_offer: highest })
    }

    /// The bounds of a site of `zone` under the network fees of the slot. A zone that they do not know is bounded
    /// as the tariff says.
    ///
    /// # Errors
    /// [`Overflow`] if the prices are absurd.
    pub fn of_zone(tariff: &Tariff, fees: &NetworkFees, zone: &ZoneId) -> Result<Self, Overflow> {
        let mut bounds = Self::of_tariff(tariff)?;
        let highest: Vec<Price> =
            (0..fees.count()).map(|zone| fees.highest_limit(tariff, zone)).collect::<Result<_, _>>()?;
        if let Some(zone) = fees.number(zone) {
            bounds.highest_bid = highest[zone];
        }
        bounds.highest_offer = highest.into_iter().max().unwrap_or(bounds.highest_offer);
        Ok(bounds)
    }

    /// The most an order of a side may name; `None` where the zone's fees leave no room to buy locally.
    #[must_use]
    pub fn highest(&self, side: Side) -> Option<Price> {
        match side {
            Side::Bid => Some(self.highest_bid).filter(|highest| *highest >= self.lowest),
            Side::Offer => Some(self.highest_offer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bid_is_bounded_by_its_own_zone_an_offer_by_the_one_that_can_pay_most() {
        let price = Price::from_micro_per_kwh;
        let zone = |id: &str| ZoneId::new(id).unwrap();
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let pairs = [(zone("a"), zone("a"), price(10_000)), (zone("b"), zone("a"), price(12_000))];
        let far = [(zone("a"), zone("b"), price(250_000))];
        let fees = NetworkFees::new(["a", "b"].map(zone), &tariff, pairs.into_iter().chain(far)).unwrap();
        let near = Bounds::of_zone(&tariff, &fees, &zone("a")).unwrap();
        assert_eq!((near.highest_bid, near.highest_offer), (price(306_000), price(306_000)));
        let far = Bounds::of_zone(&tariff, &fees, &zone("b")).unwrap();
        assert_eq!((far.highest_bid, far.highest_offer), (price(68_000), price(306_000)));
        assert_eq!((far.highest(Side::Bid), far.highest(Side::Offer)), (None, Some(price(306_000))));
        let unknown = Bounds::of_zone(&tariff, &fees, &zone("c")).unwrap();
        assert_eq!(unknown.highest(Side::Bid), Some(price(288_000)));
    }
}
