//! What is known of a community's agents and meters, read again often enough.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::{AgentId, CommunityId, MeterId};
use domain::slot::SlotLength;
use p256::ecdsa::VerifyingKey;
use store::agents::Status;
use store::{PgPool, StoreError, agents, communities, meters};
use tokio::time::Instant;

use super::judge::Addressed;

/// An agent or meter that is not known is looked for again after this time, so that enrolment works at
/// once and unknown names do not cost a query each.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// More communities than one worker serves; the oldest knowledge is dropped then.
const MAX_COMMUNITIES: usize = 1_000;

/// What is known of one community.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) slot_length: SlotLength,
    /// Agents with their keys. A key that cannot be read is as good as none.
    pub(super) agents: HashMap<AgentId, (Status, Option<VerifyingKey>)>,
    /// The agent of each meter.
    pub(super) meters: HashMap<MeterId, AgentId>,
}

/// What is known of all communities that were asked for.
#[derive(Debug)]
pub(super) struct Directory {
    max_age: Duration,
    communities: HashMap<CommunityId, (Instant, Arc<Known>)>,
}

impl Directory {
    pub(super) fn new(max_age: Duration) -> Self {
        Self { max_age, communities: HashMap::new() }
    }

    /// Forgets a community, whose agents have just changed.
    pub(super) fn forget(&mut self, community: &CommunityId) {
        self.communities.remove(community);
    }

    /// What is known of a community; `None` if it does not exist.
    pub(super) async fn community(
        &mut self,
        pool: &PgPool,
        community: &CommunityId,
        messages: &[Addressed],
    ) -> Result<Option<Arc<Known>>, StoreError> {
        if let Some((since, known)) = self.communities.get(community) {
            let approved = |m: &Addressed| matches!(known.agents.get(&m.agent), Some((Status::Approved, _)));
            let complete = messages.iter().all(approved);
            let age = since.elapsed();
            if age < self.max_age && (complete || age < LOOK_AGAIN) {
                return Ok(Some(known.clone()));
            }
        }
        let Some(known) = load(pool, community).await? else {
            self.communities.remove(community);
            return Ok(None);
        };
        let known = Arc::new(known);
        if self.communities.len() >= MAX_COMMUNITIES {
            self.communities.clear();
        }
        self.communities.insert(community.clone(), (Instant::now(), known.clone()));
        Ok(Some(known))
    }
}

async fn load(pool: &PgPool, community: &CommunityId) -> Result<Option<Known>, StoreError> {
    let Some(found) = communities::find(pool, community).await? else { return Ok(None) };
    let agents = agents::all(pool, community).await?;
    let meters = meters::all(pool, community).await?;
    Ok(Some(Known {
        slot_length: found.slot_length,
        agents: agents
            .into_iter()
            .map(|agent| {
                let key = VerifyingKey::from_sec1_bytes(&agent.public_key).ok();
                (agent.agent_id, (agent.status, key))
            })
            .collect(),
        meters: meters.into_iter().map(|meter| (meter.meter_id, meter.agent_id)).collect(),
    }))
}
