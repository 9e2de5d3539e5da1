//! Deposits: currency that is to be wrapped for an account. `requested -> signed -> final`.

use domain::ids::{AccountId, ClientId, CommunityId};
use domain::units::Money;
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;

/// A deposit that waits to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Its number in the community.
    pub deposit_id: i64,
    /// For whom.
    pub account_id: AccountId,
    /// Where that account lives on the chain.
    pub chain_address: String,
    /// How much; above zero.
    pub amount: Money,
}

/// Asks for a deposit. A client id that was used before is left as it is: `false`.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for an unknown account or an amount that is
/// not positive.
pub async fn request_deposit(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    account: &AccountId,
    client_id: &ClientId,
    amount: Money,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO deposits (community_id, account_id, client_id, amount_nano)
         VALUES ($1, $2, $3, $4) ON CONFLICT (community_id, client_id) DO NOTHING",
        community.as_str(),
        account.as_str(),
        client_id.as_str(),
        amount.nano()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deposits that wait to be signed, oldest first, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn requested_deposits(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    limit: i64,
) -> Result<Vec<Deposit>, StoreError> {
    sqlx::query!(
        "SELECT d.deposit_id, d.account_id, a.chain_address, d.amount_nano
         FROM deposits d JOIN accounts a USING (community_id, account_id)
         WHERE d.community_id = $1 AND d.status = 'requested' ORDER BY d.deposit_id LIMIT $2",
        community.as_str(),
        limit
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Deposit {
            deposit_id: row.deposit_id,
            account_id: AccountId::new(&row.account_id)?,
            chain_address: row.chain_address,
            amount: Money::from_nano(row.amount_nano),
        })
    })
    .collect()
}

/// How many deposits are signed and not yet final.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn deposits_signed(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM deposits WHERE community_id = $1 AND status = 'signed'"#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// How many deposits are not yet final.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn open_deposits(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM deposits WHERE community_id = $1 AND status <> 'final'"#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// Notes that the transactions of these deposits are stored. Returns how many were still requested.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn mark_deposits_signed(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    deposit_ids: &[i64],
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE deposits SET status = 'signed'
         WHERE community_id = $1 AND deposit_id = ANY($2) AND status = 'requested'",
        community.as_str(),
        deposit_ids
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Ends a deposit whose transaction is final, and books it. A deposit that is booked already is
/// refused by the table, so nothing is credited twice.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn finish_deposit(
    tx: &mut PgConnection,
    community: &CommunityId,
    deposit_id: i64,
    tx_hash: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE deposits SET status = 'final' WHERE community_id = $1 AND deposit_id = $2 AND status = 'signed'",
        community.as_str(),
        deposit_id
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "INSERT INTO ledger_entries (community_id, account_id, kind, amount_nano, tx_hash, deposit_id)
         SELECT community_id, account_id, 'deposit', amount_nano, $3, deposit_id FROM deposits
         WHERE community_id = $1 AND deposit_id = $2",
        community.as_str(),
        deposit_id,
        tx_hash
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Asks again for a deposit whose transaction failed for good.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn reset_deposit(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    deposit_id: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE deposits SET status = 'requested' WHERE community_id = $1 AND deposit_id = $2 AND status = 'signed'",
        community.as_str(),
        deposit_id
    )
    .execute(db)
    .await?;
    Ok(())
}
