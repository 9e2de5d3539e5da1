//! Between what the limits of orders may lie: of a site by the tariff and the network fees that hold now, of a slot
//! by its own.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::ids::{SiteId, ZoneId};
use domain::tariff::Tariff;
use domain::units::{Overflow, Price};
use pilot::bounds::Bounds;
use store::communities::Community;
use store::{network_fees, places, zones};

use crate::app::AppState;
use crate::error::ApiError;
use crate::problems;

/// Where a site stands, and what that means for its limits.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its zone.
    pub(crate) zone_id: ZoneId,
    /// The tariff.
    pub(crate) tariff: Tariff,
    /// The bounds of its limits.
    pub(crate) bounds: Bounds,
}

/// The place of a site now; before the market opens, when it opens.
///
/// # Errors
/// A problem if no tariff holds, or its prices are absurd.
pub(crate) async fn place(state: &AppState, community: &Community, site: &SiteId) -> Result<Place, ApiError> {
    let places::Place { zone_id, tariff, fees } =
        places::of_site(&state.pool, community, site, state.clock.now()).await?;
    let bounds = Bounds::of_zone(&tariff, &fees, &zone_id)
        .map_err(|overflow| ApiError::new(problems::INTERNAL, overflow.to_string()))?;
    Ok(Place { zone_id, tariff, bounds })
}

/// The most that bids of each zone may name in a slot, by zone, as the market bounds them: a buyer must be able to pay
/// the highest fee that its zone may pay. Zones that joined too late for the slot are left out, on both sides.
///
/// # Errors
/// A problem if the database does not answer, or the prices are absurd.
pub(crate) async fn of_bids(
    state: &AppState,
    community: &Community,
    slot_start: DateTime<Utc>,
    tariff: &Tariff,
) -> Result<Vec<(ZoneId, Price)>, ApiError> {
    let (pool, id) = (&state.pool, &community.community_id);
    let sites = zones::of_sites(pool, id).await?;
    let fees = network_fees::of_slot(pool, id, slot_start, tariff, &sites).await?;
    let late = zones::late(pool, id, slot_start).await?;
    let zones: BTreeSet<ZoneId> = sites.into_iter().map(|site| site.zone_id).collect();
    let taking: Vec<(ZoneId, usize)> = zones
        .into_iter()
        .filter(|zone| !late.contains(zone))
        .filter_map(|zone| fees.number(&zone).map(|number| (zone, number)))
        .collect();
    let numbers: Vec<usize> = taking.iter().map(|(_, number)| *number).collect();
    let bounded = |(zone, to): (ZoneId, usize)| {
        let dearest = numbers.iter().map(|from| fees.fee(*from, to)).max().unwrap_or_default();
        Ok((zone, tariff.retail().checked_sub(tariff.platform_fee())?.checked_sub(dearest)?))
    };
    let bounds: Result<Vec<_>, Overflow> = taking.into_iter().map(bounded).collect();
    bounds.map_err(|overflow| {
        ApiError::new(problems::INTERNAL, format!("the slot's tariff and fees: {overflow}"))
    })
}
