//! Batches of net positions, from `prepared` to `final`.

pub mod chunks;
mod positions;

use chrono::{DateTime, Utc};
use domain::ids::{BatchId, CommunityId};
use sqlx::PgExecutor;

use crate::StoreError;
use crate::error::corrupt;

pub use positions::{PositionRow, carried, clear_settled, insert_owed, owed, positions, set_settled};

/// How far a batch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchStatus {
    /// Positions are written; nothing is signed.
    Prepared,
    /// A signed transaction is stored.
    Signed,
    /// The transaction was handed to a node at least once.
    Broadcast,
    /// The transaction is final and the ledger holds its movements.
    Final,
    /// It had nothing to move.
    Void,
}

impl BatchStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Prepared, Self::Signed, Self::Broadcast, Self::Final, Self::Void];

    /// The name the database and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Signed => "signed",
            Self::Broadcast => "broadcast",
            Self::Final => "final",
            Self::Void => "void",
        }
    }

    /// Reads the form that [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A batch as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    /// Its id, which the contract takes once.
    pub batch_id: BatchId,
    /// The slot it settles.
    pub slot_start: DateTime<Utc>,
    /// The revision of the slot it settles.
    pub revision: i32,
    /// The Merkle root over the statements.
    pub statement_root: [u8; 32],
    /// How far it has come.
    pub status: BatchStatus,
}

struct Row {
    batch_id: Vec<u8>,
    slot_start: DateTime<Utc>,
    revision: i32,
    statement_root: Vec<u8>,
    status: String,
}

impl TryFrom<Row> for BatchRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let not_32 = |_| corrupt("a batch id or root is not 32 bytes long");
        Ok(Self {
            batch_id: BatchId(row.batch_id.as_slice().try_into().map_err(not_32)?),
            slot_start: row.slot_start,
            revision: row.revision,
            statement_root: row.statement_root.as_slice().try_into().map_err(not_32)?,
            status: BatchStatus::parse(&row.status)
                .ok_or_else(|| corrupt(format!("the batch status {:?}", row.status)))?,
        })
    }
}

/// Stores a new batch, `prepared` or `void`.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for a slot and revision that has one already.
pub async fn insert(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch: &BatchRow,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let final_at = (batch.status == BatchStatus::Void).then_some(now);
    sqlx::query!(
        "INSERT INTO batches (community_id, batch_id, slot_start, revision, statement_root, status, created_at, final_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        community.as_str(),
        &batch.batch_id.0[..],
        batch.slot_start,
        batch.revision,
        &batch.statement_root[..],
        batch.status.as_str(),
        now,
        final_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The batch whose transaction is signed or broadcast; at most one a community.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn in_flight(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Option<BatchRow>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT batch_id, slot_start, revision, statement_root, status FROM batches
         WHERE community_id = $1 AND status IN ('signed', 'broadcast')",
        community.as_str()
    )
    .fetch_optional(db)
    .await?
    .map(BatchRow::try_from)
    .transpose()
}

/// The prepared batch of the earliest slot.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn next_prepared(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Option<BatchRow>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT batch_id, slot_start, revision, statement_root, status FROM batches
         WHERE community_id = $1 AND status = 'prepared' ORDER BY slot_start, revision LIMIT 1",
        community.as_str()
    )
    .fetch_optional(db)
    .await?
    .map(BatchRow::try_from)
    .transpose()
}

/// The final batch of the latest slot.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn latest_final(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Option<BatchRow>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT batch_id, slot_start, revision, statement_root, status FROM batches
         WHERE community_id = $1 AND status = 'final' ORDER BY slot_start DESC, revision DESC LIMIT 1",
        community.as_str()
    )
    .fetch_optional(db)
    .await?
    .map(BatchRow::try_from)
    .transpose()
}

/// A batch, if it exists.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
) -> Result<Option<BatchRow>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT batch_id, slot_start, revision, statement_root, status FROM batches
         WHERE community_id = $1 AND batch_id = $2",
        community.as_str(),
        &batch_id.0[..]
    )
    .fetch_optional(db)
    .await?
    .map(BatchRow::try_from)
    .transpose()
}

/// Moves a batch from one status to another; `false` if it was not in the first.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for a second batch in flight.
pub async fn advance(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &BatchId,
    from: BatchStatus,
    to: BatchStatus,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let final_at = (to == BatchStatus::Final).then_some(now);
    let done = sqlx::query!(
        "UPDATE batches SET status = $4, final_at = $5 WHERE community_id = $1 AND batch_id = $2 AND status = $3",
        community.as_str(),
        &batch_id.0[..],
        from.as_str(),
        to.as_str(),
        final_at,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
