//! Deposits and withdrawals as the chain's events tell them, and the ledger entries of those that the
//! settler did not make itself. Requests to be paid out are in [`crate::withdrawals`].

mod booking;

use domain::ids::{AccountId, CommunityId};
use receipt::{Address, TxHash};
use sqlx::{PgConnection, PgExecutor};

use crate::error::corrupt;
use crate::{StoreError, moves, withdrawals};

pub use booking::{claim, has_claimable, own};

/// How many ends of stretches are remembered, beside the first: so far back a reorganisation is told from a new
/// chain. The first tells a chain that started over while that is still short.
const REMEMBERED: i64 = 128;

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovementKind {
    /// Currency was wrapped: credits were made.
    Deposit,
    /// A request was closed by paying it out: these credits are destroyed, none if settlement had taken all.
    Withdrawal,
    /// A member asked to be paid out; no credit moves yet.
    WithdrawalRequested {
        /// From then on it can be paid, in Unix seconds.
        claimable_at_s: i64,
    },
    /// A member took its request back.
    WithdrawalCancelled,
}

impl MovementKind {
    /// Whether it makes or destroys credits.
    const fn moves_credits(self) -> bool {
        matches!(self, Self::Deposit | Self::Withdrawal)
    }
}

/// An event of the credit contract about deposits and withdrawals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The block that holds it.
    pub block_number: i64,
    /// Where in the block.
    pub log_index: i64,
    /// What it did.
    pub kind: MovementKind,
    /// Whose credits.
    pub address: Address,
    /// How much, in the token's base unit; never negative.
    pub base_units: u128,
    /// The transaction.
    pub tx_hash: TxHash,
}

/// A block up to which the events were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// Its number.
    pub block_number: i64,
    /// Its hash then.
    pub block_hash: [u8; 32],
}

/// The remembered ends of stretches, newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn followed(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<Followed>, StoreError> {
    sqlx::query!(
        "SELECT block_number, block_hash FROM followed_blocks WHERE community_id = $1
         ORDER BY block_number DESC LIMIT $2",
        community.as_str(),
        REMEMBERED + 1
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        let block_hash = row.block_hash.as_slice().try_into().map_err(corrupt)?;
        Ok(Followed { block_number: row.block_number, block_hash })
    })
    .collect()
}

/// The block of the first transaction of the community's deployment: no event is older.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn first_block(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<i64, StoreError> {
    let first = sqlx::query_scalar!(
        "SELECT min(block_number) FROM transactions WHERE community_id = $1 AND purpose = 'deploy'",
        community.as_str()
    )
    .fetch_one(db)
    .await?;
    Ok(first.unwrap_or(0))
}

/// Stores a stretch of the chain: its events, the ledger entries of those that are not the settler's
/// own deposits, and where it ends. `base_units_per_unit` is 10 to the token's decimals.
///
/// An account's entries add up to the whole nano-currency of its events; what is below stays in the
/// events until it makes a whole one.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for a stretch that is stored already.
pub async fn store(
    tx: &mut PgConnection,
    community: &CommunityId,
    movements: &[Movement],
    base_units_per_unit: u64,
    end: &Followed,
) -> Result<u64, StoreError> {
    withdrawals::insert(&mut *tx, community, movements, base_units_per_unit).await?;
    let moved: Vec<&Movement> =
        movements.iter().filter(|m| m.kind.moves_credits() && m.base_units > 0).collect();
    let booked = match moved.iter().map(|m| m.block_number).min() {
        Some(first) => {
            let accounts = booking::insert(&mut *tx, community, &moved).await?;
            moves::request_from_former(&mut *tx, community, &accounts, first).await?;
            booking::book(&mut *tx, community, &accounts, first, base_units_per_unit).await?
        }
        None => 0,
    };
    sqlx::query!(
        "INSERT INTO followed_blocks (community_id, block_number, block_hash) VALUES ($1, $2, $3)",
        community.as_str(),
        end.block_number,
        &end.block_hash[..]
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "DELETE FROM followed_blocks WHERE community_id = $1 AND block_number < (
             SELECT min(block_number) FROM (SELECT block_number FROM followed_blocks WHERE community_id = $1
                                            ORDER BY block_number DESC LIMIT $2) AS kept)
         AND block_number > (SELECT min(block_number) FROM followed_blocks WHERE community_id = $1)",
        community.as_str(),
        REMEMBERED
    )
    .execute(tx)
    .await?;
    Ok(booked)
}

/// Takes back everything above a block (everything, if `None`), with its ledger entries, after the
/// chain was reorganised below what counted as deep enough. Returns how many events it was.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn rewind(
    tx: &mut PgConnection,
    community: &CommunityId,
    to: Option<i64>,
) -> Result<u64, StoreError> {
    let to = to.unwrap_or(-1);
    sqlx::query!(
        "DELETE FROM followed_blocks WHERE community_id = $1 AND block_number > $2",
        community.as_str(),
        to
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "DELETE FROM withdrawal_events WHERE community_id = $1 AND block_number > $2",
        community.as_str(),
        to
    )
    .execute(&mut *tx)
    .await?;
    let done = sqlx::query!(
        "DELETE FROM chain_movements WHERE community_id = $1 AND block_number > $2",
        community.as_str(),
        to
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}

/// What accounts hold on the chain below one whole nano-currency unit, in base units.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn dust(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    base_units_per_unit: u64,
) -> Result<Vec<(AccountId, i128)>, StoreError> {
    sqlx::query!(
        r#"SELECT account_id AS "account_id!", dust::text AS "dust!"
           FROM (SELECT account_id, trunc(sum(base_units)
                        - floor(sum(base_units) * 1000000000 / $2::text::numeric)
                          * $2::text::numeric / 1000000000) AS dust
                 FROM chain_movements WHERE community_id = $1 AND account_id IS NOT NULL AND NOT is_own
                 GROUP BY account_id) AS sums
           WHERE dust <> 0"#,
        community.as_str(),
        base_units_per_unit.to_string()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| Ok((AccountId::new(&row.account_id)?, row.dust.parse().map_err(corrupt)?)))
    .collect()
}

/// Addresses that hold credits by deposits of others, and are no account's: at most 100, with what
/// their deposits come to in base units.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn unclaimed(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Vec<(Address, i128)>, StoreError> {
    sqlx::query!(
        r#"SELECT chain_address, sum(base_units)::text AS "base_units!" FROM chain_movements
           WHERE community_id = $1 AND account_id IS NULL
           GROUP BY chain_address HAVING sum(base_units) <> 0 ORDER BY chain_address LIMIT 100"#,
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| Ok((row.chain_address.parse().map_err(corrupt)?, row.base_units.parse().map_err(corrupt)?)))
    .collect()
}
