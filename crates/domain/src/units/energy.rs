//! Energy in watt-hours.

use super::checked_arithmetic;

/// A signed amount of energy in watt-hours (Wh): what is traded, metered per slot and billed.
///
/// The sign's meaning is given by the name of the field that holds it (`net_export`, `residual`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Energy(i64);

checked_arithmetic!(Energy, "energy (Wh)");

impl Energy {
    /// Makes an energy from watt-hours.
    #[must_use]
    pub const fn from_wh(wh: i64) -> Self {
        Self(wh)
    }

    /// The number of watt-hours.
    #[must_use]
    pub const fn wh(self) -> i64 {
        self.0
    }

    /// The smaller of two energies.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Ord::min(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_and_refuses_overflow() {
        assert_eq!(Energy::from_wh(2).checked_add(Energy::from_wh(-5)), Ok(Energy::from_wh(-3)));
        assert!(Energy::from_wh(i64::MAX).checked_add(Energy::from_wh(1)).is_err());
        assert!(Energy::from_wh(i64::MIN).checked_neg().is_err());
    }
}
