//! Meter agents and the keys that the operator has approved.

use chrono::{DateTime, Utc};
use domain::ids::{AgentId, CommunityId};
use sqlx::PgExecutor;

use crate::StoreError;
use crate::error::corrupt;

/// Whether an agent's key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has announced a key that the operator has not approved yet.
    Pending,
    /// Its key is approved.
    Approved,
    /// Its key counts no more.
    Revoked,
}

impl Status {
    /// `pending`, `approved` or `revoked`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Revoked => "revoked",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        [Self::Pending, Self::Approved, Self::Revoked]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| corrupt(format!("agent status {text:?}")))
    }
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub agent_id: AgentId,
    /// Its public key: P-256, SEC1 uncompressed.
    pub public_key: Vec<u8>,
    /// The SHA-256 of the key, hexadecimal.
    pub fingerprint: String,
    /// Whether the key counts.
    pub status: Status,
    /// When ingest last stored a record of it.
    pub last_seen_at: Option<DateTime<Utc>>,
}

struct Row {
    agent_id: String,
    public_key: Vec<u8>,
    fingerprint: String,
    status: String,
    last_seen_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Agent {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            agent_id: AgentId::new(&row.agent_id)?,
            public_key: row.public_key,
            fingerprint: row.fingerprint,
            status: Status::parse(&row.status)?,
            last_seen_at: row.last_seen_at,
        })
    }
}

/// Enters an agent that is expected to announce its key; one that is known already stays as it is.
/// Without a key nothing it sends can be verified, and an empty fingerprint is never approved.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn upsert_known(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    agent_id: &AgentId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO agents (community_id, agent_id, public_key, fingerprint, status)
         VALUES ($1, $2, '', '', 'pending') ON CONFLICT (community_id, agent_id) DO NOTHING",
        community.as_str(),
        agent_id.as_str(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Announces an agent's key. A key that is not approved yet is replaced; an approved one stays, and the answer tells
/// it. A revoked key stays revoked, but another may take its place: it waits for approval like the first one.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn upsert_pending(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    agent_id: &AgentId,
    public_key: &[u8],
    fingerprint: &str,
) -> Result<Agent, StoreError> {
    // Updating the row in every case makes RETURNING give what is stored now.
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO agents AS a (community_id, agent_id, public_key, fingerprint, status)
         VALUES ($1, $2, $3, $4, 'pending')
         ON CONFLICT (community_id, agent_id) DO UPDATE SET
             public_key = CASE WHEN a.status = 'pending' OR a.status = 'revoked' AND a.fingerprint <> EXCLUDED.fingerprint
                          THEN EXCLUDED.public_key ELSE a.public_key END,
             fingerprint = CASE WHEN a.status = 'pending' OR a.status = 'revoked' AND a.fingerprint <> EXCLUDED.fingerprint
                           THEN EXCLUDED.fingerprint ELSE a.fingerprint END,
             status = CASE WHEN a.status = 'revoked' AND a.fingerprint <> EXCLUDED.fingerprint
                      THEN 'pending' ELSE a.status END
         RETURNING agent_id, public_key, fingerprint, status, last_seen_at",
        community.as_str(),
        agent_id.as_str(),
        public_key,
        fingerprint,
    )
    .fetch_one(db)
    .await?;
    row.try_into()
}

/// Approves the key with `fingerprint`, which the operator has compared. Returns whether the agent has
/// that key and it is approved now.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn approve(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    agent_id: &AgentId,
    fingerprint: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE agents SET status = 'approved'
         WHERE community_id = $1 AND agent_id = $2 AND fingerprint = $3 AND fingerprint <> '' AND status IN ('pending', 'approved')",
        community.as_str(),
        agent_id.as_str(),
        fingerprint,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces the approved key with fingerprint `old` by another, which the caller knows to be signed by it.
/// Returns whether the old key was the one that counted.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn rotate(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    agent_id: &AgentId,
    old: &str,
    public_key: &[u8],
    fingerprint: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE agents SET public_key = $4, fingerprint = $5
         WHERE community_id = $1 AND agent_id = $2 AND fingerprint = $3 AND status = 'approved'",
        community.as_str(),
        agent_id.as_str(),
        old,
        public_key,
        fingerprint,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Revokes an agent's key, for good. Returns whether there is such an agent.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn revoke(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    agent_id: &AgentId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE agents SET status = 'revoked' WHERE community_id = $1 AND agent_id = $2",
        community.as_str(),
        agent_id.as_str(),
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An agent, if there is one with that id.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    agent_id: &AgentId,
) -> Result<Option<Agent>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT agent_id, public_key, fingerprint, status, last_seen_at FROM agents
         WHERE community_id = $1 AND agent_id = $2",
        community.as_str(),
        agent_id.as_str(),
    )
    .fetch_optional(db)
    .await?
    .map(Agent::try_from)
    .transpose()
}

/// All agents of a community, by id; at most 10 000.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn all(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Vec<Agent>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT agent_id, public_key, fingerprint, status, last_seen_at FROM agents
         WHERE community_id = $1 ORDER BY agent_id LIMIT 10000",
        community.as_str(),
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(Agent::try_from)
    .collect()
}

/// Notes that records of `agents` were stored at `now`, at most every five seconds each: a busy agent's
/// row is not worth writing with every batch.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn seen(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    agents: &[AgentId],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let agents: Vec<String> = agents.iter().map(AgentId::to_string).collect();
    // In the order of their ids, so that two workers never wait for each other.
    sqlx::query!(
        "UPDATE agents SET last_seen_at = $3 WHERE (community_id, agent_id) IN (
             SELECT community_id, agent_id FROM agents
             WHERE community_id = $1 AND agent_id = ANY($2)
               AND (last_seen_at IS NULL OR last_seen_at < $3::timestamptz - interval '5 seconds')
             ORDER BY agent_id FOR NO KEY UPDATE)",
        community.as_str(),
        &agents,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::PgPool;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_key_counts_from_approval_to_revocation(pool: PgPool) {
        let community = crate::readings::tests::community(&pool).await;
        let agent = AgentId::new("new-agent").unwrap();
        let pending = upsert_pending(&pool, &community, &agent, &[1], "one").await.unwrap();
        assert_eq!(pending.status, Status::Pending);
        upsert_pending(&pool, &community, &agent, &[2], "two").await.unwrap();
        assert!(!approve(&pool, &community, &agent, "one").await.unwrap());
        assert!(approve(&pool, &community, &agent, "two").await.unwrap());
        let kept = upsert_pending(&pool, &community, &agent, &[3], "three").await.unwrap();
        assert_eq!((kept.status, kept.fingerprint.as_str()), (Status::Approved, "two"));
        seen(&pool, &community, std::slice::from_ref(&agent), DateTime::UNIX_EPOCH).await.unwrap();
        let found = find(&pool, &community, &agent).await.unwrap().unwrap();
        assert_eq!(found.last_seen_at, Some(DateTime::UNIX_EPOCH));
        assert!(!rotate(&pool, &community, &agent, "one", &[4], "four").await.unwrap());
        assert!(rotate(&pool, &community, &agent, "two", &[4], "four").await.unwrap());
        let rotated = find(&pool, &community, &agent).await.unwrap().unwrap();
        assert_eq!((rotated.public_key, rotated.status), (vec![4], Status::Approved));
        assert!(revoke(&pool, &community, &agent).await.unwrap());
        assert!(!rotate(&pool, &community, &agent, "four", &[5], "five").await.unwrap());
        assert!(!approve(&pool, &community, &agent, "two").await.unwrap());
        assert_eq!(all(&pool, &community).await.unwrap().len(), 2);
    }
}
