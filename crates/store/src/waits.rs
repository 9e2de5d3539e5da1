//! Communities whose settlement waits for the chain to become cheap enough.

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// A community that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Which.
    pub community_id: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it is tried again.
    pub next_try_at: DateTime<Utc>,
    /// Why, in words.
    pub reason: String,
}

/// Notes that a community waits. If it does already, since when stays.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn begin(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    now: DateTime<Utc>,
    next_try_at: DateTime<Utc>,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO settlement_waits (community_id, since, next_try_at, reason) VALUES ($1, $2, $3, $4)
         ON CONFLICT (community_id) DO UPDATE SET next_try_at = EXCLUDED.next_try_at, reason = EXCLUDED.reason",
        community.as_str(),
        now,
        next_try_at,
        reason
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that a community does not wait any more. Returns whether it did.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn end(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<bool, StoreError> {
    let done = sqlx::query!("DELETE FROM settlement_waits WHERE community_id = $1", community.as_str())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Every community that waits, by id.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<Wait>, StoreError> {
    Ok(sqlx::query_as!(
        Wait,
        "SELECT community_id, since, next_try_at, reason FROM settlement_waits ORDER BY community_id"
    )
    .fetch_all(db)
    .await?)
}
