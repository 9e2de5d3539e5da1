//! Tariffs: what energy costs without the market, and what the market adds.

use crate::units::{Overflow, Price};

/// The prices that hold for one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tariff {
    retail: Price,
    feed_in: Price,
    network_fee: Price,
    platform_fee: Price,
}

/// Prices that cannot make a tariff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTariff {
    /// A price or fee is below zero.
    #[error("a tariff's prices and fees cannot be negative")]
    Negative,
    /// Nothing could ever be traded between the two tariffs.
    #[error(
        "the retail tariff less the fees must be at least the feed-in tariff, or no local trade can pay: \
         lower the fees or the feed-in tariff"
    )]
    NoRoom,
    /// The prices are absurd.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

impl Tariff {
    /// Makes a tariff from prices per kWh.
    ///
    /// # Errors
    /// [`InvalidTariff`] if a price is negative or the fees leave no room between the tariffs.
    pub fn new(
        retail: Price,
        feed_in: Price,
        network_fee: Price,
        platform_fee: Price,
    ) -> Result<Self, InvalidTariff> {
        if [retail, feed_in, network_fee, platform_fee].iter().any(|p| p.is_negative()) {
            return Err(InvalidTariff::Negative);
        }
        let tariff = Self { retail, feed_in, network_fee, platform_fee };
        if tariff.highest_limit()? < feed_in {
            return Err(InvalidTariff::NoRoom);
        }
        Ok(tariff)
    }

    /// What imported energy costs at the grid.
    #[must_use]
    pub const fn retail(&self) -> Price {
        self.retail
    }

    /// What exported energy earns at the grid.
    #[must_use]
    pub const fn feed_in(&self) -> Price {
        self.feed_in
    }

    /// Paid by the buyer of local energy to the network account.
    #[must_use]
    pub const fn network_fee(&self) -> Price {
        self.network_fee
    }

    /// Paid by the buyer of local energy to the platform account.
    #[must_use]
    pub const fn platform_fee(&self) -> Price {
        self.platform_fee
    }

    /// The lowest price an order may name: the feed-in tariff, since a seller earns that anyway.
    #[must_use]
    pub const fn lowest_limit(&self) -> Price {
        self.feed_in
    }

    /// The highest price an order may name: the retail tariff less what a buyer pays on top of the
    /// price, so that no buyer of local energy pays more than at the grid.
    ///
    /// # Errors
    /// [`Overflow`] if the prices are absurd.
    pub fn highest_limit(&self) -> Result<Price, Overflow> {
        self.retail.checked_sub(self.network_fee)?.checked_sub(self.platform_fee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(micro: i64) -> Price {
        Price::from_micro_per_kwh(micro)
    }

    #[test]
    fn the_bounds_leave_the_fees_to_the_buyer() {
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        assert_eq!(tariff.lowest_limit(), price(80_000));
        assert_eq!(tariff.highest_limit(), Ok(price(288_000)));
    }

    #[test]
    fn fees_that_leave_no_room_are_refused() {
        let no_room = Tariff::new(price(100_000), price(80_000), price(30_000), price(0));
        assert_eq!(no_room, Err(InvalidTariff::NoRoom));
        assert_eq!(Tariff::new(price(1), price(-1), price(0), price(0)), Err(InvalidTariff::Negative));
    }
}
