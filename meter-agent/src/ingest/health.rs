//! Health messages and events: verified with the agent's approved key, and kept. Unlike records they are
//! not acknowledged: another message follows, and says again what happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AgentId, CommunityId};
use store::agents::Status;
use store::device_events::{self, NewEvent};
use store::device_health::{self, DayRead, DeviceHealth, Said};
use store::readings::LostNumbers;
use store::{PgPool, StoreError};
use tokio::time::Instant;

use super::Message;
use super::directory::{Directory, Known};
use super::judge::Good;
use crate::continuity::production::{BEGINS_ANEW, IMPLAUSIBLE};
use crate::health::{self, Health};
use crate::wire::parse_health_topic;

/// How often old events are looked for.
const REMOVE_EVERY: Duration = Duration::from_secs(600);

/// What stands for the day in the identity of a flag that lasts.
const DAY: &str = "%Y-%m-%d";

/// Keeps what the health messages of a batch say. Returns how many were good.
pub(super) async fn store(
    pool: &PgPool,
    directory: &mut Directory,
    messages: &[Message],
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let mut sorted: BTreeMap<CommunityId, Vec<(AgentId, Vec<u8>)>> = BTreeMap::new();
    for message in messages {
        if let Some((community, agent)) = parse_health_topic(&message.topic) {
            sorted.entry(community).or_default().push((agent, message.payload.clone()));
        }
    }
    let mut kept = 0;
    for (community, messages) in sorted {
        let Some(known) = directory.community(pool, &community, &[]).await? else { continue };
        let of = community.clone();
        let good = tokio::task::spawn_blocking(move || verified(&known, &of, messages, now))
            .await
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        kept += good.len();
        // Events first: whoever sees a device's new state finds how it came about.
        let events: Vec<NewEvent> = good.iter().flat_map(|health| events(health, now)).collect();
        device_events::insert(pool, &community, &events).await?;
        let devices: Vec<DeviceHealth> = good.iter().flat_map(devices).collect();
        device_health::upsert(pool, &community, &devices).await?;
    }
    Ok(kept)
}

/// Those messages that their agents' approved keys have signed.
fn verified(
    known: &Arc<Known>,
    community: &CommunityId,
    messages: Vec<(AgentId, Vec<u8>)>,
    now: DateTime<Utc>,
) -> Vec<Health> {
    let one = |(agent, payload): (AgentId, Vec<u8>)| {
        let Some((Status::Approved, Some(key))) = known.agents.get(&agent) else { return None };
        match health::verify(&payload, key, now) {
            Ok(health) if (&health.community_id, &health.agent_id) == (community, &agent) => Some(health),
            Ok(_) => {
                tracing::warn!(%community, %agent, "a health message came on another agent's topic");
                None
            }
            Err(error) => {
                tracing::warn!(%community, %agent, %error, "a health message was refused");
                None
            }
        }
    };
    messages.into_iter().filter_map(one).collect()
}

fn devices(health: &Health) -> impl Iterator<Item = DeviceHealth> {
    let agent = &health.agent;
    health.devices.iter().map(|device| DeviceHealth {
        agent_id: health.agent_id.clone(),
        meter_id: device.meter_id.clone(),
        said: Said {
            said_at: health.at,
            state: device.state.as_str().to_owned(),
            state_since: device.since,
            error_class: device.class.clone(),
            last_success_at: device.last_success_at,
            errors: device.errors.clone(),
            days: device.days.iter().map(day).collect(),
            outbox_records: agent.outbox_records.and_then(|records| i64::try_from(records).ok()),
            outbox_oldest_at: agent.outbox_oldest_at,
            certificate_days: agent.certificate_days.and_then(|days| i32::try_from(days).ok()),
            clock: agent.clock.as_str().to_owned(),
        },
    })
}

fn day(day: &health::DayOf) -> DayRead {
    DayRead { day: day.day, stored: day.stored.into(), due: day.due.into() }
}

fn events(health: &Health, now: DateTime<Utc>) -> impl Iterator<Item = NewEvent> {
    let not_future = move |event: &&health::Event| event.at <= now + TimeDelta::minutes(1);
    health.events.iter().filter(not_future).map(|event| {
        let meter = event.meter_id.as_ref().map_or("", |meter| meter.as_str());
        NewEvent {
            agent_id: health.agent_id.clone(),
            meter_id: event.meter_id.clone(),
            once: format!("health/{}/{meter}/{}", event.kind, event.at.timestamp_millis()),
            kind: event.kind.clone(),
            at: event.at,
            since: event.since,
            words: event.words.clone(),
        }
    })
}

/// What the flags of records say that an operator should see. A flag that lasts is one event a day.
pub(super) fn of_records<'a>(records: impl IntoIterator<Item = &'a Good>) -> Vec<NewEvent> {
    let of = |good: &'a Good| {
        let reading = &good.reading.reading;
        good.flags.iter().map(move |flag| {
            let when = if matches!(flag.as_str(), "phase_sum_differs" | IMPLAUSIBLE) {
                reading.slot_end.format(DAY).to_string()
            } else {
                reading.slot_end.timestamp().to_string()
            };
            NewEvent {
                agent_id: good.agent.clone(),
                meter_id: Some(reading.meter_id.clone()),
                once: format!("record/{flag}/{}/{when}", reading.meter_id),
                kind: flag.clone(),
                at: reading.slot_end,
                since: None,
                words: words(flag).to_owned(),
            }
        })
    };
    records.into_iter().flat_map(of).collect()
}

/// Records that an agent has lost before they were stored.
pub(super) fn of_lost(agent_id: AgentId, lost: &LostNumbers, count: u64, at: DateTime<Utc>) -> NewEvent {
    let LostNumbers { meter_id, epoch, first, last, .. } = lost;
    NewEvent {
        agent_id,
        meter_id: Some(meter_id.clone()),
        once: format!("lost/{meter_id}/{epoch}/{first}-{last}"),
        kind: "records_lost".to_owned(),
        at,
        since: None,
        words: format!(
            "{count} records of epoch {epoch} between numbers {first} and {last} were lost with the agent's outbox; \
             the registers of the next one close the gap"
        ),
    }
}

/// What a flag means, for whoever has never seen it.
fn words(flag: &str) -> &'static str {
    match flag {
        "new_epoch_after_reset" => {
            "a register fell and stayed down: a new epoch begins, nothing is billed across it"
        }
        "new_epoch_after_jump" => {
            "a register leapt by more than the connection can carry and stayed: a new epoch begins, nothing is billed across it"
        }
        "new_epoch_meter_exchanged" => {
            "another meter answers: a new epoch begins, nothing is billed across it"
        }
        "register_rolled_over" => "a counter reached its end and began again; it is carried on",
        "phase_sum_differs" => "the phases do not add up to the total; the total is used",
        IMPLAUSIBLE => {
            "the production register tells what cannot be; it is left out, import and export count"
        }
        BEGINS_ANEW => {
            "the production register was reset or exchanged: it is told again, and not across the change"
        }
        _ => "look at the meter",
    }
}

/// Removes events that are older than the operator wants to keep, now and then.
#[derive(Debug)]
pub(super) struct Retention {
    keep: TimeDelta,
    next: Instant,
}

impl Retention {
    pub(super) fn new(keep_days: u16) -> Self {
        Self { keep: TimeDelta::days(i64::from(keep_days)), next: Instant::now() }
    }

    /// Removes what is too old, if it is time; a failure is logged and tried again later.
    pub(super) async fn apply(&mut self, pool: &PgPool, now: DateTime<Utc>) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + REMOVE_EVERY;
        match device_events::remove_older(pool, now - self.keep).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old device events were removed"),
            Err(error) => tracing::warn!(%error, "old device events could not be removed"),
        }
    }
}
