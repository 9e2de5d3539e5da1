//! Power in watts.

use super::checked_arithmetic;

/// A signed power in watts (W), positive on import: for display and plausibility only, never billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Power(i64);

checked_arithmetic!(Power, "power (W)");

impl Power {
    /// Makes a power from watts.
    #[must_use]
    pub const fn from_w(w: i64) -> Self {
        Self(w)
    }

    /// The number of watts.
    #[must_use]
    pub const fn w(self) -> i64 {
        self.0
    }
}
