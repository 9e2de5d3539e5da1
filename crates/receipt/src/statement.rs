//! A statement as a receipt carries it: plain figures, each named with its unit.

use domain::units::{Money, Overflow};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A signed amount of nano-currency (10^-9 of a currency unit), written as a decimal string because a
/// JSON number is a float to many readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^-?[0-9]{1,19}$", example = "-182000000"))]
pub struct Nano(pub i64);

impl From<Money> for Nano {
    fn from(money: Money) -> Self {
        Self(money.nano())
    }
}

impl Serialize for Nano {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Nano {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            D::Error::custom("money is a whole number of nano-currency as a string, such as \"-182000000\"")
        })
    }
}

/// What one account bought, sold, paid and received in one slot. Money is signed: positive is a
/// credit to the account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ReceiptStatement))]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Metered import, in Wh.
    pub import_wh: i64,
    /// Metered export, in Wh.
    pub export_wh: i64,
    /// Metered production, in Wh; null where it is not known, which is another statement than zero.
    pub production_wh: Option<i64>,
    /// Whether the traded position stands for a missing reading.
    pub substituted: bool,
    /// Bought in the continuous auction, in Wh.
    pub traded_bought_wh: i64,
    /// Paid for it; never positive.
    pub traded_bought_nano: Nano,
    /// Sold in the continuous auction, in Wh.
    pub traded_sold_wh: i64,
    /// Earned by it; never negative.
    pub traded_sold_nano: Nano,
    /// Bought in the closing auction, in Wh.
    pub closing_bought_wh: i64,
    /// Paid for it; never positive.
    pub closing_bought_nano: Nano,
    /// Sold in the closing auction, in Wh.
    pub closing_sold_wh: i64,
    /// Earned by it; never negative.
    pub closing_sold_nano: Nano,
    /// The part of what was bought in the closing auction that met its preference, in Wh.
    pub preferred_bought_wh: i64,
    /// The premium paid for it on top of the price; never positive.
    pub preferred_bought_nano: Nano,
    /// The part of what was sold in the closing auction that met its buyer's preference, in Wh.
    pub preferred_sold_wh: i64,
    /// The premium earned by it; never negative.
    pub preferred_sold_nano: Nano,
    /// Left to the retail tariff, in Wh.
    pub residual_import_wh: i64,
    /// Left to the feed-in tariff, in Wh.
    pub residual_export_wh: i64,
    /// Paid or earned for both.
    pub residual_nano: Nano,
    /// Exported beyond the grid limit, in Wh: earns nothing and is no part of `residual_export_wh`.
    pub curtailed_wh: i64,
    /// The share of `residual_import_wh` beyond the grid limit, in Wh; paid like the rest of it.
    pub over_limit_wh: i64,
    /// The network fee.
    pub network_fee_nano: Nano,
    /// The platform fee.
    pub platform_fee_nano: Nano,
    /// The sum of all money above.
    pub net_nano: Nano,
    /// What the same registers would have cost at the tariffs alone.
    pub base_nano: Nano,
}

impl Statement {
    /// What the parts add up to: what `net_nano` must be.
    ///
    /// # Errors
    /// [`Overflow`] if the sum does not fit.
    pub fn sum(&self) -> Result<Nano, Overflow> {
        let parts = [
            self.traded_bought_nano,
            self.traded_sold_nano,
            self.closing_bought_nano,
            self.closing_sold_nano,
            self.preferred_bought_nano,
            self.preferred_sold_nano,
            self.residual_nano,
            self.network_fee_nano,
            self.platform_fee_nano,
        ];
        Money::checked_sum(parts.map(|part| Money::from_nano(part.0))).map(Nano::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_a_string_and_adds_up() {
        let statement =
            Statement { traded_sold_nano: Nano(7), network_fee_nano: Nano(-2), ..Statement::default() };
        assert_eq!(statement.sum().unwrap(), Nano(5));
        let json = serde_json::to_string(&statement).unwrap();
        assert!(json.contains("\"network_fee_nano\":\"-2\""), "{json}");
        assert_eq!(serde_json::from_str::<Statement>(&json).unwrap(), statement);
        assert!(serde_json::from_str::<Nano>("5").is_err());
    }
}
