//! The platform's end: verifies what agents send, stores it, and only then acknowledges.
//!
//! Several of these may run side by side on one shared subscription. Nothing is kept in memory that
//! matters: a record that was not acknowledged is sent again.
//!
//! What happens to a record that is not stored:
//! - Its agent's key is not approved yet, or its meter is not enrolled yet: it is left aside without an
//!   acknowledgement. The agent keeps it and sends it again, so that nothing is lost meanwhile.
//! - Its origin is not proven (unknown or revoked key, wrong signature, another agent's meter, not a
//!   record at all): it is quarantined and not acknowledged. It covers no place in any sequence, since
//!   whoever sent it may not be the agent.
//! - Its origin is proven but its content cannot be right (a boundary in the future, a register that
//!   fell, a number used twice): it is quarantined and counts as received, so that it does not block
//!   the records behind it for ever. So do numbers that their agent has lost ([`crate::lost`]).

mod batch;
mod directory;
mod enrol;
mod health;
mod judge;
mod refusal;
mod sequence;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use domain::ids::{AgentId, CommunityId, MeterId};
use domain::time::Clock;
use futures_util::future::try_join_all;
use rumqttc::v5::mqttbytes::QoS;
use serde::Deserialize;
use service::health::Heartbeat;
use service::lifecycle::{Backoff, Shutdown};
use store::{PgPool, StoreError};

pub use refusal::Refusal;

use crate::enrolment::Answer;
use crate::link::{self, Link, LinkEvent, MqttConfig, SUBSCRIBE_AGAIN};
use crate::wire::{
    Acknowledgement, ENROLMENT_SHARE, HEALTH_SHARE, READINGS_SHARE, ack_topic, enrolment_answer_topic,
    parse_enrolment_topic,
};
use directory::Directory;

/// A batch that the database does not take is dropped after so many tries; its agents send it again.
const TRIES: u32 = 10;
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// The heartbeat beats at least this often while nothing arrives.
const IDLE: Duration = Duration::from_secs(5);
/// Acknowledgements that wait for the network; what does not fit is asked for again.
const REQUESTS: usize = 4_096;

/// More workers than any database takes writers from one process.
const MAX_WORKERS: usize = 16;
/// Announcements taken of one batch; further ones are made again.
const MAX_ENROLMENTS: usize = 1_000;

/// Section `[ingest]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestConfig {
    /// The most records stored in one transaction.
    pub batch_max_records: usize,
    /// How long the first record of a batch waits for others, in milliseconds.
    pub batch_max_wait_ms: u64,
    /// The most records that wait to be stored.
    pub queue_max_records: usize,
    /// How old what is known of agents and meters may be, in seconds: a revocation takes that long.
    pub directory_max_age_s: u64,
    /// For how many days events of devices are kept, 1 to 3650.
    pub event_retention_days: u16,
    /// How many workers this process runs side by side on the shared subscription: some verify while
    /// others wait for the database.
    pub workers: usize,
    /// This process's MQTT client id, to which each worker's number is added; must differ between
    /// processes. One is made up if it is missing.
    pub client_id: Option<String>,
    /// A file to touch while the loop turns.
    pub heartbeat_file: Option<PathBuf>,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            batch_max_records: 500,
            batch_max_wait_ms: 25,
            queue_max_records: 4_096,
            directory_max_age_s: 10,
            event_retention_days: 400,
            workers: 4,
            client_id: None,
            heartbeat_file: None,
        }
    }
}

/// What ingest is given.
#[derive(Debug, Clone)]
pub struct IngestDeps {
    /// The database.
    pub pool: PgPool,
    /// The clock.
    pub clock: Clock,
    /// Tells workers apart, and spreads their retries.
    pub seed: u64,
}

/// A message as it came from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its topic, which names the community and the agent.
    pub topic: String,
    /// Its payload, one record.
    pub payload: Vec<u8>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Readings that were new.
    pub stored: usize,
    /// Records that were quarantined now.
    pub quarantined: u64,
    /// Records left aside because their agent or meter is not enrolled yet, or that nobody sent.
    pub held: usize,
    /// Health messages that were kept.
    pub health: usize,
    /// What is answered to agents that announced a key.
    pub answers: Vec<(CommunityId, AgentId, Answer)>,
    /// What may be told to which agent, after the commit.
    pub acknowledgements: Vec<(CommunityId, AgentId, Acknowledgement)>,
}

/// One ingest worker.
#[derive(Debug)]
pub struct Ingest {
    pool: PgPool,
    clock: Clock,
    directory: Directory,
    /// Numbers up to which all is known to be received, so that gaps are looked for behind them only.
    received: HashMap<(CommunityId, MeterId, i32), i64>,
}

impl Ingest {
    /// A worker.
    #[must_use]
    pub fn new(pool: PgPool, clock: Clock, directory_max_age: Duration) -> Self {
        Self { pool, clock, directory: Directory::new(directory_max_age), received: HashMap::new() }
    }

    /// Judges and stores a batch. The acknowledgements of the outcome are true once it returns.
    ///
    /// # Errors
    /// [`StoreError`] if the database failed: nothing may be acknowledged, and the batch can be tried
    /// again as it is.
    pub async fn tick(&mut self, messages: &[Message]) -> Result<Outcome, StoreError> {
        let mut outcome = Outcome::default();
        for message in messages.iter().take(MAX_ENROLMENTS) {
            let Some((community, agent)) = parse_enrolment_topic(&message.topic) else { continue };
            if let Some(answer) = enrol::enrol(&self.pool, &community, &agent, &message.payload).await? {
                self.directory.forget(&community);
                outcome.answers.push((community, agent, answer));
            }
        }
        outcome.health = health::store(&self.pool, &mut self.directory, messages, self.clock.now()).await?;
        for (community, messages) in judge::by_community(messages, &mut outcome) {
            let Some(known) = self.directory.community(&self.pool, &community, &messages).await? else {
                tracing::warn!(%community, records = messages.len(), "records of a community that does not exist");
                outcome.held += messages.len();
                continue;
            };
            let now = self.clock.now();
            let judged = judge::in_parallel(known, messages, now)
                .await
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            outcome.held += judged.held;
            let stored = batch::store(&self.pool, &community, judged, now).await?;
            outcome.stored += stored.new;
            outcome.quarantined += stored.quarantined;
            let known = batch::received(&self.pool, &community, stored.touched, &mut self.received).await?;
            outcome.acknowledgements.extend(known);
        }
        Ok(outcome)
    }
}

/// Runs the workers until the service stops.
///
/// # Errors
/// If the broker's configuration cannot be used.
pub async fn run(
    config: IngestConfig,
    mqtt: MqttConfig,
    deps: IngestDeps,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let heartbeat = Heartbeat::new(config.heartbeat_file.clone());
    let client_id = config.client_id.clone().unwrap_or_else(|| format!("ingest-{:016x}", deps.seed));
    let workers = (1..=config.workers.clamp(1, MAX_WORKERS)).map(|number| {
        let seed = deps.seed.wrapping_add(u64::try_from(number).unwrap_or_default());
        let deps = IngestDeps { seed, ..deps.clone() };
        work(format!("{client_id}-{number}"), &config, &mqtt, deps, &heartbeat, &shutdown)
    });
    try_join_all(workers).await?;
    Ok(())
}

/// One worker, until the service stops.
async fn work(
    client_id: String,
    config: &IngestConfig,
    mqtt: &MqttConfig,
    deps: IngestDeps,
    heartbeat: &Heartbeat,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let options = mqtt.options(&client_id)?;
    let queue = config.queue_max_records.max(1);
    let mut link = link::open(options, REQUESTS, queue, deps.seed, shutdown.clone());
    let mut ingest =
        Ingest::new(deps.pool, deps.clock, Duration::from_secs(config.directory_max_age_s.max(1)));
    let limits = Limits {
        records: config.batch_max_records.clamp(1, store::readings::MAX_BATCH),
        wait: Duration::from_millis(config.batch_max_wait_ms),
    };
    tracing::info!(%client_id, "ingest listens");
    let mut retention = health::Retention::new(config.event_retention_days.clamp(1, 3_650));
    // While the broker denies a subscription nothing arrives, and no heartbeat hides it.
    let mut deaf_until = None;
    while !shutdown.is_stopping() {
        match deaf_until {
            None => heartbeat.beat(),
            Some(until) if until > tokio::time::Instant::now() => {}
            Some(_) => {
                deaf_until = None;
                subscribe(&link);
            }
        }
        retention.apply(&ingest.pool, ingest.clock.now()).await;
        let batch = tokio::select! {
            () = shutdown.stopped() => break,
            batch = collect(&mut link, limits, &mut deaf_until) => batch,
        };
        let Some(batch) = batch else { break };
        if batch.is_empty() {
            continue;
        }
        let Some(outcome) = store_with_retries(&mut ingest, &batch, shutdown).await else { continue };
        tracing::debug!(
            stored = outcome.stored,
            quarantined = outcome.quarantined,
            held = outcome.held,
            "ingested"
        );
        for (community, agent, answer) in outcome.answers {
            let topic = enrolment_answer_topic(&community, &agent);
            let message = serde_json::to_string(&answer)?;
            if let Err(error) = link.client.try_publish(topic, QoS::AtLeastOnce, false, message) {
                tracing::debug!(%error, %agent, "an announcement was not answered");
            }
        }
        acknowledge(&link, outcome.acknowledgements);
    }
    Ok(())
}

/// Tells each agent what is stored of its meters.
fn acknowledge(link: &Link, acknowledgements: Vec<(CommunityId, AgentId, Acknowledgement)>) {
    let mut by_agent: BTreeMap<(CommunityId, AgentId), Vec<Acknowledgement>> = BTreeMap::new();
    for (community, agent, acknowledgement) in acknowledgements {
        by_agent.entry((community, agent)).or_default().push(acknowledgement);
    }
    for ((community, agent), acknowledgements) in by_agent {
        let topic = ack_topic(&community, &agent);
        for message in Acknowledgement::to_messages(&acknowledgements) {
            // What does not fit is acknowledged when the agent sends it again.
            if let Err(error) = link.client.try_publish(topic.clone(), QoS::AtLeastOnce, false, message) {
                tracing::debug!(%error, %agent, "acknowledgements were not sent");
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    records: usize,
    wait: Duration,
}

/// The next batch; empty when nothing came for a while, `None` when the connection's task has ended.
async fn collect(
    link: &mut Link,
    limits: Limits,
    deaf_until: &mut Option<tokio::time::Instant>,
) -> Option<Vec<Message>> {
    let mut batch = Vec::new();
    let mut deadline = tokio::time::Instant::now() + IDLE;
    while batch.len() < limits.records {
        let event = match tokio::time::timeout_at(deadline, link.events.recv()).await {
            Err(_) => break,
            Ok(None) => return None,
            Ok(Some(event)) => event,
        };
        match event {
            LinkEvent::Message { topic, payload } => {
                if batch.is_empty() {
                    deadline = tokio::time::Instant::now() + limits.wait;
                }
                batch.push(Message { topic, payload });
            }
            LinkEvent::Connected => subscribe(link),
            LinkEvent::Deaf { reason } => {
                tracing::error!(%reason, "the broker denies us what agents send: mend its access rules");
                *deaf_until = Some(tokio::time::Instant::now() + SUBSCRIBE_AGAIN);
            }
            LinkEvent::Refused { reason } => {
                tracing::warn!(%reason, "the broker refuses our acknowledgements")
            }
            LinkEvent::Disconnected => {}
        }
    }
    Some(batch)
}

fn subscribe(link: &Link) {
    for filter in [READINGS_SHARE, ENROLMENT_SHARE, HEALTH_SHARE] {
        if let Err(error) = link.client.try_subscribe(filter, QoS::AtLeastOnce) {
            tracing::error!(%error, filter, "cannot subscribe");
        }
    }
}

/// Stores a batch; `None` if it was dropped, which its agents mend by sending it again.
async fn store_with_retries(ingest: &mut Ingest, batch: &[Message], shutdown: &Shutdown) -> Option<Outcome> {
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    for _ in 0..TRIES {
        match ingest.tick(batch).await {
            Ok(outcome) => return Some(outcome),
            Err(error) => {
                tracing::error!(%error, records = batch.len(), "a batch was not stored; trying again")
            }
        }
        if !shutdown.sleep(backoff.after_failure()).await {
            return None;
        }
    }
    tracing::error!(records = batch.len(), "a batch was dropped; nothing of it was acknowledged");
    None
}
