//! Tokens by which members act for themselves. Only their hashes are kept.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId};
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;

/// How many tokens a member may have; the oldest goes.
pub const MAX_TOKENS: i64 = 8;

/// Random text that nobody can foretell: 64 hex digits, 244 bits of them from the database server's
/// strong generator (the rest marks them as UUIDs).
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn random_text(db: impl PgExecutor<'_>) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') AS "text!""#
    )
    .fetch_one(db)
    .await?)
}

/// Stores the SHA-256 of a member's new token.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for an unknown member.
pub async fn insert(
    tx: &mut PgConnection,
    community: &CommunityId,
    member: &MemberId,
    token_sha256: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM member_tokens WHERE community_id = $1 AND token_hash IN (
             SELECT token_hash FROM member_tokens WHERE community_id = $1 AND member_id = $2
             ORDER BY created_at DESC, token_hash OFFSET $3)",
        community.as_str(),
        member.as_str(),
        MAX_TOKENS - 1
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "INSERT INTO member_tokens (community_id, token_hash, member_id, created_at) VALUES ($1, $2, $3, $4)",
        community.as_str(),
        &token_sha256[..],
        member.as_str(),
        now
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Whose token this is, if it is one.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn member_of(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    token_sha256: &[u8; 32],
) -> Result<Option<MemberId>, StoreError> {
    let found = sqlx::query_scalar!(
        "SELECT member_id FROM member_tokens WHERE community_id = $1 AND token_hash = $2",
        community.as_str(),
        &token_sha256[..]
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|id| MemberId::new(&id)).transpose()?)
}

/// Revokes every token of a member. Returns how many.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn revoke_all(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM member_tokens WHERE community_id = $1 AND member_id = $2",
        community.as_str(),
        member.as_str()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
