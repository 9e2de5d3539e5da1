//! A community at a glance: how many take part and what they saved.

use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// How many take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Members.
    pub members: i64,
    /// Connection points.
    pub sites: i64,
    /// Revenue meters.
    pub meters: i64,
}

/// Counts a community's members, sites and meters.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn counts(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Counts, StoreError> {
    Ok(sqlx::query_as!(
        Counts,
        r#"SELECT (SELECT count(*) FROM members WHERE community_id = $1) AS "members!",
                  (SELECT count(*) FROM sites WHERE community_id = $1) AS "sites!",
                  (SELECT count(*) FROM meters WHERE community_id = $1) AS "meters!""#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// What all members together saved against the tariffs alone, in nano-currency, over all priced slots
/// at their latest revisions.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or the sum leaves the 64-bit range.
pub async fn savings_nano(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(sum(savings_nano), 0)::bigint AS "nano!"
           FROM (SELECT DISTINCT ON (slot_start) savings_nano FROM slot_totals WHERE community_id = $1
                 ORDER BY slot_start DESC, revision DESC) newest"#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}
