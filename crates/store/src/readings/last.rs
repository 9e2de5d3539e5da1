//! The newest reading of every site.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MeterId, SiteId};
use domain::units::Power;
use sqlx::PgExecutor;

use crate::StoreError;

/// When a site was last heard of, and what it drew then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReading {
    /// The site.
    pub site_id: SiteId,
    /// Its meter.
    pub meter_id: MeterId,
    /// The boundary of its newest reading; `None` if there is none yet.
    pub slot_end: Option<DateTime<Utc>>,
    /// The momentary power then, positive on import, where known.
    pub power: Option<Power>,
}

/// The newest reading of every site that has a meter, by site.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_by_site(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Vec<LastReading>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT m.site_id, m.meter_id, r.slot_end AS "slot_end?", r.power_w
           FROM meters m LEFT JOIN LATERAL (
               SELECT r.slot_end, r.power_w FROM readings r
               WHERE r.community_id = $1 AND r.meter_id = m.meter_id
               ORDER BY r.slot_end DESC, r.epoch DESC LIMIT 1) r ON true
           WHERE m.community_id = $1 ORDER BY m.site_id"#,
        community.as_str()
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LastReading {
                site_id: SiteId::new(&row.site_id)?,
                meter_id: MeterId::new(&row.meter_id)?,
                slot_end: row.slot_end,
                power: row.power_w.map(Power::from_w),
            })
        })
        .collect()
}
