//! The net positions of batches: what is owed, what was settled, and what stays open.

use domain::ids::{AccountId, BatchId, CommunityId};
use domain::units::Money;
use sqlx::PgExecutor;

use crate::StoreError;

/// One account's position in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionRow {
    /// Whose.
    pub account_id: AccountId,
    /// Where it lives on the chain, `0x` and 40 lower-case hex digits.
    pub chain_address: String,
    /// What the statements say, less earlier revisions; negative is owed by the account.
    pub owed: Money,
    /// What the chain moves; `None` until the batch is signed.
    pub settled: Option<Money>,
}

fn columns(positions: &[(AccountId, Money)]) -> (Vec<String>, Vec<i64>) {
    positions.iter().map(|(account, amount)| (account.to_string(), amount.nano())).unzip()
}

/// Stores what a new batch owes.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert_owed(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
    owed: &[(AccountId, Money)],
) -> Result<(), StoreError> {
    let (accounts, amounts) = columns(owed);
    sqlx::query!(
        "INSERT INTO batch_positions (community_id, batch_id, account_id, owed_nano)
         SELECT $1, $2, t.* FROM UNNEST($3::text[], $4::bigint[]) AS t",
        community.as_str(),
        &batch_id.0[..],
        &accounts,
        &amounts
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a batch owes by itself, by account.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn owed(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<Vec<(AccountId, Money)>, StoreError> {
    sqlx::query!(
        "SELECT account_id, owed_nano FROM batch_positions
         WHERE community_id = $1 AND batch_id = $2 ORDER BY account_id",
        community.as_str(),
        &batch_id.0[..]
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| Ok((AccountId::new(&row.account_id)?, Money::from_nano(row.owed_nano))))
    .collect()
}

/// What earlier batches owed and could not settle, by account: negative is a receivable against the
/// account, positive is payable to it. Sums to zero.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn carried(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Vec<(AccountId, Money)>, StoreError> {
    sqlx::query!(
        r#"SELECT p.account_id, sum(p.owed_nano - p.settled_nano)::bigint AS "open!"
         FROM batch_positions p JOIN batches b USING (community_id, batch_id)
         WHERE p.community_id = $1 AND p.settled_nano <> p.owed_nano
           AND b.status IN ('signed', 'broadcast', 'final')
         GROUP BY p.account_id HAVING sum(p.owed_nano - p.settled_nano) <> 0 ORDER BY p.account_id"#,
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| Ok((AccountId::new(&row.account_id)?, Money::from_nano(row.open))))
    .collect()
}

/// Stores what a batch moves: each position of `settled`, and zero for every other account of it.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn set_settled(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
    settled: &[(AccountId, Money)],
) -> Result<(), StoreError> {
    let (accounts, amounts) = columns(settled);
    sqlx::query!(
        "INSERT INTO batch_positions (community_id, batch_id, account_id, owed_nano, settled_nano)
         SELECT $1, $2, coalesce(t.account_id, p.account_id), 0, coalesce(t.settled_nano, 0)
         FROM UNNEST($3::text[], $4::bigint[]) AS t(account_id, settled_nano)
         FULL JOIN (SELECT account_id FROM batch_positions WHERE community_id = $1 AND batch_id = $2) AS p
             ON p.account_id = t.account_id
         ON CONFLICT (community_id, batch_id, account_id) DO UPDATE SET settled_nano = EXCLUDED.settled_nano",
        community.as_str(),
        &batch_id.0[..],
        &accounts,
        &amounts
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes back what a batch was to move, after its transaction failed for good.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn clear_settled(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE batch_positions SET settled_nano = NULL WHERE community_id = $1 AND batch_id = $2",
        community.as_str(),
        &batch_id.0[..]
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A batch's positions with their addresses, by account.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn positions(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<Vec<PositionRow>, StoreError> {
    sqlx::query!(
        "SELECT p.account_id, a.chain_address, p.owed_nano, p.settled_nano
         FROM batch_positions p JOIN accounts a USING (community_id, account_id)
         WHERE p.community_id = $1 AND p.batch_id = $2 ORDER BY p.account_id",
        community.as_str(),
        &batch_id.0[..]
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(PositionRow {
            account_id: AccountId::new(&row.account_id)?,
            chain_address: row.chain_address,
            owed: Money::from_nano(row.owed_nano),
            settled: row.settled_nano.map(Money::from_nano),
        })
    })
    .collect()
}
