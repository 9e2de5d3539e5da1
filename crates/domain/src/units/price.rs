//! Prices in micro-currency per kilowatt-hour.

use super::{Energy, Money, Overflow, checked_arithmetic};

/// A price in micro-currency per kWh, which is the same number as nano-currency per Wh.
///
/// 320 000 is 0.32 of a currency unit (32 ct) per kWh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Price(i64);

checked_arithmetic!(Price, "price (micro-currency per kWh)");

impl Price {
    /// Makes a price from micro-currency per kWh.
    #[must_use]
    pub const fn from_micro_per_kwh(micro_per_kwh: i64) -> Self {
        Self(micro_per_kwh)
    }

    /// The number of micro-currency units per kWh.
    #[must_use]
    pub const fn micro_per_kwh(self) -> i64 {
        self.0
    }

    /// The money that `energy` is worth at this price, exact to the last nano-currency unit.
    ///
    /// # Errors
    /// [`Overflow`] if the product does not fit.
    pub const fn checked_mul(self, energy: Energy) -> Result<Money, Overflow> {
        match self.0.checked_mul(energy.wh()) {
            Some(nano) => Ok(Money::from_nano(nano)),
            None => Err(Overflow { unit: "money (nano-currency)", operation: "price times energy" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kwh_at_32_ct_is_0_32() {
        let money = Price::from_micro_per_kwh(320_000).checked_mul(Energy::from_wh(1_000));
        assert_eq!(money, Ok(Money::from_nano(320_000_000)));
    }

    #[test]
    fn an_absurd_product_is_refused() {
        assert!(Price::from_micro_per_kwh(i64::MAX).checked_mul(Energy::from_wh(2)).is_err());
    }
}
