//! Grid limits: what may flow over a community's connection point in a slot.

use chrono::{DateTime, Utc};
use domain::grid::{GridLimits, LimitSource};
use domain::ids::CommunityId;
use domain::units::Energy;
use sqlx::{PgExecutor, PgPool};

use crate::StoreError;
use crate::error::corrupt;
use crate::notify::{self, Event, Kind};

/// A limit of one slot, as its source has set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRow {
    /// The slot.
    pub slot_start: DateTime<Utc>,
    /// Whose limit it is.
    pub source: LimitSource,
    /// The limit; nothing in either direction takes it back.
    pub limits: GridLimits,
    /// When it was set; what [`set`] is given does not count.
    pub set_at: DateTime<Utc>,
}

/// What holds in a slot: of all sources' limits the lowest.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<GridLimits, StoreError> {
    let rows = between(db, community, slot_start, slot_start).await?;
    Ok(rows.iter().fold(GridLimits::default(), |lowest, row| lowest.lowest(row.limits)))
}

/// The limits of the slots that start in `from..=to`, by slot and source. The caller keeps the span short.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn between(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<LimitRow>, StoreError> {
    sqlx::query!(
        "SELECT slot_start, source, import_limit_wh, export_limit_wh, set_at FROM grid_limits
         WHERE community_id = $1 AND slot_start BETWEEN $2 AND $3 ORDER BY slot_start, source",
        community.as_str(),
        from,
        to
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(LimitRow {
            slot_start: row.slot_start,
            source: LimitSource::parse(&row.source)
                .ok_or_else(|| corrupt(format!("a limit's source {:?}", row.source)))?,
            limits: GridLimits {
                import: row.import_limit_wh.map(Energy::from_wh),
                export: row.export_limit_wh.map(Energy::from_wh),
            },
            set_at: row.set_at,
        })
    })
    .collect()
}

/// Sets limits of slots, each in place of the one that its source had set. The caller has checked that none of
/// the slots has begun, and that none is there twice for one source.
///
/// # Errors
/// [`StoreError`] if the database refuses them.
pub async fn set(
    pool: &PgPool,
    community: &CommunityId,
    limits: &[LimitRow],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    let starts: Vec<_> = limits.iter().map(|row| row.slot_start).collect();
    let sources: Vec<_> = limits.iter().map(|row| row.source.as_str().to_owned()).collect();
    let imports: Vec<Option<i64>> = limits.iter().map(|row| row.limits.import.map(Energy::wh)).collect();
    let exports: Vec<Option<i64>> = limits.iter().map(|row| row.limits.export.map(Energy::wh)).collect();
    let done = sqlx::query!(
        "INSERT INTO grid_limits (community_id, slot_start, source, import_limit_wh, export_limit_wh, set_at)
         SELECT $1, t.*, $6 FROM UNNEST($2::timestamptz[], $3::text[], $4::bigint[], $5::bigint[]) AS t
         ON CONFLICT (community_id, slot_start, source) DO UPDATE SET
             import_limit_wh = excluded.import_limit_wh, export_limit_wh = excluded.export_limit_wh,
             set_at = excluded.set_at
         WHERE (grid_limits.import_limit_wh, grid_limits.export_limit_wh)
             IS DISTINCT FROM (excluded.import_limit_wh, excluded.export_limit_wh)",
        community.as_str(),
        &starts,
        &sources,
        &imports as &[Option<i64>],
        &exports as &[Option<i64>],
        now
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() > 0 {
        notify::send(&mut *tx, &Event::new(Kind::Settings, community, None)).await?;
    }
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::fixtures;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn of_two_sources_the_lowest_limit_holds_until_it_is_taken_back(pool: sqlx::PgPool) {
        fixtures::insert(&pool).await.unwrap();
        let community = CommunityId::new("demo").unwrap();
        let slot_start = "2026-03-01T12:45:00Z".parse().unwrap();
        let wh = |wh: i64| Some(Energy::from_wh(wh));
        let row = |source, import, export| {
            let limits = GridLimits { import, export };
            LimitRow { slot_start, source, limits, set_at: fixtures::now() }
        };
        let set_rows = async |rows: &[LimitRow]| set(&pool, &community, rows, fixtures::now()).await.unwrap();
        let both = [row(LimitSource::Connection, wh(900), wh(700)), row(LimitSource::Utility, None, wh(500))];
        set_rows(&both).await;
        set_rows(&both).await;
        assert_eq!(between(&pool, &community, slot_start, slot_start).await.unwrap(), both);
        let held = of_slot(&pool, &community, slot_start).await.unwrap();
        assert_eq!(held, GridLimits { import: wh(900), export: wh(500) });
        set_rows(&[row(LimitSource::Utility, None, None)]).await;
        let held = of_slot(&pool, &community, slot_start).await.unwrap();
        assert_eq!(held, GridLimits { import: wh(900), export: wh(700) });
    }
}
