//! Who took from whom in the closing auction.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, SiteId};
use domain::trade::ClosingPair;
use domain::units::{Energy, Price};
use sqlx::PgExecutor;

use crate::StoreError;

/// Stores the pairs of a slot's closing auction at `revision`; its fills must be stored already.
///
/// # Errors
/// [`StoreError`] if the database refuses them.
pub async fn insert_closing_pairs(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
    pairs: &[ClosingPair],
) -> Result<(), StoreError> {
    fn column<T>(pairs: &[ClosingPair], value: impl Fn(&ClosingPair) -> T) -> Vec<T> {
        pairs.iter().map(value).collect()
    }
    sqlx::query!(
        "INSERT INTO closing_pairs (community_id, slot_start, revision, buyer_site_id, seller_site_id, energy_wh,
             network_fee_micro_per_kwh, preferred_wh, premium_micro_per_kwh)
         SELECT $1, $2, $3, t.* FROM UNNEST($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
             $9::bigint[]) AS t",
        community.as_str(),
        slot_start,
        revision,
        &column(pairs, |p| p.buyer_site.to_string()),
        &column(pairs, |p| p.seller_site.to_string()),
        &column(pairs, |p| p.energy.wh()),
        &column(pairs, |p| p.network_fee.micro_per_kwh()),
        &column(pairs, |p| p.preferred.wh()),
        &column(pairs, |p| p.premium.micro_per_kwh()),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The pairs of a slot's closing auction at `revision`, by buyer and seller.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn closing_pairs(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
) -> Result<Vec<ClosingPair>, StoreError> {
    sqlx::query!(
        "SELECT buyer_site_id, seller_site_id, energy_wh, network_fee_micro_per_kwh, preferred_wh,
             premium_micro_per_kwh
         FROM closing_pairs WHERE community_id = $1 AND slot_start = $2 AND revision = $3
         ORDER BY buyer_site_id, seller_site_id",
        community.as_str(),
        slot_start,
        revision
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(ClosingPair {
            buyer_site: SiteId::new(&row.buyer_site_id)?,
            seller_site: SiteId::new(&row.seller_site_id)?,
            energy: Energy::from_wh(row.energy_wh),
            network_fee: Price::from_micro_per_kwh(row.network_fee_micro_per_kwh),
            preferred: Energy::from_wh(row.preferred_wh),
            premium: Price::from_micro_per_kwh(row.premium_micro_per_kwh),
        })
    })
    .collect()
}
