//! What happened to devices and agents: rows that are added once and removed by age, never changed.

use chrono::{DateTime, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use sqlx::PgExecutor;

use crate::StoreError;
use crate::readings::column;

/// How many events are kept of one agent; beyond that further ones are dropped, so that an agent that
/// goes mad cannot fill the disk.
pub const MAX_EVENTS_PER_AGENT: i64 = 20_000;
/// Rows removed in one step, so that no lock is held for long.
const REMOVED_AT_ONCE: i64 = 10_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Whose agent says so.
    pub agent_id: AgentId,
    /// To which meter's device; `None` for the agent itself.
    pub meter_id: Option<MeterId>,
    /// The stable name of what happened.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Of an end: when it had begun.
    pub since: Option<DateTime<Utc>>,
    /// What an operator is told.
    pub words: String,
    /// What makes it the same event when it is said again; unique an agent.
    pub once: String,
}

/// Adds events; those that are there already stay as they are, and those of meters that are not the
/// agent's are left out. Returns how many are new.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or an agent does not exist.
pub async fn insert(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    events: &[NewEvent],
) -> Result<u64, StoreError> {
    if events.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query!(
        "INSERT INTO device_events (community_id, agent_id, meter_id, kind, at, since, words, once)
         SELECT $1, t.agent_id, t.meter_id, t.kind, t.at, t.since, t.words, t.once
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[])
             AS t (agent_id, meter_id, kind, at, since, words, once)
         WHERE (t.meter_id IS NULL OR EXISTS (SELECT 1 FROM meters m
                WHERE m.community_id = $1 AND m.meter_id = t.meter_id AND m.agent_id = t.agent_id))
           AND (SELECT count(*) FROM device_events e
                WHERE e.community_id = $1 AND e.agent_id = t.agent_id) < $9
         ORDER BY t.agent_id, t.once
         ON CONFLICT (community_id, agent_id, once) DO NOTHING",
        community.as_str(),
        &column(events, |e| e.agent_id.to_string()),
        &column(events, |e| e.meter_id.as_ref().map(ToString::to_string)) as &[Option<String>],
        &column(events, |e| e.kind.clone()),
        &column(events, |e| e.at),
        &column(events, |e| e.since) as &[Option<DateTime<Utc>>],
        &column(events, |e| e.words.clone()),
        &column(events, |e| e.once.clone()),
        MAX_EVENTS_PER_AGENT,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Removes events of all communities that were stored before `before`, at most ten thousand at once.
/// Returns how many.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn remove_older(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "DELETE FROM device_events WHERE (community_id, event_id) IN (
             SELECT community_id, event_id FROM device_events WHERE stored_at < $1
             ORDER BY stored_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        before,
        REMOVED_AT_ONCE
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use sqlx::PgPool;

    fn event(meter_id: Option<&str>, once: &str) -> NewEvent {
        NewEvent {
            agent_id: AgentId::new("agent-1").unwrap(),
            meter_id: meter_id.map(|id| MeterId::new(id).unwrap()),
            kind: "device_back".to_owned(),
            at: DateTime::UNIX_EPOCH,
            since: None,
            words: "it is back".to_owned(),
            once: once.to_owned(),
        }
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn an_event_is_kept_once_however_often_it_is_said(pool: PgPool) {
        let community = crate::readings::tests::community(&pool).await;
        let said = [event(Some("meter-1"), "a"), event(None, "b"), event(Some("meter-1"), "a")];
        assert_eq!(insert(&pool, &community, &said).await.unwrap(), 2);
        assert_eq!(insert(&pool, &community, &said).await.unwrap(), 0);
        assert_eq!(insert(&pool, &community, &[event(Some("not-its-meter"), "c")]).await.unwrap(), 0);
        assert_eq!(insert(&pool, &community, &[]).await.unwrap(), 0);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn old_events_are_removed(pool: PgPool) {
        let community = crate::readings::tests::community(&pool).await;
        insert(&pool, &community, &[event(None, "a")]).await.unwrap();
        let stored: DateTime<Utc> =
            sqlx::query_scalar("SELECT stored_at FROM device_events").fetch_one(&pool).await.unwrap();
        assert_eq!(remove_older(&pool, stored).await.unwrap(), 0);
        assert_eq!(remove_older(&pool, stored + TimeDelta::seconds(1)).await.unwrap(), 1);
    }
}
