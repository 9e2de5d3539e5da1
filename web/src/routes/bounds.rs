//! Between what the limits of a site's orders may lie, by the tariff and the network fees that hold now.

use domain::ids::{SiteId, ZoneId};
use domain::tariff::Tariff;
use pilot::bounds::Bounds;
use store::communities::Community;
use store::places;

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
