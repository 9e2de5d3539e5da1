//! What a slot costs and earns each account: trades, closing auction, residual at tariffs, fees.
//!
//! Pure. The sum over all accounts is zero by construction: every amount is booked on two accounts
//! with opposite signs, between members for trades and closing fills, and against the community's
//! own accounts (`grid`, `network`, `platform`) for residuals and fees.

mod limits;
mod local;
mod statement;

use std::collections::BTreeMap;

use domain::fees::NetworkFees;
use domain::grid::GridLimits;
use domain::ids::{AccountId, SiteId};
use domain::reading::Metered;
use domain::tariff::Tariff;
use domain::trade::{ClosingFill, ClosingPair, Trade};
use domain::units::{Energy, Money, Overflow};

use limits::Residual;
use local::Local;
pub use statement::{Leg, Statement};

/// A site's energy in the slot, and the account that answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteEnergy {
    /// The site.
    pub site_id: SiteId,
    /// The account of the member who owns it.
    pub account_id: AccountId,
    /// Its zone, by its number among the slot's network fees.
    pub zone: usize,
    /// What its meter says.
    pub metered: Metered,
    /// Whether the traded position stands for a missing reading.
    pub substituted: bool,
}

/// All that pricing one slot needs.
#[derive(Debug, Clone, Copy)]
pub struct SlotInput<'a> {
    /// The tariff of the slot.
    pub tariff: &'a Tariff,
    /// The network fees of the slot.
    pub fees: &'a NetworkFees,
    /// How much may be drawn from the grid and fed into it.
    pub limits: GridLimits,
    /// Every site of the community, once.
    pub sites: &'a [SiteEnergy],
    /// The trades of the continuous auction.
    pub trades: &'a [Trade],
    /// What the closing auction gave each site.
    pub fills: &'a [ClosingFill],
    /// Who took from whom in the closing auction.
    pub pairs: &'a [ClosingPair],
}

/// A slot cannot be priced; nothing is written and the slot stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// A trade or fill names a site that was not metered.
    #[error("site {site_id} traded but was not metered: meter the slot again with every site")]
    UnknownSite {
        /// The site.
        site_id: SiteId,
    },
    /// A site is there twice.
    #[error("site {site_id} was metered twice at one revision: meter the slot again")]
    DuplicateSite {
        /// The site.
        site_id: SiteId,
    },
    /// A metered or traded energy is negative.
    #[error("site {site_id} has a negative energy: registers, trades and fills are never below zero")]
    NegativeEnergy {
        /// The site.
        site_id: SiteId,
    },
    /// The closing auction created or lost energy or money.
    #[error(
        "the closing auction bought {bought_wh} Wh and sold {sold_wh} Wh, at one price they must be equal"
    )]
    ClosingUnbalanced {
        /// What its buyers bought.
        bought_wh: i64,
        /// What its sellers sold.
        sold_wh: i64,
    },
    /// The pairs of the closing auction are not its fills.
    #[error(
        "the closing auction gave site {site_id} {filled_wh} Wh, but its pairs add up to {paired_wh} Wh: meter the \
         slot again"
    )]
    PairsUnbalanced {
        /// The site.
        site_id: SiteId,
        /// What it bought less what it sold.
        filled_wh: i64,
        /// What its pairs say of that.
        paired_wh: i64,
    },
    /// A site's zone is not among the network fees.
    #[error("site {site_id} is in a zone that the slot's network fees do not know: meter the slot again")]
    UnknownZone {
        /// The site.
        site_id: SiteId,
    },
    /// Money does not sum to zero, which the rules make impossible: corrupt input.
    #[error("the statements sum to {sum_nano} nano-currency instead of zero: refuse the slot's input")]
    NotZero {
        /// The sum.
        sum_nano: i64,
    },
    /// Absurd amounts.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// Prices a slot: one statement an account that owns a site, and one each for `grid`, `network` and
/// `platform`, ordered by account.
///
/// # Errors
/// [`PricingError`] if the input contradicts itself.
pub fn price(input: &SlotInput<'_>) -> Result<Vec<Statement>, PricingError> {
    let local = local::of_sites(input)?;
    let residuals = limits::residuals(input, &local)?;
    let mut members: BTreeMap<&AccountId, Statement> = BTreeMap::new();
    for ((site, local), residual) in input.sites.iter().zip(&local).zip(&residuals) {
        let of_site = site_statement(input.tariff, site, local, residual)?;
        match members.entry(&site.account_id) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(of_site);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().merge(&of_site)?,
        }
    }
    let mut statements: Vec<Statement> = members.into_values().collect();
    let own = community_statements(&statements)?;
    statements.extend(own);
    statements.sort_unstable_by(|a, b| a.account_id.cmp(&b.account_id));
    let sum = Money::checked_sum(statements.iter().map(|s| s.net))?;
    if sum.is_zero() { Ok(statements) } else { Err(PricingError::NotZero { sum_nano: sum.nano() }) }
}

/// What one site owes and earns.
fn site_statement(
    tariff: &Tariff,
    site: &SiteEnergy,
    local: &Local,
    residual: &Residual,
) -> Result<Statement, PricingError> {
    let Metered { import, export, .. } = site.metered;
    let bought = local.bought()?;
    let at_tariffs = |import: Energy, export: Energy| {
        tariff.feed_in().checked_mul(export)?.checked_sub(tariff.retail().checked_mul(import)?)
    };
    let mut statement = Statement {
        metered: site.metered,
        substituted: site.substituted,
        traded_bought: local.traded_bought,
        traded_sold: local.traded_sold,
        closing_bought: local.closing_bought,
        closing_sold: local.closing_sold,
        preferred_bought: local.preferred_bought,
        preferred_sold: local.preferred_sold,
        residual_import: residual.import,
        residual_export: residual.export,
        residual: at_tariffs(residual.import, residual.export)?,
        curtailed: residual.curtailed,
        over_limit: residual.over_limit,
        network_fee: local.network_fee,
        platform_fee: tariff.platform_fee().checked_mul(bought)?.checked_neg()?,
        base: at_tariffs(import, export)?,
        ..Statement::empty(site.account_id.clone())
    };
    statement.net = statement.sum()?;
    Ok(statement)
}

/// The other side of the members' residuals and fees. These accounts carry money only: their
/// energies are zero, so that a sum over all accounts is the members' energy.
fn community_statements(members: &[Statement]) -> Result<[Statement; 3], PricingError> {
    let opposite =
        |of: fn(&Statement) -> Money| Money::checked_sum(members.iter().map(of)).and_then(Money::checked_neg);
    let mut grid = Statement::empty(AccountId::grid());
    grid.residual = opposite(|s| s.residual)?;
    grid.base = opposite(|s| s.base)?;
    let mut network = Statement::empty(AccountId::network());
    network.network_fee = opposite(|s| s.network_fee)?;
    let mut platform = Statement::empty(AccountId::platform());
    platform.platform_fee = opposite(|s| s.platform_fee)?;
    for statement in [&mut grid, &mut network, &mut platform] {
        statement.net = statement.sum()?;
    }
    Ok([grid, network, platform])
}

#[cfg(test)]
mod tests;
