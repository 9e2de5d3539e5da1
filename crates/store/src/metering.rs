//! What each site metered in a slot, what the closing auction gave it, and what both are made from.

mod inputs;
mod pairs;

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, SiteId};
use domain::order::Side;
use domain::reading::Metered;
use domain::trade::ClosingFill;
use domain::units::{Energy, Price};
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;
use crate::error::corrupt;

pub use inputs::{Boundary, SiteInputs, SiteRegisters, inputs, missing_readings, registers_between};
pub use pairs::{closing_pairs, insert_closing_pairs};

/// What a site's slots were given beyond its registers, to be taken off the following slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carry {
    /// Of the import register; never negative.
    pub import: Energy,
    /// Of the export register; never negative.
    pub export: Energy,
}

/// What a site metered in a slot, at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredSite {
    /// The site.
    pub site_id: SiteId,
    /// Its energy.
    pub metered: Metered,
    /// Whether the traded position stands for energy that no pair of readings shows.
    pub substituted: bool,
    /// What is carried into the following slot.
    pub carry: Carry,
}

/// Keeps readings from being stored until the transaction ends, and waits for those on their way, so
/// that a reading is either seen by this transaction or finds its slot metered and marks it.
///
/// Call it before any other lock is taken: whoever stores readings locks them first and slots after.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn hold_readings(tx: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("LOCK TABLE readings IN SHARE MODE").execute(tx).await?;
    Ok(())
}

/// Stores what each site metered in a slot at `revision`.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for a revision that exists already.
pub async fn insert_metered(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
    sites: &[MeteredSite],
) -> Result<(), StoreError> {
    fn column<T>(sites: &[MeteredSite], value: impl Fn(&MeteredSite) -> T) -> Vec<T> {
        sites.iter().map(value).collect()
    }
    let production = column(sites, |s| s.metered.production.map(Energy::wh));
    sqlx::query!(
        "INSERT INTO metered_sites (community_id, slot_start, revision, site_id, import_wh, export_wh,
             production_wh, substituted, import_carry_wh, export_carry_wh)
         SELECT $1, $2, $3, t.* FROM UNNEST($4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[],
             $9::bigint[], $10::bigint[]) AS t",
        community.as_str(),
        slot_start,
        revision,
        &column(sites, |s| s.site_id.to_string()),
        &column(sites, |s| s.metered.import.wh()),
        &column(sites, |s| s.metered.export.wh()),
        &production as &[Option<i64>],
        &column(sites, |s| s.substituted),
        &column(sites, |s| s.carry.import.wh()),
        &column(sites, |s| s.carry.export.wh()),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores what the closing auction gave each site in a slot at `revision`.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert_closing_fills(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
    fills: &[ClosingFill],
) -> Result<(), StoreError> {
    fn column<T>(fills: &[ClosingFill], value: impl Fn(&ClosingFill) -> T) -> Vec<T> {
        fills.iter().map(value).collect()
    }
    sqlx::query!(
        "INSERT INTO closing_fills (community_id, slot_start, revision, site_id, side, energy_wh, price_micro_per_kwh)
         SELECT $1, $2, $3, t.* FROM UNNEST($4::text[], $5::text[], $6::bigint[], $7::bigint[]) AS t",
        community.as_str(),
        slot_start,
        revision,
        &column(fills, |f| f.site_id.to_string()),
        &column(fills, |f| f.side.as_str().to_owned()),
        &column(fills, |f| f.energy.wh()),
        &column(fills, |f| f.price.micro_per_kwh()),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What each site metered in a slot at `revision`, by site.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
) -> Result<Vec<MeteredSite>, StoreError> {
    let wh = Energy::from_wh;
    sqlx::query!(
        "SELECT site_id, import_wh, export_wh, production_wh, substituted, import_carry_wh, export_carry_wh
         FROM metered_sites WHERE community_id = $1 AND slot_start = $2 AND revision = $3 ORDER BY site_id",
        community.as_str(),
        slot_start,
        revision
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(MeteredSite {
            site_id: SiteId::new(&row.site_id)?,
            metered: Metered {
                import: wh(row.import_wh),
                export: wh(row.export_wh),
                production: row.production_wh.map(wh),
            },
            substituted: row.substituted,
            carry: Carry { import: wh(row.import_carry_wh), export: wh(row.export_carry_wh) },
        })
    })
    .collect()
}

/// What the closing auction gave each site in a slot at `revision`, by site.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn closing_fills(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    revision: i32,
) -> Result<Vec<ClosingFill>, StoreError> {
    sqlx::query!(
        "SELECT site_id, side, energy_wh, price_micro_per_kwh FROM closing_fills
         WHERE community_id = $1 AND slot_start = $2 AND revision = $3 ORDER BY site_id",
        community.as_str(),
        slot_start,
        revision
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(ClosingFill {
            site_id: SiteId::new(&row.site_id)?,
            side: Side::parse(&row.side).ok_or_else(|| corrupt(format!("the side {:?}", row.side)))?,
            energy: Energy::from_wh(row.energy_wh),
            price: Price::from_micro_per_kwh(row.price_micro_per_kwh),
        })
    })
    .collect()
}
