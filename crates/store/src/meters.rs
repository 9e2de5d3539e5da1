//! Revenue meters: which agent reads which site's meter, with which template.

use domain::ids::{AgentId, CommunityId, MeterId, SiteId};
use sqlx::PgExecutor;

use crate::StoreError;

/// A site's revenue meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// The meter's id.
    pub meter_id: MeterId,
    /// The site it measures.
    pub site_id: SiteId,
    /// The agent that reads and signs for it.
    pub agent_id: AgentId,
    /// The device template it is read with.
    pub template_id: String,
}

/// Adds a meter; an existing one is left as it is.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    meter: &Meter,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO meters (community_id, meter_id, site_id, agent_id, template_id)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (community_id, meter_id) DO NOTHING",
        community.as_str(),
        meter.meter_id.as_str(),
        meter.site_id.as_str(),
        meter.agent_id.as_str(),
        meter.template_id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// All meters of a community, by id.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn all(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<Meter>, StoreError> {
    sqlx::query!(
        "SELECT meter_id, site_id, agent_id, template_id FROM meters WHERE community_id = $1 ORDER BY meter_id",
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Meter {
            meter_id: MeterId::new(&row.meter_id)?,
            site_id: SiteId::new(&row.site_id)?,
            agent_id: AgentId::new(&row.agent_id)?,
            template_id: row.template_id,
        })
    })
    .collect()
}
