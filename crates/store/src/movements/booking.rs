//! Whose a movement is, and the ledger entries that follow from an account's movements.

use domain::ids::CommunityId;
use sqlx::{PgConnection, PgExecutor};

use super::{Movement, MovementKind};
use crate::StoreError;

/// Stores deposits and payouts, each with the account that has its address now or had it before.
/// Returns these accounts.
pub(super) async fn insert(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    movements: &[&Movement],
) -> Result<Vec<String>, StoreError> {
    let blocks: Vec<i64> = movements.iter().map(|m| m.block_number).collect();
    let indexes: Vec<i64> = movements.iter().map(|m| m.log_index).collect();
    let is_deposit = |m: &Movement| m.kind == MovementKind::Deposit;
    let kinds: Vec<String> =
        movements.iter().map(|m| if is_deposit(m) { "deposit" } else { "withdrawal" }.to_owned()).collect();
    let addresses: Vec<String> = movements.iter().map(|m| m.address.to_string()).collect();
    let amounts: Vec<String> = movements
        .iter()
        .map(|m| if is_deposit(m) { m.base_units.to_string() } else { format!("-{}", m.base_units) })
        .collect();
    let hashes: Vec<String> = movements.iter().map(|m| m.tx_hash.to_string()).collect();
    let accounts = sqlx::query_scalar!(
        "INSERT INTO chain_movements (community_id, block_number, log_index, kind, chain_address, account_id,
             base_units, tx_hash, is_own)
         SELECT $1, t.block_number, t.log_index, t.kind, t.chain_address, coalesce(a.account_id, f.account_id),
             t.base_units::numeric, t.tx_hash,
             EXISTS (SELECT FROM transactions x WHERE x.community_id = $1 AND x.tx_hash = t.tx_hash
                     AND x.purpose = 'deposit')
         FROM UNNEST($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
             AS t(block_number, log_index, kind, chain_address, base_units, tx_hash)
         LEFT JOIN accounts a ON a.community_id = $1 AND a.chain_address = t.chain_address
         LEFT JOIN former_addresses f ON f.community_id = $1 AND f.chain_address = t.chain_address
         RETURNING account_id",
        community.as_str(),
        &blocks,
        &indexes,
        &kinds,
        &addresses,
        &amounts,
        &hashes
    )
    .fetch_all(db)
    .await?;
    let mut accounts: Vec<String> = accounts.into_iter().flatten().collect();
    accounts.sort_unstable();
    accounts.dedup();
    Ok(accounts)
}

/// Books the events of `accounts` from a block on: for each the whole nano-currency of all so far less
/// that before. What the settler deposited itself is booked by its deposit.
pub(super) async fn book(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    accounts: &[String],
    first_block: i64,
    base_units_per_unit: u64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO ledger_entries (community_id, account_id, kind, amount_nano, tx_hash, block_number, log_index)
         SELECT community_id, account_id, kind,
             (floor(after * 1000000000 / $3::text::numeric)
                 - floor((after - base_units) * 1000000000 / $3::text::numeric))::bigint,
             tx_hash, block_number, log_index
         FROM (SELECT *, sum(base_units) OVER (PARTITION BY account_id ORDER BY block_number, log_index) AS after
               FROM chain_movements
               WHERE community_id = $1 AND account_id = ANY($4) AND NOT is_own) AS m
         WHERE block_number >= $2 ORDER BY block_number, log_index",
        community.as_str(),
        first_block,
        base_units_per_unit.to_string(),
        accounts
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Gives credits that came to an address before it was an account's to that account: its movements are
/// booked anew, in the order of the chain, so that nothing below a whole nano-currency is lost. Returns
/// how many accounts gained by it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn claim(
    tx: &mut PgConnection,
    community: &CommunityId,
    base_units_per_unit: u64,
) -> Result<u64, StoreError> {
    let accounts = sqlx::query_scalar!(
        r#"WITH owners AS (
               SELECT chain_address, account_id FROM accounts WHERE community_id = $1
               UNION ALL SELECT chain_address, account_id FROM former_addresses WHERE community_id = $1),
           claimed AS (
               UPDATE chain_movements m SET account_id = o.account_id FROM owners o
               WHERE m.community_id = $1 AND m.account_id IS NULL AND m.chain_address = o.chain_address
               RETURNING m.account_id)
           SELECT DISTINCT account_id AS "account_id!" FROM claimed ORDER BY 1"#,
        community.as_str()
    )
    .fetch_all(&mut *tx)
    .await?;
    if accounts.is_empty() {
        return Ok(0);
    }
    sqlx::query!(
        "DELETE FROM ledger_entries
         WHERE community_id = $1 AND account_id = ANY($2) AND block_number IS NOT NULL",
        community.as_str(),
        &accounts
    )
    .execute(&mut *tx)
    .await?;
    book(tx, community, &accounts, 0, base_units_per_unit).await?;
    Ok(u64::try_from(accounts.len()).unwrap_or(u64::MAX))
}

/// Makes a deposit that was booked by its event one of the settler's own, which its deposit books. Nothing changes
/// if the event was not followed yet.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn own(tx: &mut PgConnection, community: &CommunityId, tx_hash: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM ledger_entries WHERE community_id = $1 AND tx_hash = $2 AND block_number IS NOT NULL",
        community.as_str(),
        tx_hash
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE chain_movements SET is_own = true WHERE community_id = $1 AND tx_hash = $2 AND kind = 'deposit'",
        community.as_str(),
        tx_hash
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether credits lie at an address that has become an account's since: what [`claim`] would book.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn has_claimable(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM chain_movements m
               WHERE m.community_id = $1 AND m.account_id IS NULL
                 AND (EXISTS (SELECT FROM accounts a
                              WHERE a.community_id = $1 AND a.chain_address = m.chain_address)
                   OR EXISTS (SELECT FROM former_addresses f
                              WHERE f.community_id = $1 AND f.chain_address = m.chain_address))
           ) AS "found!""#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}
