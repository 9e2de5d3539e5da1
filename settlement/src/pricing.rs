//! What a slot costs and earns each account: trades, closing auction, residual at tariffs, fees.
//!
//! Pure. The sum over all accounts is zero by construction: every amount is booked on two accounts
//! with opposite signs, between members for trades and closing fills, and against the community's
//! own accounts (`grid`, `network`, `platform`) for residuals and fees.

mod statement;

use std::collections::BTreeMap;

use domain::ids::{AccountId, SiteId};
use domain::order::Side;
use domain::reading::Metered;
use domain::tariff::Tariff;
use domain::trade::{ClosingFill, Trade};
use domain::units::{Energy, Money, Overflow};

pub use statement::{Leg, Statement};

/// A site's energy in the slot, and the account that answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteEnergy {
    /// The site.
    pub site_id: SiteId,
    /// The account of the member who owns it.
    pub account_id: AccountId,
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
    /// Every site of the community, once.
    pub sites: &'a [SiteEnergy],
    /// The trades of the continuous auction.
    pub trades: &'a [Trade],
    /// What the closing auction gave each site.
    pub fills: &'a [ClosingFill],
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

/// What a site bought and sold locally, apart from its metered energy.
#[derive(Debug, Clone, Copy, Default)]
struct Local {
    traded_bought: Leg,
    traded_sold: Leg,
    closing_bought: Leg,
    closing_sold: Leg,
}

/// Prices a slot: one statement an account that owns a site, and one each for `grid`, `network` and
/// `platform`, ordered by account.
///
/// # Errors
/// [`PricingError`] if the input contradicts itself.
pub fn price(input: &SlotInput<'_>) -> Result<Vec<Statement>, PricingError> {
    let local = local_energy(input)?;
    let mut members: BTreeMap<&AccountId, Statement> = BTreeMap::new();
    for (site, local) in input.sites.iter().zip(&local) {
        let of_site = site_statement(input.tariff, site, local)?;
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

/// Sums each site's trades and fills, in the order of `input.sites`.
fn local_energy(input: &SlotInput<'_>) -> Result<Vec<Local>, PricingError> {
    let mut index = std::collections::HashMap::with_capacity(input.sites.len());
    for (i, site) in input.sites.iter().enumerate() {
        if site.metered.import.is_negative() || site.metered.export.is_negative() {
            return Err(PricingError::NegativeEnergy { site_id: site.site_id.clone() });
        }
        if index.insert(&site.site_id, i).is_some() {
            return Err(PricingError::DuplicateSite { site_id: site.site_id.clone() });
        }
    }
    let mut local = vec![Local::default(); input.sites.len()];
    let find = |site: &SiteId, energy: Energy| {
        if energy.is_negative() {
            return Err(PricingError::NegativeEnergy { site_id: site.clone() });
        }
        index.get(site).copied().ok_or_else(|| PricingError::UnknownSite { site_id: site.clone() })
    };
    for trade in input.trades {
        let (buyer, seller) =
            (find(&trade.buyer_site, trade.energy)?, find(&trade.seller_site, trade.energy)?);
        let value = trade.value()?;
        local[buyer].traded_bought.add(trade.energy, value.checked_neg()?)?;
        local[seller].traded_sold.add(trade.energy, value)?;
    }
    let (mut bought, mut sold, mut paid) = (Energy::ZERO, Energy::ZERO, Money::ZERO);
    for fill in input.fills {
        let site = &mut local[find(&fill.site_id, fill.energy)?];
        let value = fill.price.checked_mul(fill.energy)?;
        match fill.side {
            Side::Bid => {
                bought = bought.checked_add(fill.energy)?;
                paid = paid.checked_add(value)?;
                site.closing_bought.add(fill.energy, value.checked_neg()?)?;
            }
            Side::Offer => {
                sold = sold.checked_add(fill.energy)?;
                paid = paid.checked_sub(value)?;
                site.closing_sold.add(fill.energy, value)?;
            }
        }
    }
    if bought != sold || !paid.is_zero() {
        return Err(PricingError::ClosingUnbalanced { bought_wh: bought.wh(), sold_wh: sold.wh() });
    }
    Ok(local)
}

/// What one site owes and earns.
///
/// The market handles a site's net energy. What it imported and exported within the same slot stays
/// at the tariffs, as it would without the market, so the residual has an import and an export part:
/// the metered registers less what the local market delivered or took. A site that delivered less
/// than it sold imports the difference at the retail tariff; one that took less than it bought
/// exports it at the feed-in tariff.
fn site_statement(tariff: &Tariff, site: &SiteEnergy, local: &Local) -> Result<Statement, PricingError> {
    let Metered { import, export, .. } = site.metered;
    let bought = local.traded_bought.energy.checked_add(local.closing_bought.energy)?;
    let sold = local.traded_sold.energy.checked_add(local.closing_sold.energy)?;
    let residual = site.metered.net_export()?.checked_sub(sold.checked_sub(bought)?)?;
    let within = import.min(export);
    let zero = Energy::ZERO;
    let residual_export = within.checked_add(if residual.is_positive() { residual } else { zero })?;
    let residual_import =
        within.checked_add(if residual.is_negative() { residual.checked_neg()? } else { zero })?;
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
        residual_import,
        residual_export,
        residual: at_tariffs(residual_import, residual_export)?,
        network_fee: tariff.network_fee().checked_mul(bought)?.checked_neg()?,
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
