//! Records that were refused, kept with the reason so that nothing is lost silently.

use domain::ids::{CommunityId, MeterId};
use sqlx::PgExecutor;

use super::{SequenceKey, column};
use crate::StoreError;

/// How many refused records are kept of one agent, so that whoever can publish cannot fill the disk. Beyond that
/// further ones are only logged; but of those that their agent has proven, the place is kept without the bytes, since
/// it would otherwise hold up the records behind it for ever.
pub const MAX_QUARANTINED_PER_AGENT: i64 = 10_000;

/// A refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The agent on whose topic it came.
    pub agent_id: String,
    /// Why it was refused, in words that an operator understands.
    pub reason: String,
    /// Its bytes.
    pub record: Vec<u8>,
    /// The SHA-256 of its bytes.
    pub record_sha256: [u8; 32],
    /// Its place in the sequence, only if its origin is proven.
    pub position: Option<SequenceKey>,
}

/// Keeps refused records; the same bytes of an agent are kept once. Returns how many are new.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn quarantine(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    records: &[Quarantined],
) -> Result<u64, StoreError> {
    let position = |r: &Quarantined| r.position.clone();
    let done = sqlx::query!(
        "INSERT INTO quarantined_records (community_id, agent_id, reason, record, record_sha256, meter_id, epoch, seq)
         SELECT $1, t.agent_id, t.reason, CASE WHEN kept.count < $9 THEN t.record ELSE '' END, t.record_sha256,
             t.meter_id, t.epoch, t.seq
         FROM UNNEST($2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::integer[], $8::bigint[])
             AS t (agent_id, reason, record, record_sha256, meter_id, epoch, seq)
         CROSS JOIN LATERAL (SELECT count(*) AS count FROM quarantined_records q
             WHERE q.community_id = $1 AND q.agent_id = t.agent_id) kept
         WHERE kept.count < $9 OR (t.meter_id IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM readings r WHERE r.community_id = $1 AND r.meter_id = t.meter_id
                 AND r.epoch = t.epoch AND r.seq = t.seq)
             AND NOT EXISTS (SELECT 1 FROM quarantined_records q WHERE q.community_id = $1
                 AND q.meter_id = t.meter_id AND q.epoch = t.epoch AND q.seq = t.seq))
         ON CONFLICT DO NOTHING",
        community.as_str(),
        &column(records, |r| r.agent_id.clone()),
        &column(records, |r| r.reason.clone()),
        &column(records, |r| r.record.clone()),
        &column(records, |r| r.record_sha256.to_vec()),
        &column(records, |r| position(r).map(|p| p.meter_id.to_string())) as &[Option<String>],
        &column(records, |r| position(r).map(|p| p.epoch)) as &[Option<i32>],
        &column(records, |r| position(r).map(|p| p.seq)) as &[Option<i64>],
        MAX_QUARANTINED_PER_AGENT,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Numbers that a meter's agent has lost, with its signed word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostNumbers {
    /// The agent.
    pub agent_id: String,
    /// The meter.
    pub meter_id: MeterId,
    /// Its epoch.
    pub epoch: i32,
    /// The first number.
    pub first: i64,
    /// The last number.
    pub last: i64,
    /// The statement's bytes.
    pub statement: Vec<u8>,
}

/// Marks those of the numbers that are not received as lost, so that they hold up nothing behind them. A record that
/// comes all the same is still stored. Returns how many that were.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn mark_lost(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    lost: &LostNumbers,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "INSERT INTO quarantined_records (community_id, agent_id, reason, record, record_sha256, meter_id, epoch, seq)
         SELECT $1, $2, 'lost: the agent''s outbox was damaged', $3,
             sha256($3::bytea || convert_to(n::text, 'UTF8')), $4, $5, n
         FROM generate_series($6::bigint, $7::bigint) AS n
         WHERE NOT EXISTS (SELECT 1 FROM readings r
                 WHERE r.community_id = $1 AND r.meter_id = $4 AND r.epoch = $5 AND r.seq = n)
           AND NOT EXISTS (SELECT 1 FROM quarantined_records q
                 WHERE q.community_id = $1 AND q.meter_id = $4 AND q.epoch = $5 AND q.seq = n)
         ON CONFLICT DO NOTHING",
        community.as_str(),
        lost.agent_id,
        lost.statement,
        lost.meter_id.as_str(),
        lost.epoch,
        lost.first,
        lost.last,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
