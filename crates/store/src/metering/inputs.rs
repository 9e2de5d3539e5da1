//! What metering is computed from: the registers round a slot, what was traded, what is carried.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId, SiteId};
use domain::reading::{Register, Registers};
use domain::units::Energy;
use sqlx::{PgConnection, PgExecutor};

use super::Carry;
use crate::StoreError;
use crate::error::corrupt;

/// A meter's registers at a slot boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// The boundary.
    pub at: DateTime<Utc>,
    /// The meter's life in which they were read; registers of two lives cannot be subtracted.
    pub epoch: i32,
    /// The registers.
    pub registers: Registers,
}

/// What a site's energy in a slot is computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteInputs {
    /// The site.
    pub site_id: SiteId,
    /// Its member.
    pub member_id: MemberId,
    /// The registers at the slot's end, if that reading is stored.
    pub end: Option<Boundary>,
    /// The registers at the last boundary at or before the slot's start in the same life of the meter.
    pub start: Option<Boundary>,
    /// What the site sold less what it bought for the slot.
    pub net_sale: Energy,
    /// What was carried out of the slot before, at its newest revision.
    pub carried: Carry,
}

struct Columns {
    at: Option<DateTime<Utc>>,
    epoch: Option<i32>,
    import_mwh: Option<i64>,
    export_mwh: Option<i64>,
    production_mwh: Option<i64>,
}

fn boundary(columns: Columns) -> Result<Option<Boundary>, StoreError> {
    let Columns {
        at: Some(at), epoch: Some(epoch), import_mwh: Some(import), export_mwh: Some(export), ..
    } = columns
    else {
        return Ok(None);
    };
    let register = |mwh| Register::from_mwh(mwh).map_err(corrupt);
    let registers = Registers {
        import: register(import)?,
        export: register(export)?,
        production: columns.production_mwh.map(register).transpose()?,
    };
    Ok(Some(Boundary { at, epoch, registers }))
}

struct Row {
    site_id: String,
    member_id: String,
    end_at: Option<DateTime<Utc>>,
    end_epoch: Option<i32>,
    end_import_mwh: Option<i64>,
    end_export_mwh: Option<i64>,
    end_production_mwh: Option<i64>,
    start_at: Option<DateTime<Utc>>,
    start_epoch: Option<i32>,
    start_import_mwh: Option<i64>,
    start_export_mwh: Option<i64>,
    start_production_mwh: Option<i64>,
}

impl Row {
    fn with(
        self,
        net_sales: &HashMap<String, Energy>,
        carried: &HashMap<String, Carry>,
    ) -> Result<SiteInputs, StoreError> {
        let end = Columns {
            at: self.end_at,
            epoch: self.end_epoch,
            import_mwh: self.end_import_mwh,
            export_mwh: self.end_export_mwh,
            production_mwh: self.end_production_mwh,
        };
        let start = Columns {
            at: self.start_at,
            epoch: self.start_epoch,
            import_mwh: self.start_import_mwh,
            export_mwh: self.start_export_mwh,
            production_mwh: self.start_production_mwh,
        };
        Ok(SiteInputs {
            site_id: SiteId::new(&self.site_id)?,
            member_id: MemberId::new(&self.member_id)?,
            end: boundary(end)?,
            start: boundary(start)?,
            net_sale: net_sales.get(&self.site_id).copied().unwrap_or_default(),
            carried: carried.get(&self.site_id).copied().unwrap_or_default(),
        })
    }
}

/// What the energy of every site in `[slot_start, slot_end)` is computed from, by site.
/// `previous_start` is the start of the slot before.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn inputs(
    db: &mut PgConnection,
    community: &CommunityId,
    previous_start: DateTime<Utc>,
    slot_start: DateTime<Utc>,
    slot_end: DateTime<Utc>,
) -> Result<Vec<SiteInputs>, StoreError> {
    // Put together here and not by joins: statistics know nothing yet of a slot's new rows, and a plan that expects
    // one trade where there are a hundred thousand compares every site with all of them.
    let net_sales = net_sales(&mut *db, community, slot_start).await?;
    let carried = carried(&mut *db, community, previous_start).await?;
    // The second look for a start is only made where the first, for the slot's own start, fails.
    sqlx::query_as!(
        Row,
        r#"SELECT s.site_id, s.member_id,
               e.slot_end AS "end_at?", e.epoch AS "end_epoch?", e.import_mwh AS "end_import_mwh?",
               e.export_mwh AS "end_export_mwh?", e.production_mwh AS "end_production_mwh?",
               COALESCE(b.slot_end, o.slot_end) AS start_at, COALESCE(b.epoch, o.epoch) AS start_epoch,
               COALESCE(b.import_mwh, o.import_mwh) AS start_import_mwh,
               COALESCE(b.export_mwh, o.export_mwh) AS start_export_mwh,
               CASE WHEN b.epoch IS NULL THEN o.production_mwh ELSE b.production_mwh END AS start_production_mwh
           FROM sites s
           LEFT JOIN meters m ON m.community_id = s.community_id AND m.site_id = s.site_id
           LEFT JOIN LATERAL (
               SELECT r.slot_end, r.epoch, r.import_mwh, r.export_mwh, r.production_mwh FROM readings r
               WHERE r.community_id = $1 AND r.meter_id = m.meter_id AND r.slot_end = $3
               ORDER BY r.epoch DESC, r.seq DESC LIMIT 1) e ON true
           LEFT JOIN LATERAL (
               SELECT r.slot_end, r.epoch, r.import_mwh, r.export_mwh, r.production_mwh FROM readings r
               WHERE r.community_id = $1 AND r.meter_id = m.meter_id AND r.slot_end = $2 AND r.epoch = e.epoch
               ORDER BY r.seq DESC LIMIT 1) b ON true
           LEFT JOIN LATERAL (
               SELECT r.slot_end, r.epoch, r.import_mwh, r.export_mwh, r.production_mwh FROM readings r
               WHERE b.epoch IS NULL
                 AND r.community_id = $1 AND r.meter_id = m.meter_id AND r.slot_end < $2 AND r.epoch = e.epoch
               ORDER BY r.slot_end DESC, r.seq DESC LIMIT 1) o ON true
           WHERE s.community_id = $1 ORDER BY s.site_id"#,
        community.as_str(),
        slot_start,
        slot_end
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| row.with(&net_sales, &carried))
    .collect()
}

/// What each site that traded sold less what it bought for a slot.
async fn net_sales(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<HashMap<String, Energy>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT site_id AS "site_id!", sum(wh)::bigint AS "wh!" FROM (
               SELECT seller_site_id AS site_id, energy_wh AS wh FROM trades
               WHERE community_id = $1 AND slot_start = $2
               UNION ALL
               SELECT buyer_site_id, -energy_wh FROM trades WHERE community_id = $1 AND slot_start = $2
           ) AS sides GROUP BY site_id"#,
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.site_id, Energy::from_wh(row.wh))).collect())
}

/// What sites carry out of a slot at its newest revision; only those that carry anything.
async fn carried(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<HashMap<String, Carry>, StoreError> {
    let rows = sqlx::query!(
        "SELECT site_id, import_carry_wh, export_carry_wh FROM metered_sites
         WHERE community_id = $1 AND slot_start = $2
           AND revision = (SELECT revision FROM slots WHERE community_id = $1 AND slot_start = $2)
           AND (import_carry_wh <> 0 OR export_carry_wh <> 0)",
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?;
    let carry = |import, export| Carry { import: Energy::from_wh(import), export: Energy::from_wh(export) };
    Ok(rows.into_iter().map(|row| (row.site_id, carry(row.import_carry_wh, row.export_carry_wh))).collect())
}

/// How many meters have no reading of `slot_end` although one may still come.
///
/// None can come any more where two readings that follow each other in sequence lie before and after
/// that boundary: the agent counts without a gap, so it never read the meter then.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn missing_readings(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_end: DateTime<Utc>,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "missing!" FROM meters m
           WHERE m.community_id = $1
             AND NOT EXISTS (SELECT 1 FROM readings r
                 WHERE r.community_id = $1 AND r.meter_id = m.meter_id AND r.slot_end = $2)
             AND NOT EXISTS (SELECT 1 FROM readings later
                 JOIN readings earlier ON earlier.community_id = $1 AND earlier.meter_id = later.meter_id
                     AND earlier.epoch = later.epoch AND earlier.seq = later.seq - 1
                 WHERE later.community_id = $1 AND later.meter_id = m.meter_id
                   AND later.slot_end > $2 AND earlier.slot_end < $2)"#,
        community.as_str(),
        slot_end
    )
    .fetch_one(db)
    .await?)
}

/// A site's registers at one boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRegisters {
    /// The site.
    pub site_id: SiteId,
    /// Its registers.
    pub boundary: Boundary,
}

/// The registers of every site at the boundaries `from..=to`, by site and boundary. The caller
/// keeps the span short: it is a row a site and boundary.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn registers_between(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<SiteRegisters>, StoreError> {
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (m.site_id, r.slot_end) m.site_id, r.slot_end, r.epoch, r.import_mwh, r.export_mwh,
             r.production_mwh
         FROM readings r JOIN meters m USING (community_id, meter_id)
         WHERE r.community_id = $1 AND r.slot_end BETWEEN $2 AND $3
         ORDER BY m.site_id, r.slot_end, r.epoch DESC, r.seq DESC",
        community.as_str(),
        from,
        to
    )
    .fetch_all(db)
    .await?;
    let mut registers = Vec::with_capacity(rows.len());
    for row in rows {
        let boundary = boundary(Columns {
            at: Some(row.slot_end),
            epoch: Some(row.epoch),
            import_mwh: Some(row.import_mwh),
            export_mwh: Some(row.export_mwh),
            production_mwh: row.production_mwh,
        })?;
        if let Some(boundary) = boundary {
            registers.push(SiteRegisters { site_id: SiteId::new(&row.site_id)?, boundary });
        }
    }
    Ok(registers)
}
