//! The ledger, as a sum of entries an account, and the deposits that are on their way into it.

mod deposits;

use domain::ids::{AccountId, BatchId, CommunityId};
use domain::units::Money;
use sqlx::PgExecutor;

use crate::StoreError;

pub use deposits::{
    Deposit, deposits_signed, finish_deposit, mark_deposits_signed, open_deposits, request_deposit,
    requested_deposits, reset_deposit,
};

/// What an account holds by the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// The account.
    pub account_id: AccountId,
    /// Where it lives on the chain, `0x` and 40 lower-case hex digits.
    pub chain_address: String,
    /// The sum of its entries.
    pub balance: Money,
}

/// What every account of a community holds, zero included, by account.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn balances(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<Balance>, StoreError> {
    sqlx::query!(
        r#"SELECT a.account_id, a.chain_address, coalesce(e.nano, 0) AS "nano!"
         FROM accounts a
         LEFT JOIN (SELECT account_id, sum(amount_nano)::bigint AS nano FROM ledger_entries
                    WHERE community_id = $1 GROUP BY account_id) AS e ON e.account_id = a.account_id
         WHERE a.community_id = $1 ORDER BY a.account_id"#,
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Balance {
            account_id: AccountId::new(&row.account_id)?,
            chain_address: row.chain_address,
            balance: Money::from_nano(row.nano),
        })
    })
    .collect()
}

/// Books what a final batch moved, one entry an account. A batch that is booked already is refused
/// by the table, so nothing is paid twice.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn book_batch(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
    tx_hash: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO ledger_entries (community_id, account_id, kind, amount_nano, tx_hash, batch_id)
         SELECT community_id, account_id, 'settlement', settled_nano, $3, batch_id FROM batch_positions
         WHERE community_id = $1 AND batch_id = $2 AND settled_nano <> 0 ORDER BY account_id",
        community.as_str(),
        &batch_id.0[..],
        tx_hash
    )
    .execute(db)
    .await?;
    Ok(())
}
