//! What is asked of the rows to find transactions that they have forgotten.

use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// How many transactions are stored for a nonce of `sender`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn attempts(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    sender: &str,
    nonce: i64,
) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(max(attempt), 0) AS "attempts!" FROM transactions
           WHERE community_id = $1 AND sender = $2 AND nonce = $3"#,
        community.as_str(),
        sender,
        nonce
    )
    .fetch_one(db)
    .await?)
}

/// Whether a transaction is stored.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn is_known(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    tx_hash: &str,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM transactions WHERE community_id = $1 AND tx_hash = $2) AS "known!""#,
        community.as_str(),
        tx_hash
    )
    .fetch_one(db)
    .await?)
}

/// The block of the community's newest transaction that ended below every nonce which a deposit still asked for
/// has lost to another transaction; without such, of the newest one. `None` if none has ended.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_block(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    sender: &str,
) -> Result<Option<i64>, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT block_number AS "block_number!" FROM transactions
           WHERE community_id = $1 AND sender = $2 AND block_number IS NOT NULL
             AND nonce < coalesce((SELECT min(lost.nonce) FROM deposits d
                     JOIN transactions lost USING (community_id, deposit_id)
                     WHERE d.community_id = $1 AND d.status = 'requested' AND lost.status = 'replaced'),
                 9223372036854775807)
           ORDER BY nonce DESC LIMIT 1"#,
        community.as_str(),
        sender
    )
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// Whether the transaction with the highest nonce of `sender`, which is `nonce`, was to put right what the rows had
/// forgotten and was mined: then the nonce was free.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn was_free(db: impl PgExecutor<'_>, sender: &str, nonce: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM transactions WHERE sender = $1 AND nonce = $2 AND purpose = 'recover'
               AND status = 'final') AS "free!""#,
        sender,
        nonce
    )
    .fetch_one(db)
    .await?)
}
