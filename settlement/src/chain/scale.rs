//! Money in the base unit of the currency token.

use domain::units::Money;

/// Nano-currency has nine decimals.
const NANO_DECIMALS: u32 = 9;

/// How fine the currency token is; the credits that wrap it are as fine.
///
/// Money is nano-currency. A token of nine decimals or more takes any amount exactly; a coarser one
/// takes multiples of [`Self::quantum`], and what is below is carried into the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenScale {
    decimals: u8,
}

/// A token is too fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency token of {0} decimals cannot be used: 18 are the most whose amounts fit the contract")]
pub struct TooManyDecimals(pub u8);

/// An amount is below the token's base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{nano} nano-currency is no multiple of {quantum_nano}, the least that the currency token can move")]
pub struct NotWhole {
    /// The amount.
    pub nano: i64,
    /// What it must be a multiple of.
    pub quantum_nano: i64,
}

/// A balance on the chain is larger than any money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a balance of {base_units} base units is out of range: is the address that of the credit contract?")]
pub struct InvalidAmount {
    /// The balance.
    pub base_units: u128,
}

impl TokenScale {
    /// The scale of most tokens.
    pub const ETHER: Self = Self { decimals: 18 };

    /// The scale of a token.
    ///
    /// # Errors
    /// [`TooManyDecimals`] above 18.
    pub const fn new(decimals: u8) -> Result<Self, TooManyDecimals> {
        if decimals > Self::ETHER.decimals { Err(TooManyDecimals(decimals)) } else { Ok(Self { decimals }) }
    }

    /// How many decimals it has.
    #[must_use]
    pub const fn decimals(self) -> u8 {
        self.decimals
    }

    /// Base units in one whole unit of the currency.
    #[must_use]
    pub const fn base_units_per_unit(self) -> u64 {
        10_u64.pow(self.decimals as u32)
    }

    /// The least money that it can move.
    #[must_use]
    pub const fn quantum(self) -> Money {
        Money::from_nano(10_i64.pow(NANO_DECIMALS.saturating_sub(self.decimals as u32)))
    }

    /// Base units in one nano-currency unit, for tokens that are that fine.
    const fn base_units_per_nano(self) -> i128 {
        10_i128.pow((self.decimals as u32).saturating_sub(NANO_DECIMALS))
    }

    /// Money in base units; within the contract's 96 bits.
    ///
    /// # Errors
    /// [`NotWhole`] if it is below the token's base unit.
    pub fn to_base_units(self, amount: Money) -> Result<i128, NotWhole> {
        let (nano, quantum_nano) = (amount.nano(), self.quantum().nano());
        if nano % quantum_nano != 0 {
            return Err(NotWhole { nano, quantum_nano });
        }
        Ok(i128::from(nano / quantum_nano) * self.base_units_per_nano())
    }

    /// Money from base units, without the part below one nano-currency unit.
    ///
    /// # Errors
    /// [`InvalidAmount`] if it does not fit.
    pub fn whole_nano(self, base_units: u128) -> Result<Money, InvalidAmount> {
        let whole = base_units / self.base_units_per_nano().unsigned_abs();
        let nano = i64::try_from(whole).ok().and_then(|whole| whole.checked_mul(self.quantum().nano()));
        nano.map(Money::from_nano).ok_or(InvalidAmount { base_units })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_money_is_exact_with_nine_decimals_or_more() {
        for scale in (9..=18).map(|decimals| TokenScale::new(decimals).unwrap()) {
            for nano in [0, 1, -2, i64::MAX] {
                let money = Money::from_nano(nano);
                let base = scale.to_base_units(money).unwrap();
                assert!(base < 1 << 95);
                assert_eq!(base * 1_000_000_000, i128::from(nano) * i128::from(scale.base_units_per_unit()));
                if let Ok(base) = u128::try_from(base) {
                    assert_eq!(scale.whole_nano(base), Ok(money));
                }
            }
        }
        assert_eq!(TokenScale::ETHER.whole_nano(1_999_999_999), Ok(Money::from_nano(1)));
        assert!(TokenScale::ETHER.whole_nano(u128::MAX).is_err());
    }

    #[test]
    fn a_coarse_token_takes_multiples_only() {
        let scale = TokenScale::new(6).unwrap();
        assert_eq!(scale.quantum(), Money::from_nano(1_000));
        assert_eq!(scale.to_base_units(Money::from_nano(-5_000)), Ok(-5));
        assert_eq!(
            scale.to_base_units(Money::from_nano(5_001)),
            Err(NotWhole { nano: 5_001, quantum_nano: 1_000 })
        );
        assert_eq!(scale.whole_nano(5), Ok(Money::from_nano(5_000)));
        assert!(scale.whole_nano(u128::from(u64::MAX)).is_err());
        assert_eq!(TokenScale::new(19), Err(TooManyDecimals(19)));
    }
}
