//! Energy, power, price and money as integers of one fixed base unit each.
//!
//! A price is held in micro-currency per kWh, which is the same number as nano-currency per Wh, so a
//! price times an energy is one exact integer product and no rounding rule exists anywhere.

mod energy;
mod money;
mod power;
mod price;

pub use energy::Energy;
pub use money::Money;
pub use power::Power;
pub use price::Price;

/// A sum or product left the range of a 64-bit integer.
///
/// Quantities of one community are many orders of magnitude below that range, so this is a sign of
/// corrupt input; the caller refuses the input instead of saturating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{unit} overflow in {operation}: the inputs are out of any plausible range, refuse them")]
pub struct Overflow {
    /// The unit of the result that did not fit.
    pub unit: &'static str,
    /// The arithmetic operation that was tried.
    pub operation: &'static str,
}

/// Arithmetic that every unit has: checked addition, subtraction, negation and a checked sum.
macro_rules! checked_arithmetic {
    ($type:ident, $unit:literal) => {
        impl $type {
            /// The additive identity.
            pub const ZERO: Self = Self(0);

            /// Adds two values.
            ///
            /// # Errors
            /// [`Overflow`](crate::units::Overflow) if the sum does not fit.
            pub const fn checked_add(self, other: Self) -> Result<Self, crate::units::Overflow> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Ok(Self(sum)),
                    None => Err(crate::units::Overflow { unit: $unit, operation: "addition" }),
                }
            }

            /// Subtracts `other`.
            ///
            /// # Errors
            /// [`Overflow`](crate::units::Overflow) if the difference does not fit.
            pub const fn checked_sub(self, other: Self) -> Result<Self, crate::units::Overflow> {
                match self.0.checked_sub(other.0) {
                    Some(difference) => Ok(Self(difference)),
                    None => Err(crate::units::Overflow { unit: $unit, operation: "subtraction" }),
                }
            }

            /// Changes the sign.
            ///
            /// # Errors
            /// [`Overflow`](crate::units::Overflow) for the one value without a counterpart.
            pub const fn checked_neg(self) -> Result<Self, crate::units::Overflow> {
                Self::ZERO.checked_sub(self)
            }

            /// Sums an iterator of values.
            ///
            /// # Errors
            /// [`Overflow`](crate::units::Overflow) if a partial sum does not fit.
            pub fn checked_sum(
                values: impl IntoIterator<Item = Self>,
            ) -> Result<Self, crate::units::Overflow> {
                values.into_iter().try_fold(Self::ZERO, Self::checked_add)
            }

            /// Whether the value is above zero.
            #[must_use]
            pub const fn is_positive(self) -> bool {
                self.0 > 0
            }

            /// Whether the value is below zero.
            #[must_use]
            pub const fn is_negative(self) -> bool {
                self.0 < 0
            }

            /// Whether the value is zero.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
        }
    };
}
use checked_arithmetic;
