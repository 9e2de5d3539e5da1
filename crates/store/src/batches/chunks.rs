//! Batches that the contract takes in chunks: what each chunk holds, and how far it has come.

use domain::ids::{BatchId, CommunityId};
use domain::units::Money;
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;
use crate::error::corrupt;

/// One transaction of a batch in chunks; the number is the chunk's, from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkStep {
    /// Tells the contract which chunks make the batch.
    Open,
    /// The debtors of a chunk pay to the contract.
    Push(i32),
    /// Decides: from here on the batch is settled.
    Finalise,
    /// The creditors of a chunk are paid.
    Release(i32),
    /// Decides the other way: the debtors get back what they paid.
    Abandon,
    /// The debtors of a chunk get it back.
    Return(i32),
}

impl ChunkStep {
    /// The name the database uses, and the chunk.
    pub(crate) const fn columns(self) -> (&'static str, Option<i32>) {
        match self {
            Self::Open => ("open", None),
            Self::Push(index) => ("push", Some(index)),
            Self::Finalise => ("finalise", None),
            Self::Release(index) => ("release", Some(index)),
            Self::Abandon => ("abandon", None),
            Self::Return(index) => ("return", Some(index)),
        }
    }

    pub(crate) fn parse(step: &str, index: Option<i32>) -> Option<Self> {
        match (step, index) {
            ("open", None) => Some(Self::Open),
            ("push", Some(index)) => Some(Self::Push(index)),
            ("finalise", None) => Some(Self::Finalise),
            ("release", Some(index)) => Some(Self::Release(index)),
            ("abandon", None) => Some(Self::Abandon),
            ("return", Some(index)) => Some(Self::Return(index)),
            _ => None,
        }
    }

    /// The chunk that a final step has moved, and the status it has then.
    const fn moves_chunk(self) -> Option<(i32, &'static str)> {
        match self {
            Self::Push(index) => Some((index, "pushed")),
            Self::Release(index) => Some((index, "released")),
            Self::Return(index) => Some((index, "returned")),
            Self::Open | Self::Finalise | Self::Abandon => None,
        }
    }
}

/// What one account gains or loses, where it lived when the batch was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPosition {
    /// Its address, `0x` and 40 lower-case hex digits.
    pub chain_address: String,
    /// What it gains (positive) or loses.
    pub amount: Money,
}

/// Fixes the chunks of a batch, in the order of the contract's indexes.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for a batch that has chunks already.
pub async fn insert(
    tx: &mut PgConnection,
    community: &CommunityId,
    batch_id: &BatchId,
    chunks: &[Vec<ChunkPosition>],
) -> Result<(), StoreError> {
    for (index, chunk) in (0_i32..).zip(chunks) {
        let addresses: Vec<String> = chunk.iter().map(|p| p.chain_address.clone()).collect();
        let amounts: Vec<i64> = chunk.iter().map(|p| p.amount.nano()).collect();
        sqlx::query!(
            "INSERT INTO batch_chunks (community_id, batch_id, chunk_index, chain_addresses, amounts_nano)
             VALUES ($1, $2, $3, $4, $5)",
            community.as_str(),
            &batch_id.0[..],
            index,
            &addresses,
            &amounts
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// The chunks of a batch, by index; none if it is settled in one call.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<Vec<Vec<ChunkPosition>>, StoreError> {
    sqlx::query!(
        "SELECT chain_addresses, amounts_nano FROM batch_chunks
         WHERE community_id = $1 AND batch_id = $2 ORDER BY chunk_index",
        community.as_str(),
        &batch_id.0[..]
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        if row.chain_addresses.len() != row.amounts_nano.len() {
            return Err(corrupt("a chunk has more addresses than amounts, or fewer"));
        }
        let positions = row.chain_addresses.into_iter().zip(row.amounts_nano);
        let position =
            |(chain_address, nano)| ChunkPosition { chain_address, amount: Money::from_nano(nano) };
        Ok(positions.map(position).collect())
    })
    .collect()
}

/// Notes what a final step has done to its chunk.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn done(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
    step: ChunkStep,
) -> Result<(), StoreError> {
    let Some((index, status)) = step.moves_chunk() else { return Ok(()) };
    sqlx::query!(
        "UPDATE batch_chunks SET status = $4 WHERE community_id = $1 AND batch_id = $2 AND chunk_index = $3",
        community.as_str(),
        &batch_id.0[..],
        index,
        status
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that every chunk of a settled batch is released, whoever released it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn all_released(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE batch_chunks SET status = 'released' WHERE community_id = $1 AND batch_id = $2",
        community.as_str(),
        &batch_id.0[..]
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets the chunks of a batch that was given up: it is cut anew when it is signed again.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn clear(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM batch_chunks WHERE community_id = $1 AND batch_id = $2",
        community.as_str(),
        &batch_id.0[..]
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The latest transaction of a batch, of any step, that was mined for good: its hash. If none was, since
/// attempts that the rows do not know took all nonces, the latest one. `None` if there is none at all.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_ended(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT tx_hash FROM transactions
         WHERE community_id = $1 AND (batch_id = $2 OR step_batch_id = $2)
         ORDER BY status IN ('final', 'reverted') DESC, nonce DESC, attempt DESC LIMIT 1",
        community.as_str(),
        &batch_id.0[..]
    )
    .fetch_optional(db)
    .await?)
}

/// Whether a transaction of a batch, of any step, is signed or broadcast and has not ended.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn is_moving(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM transactions WHERE community_id = $1
               AND (batch_id = $2 OR step_batch_id = $2) AND status IN ('signed', 'broadcast')) AS "moving!""#,
        community.as_str(),
        &batch_id.0[..]
    )
    .fetch_one(db)
    .await?)
}

/// Whether a step of a batch was mined and failed: what its accounts hold is not what the ledger says.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn has_failed(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM transactions WHERE community_id = $1 AND step_batch_id = $2
               AND status = 'reverted') AS "failed!""#,
        community.as_str(),
        &batch_id.0[..]
    )
    .fetch_one(db)
    .await?)
}
