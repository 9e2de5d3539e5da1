//! Money in nano-currency.

use std::fmt;

use super::checked_arithmetic;

const NANO_PER_UNIT: u64 = 1_000_000_000;

/// A signed amount of money in nano-currency; positive is a credit to the account it is booked on.
///
/// A token of 18 decimals holds it exactly (times 10^9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

checked_arithmetic!(Money, "money (nano-currency)");

impl Money {
    /// Makes an amount from nano-currency.
    #[must_use]
    pub const fn from_nano(nano: i64) -> Self {
        Self(nano)
    }

    /// The number of nano-currency units.
    #[must_use]
    pub const fn nano(self) -> i64 {
        self.0
    }
}

/// Prints whole currency units with nine decimals, from integers: `-0.320000000`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", magnitude / NANO_PER_UNIT, magnitude % NANO_PER_UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_exactly() {
        assert_eq!(Money::from_nano(-320_000_001).to_string(), "-0.320000001");
        assert_eq!(Money::from_nano(i64::MIN).to_string(), "-9223372036.854775808");
    }

    #[test]
    fn sums_exactly() {
        let parts = [1, -2, 3].map(Money::from_nano);
        assert_eq!(Money::checked_sum(parts), Ok(Money::from_nano(2)));
    }
}
