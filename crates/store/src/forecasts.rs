//! What forecasts are learned from, the newest run of each site, and the steps of planned batteries.

mod metered;
mod past;
mod revised;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, SiteId};
use pilot::battery::Step;
use pilot::outlook::Volumes;
use pilot::quantile::Quantiles;
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;
use crate::error::corrupt;

pub use metered::{SiteSlot, metered, metered_in};
pub use past::{MAX_SLOTS, past};
pub use revised::revised;

/// The newest forecast of a site, and what its battery is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The site.
    pub site_id: SiteId,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// The slot of its first figure; the others follow without a gap.
    pub first_slot_start: DateTime<Utc>,
    /// From how many slots it was learned.
    pub learned_slots: i32,
    /// How much of it those who are hands-off trade, in per cent.
    pub share_percent: u8,
    /// The site's residual, a slot each.
    pub residual: Vec<Quantiles>,
    /// What the battery keeps back, in Wh; zero where none is planned.
    pub reserve_wh: i64,
    /// What the battery holds before the first slot, in Wh; zero where none is planned.
    pub stored_before_wh: i64,
    /// The battery's step, a slot each; empty where none is planned.
    pub battery: Vec<Step>,
}

/// Keeps runs in place of the sites' earlier ones, and the first step of each planned battery, in the
/// transaction that the caller began. All runs look equally far ahead.
///
/// # Errors
/// [`StoreError`] if the database refuses them.
pub async fn keep(tx: &mut PgConnection, community: &CommunityId, runs: &[Run]) -> Result<(), StoreError> {
    for run in runs {
        keep_run(tx, community, run).await?;
    }
    let first = |value: fn(&Step) -> i64| -> Vec<i64> {
        runs.iter().filter_map(|run| run.battery.first()).map(value).collect()
    };
    let planned: Vec<&Run> = runs.iter().filter(|run| !run.battery.is_empty()).collect();
    sqlx::query!(
        "INSERT INTO battery_steps (community_id, site_id, slot_start, charge_wh, discharge_wh, stored_wh)
         SELECT $1, t.* FROM UNNEST($2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[]) AS t
         ON CONFLICT (community_id, site_id, slot_start) DO UPDATE SET charge_wh = excluded.charge_wh,
             discharge_wh = excluded.discharge_wh, stored_wh = excluded.stored_wh",
        community.as_str(),
        &planned.iter().map(|run| run.site_id.to_string()).collect::<Vec<_>>(),
        &planned.iter().map(|run| run.first_slot_start).collect::<Vec<_>>(),
        &first(|step| step.charge_wh),
        &first(|step| step.discharge_wh),
        &first(|step| step.stored_wh),
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

async fn keep_run(tx: &mut PgConnection, community: &CommunityId, run: &Run) -> Result<(), StoreError> {
    let of = |value: fn(&Quantiles) -> i64| -> Vec<i64> { run.residual.iter().map(value).collect() };
    let step = |value: fn(&Step) -> i64| -> Vec<i64> { run.battery.iter().map(value).collect() };
    sqlx::query!(
        "INSERT INTO forecasts (community_id, site_id, made_at, first_slot_start, learned_slots, p10_wh, p50_wh, p90_wh,
             reserve_wh, stored_before_wh, charge_wh, discharge_wh, stored_wh, share_percent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (community_id, site_id) DO UPDATE SET made_at = excluded.made_at,
             first_slot_start = excluded.first_slot_start, learned_slots = excluded.learned_slots,
             p10_wh = excluded.p10_wh, p50_wh = excluded.p50_wh, p90_wh = excluded.p90_wh,
             reserve_wh = excluded.reserve_wh, stored_before_wh = excluded.stored_before_wh,
             charge_wh = excluded.charge_wh, discharge_wh = excluded.discharge_wh, stored_wh = excluded.stored_wh,
             share_percent = excluded.share_percent",
        community.as_str(),
        run.site_id.as_str(),
        run.made_at,
        run.first_slot_start,
        run.learned_slots,
        &of(|q| q.p10_wh),
        &of(|q| q.p50_wh),
        &of(|q| q.p90_wh),
        run.reserve_wh,
        run.stored_before_wh,
        &step(|s| s.charge_wh),
        &step(|s| s.discharge_wh),
        &step(|s| s.stored_wh),
        i16::from(run.share_percent),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The newest run of a site.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    site: &SiteId,
) -> Result<Option<Run>, StoreError> {
    let row = sqlx::query!(
        "SELECT made_at, first_slot_start, learned_slots, p10_wh, p50_wh, p90_wh, reserve_wh, stored_before_wh,
             charge_wh, discharge_wh, stored_wh, share_percent
         FROM forecasts WHERE community_id = $1 AND site_id = $2",
        community.as_str(),
        site.as_str()
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let quantiles = row.p10_wh.iter().zip(&row.p50_wh).zip(&row.p90_wh);
    let residual =
        quantiles.map(|((p10, p50), p90)| Quantiles { p10_wh: *p10, p50_wh: *p50, p90_wh: *p90 }).collect();
    let mut before = row.stored_before_wh;
    let steps = row.charge_wh.iter().zip(&row.discharge_wh).zip(&row.stored_wh);
    let battery = steps
        .map(|((charge, discharge), stored)| {
            let loss_wh = before + charge - discharge - stored;
            before = *stored;
            Step { charge_wh: *charge, discharge_wh: *discharge, loss_wh, stored_wh: *stored }
        })
        .collect();
    Ok(Some(Run {
        site_id: site.clone(),
        made_at: row.made_at,
        first_slot_start: row.first_slot_start,
        learned_slots: row.learned_slots,
        share_percent: u8::try_from(row.share_percent).map_err(corrupt)?,
        residual,
        reserve_wh: row.reserve_wh,
        stored_before_wh: row.stored_before_wh,
        battery,
    }))
}

/// What the community did in metered slots from `from` to before `to`, in the order of time.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn volumes(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<(DateTime<Utc>, Volumes)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT s.slot_start, sum(m.import_wh)::bigint AS "import_wh!", sum(m.export_wh)::bigint AS "export_wh!",
               (SELECT COALESCE(sum(t.energy_wh), 0)::bigint FROM trades t
                WHERE t.community_id = $1 AND t.slot_start = s.slot_start)
               + (SELECT COALESCE(sum(f.energy_wh), 0)::bigint FROM closing_fills f
                  WHERE f.community_id = $1 AND f.slot_start = s.slot_start AND f.revision = s.revision
                    AND f.side = 'bid') AS "local_wh!"
           FROM slots s
           JOIN metered_sites m ON m.community_id = s.community_id AND m.slot_start = s.slot_start
               AND m.revision = s.revision
           WHERE s.community_id = $1 AND s.slot_start >= $2 AND s.slot_start < $3
           GROUP BY s.slot_start, s.revision ORDER BY s.slot_start"#,
        community.as_str(),
        from,
        to
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let volumes =
                Volumes { import_wh: row.import_wh, export_wh: row.export_wh, local_wh: row.local_wh };
            (row.slot_start, volumes)
        })
        .collect())
}

/// The steps of planned batteries in slots from `from` to before `to`, by site and slot.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn battery_steps(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<HashMap<(SiteId, DateTime<Utc>), BatteryStep>, StoreError> {
    sqlx::query!(
        "SELECT site_id, slot_start, charge_wh, discharge_wh, stored_wh FROM battery_steps
         WHERE community_id = $1 AND slot_start >= $2 AND slot_start < $3",
        community.as_str(),
        from,
        to
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        let step = BatteryStep { net_wh: row.discharge_wh - row.charge_wh, stored_wh: row.stored_wh };
        Ok(((SiteId::new(&row.site_id)?, row.slot_start), step))
    })
    .collect()
}

/// What a planned battery was to do in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatteryStep {
    /// What it added to the site's net export, in Wh.
    pub net_wh: i64,
    /// What it was to hold afterwards, in Wh.
    pub stored_wh: i64,
}

/// Forgets steps of slots before `before`, which nothing is learned from any more. Returns how many.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn forget_steps(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    before: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let id = community.as_str();
    Ok(sqlx::query!("DELETE FROM battery_steps WHERE community_id = $1 AND slot_start < $2", id, before)
        .execute(db)
        .await?
        .rows_affected())
}

#[cfg(test)]
mod tests;
