//! One account's statement of one slot.

use domain::ids::AccountId;
use domain::reading::Metered;
use domain::units::{Energy, Money, Overflow};

/// Energy that was bought or sold, and the money for it; negative money is paid, positive received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leg {
    /// How much; never negative.
    pub energy: Energy,
    /// For how much.
    pub money: Money,
}

impl Leg {
    /// Adds energy and its money.
    ///
    /// # Errors
    /// [`Overflow`] if a sum does not fit.
    pub fn add(&mut self, energy: Energy, money: Money) -> Result<(), Overflow> {
        self.energy = self.energy.checked_add(energy)?;
        self.money = self.money.checked_add(money)?;
        Ok(())
    }
}

/// What one account bought, sold, paid and received in one slot. Money is signed: positive is a
/// credit to the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whose statement.
    pub account_id: AccountId,
    /// What its sites metered together; production is unknown if it is unknown for one of them.
    pub metered: Metered,
    /// Whether a traded position stands for a missing reading of one of its sites.
    pub substituted: bool,
    /// Bought in the continuous auction.
    pub traded_bought: Leg,
    /// Sold in the continuous auction.
    pub traded_sold: Leg,
    /// Bought in the closing auction.
    pub closing_bought: Leg,
    /// Sold in the closing auction.
    pub closing_sold: Leg,
    /// The part of the closing auction's purchase that met its preference, and the premium for it.
    pub preferred_bought: Leg,
    /// The part of the closing auction's sale that met its buyer's preference, and the premium for it.
    pub preferred_sold: Leg,
    /// Imported from the grid at the retail tariff.
    pub residual_import: Energy,
    /// Exported to the grid at the feed-in tariff.
    pub residual_export: Energy,
    /// The money for both residuals.
    pub residual: Money,
    /// Exported beyond the grid limit: earns nothing, and is no part of the residual export.
    pub curtailed: Energy,
    /// The share of the residual import beyond the grid limit; paid like the rest of it.
    pub over_limit: Energy,
    /// For local energy bought; negative for a buyer, positive for the network account.
    pub network_fee: Money,
    /// For local energy bought; negative for a buyer, positive for the platform account.
    pub platform_fee: Money,
    /// The sum of all money above.
    pub net: Money,
    /// What the same registers would have cost and earned at the tariffs alone.
    pub base: Money,
}

impl Statement {
    /// A statement of an account for which nothing happened.
    #[must_use]
    pub fn empty(account_id: AccountId) -> Self {
        Self {
            account_id,
            metered: Metered::default(),
            substituted: false,
            traded_bought: Leg::default(),
            traded_sold: Leg::default(),
            closing_bought: Leg::default(),
            closing_sold: Leg::default(),
            preferred_bought: Leg::default(),
            preferred_sold: Leg::default(),
            residual_import: Energy::ZERO,
            residual_export: Energy::ZERO,
            residual: Money::ZERO,
            curtailed: Energy::ZERO,
            over_limit: Energy::ZERO,
            network_fee: Money::ZERO,
            platform_fee: Money::ZERO,
            net: Money::ZERO,
            base: Money::ZERO,
        }
    }

    /// What the parts add up to: what [`Self::net`] must be.
    ///
    /// # Errors
    /// [`Overflow`] if the sum does not fit.
    pub fn sum(&self) -> Result<Money, Overflow> {
        Money::checked_sum([
            self.traded_bought.money,
            self.traded_sold.money,
            self.closing_bought.money,
            self.closing_sold.money,
            self.preferred_bought.money,
            self.preferred_sold.money,
            self.residual,
            self.network_fee,
            self.platform_fee,
        ])
    }

    /// Adds the statement of another site of the same account.
    ///
    /// # Errors
    /// [`Overflow`] if a sum does not fit.
    pub fn merge(&mut self, other: &Self) -> Result<(), Overflow> {
        self.metered = Metered {
            import: self.metered.import.checked_add(other.metered.import)?,
            export: self.metered.export.checked_add(other.metered.export)?,
            production: match (self.metered.production, other.metered.production) {
                (Some(a), Some(b)) => Some(a.checked_add(b)?),
                _ => None,
            },
        };
        self.substituted |= other.substituted;
        for (leg, added) in [
            (&mut self.traded_bought, other.traded_bought),
            (&mut self.traded_sold, other.traded_sold),
            (&mut self.closing_bought, other.closing_bought),
            (&mut self.closing_sold, other.closing_sold),
            (&mut self.preferred_bought, other.preferred_bought),
            (&mut self.preferred_sold, other.preferred_sold),
        ] {
            leg.add(added.energy, added.money)?;
        }
        for (energy, added) in [
            (&mut self.residual_import, other.residual_import),
            (&mut self.residual_export, other.residual_export),
            (&mut self.curtailed, other.curtailed),
            (&mut self.over_limit, other.over_limit),
        ] {
            *energy = energy.checked_add(added)?;
        }
        for (money, added) in [
            (&mut self.residual, other.residual),
            (&mut self.network_fee, other.network_fee),
            (&mut self.platform_fee, other.platform_fee),
            (&mut self.net, other.net),
            (&mut self.base, other.base),
        ] {
            *money = money.checked_add(added)?;
        }
        Ok(())
    }
}
