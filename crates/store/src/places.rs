//! Where a site stands, and what holds there: the tariff and the network fees of a moment.

use chrono::{DateTime, Utc};
use domain::fees::NetworkFees;
use domain::ids::{SiteId, ZoneId};
use domain::tariff::Tariff;

use crate::communities::{self, Community};
use crate::{PgPool, StoreError, network_fees, zones};

/// Where a site stands, and what its orders are bounded by.
#[derive(Debug)]
pub struct Place {
    /// Its zone; the default zone if the site is not known.
    pub zone_id: ZoneId,
    /// The tariff.
    pub tariff: Tariff,
    /// The fees among the zones.
    pub fees: NetworkFees,
}

/// The place of a site at `now`; before the market opens, when it opens.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or no tariff holds.
pub async fn of_site(
    pool: &PgPool,
    community: &Community,
    site: &SiteId,
    now: DateTime<Utc>,
) -> Result<Place, StoreError> {
    let (id, at) = (&community.community_id, now.max(community.market_opens_at));
    let tariff = communities::tariff_at(pool, id, at).await?;
    let sites = zones::of_sites(pool, id).await?;
    let fees = network_fees::of_slot(pool, id, at, &tariff, &sites).await?;
    let zone = sites.into_iter().find(|known| known.site_id == *site).map(|known| known.zone_id);
    Ok(Place { zone_id: zone.unwrap_or_default(), tariff, fees })
}
