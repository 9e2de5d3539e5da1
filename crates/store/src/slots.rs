//! Slots: their life from `scheduled` to `settled`, one row each.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;
use crate::error::corrupt;

/// How far a slot has come. Each later status is reached from the one before; a correction goes
/// through `metered` and `priced` again at the next revision and ends in `corrected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotStatus {
    /// Known, not yet open for orders.
    Scheduled,
    /// Takes orders.
    Open,
    /// Gate closure has passed; waits for its readings.
    Closed,
    /// Each site's energy is known and the closing auction has run; settlement prices it next.
    Metered,
    /// Statements are written; its batch is on the way.
    Priced,
    /// Its money has moved.
    Settled,
    /// The money of a later revision has moved.
    Corrected,
}

impl SlotStatus {
    const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Open,
        Self::Closed,
        Self::Metered,
        Self::Priced,
        Self::Settled,
        Self::Corrected,
    ];

    /// The name the database and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Metered => "metered",
            Self::Priced => "priced",
            Self::Settled => "settled",
            Self::Corrected => "corrected",
        }
    }

    /// Reads the form that [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A slot and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRow {
    /// When it starts.
    pub slot_start: DateTime<Utc>,
    /// How far it has come.
    pub status: SlotStatus,
    /// 0, and one more for each correction.
    pub revision: i32,
    /// Whether a reading arrived after it was metered.
    pub needs_remetering: bool,
}

struct Row {
    slot_start: DateTime<Utc>,
    status: String,
    revision: i32,
    needs_remetering: bool,
}

impl TryFrom<Row> for SlotRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let status = SlotStatus::parse(&row.status)
            .ok_or_else(|| corrupt(format!("slot {} has the status {:?}", row.slot_start, row.status)))?;
        Ok(Self {
            slot_start: row.slot_start,
            status,
            revision: row.revision,
            needs_remetering: row.needs_remetering,
        })
    }
}

/// The start of the community's latest slot, if it has any.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn latest(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT slot_start FROM slots WHERE community_id = $1 ORDER BY slot_start DESC LIMIT 1",
        community.as_str()
    )
    .fetch_optional(db)
    .await?)
}

/// Adds slots as `scheduled`; those that exist are left as they are. Returns how many are new.
///
/// # Errors
/// [`StoreError`] if the database refuses it.
pub async fn insert_scheduled(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    starts: &[DateTime<Utc>],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO slots (community_id, slot_start, status, status_changed_at)
         SELECT $1, t.slot_start, 'scheduled', $3 FROM UNNEST($2::timestamptz[]) AS t(slot_start)
         ON CONFLICT DO NOTHING",
        community.as_str(),
        starts,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Opens the scheduled slots that start at `last_start` or before, oldest first, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn open_due(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    last_start: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!(
        "UPDATE slots SET status = 'open', status_changed_at = $3
         WHERE community_id = $1 AND slot_start IN
               (SELECT slot_start FROM slots WHERE community_id = $1 AND status = 'scheduled' AND slot_start <= $2
                ORDER BY slot_start LIMIT $4)
         RETURNING slot_start",
        community.as_str(),
        last_start,
        now,
        limit
    )
    .fetch_all(db)
    .await?)
}

/// Expires the slot's open orders and closes it. Returns how many orders expired, or `None` if the
/// slot was not open. Call it inside a transaction.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn close(
    tx: &mut PgConnection,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<u64>, StoreError> {
    if !advance(&mut *tx, community, slot_start, SlotStatus::Open, SlotStatus::Closed, now).await? {
        return Ok(None);
    }
    let expired = sqlx::query!(
        "UPDATE orders SET status = 'expired', end_reason = 'gate_closure'
         WHERE community_id = $1 AND slot_start = $2 AND status = 'open'",
        community.as_str(),
        slot_start
    )
    .execute(tx)
    .await?;
    Ok(Some(expired.rows_affected()))
}

/// Moves a slot from one status to another; `false` if it was not in the first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn advance(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    from: SlotStatus,
    to: SlotStatus,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE slots SET status = $4, status_changed_at = $5
         WHERE community_id = $1 AND slot_start = $2 AND status = $3",
        community.as_str(),
        slot_start,
        from.as_str(),
        to.as_str(),
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The slots in a status, oldest first, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn with_status(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    status: SlotStatus,
    limit: i64,
) -> Result<Vec<SlotRow>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT slot_start, status, revision, needs_remetering FROM slots
         WHERE community_id = $1 AND status = $2 ORDER BY slot_start LIMIT $3",
        community.as_str(),
        status.as_str(),
        limit
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(SlotRow::try_from)
    .collect()
}

/// The settled slots for which a reading arrived late, oldest first, at most `limit`. A flagged slot
/// that is still on its way to `settled` waits until it is there.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn remetering_due(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    limit: i64,
) -> Result<Vec<SlotRow>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT slot_start, status, revision, needs_remetering FROM slots
         WHERE community_id = $1 AND needs_remetering AND status IN ('settled', 'corrected')
         ORDER BY slot_start LIMIT $2",
        community.as_str(),
        limit
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(SlotRow::try_from)
    .collect()
}

/// A slot, if it exists.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Option<SlotRow>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT slot_start, status, revision, needs_remetering FROM slots
         WHERE community_id = $1 AND slot_start = $2",
        community.as_str(),
        slot_start
    )
    .fetch_optional(db)
    .await?
    .map(SlotRow::try_from)
    .transpose()
}

/// How far those of the slots that start at `starts` have come that exist.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn statuses(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    starts: &[DateTime<Utc>],
) -> Result<HashMap<DateTime<Utc>, SlotStatus>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT slot_start, status, revision, needs_remetering FROM slots
         WHERE community_id = $1 AND slot_start = ANY($2)",
        community.as_str(),
        starts
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| SlotRow::try_from(row).map(|slot| (slot.slot_start, slot.status)))
    .collect()
}

/// Records that `slot` was metered at `revision`, unless it has changed since it was read. Call it
/// in the transaction that writes the revision's rows.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn set_metered(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot: &SlotRow,
    revision: i32,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE slots SET status = 'metered', revision = $5, needs_remetering = false, status_changed_at = $6
         WHERE community_id = $1 AND slot_start = $2 AND status = $3 AND revision = $4",
        community.as_str(),
        slot.slot_start,
        slot.status.as_str(),
        slot.revision,
        revision,
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets or clears the mark that a metered slot must be metered again.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn mark_remetering(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    needed: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE slots SET needs_remetering = $3
         WHERE community_id = $1 AND slot_start = $2 AND needs_remetering <> $3
           AND status IN ('metered', 'priced', 'settled', 'corrected')",
        community.as_str(),
        slot_start,
        needed
    )
    .execute(db)
    .await?;
    Ok(())
}
