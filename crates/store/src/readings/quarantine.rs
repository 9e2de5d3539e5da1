//! Records that were refused, kept with the reason so that nothing is lost silently.

use domain::ids::CommunityId;
use sqlx::PgExecutor;

use super::{SequenceKey, column};
use crate::StoreError;

/// How many refused records are kept of one agent; beyond that further ones are only logged, so that
/// whoever can publish cannot fill the disk.
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
         SELECT $1, t.agent_id, t.reason, t.record, t.record_sha256, t.meter_id, t.epoch, t.seq
         FROM UNNEST($2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::integer[], $8::bigint[])
             AS t (agent_id, reason, record, record_sha256, meter_id, epoch, seq)
         WHERE (SELECT count(*) FROM quarantined_records q
                WHERE q.community_id = $1 AND q.agent_id = t.agent_id) < $9
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
