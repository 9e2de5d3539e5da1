//! What sites did in slots that are metered: what forecasts are learned from.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, SiteId};
use pilot::history::Observed;
use sqlx::PgExecutor;

use crate::StoreError;

/// A slot that a site was metered in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteSlot {
    /// The site.
    pub site_id: SiteId,
    /// The slot.
    pub slot_start: DateTime<Utc>,
    /// What it did, a planned battery's part taken out. `None` where the stored energy is not what the site did in
    /// this slot alone: it was substituted, it closes a gap and holds the energy of the slots before too, or it paid for
    /// what a substituted slot was given beyond its register.
    pub observed: Option<Observed>,
}

/// What sites metered in slots from `from` to before `to`, at the newest revision, in the order of time.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn metered(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    sites: &[SiteId],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<SiteSlot>, StoreError> {
    read(db, community, sites, (from, to), None).await
}

/// What sites metered in those of `slots` that are metered, at the newest revision, in the order of time. The caller bounds
/// their number: it is a row a site and slot.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn metered_in(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    sites: &[SiteId],
    slots: &[DateTime<Utc>],
) -> Result<Vec<SiteSlot>, StoreError> {
    let Some((first, last)) = slots.iter().min().zip(slots.iter().max()) else { return Ok(Vec::new()) };
    read(db, community, sites, (*first, *last + chrono::TimeDelta::seconds(1)), Some(slots)).await
}

async fn read(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    sites: &[SiteId],
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    only: Option<&[DateTime<Utc>]>,
) -> Result<Vec<SiteSlot>, StoreError> {
    let sites: Vec<String> = sites.iter().map(SiteId::to_string).collect();
    // `before` is what the site was given in the slot before: all slots of a community are metered, in their order. Behind
    // a substituted slot stands the end of a gap, unless the meter was read in between: its first reading of all ends a
    // slot that is substituted, too.
    // No slot is longer than an hour: said once more, so that not all slots there ever were are joined.
    sqlx::query!(
        r#"SELECT m.site_id, m.slot_start, m.production_wh,
               m.export_wh - m.import_wh - COALESCE(b.discharge_wh - b.charge_wh, 0) AS "net_wh!",
               CASE WHEN m.substituted OR before.import_carry_wh > 0 OR before.export_carry_wh > 0 THEN false
                   WHEN before.substituted THEN NOT s.needs_remetering AND EXISTS (
                       SELECT 1 FROM meters t JOIN readings r USING (community_id, meter_id)
                       WHERE t.community_id = $1 AND t.site_id = m.site_id AND r.slot_end = m.slot_start)
                   ELSE true END AS "is_own!"
           FROM slots s JOIN communities c USING (community_id)
           JOIN metered_sites m ON m.community_id = s.community_id AND m.slot_start = s.slot_start
               AND m.revision = s.revision
           LEFT JOIN slots ps ON ps.community_id = s.community_id
               AND ps.slot_start = s.slot_start - make_interval(secs => c.slot_length_s)
           LEFT JOIN metered_sites before ON before.community_id = ps.community_id
               AND before.slot_start = ps.slot_start AND before.revision = ps.revision AND before.site_id = m.site_id
               AND before.slot_start >= $3::timestamptz - interval '1 hour' AND before.slot_start < $4
           LEFT JOIN battery_steps b ON b.community_id = m.community_id AND b.site_id = m.site_id
               AND b.slot_start = m.slot_start
           WHERE s.community_id = $1 AND s.slot_start >= $3 AND s.slot_start < $4
             AND ($5::timestamptz[] IS NULL OR s.slot_start = ANY($5)) AND m.site_id = ANY($2)
           ORDER BY m.slot_start, m.site_id"#,
        community.as_str(),
        &sites,
        from,
        to,
        only
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        let observed = Observed { net_wh: row.net_wh, production_wh: row.production_wh };
        let (site_id, slot_start) = (SiteId::new(&row.site_id)?, row.slot_start);
        Ok(SiteSlot { site_id, slot_start, observed: row.is_own.then_some(observed) })
    })
    .collect()
}
