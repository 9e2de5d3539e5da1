//! Grid limits: how much may flow over a community's connection point in one slot.

use crate::units::Energy;

/// Whose limit it is. Where both have set one, the lowest holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitSource {
    /// The connection point's own.
    Connection,
    /// The utility's.
    Utility,
}

impl LimitSource {
    /// `connection` or `utility`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Utility => "utility",
        }
    }

    /// Reads `connection` or `utility`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Connection, Self::Utility].into_iter().find(|source| source.as_str() == text)
    }
}

/// The most that may be drawn from the grid and fed into it in a slot; `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GridLimits {
    /// The most imported.
    pub import: Option<Energy>,
    /// The most exported.
    pub export: Option<Energy>,
}

impl GridLimits {
    /// The lower of two limits, for each direction.
    #[must_use]
    pub fn lowest(self, other: Self) -> Self {
        let lower = |a: Option<Energy>, b: Option<Energy>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { import: lower(self.import, other.import), export: lower(self.export, other.export) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_holds_in_each_direction() {
        let wh = |wh| Some(Energy::from_wh(wh));
        let connection = GridLimits { import: wh(5), export: wh(9) };
        let utility = GridLimits { import: None, export: wh(7) };
        assert_eq!(connection.lowest(utility), GridLimits { import: wh(5), export: wh(7) });
        assert_eq!(utility.lowest(GridLimits::default()), utility);
    }

    #[test]
    fn sources_round_trip() {
        for source in [LimitSource::Connection, LimitSource::Utility] {
            assert_eq!(LimitSource::parse(source.as_str()), Some(source));
        }
        assert_eq!(LimitSource::parse("weather"), None);
    }
}
