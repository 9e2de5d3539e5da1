//! Which slots were metered again, so that what was learned of them can be learned again.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// The slots from `from` to before `to` that a late or corrected reading changed, with their newest revision, from 1.
/// The caller keeps the span short: it is a row a corrected slot.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn revised(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<HashMap<DateTime<Utc>, i32>, StoreError> {
    let rows = sqlx::query!(
        "SELECT slot_start, revision FROM slots
         WHERE community_id = $1 AND slot_start >= $2 AND slot_start < $3 AND revision > 0",
        community.as_str(),
        from,
        to
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.slot_start, row.revision)).collect())
}
