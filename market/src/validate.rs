//! Whether a command may go to the book: the slot's state, the tariff's bounds, sites and credits.
//! Pure; each refusal says what bound was broken.

use chrono::{DateTime, Utc};
use domain::fees::{MAX_ZONES, NetworkFees};
use domain::ids::ZoneId;
use domain::order::{Refusal, Side};
use domain::tariff::Tariff;
use domain::units::{Energy, Money, Overflow, Price};

/// What the orders of a slot are checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTerms {
    /// Orders are taken before this instant.
    pub gate_closure: DateTime<Utc>,
    /// The lowest limit: the feed-in tariff.
    pub lowest: Price,
    /// The highest limit: the retail tariff less the fees, where these are lowest. A bid's bound is
    /// [`Self::highest_bid`].
    pub highest: Price,
    /// What imported energy costs at the grid.
    pub retail: Price,
    /// What a buyer pays on top of the price at most, to network and platform, by the number of its zone.
    pub zone_fees: [Price; MAX_ZONES],
    /// The zones, by number, that the community got while the slot took orders already: their sites trade in its
    /// closing auction alone.
    pub late_zones: [bool; MAX_ZONES],
    /// The largest energy of an order.
    pub max_order: Energy,
}

impl SlotTerms {
    /// The terms of a slot under its tariff, whose network fee holds in all zones.
    ///
    /// # Errors
    /// [`Overflow`] if the prices are absurd.
    pub fn new(gate_closure: DateTime<Utc>, tariff: &Tariff, max_order: Energy) -> Result<Self, Overflow> {
        Ok(Self {
            gate_closure,
            lowest: tariff.lowest_limit(),
            highest: tariff.highest_limit()?,
            retail: tariff.retail(),
            zone_fees: [tariff.network_fee().checked_add(tariff.platform_fee())?; MAX_ZONES],
            late_zones: [false; MAX_ZONES],
            max_order,
        })
    }

    /// The same under the network fees of its zones: a buyer must be able to pay the highest fee that its zone may
    /// pay, since nobody knows from where its energy will come. Nothing comes from zones that are `late`.
    ///
    /// # Errors
    /// [`Overflow`] if the fees are absurd.
    pub fn with_network_fees(
        mut self,
        fees: &NetworkFees,
        platform_fee: Price,
        late: &[ZoneId],
    ) -> Result<Self, Overflow> {
        for zone in late.iter().filter_map(|zone| fees.number(zone)) {
            self.late_zones[zone] = true;
        }
        let sellers: Vec<usize> = (0..fees.count()).filter(|zone| !self.late_zones[*zone]).collect();
        for zone in 0..fees.count() {
            let highest = sellers.iter().map(|from| fees.fee(*from, zone)).max().unwrap_or_default();
            self.zone_fees[zone] = highest.checked_add(platform_fee)?;
        }
        let lowest_fees = sellers.iter().map(|zone| self.zone_fees[*zone]).min();
        if let Some(fees) = lowest_fees {
            self.highest = self.retail.checked_sub(fees)?;
        }
        Ok(self)
    }

    /// Whether sites of a zone take part in the slot's continuous auction.
    #[must_use]
    pub fn takes(&self, zone: usize) -> bool {
        !self.late_zones.get(zone).copied().unwrap_or_default()
    }

    /// The highest limit of a bid of a zone: no buyer pays more than at the grid, whoever it meets.
    ///
    /// # Errors
    /// [`Overflow`] if the fees are absurd.
    pub fn highest_bid(&self, zone: usize) -> Result<Price, Overflow> {
        self.retail.checked_sub(self.fees(zone))
    }

    /// What `energy` costs a buyer of a zone at `price` at most, fees included.
    ///
    /// # Errors
    /// [`Overflow`] if the product does not fit.
    pub fn cost(&self, zone: usize, energy: Energy, price: Price) -> Result<Money, Overflow> {
        price.checked_add(self.fees(zone))?.checked_mul(energy)
    }

    /// A zone has a number below [`MAX_ZONES`]; any other pays what the dearest does.
    fn fees(&self, zone: usize) -> Price {
        let dearest = || self.zone_fees.iter().max().copied().unwrap_or_default();
        self.zone_fees.get(zone).copied().unwrap_or_else(dearest)
    }
}

/// A slot as a command finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// The community has no such slot.
    Unknown,
    /// Known, not open yet.
    Scheduled,
    /// Open, with its terms.
    Open(SlotTerms),
    /// Closed, or later.
    Closed,
}

/// The terms of a slot that takes orders at `now`.
///
/// # Errors
/// [`Refusal`] if the slot takes none.
pub fn slot(state: SlotState, now: DateTime<Utc>) -> Result<SlotTerms, Refusal> {
    match state {
        SlotState::Unknown => Err(Refusal::UnknownSlot),
        SlotState::Scheduled => Err(Refusal::SlotNotOpen),
        SlotState::Open(terms) if now < terms.gate_closure => Ok(terms),
        SlotState::Open(_) | SlotState::Closed => Err(Refusal::GateClosed),
    }
}

/// Checks an order's energy.
///
/// # Errors
/// [`Refusal`] with the bound.
pub fn energy(energy: Energy, terms: &SlotTerms) -> Result<(), Refusal> {
    if !energy.is_positive() {
        Err(Refusal::NotPositive)
    } else if energy > terms.max_order {
        Err(Refusal::TooLarge { max_wh: terms.max_order.wh() })
    } else {
        Ok(())
    }
}

/// Checks the limit of an order of a zone against both tariffs, and that the zone takes part in the slot at all.
///
/// # Errors
/// [`Refusal`] with the bound.
pub fn limit(side: Side, zone: usize, limit: Price, terms: &SlotTerms) -> Result<(), Refusal> {
    if !terms.takes(zone) {
        return Err(Refusal::SlotNotOpen);
    }
    let highest = match side {
        // A bound that does not fit in a price is below every limit.
        Side::Bid => terms.highest_bid(zone).unwrap_or(Price::from_micro_per_kwh(i64::MIN)),
        Side::Offer => terms.highest,
    };
    if limit < terms.lowest {
        Err(Refusal::BelowFeedIn { bound_micro_per_kwh: terms.lowest.micro_per_kwh() })
    } else if limit > highest {
        Err(Refusal::AboveRetail { bound_micro_per_kwh: highest.micro_per_kwh() })
    } else {
        Ok(())
    }
}

/// Checks that what a bid may cost at its limit is covered by `free` credits.
///
/// # Errors
/// [`Refusal`] with both amounts.
pub fn cover(needed: Money, free: Money) -> Result<(), Refusal> {
    if needed > free {
        return Err(Refusal::InsufficientCredit { needed_nano: needed.nano(), free_nano: free.nano() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> SlotTerms {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        SlotTerms::new(DateTime::UNIX_EPOCH, &tariff, Energy::from_wh(1_000)).unwrap()
    }

    #[test]
    fn orders_are_taken_until_gate_closure() {
        let (gate, millisecond) = (DateTime::UNIX_EPOCH, chrono::TimeDelta::milliseconds(1));
        let open = SlotState::Open(terms());
        assert_eq!(slot(open, gate - millisecond), Ok(terms()));
        assert_eq!(slot(open, gate), Err(Refusal::GateClosed));
        assert_eq!(slot(SlotState::Closed, gate - millisecond), Err(Refusal::GateClosed));
        assert_eq!(slot(SlotState::Scheduled, gate), Err(Refusal::SlotNotOpen));
        assert_eq!(slot(SlotState::Unknown, gate), Err(Refusal::UnknownSlot));
    }

    #[test]
    fn limits_lie_between_the_tariffs_both_included() {
        for side in [Side::Bid, Side::Offer] {
            let check = |micro| limit(side, 0, Price::from_micro_per_kwh(micro), &terms());
            assert_eq!(check(79_999), Err(Refusal::BelowFeedIn { bound_micro_per_kwh: 80_000 }));
            assert_eq!((check(80_000), check(288_000)), (Ok(()), Ok(())));
            assert_eq!(check(288_001), Err(Refusal::AboveRetail { bound_micro_per_kwh: 288_000 }));
        }
    }

    #[test]
    fn a_bid_is_bounded_and_covered_by_the_highest_fee_of_its_zone() {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let zones = ["a", "b"].map(|id| ZoneId::new(id).unwrap());
        let pairs = [
            (zones[0].clone(), zones[0].clone(), price(10_000)),
            (zones[1].clone(), zones[0].clone(), price(20_000)),
        ];
        let fees = NetworkFees::new(zones, &tariff, pairs).unwrap();
        let terms = terms().with_network_fees(&fees, tariff.platform_fee(), &[]).unwrap();
        let check = |side, zone, micro| limit(side, zone, price(micro), &terms);
        // Zone a pays 2 ct to the network at most, zone b the tariff's 3 ct.
        assert_eq!((check(Side::Bid, 0, 298_000), check(Side::Bid, 1, 288_000)), (Ok(()), Ok(())));
        assert_eq!(check(Side::Bid, 0, 298_001), Err(Refusal::AboveRetail { bound_micro_per_kwh: 298_000 }));
        assert_eq!(check(Side::Bid, 1, 288_001), Err(Refusal::AboveRetail { bound_micro_per_kwh: 288_000 }));
        assert_eq!(check(Side::Offer, 1, 298_000), Ok(()));
        let cost = |zone| terms.cost(zone, Energy::from_wh(10), price(100_000)).unwrap().nano();
        assert_eq!((cost(0), cost(1)), (1_220_000, 1_320_000));
    }

    #[test]
    fn a_zone_that_came_later_neither_trades_nor_bounds_the_others() {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let zones = ["a", "b"].map(|id| ZoneId::new(id).unwrap());
        let pairs = [(zones[0].clone(), zones[0].clone(), price(10_000))];
        let fees = NetworkFees::new(zones.clone(), &tariff, pairs).unwrap();
        let terms = terms().with_network_fees(&fees, tariff.platform_fee(), &zones[1..]).unwrap();
        let check = |side, zone, micro| limit(side, zone, price(micro), &terms);
        assert_eq!((check(Side::Bid, 0, 308_000), check(Side::Offer, 0, 308_000)), (Ok(()), Ok(())));
        assert_eq!(check(Side::Bid, 0, 308_001), Err(Refusal::AboveRetail { bound_micro_per_kwh: 308_000 }));
        for side in [Side::Bid, Side::Offer] {
            assert_eq!(check(side, 1, 100_000), Err(Refusal::SlotNotOpen));
        }
    }

    #[test]
    fn energies_are_positive_and_bounded() {
        let check = |wh| energy(Energy::from_wh(wh), &terms());
        assert_eq!((check(0), check(-1)), (Err(Refusal::NotPositive), Err(Refusal::NotPositive)));
        assert_eq!((check(1), check(1_000)), (Ok(()), Ok(())));
        assert_eq!(check(1_001), Err(Refusal::TooLarge { max_wh: 1_000 }));
    }

    #[test]
    fn a_bid_is_covered_to_the_last_nano_with_its_fees() {
        let needed = terms().cost(0, Energy::from_wh(10), Price::from_micro_per_kwh(100_000)).unwrap();
        assert_eq!(needed.nano(), 1_320_000);
        assert!(cover(needed, Money::from_nano(1_320_000)).is_ok());
        let refusal = cover(needed, Money::from_nano(1_319_999));
        let expected = Refusal::InsufficientCredit { needed_nano: 1_320_000, free_nano: 1_319_999 };
        assert_eq!(refusal, Err(expected));
    }
}
