//! What each site leaves to the grid, and what of that is beyond the slot's limits.

use domain::apportion::pro_rata;
use domain::units::{Energy, Overflow};

use super::local::Local;
use super::{SiteEnergy, SlotInput};

/// What a site leaves to the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Residual {
    /// Drawn from it.
    pub(super) import: Energy,
    /// Fed into it, as far as the limit allows.
    pub(super) export: Energy,
    /// Exported beyond the limit.
    pub(super) curtailed: Energy,
    /// The share of `import` beyond the limit.
    pub(super) over_limit: Energy,
}

/// Each site's residual, in the order of `input.sites`.
///
/// The limits cap what all sites together leave to the grid once local trades are taken off. What is fed in beyond
/// the limit is curtailed, pro rata to what each site feeds in. What was drawn cannot be undrawn: it is stated,
/// pro rata, and paid like the rest.
pub(super) fn residuals(input: &SlotInput<'_>, local: &[Local]) -> Result<Vec<Residual>, Overflow> {
    let mut all: Vec<Residual> =
        input.sites.iter().zip(local).map(|(site, local)| residual(site, local)).collect::<Result<_, _>>()?;
    if let Some(excess) = excess(&all, |site| site.export, input.limits.export)? {
        for (site, wh) in all.iter_mut().zip(excess) {
            site.curtailed = wh;
            site.export = site.export.checked_sub(wh)?;
        }
    }
    if let Some(excess) = excess(&all, |site| site.import, input.limits.import)? {
        for (site, wh) in all.iter_mut().zip(excess) {
            site.over_limit = wh;
        }
    }
    Ok(all)
}

/// The market handles a site's net energy. What it imported and exported within the same slot stays at the
/// tariffs, as it would without the market, so the residual has an import and an export part: the metered
/// registers less what the local market delivered or took. A site that delivered less than it sold imports the
/// difference at the retail tariff; one that took less than it bought exports it at the feed-in tariff.
fn residual(site: &SiteEnergy, local: &Local) -> Result<Residual, Overflow> {
    let net = site.metered.net_export()?.checked_sub(local.sold()?.checked_sub(local.bought()?)?)?;
    let within = site.metered.import.min(site.metered.export);
    let zero = Energy::ZERO;
    Ok(Residual {
        import: within.checked_add(if net.is_negative() { net.checked_neg()? } else { zero })?,
        export: within.checked_add(if net.is_positive() { net } else { zero })?,
        ..Residual::default()
    })
}

/// Each site's share of what all have beyond a limit, if they have more.
fn excess(
    all: &[Residual],
    of: impl Fn(&Residual) -> Energy,
    limit: Option<Energy>,
) -> Result<Option<Vec<Energy>>, Overflow> {
    let Some(limit) = limit else { return Ok(None) };
    let excess = Energy::checked_sum(all.iter().map(&of))?.checked_sub(limit)?;
    if !excess.is_positive() {
        return Ok(None);
    }
    let parts: Vec<i64> = all.iter().map(|site| of(site).wh()).collect();
    Ok(Some(pro_rata(&parts, excess.wh()).into_iter().map(Energy::from_wh).collect()))
}
