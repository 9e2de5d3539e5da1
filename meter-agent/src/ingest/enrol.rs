//! Announcements of keys: kept for the operator's approval, or taken at once if the key they replace is
//! approved and has signed them.

use domain::ids::{AgentId, CommunityId};
use p256::ecdsa::VerifyingKey;
use store::agents::{self, Agent, Status};
use store::{PgPool, StoreError, communities};

use crate::enrolment::{Announcement, Answer};

/// More agents than a community has; announcements beyond are not kept.
const MAX_AGENTS: usize = 9_999;

/// What is answered to an announcement; `None` if nothing is to be answered.
pub(super) async fn enrol(
    pool: &PgPool,
    community: &CommunityId,
    agent_id: &AgentId,
    message: &[u8],
) -> Result<Option<Answer>, StoreError> {
    let announcement = match Announcement::check(community, agent_id, message) {
        Ok(announcement) => announcement,
        Err(error) => {
            tracing::warn!(%community, %agent_id, %error, "an announcement was refused");
            return Ok(None);
        }
    };
    if communities::find(pool, community).await?.is_none() {
        return Ok(None);
    }
    let fingerprint = &announcement.fingerprint;
    let known = match agents::find(pool, community, agent_id).await? {
        None if agents::all(pool, community).await?.len() >= MAX_AGENTS => return Ok(None),
        Some(agent) if agent.status == Status::Approved && may_follow(&agent, &announcement) => {
            let (old, key) = (&agent.fingerprint, &announcement.public_key);
            if agents::rotate(pool, community, agent_id, old, key, fingerprint).await? {
                tracing::info!(%community, %agent_id, %fingerprint, "an agent's key was replaced");
            }
            agents::find(pool, community, agent_id).await?
        }
        // One that is approved stays what it is, and a revoked one until another is announced.
        _ => {
            let key = &announcement.public_key;
            Some(agents::upsert_pending(pool, community, agent_id, key, fingerprint).await?)
        }
    };
    let Some(agent) = known else { return Ok(None) };
    if agent.fingerprint != *fingerprint {
        tracing::warn!(%community, %agent_id, %fingerprint, "another key was announced than the one that counts");
    }
    Ok(Some(Answer { fingerprint: agent.fingerprint, status: agent.status.as_str().to_owned() }))
}

fn may_follow(agent: &Agent, announcement: &Announcement) -> bool {
    VerifyingKey::from_sec1_bytes(&agent.public_key).is_ok_and(|old| announcement.is_endorsed_by(&old))
}
