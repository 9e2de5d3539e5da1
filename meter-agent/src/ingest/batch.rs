//! One community's batch, stored in one transaction, and what may be acknowledged afterwards.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use store::notify::{Event, Kind};
use store::readings::{self, NewReading, Quarantined, SequenceKey};
use store::{PgPool, StoreError, agents, device_events, notify};

use super::judge::{Good, Judged};
use super::{Refusal, health, sequence};
use crate::wire::Acknowledgement;

/// Hints for more boundaries than this are one hint for all.
const MAX_HINTS: usize = 4;
/// Meters remembered with the number up to which all is received; forgetting costs a longer look.
const MAX_REMEMBERED: usize = 200_000;

/// Which agent speaks for the meters and epochs that records of proven origin came for.
pub(super) type Touched = BTreeMap<(MeterId, i32), AgentId>;

/// What was stored.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) new: usize,
    pub(super) quarantined: u64,
    pub(super) touched: Touched,
}

/// Stores a judged batch.
pub(super) async fn store(
    pool: &PgPool,
    community: &CommunityId,
    judged: Judged,
    now: DateTime<Utc>,
) -> Result<Stored, StoreError> {
    let mut stored = Stored { touched: touched(&judged), ..Stored::default() };
    let mut refused: Vec<Quarantined> = judged.quarantined.into_iter().map(|(_, record)| record).collect();
    let mut tx = pool.begin().await?;
    let keys: Vec<SequenceKey> = judged.good.iter().map(Good::key).collect();
    let neighbours = readings::neighbours(&mut *tx, community, &keys).await?;
    let (fitting, misfits) = sequence::fit(judged.good, neighbours);
    refused.extend(misfits.iter().map(|(good, refusal)| good.quarantined(refusal)));
    let rows: Vec<NewReading> = fitting.iter().map(|good| good.reading.clone()).collect();
    let inserted = readings::insert(&mut tx, community, &rows).await?;
    let forks = inserted.forks.iter().filter_map(|position| fitting.get(*position));
    refused.extend(forks.map(|good| good.quarantined(&Refusal::Fork)));
    if !refused.is_empty() {
        stored.quarantined = readings::quarantine(&mut *tx, community, &refused).await?;
    }
    let mut events = health::of_records(&fitting);
    for (agent, lost) in judged.lost {
        let count = readings::mark_lost(&mut *tx, community, &lost).await?;
        events.extend((count > 0).then(|| health::of_lost(agent, &lost, count, now)));
    }
    device_events::insert(&mut *tx, community, &events).await?;
    stored.new = inserted.stored;
    let seen: BTreeSet<AgentId> = fitting.into_iter().map(|good| good.agent).collect();
    agents::seen(&mut *tx, community, &seen.into_iter().collect::<Vec<_>>(), now).await?;
    match inserted.slot_ends.as_slice() {
        [] => {}
        few if few.len() <= MAX_HINTS => {
            for slot_end in few {
                notify::send(&mut *tx, &Event::new(Kind::Reading, community, Some(*slot_end))).await?;
            }
        }
        _ => notify::send(&mut *tx, &Event::new(Kind::Reading, community, None)).await?,
    }
    tx.commit().await?;
    if stored.quarantined > 0 {
        let reason = refused.first().map(|record| record.reason.as_str()).unwrap_or_default();
        tracing::warn!(%community, records = stored.quarantined, first_reason = %reason, "quarantined");
    }
    Ok(stored)
}

fn touched(judged: &Judged) -> Touched {
    let good = judged.good.iter().map(|good| (good.key(), good.agent.clone()));
    let proven = judged.quarantined.iter();
    let proven = proven.filter_map(|(agent, record)| Some((record.position.clone()?, agent.clone())));
    let lost = judged.lost.iter().map(|(agent, lost)| ((lost.meter_id.clone(), lost.epoch), agent.clone()));
    good.chain(proven).map(|(key, agent)| ((key.meter_id, key.epoch), agent)).chain(lost).collect()
}

/// What may be told to the agents of `touched`, now that it is committed.
pub(super) async fn received(
    pool: &PgPool,
    community: &CommunityId,
    touched: Touched,
    remembered: &mut HashMap<(CommunityId, MeterId, i32), i64>,
) -> Result<Vec<(CommunityId, AgentId, Acknowledgement)>, StoreError> {
    if touched.is_empty() {
        return Ok(Vec::new());
    }
    if remembered.len() > MAX_REMEMBERED {
        remembered.clear();
    }
    let known: Vec<SequenceKey> = touched
        .keys()
        .map(|(meter_id, epoch)| {
            let seq = remembered.get(&(community.clone(), meter_id.clone(), *epoch)).copied().unwrap_or(0);
            SequenceKey { meter_id: meter_id.clone(), epoch: *epoch, seq }
        })
        .collect();
    let through = readings::stored_through(pool, community, &known).await?;
    let mut acknowledgements = Vec::with_capacity(through.len());
    for (SequenceKey { meter_id, epoch, seq }, agent) in through.into_iter().zip(touched.into_values()) {
        remembered.insert((community.clone(), meter_id.clone(), epoch), seq);
        let acknowledgement = Acknowledgement { meter_id, epoch, stored_through_seq: seq };
        acknowledgements.push((community.clone(), agent, acknowledgement));
    }
    Ok(acknowledgements)
}
