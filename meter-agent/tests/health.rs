//! From a device that goes away to what an operator sees: a real agent, broker, ingest and database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/community.rs"]
mod community;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use broker::broker;
use chrono::TimeDelta;
use common::{Answer, device, sdm630};
use community::{agent, boundary, chain, demo, enrol, key, meter, record};
use domain::ids::AgentId;
use domain::time::{Clock, ManualClock};
use meter_agent::agent::run_with_clock_state;
use meter_agent::health::{self, AgentState, Event, Health, Said, State};
use meter_agent::ingest::{self, Ingest, IngestConfig, IngestDeps, Message};
use meter_agent::ocmf::{self, Record, TimeStatus};
use meter_agent::wire::{health_topic, readings_topic};
use meter_agent::{AgentConfig, AgentDeps};
use p256::ecdsa::SigningKey;
use service::lifecycle::Shutdown;
use sqlx::PgPool;

const SOON: Duration = Duration::from_secs(10);

async fn kinds(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT kind FROM device_events ORDER BY at, kind").fetch_all(pool).await.unwrap()
}

async fn state(pool: &PgPool) -> Option<String> {
    let state = sqlx::query_scalar("SELECT state FROM device_health WHERE meter_id = 'meter-1'");
    state.fetch_optional(pool).await.unwrap()
}

/// Waits for a state of the device; the test fails if it never comes.
async fn comes(pool: &PgPool, expected: &str) {
    let wait = async {
        while state(pool).await.as_deref() != Some(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(SOON, wait).await.is_err() {
        panic!("never {expected}: {:?} {:?}", state(pool).await, kinds(pool).await);
    }
}

async fn stored(pool: &PgPool) {
    let wait = async {
        let count = || sqlx::query_scalar::<_, i64>("SELECT count(*) FROM readings").fetch_one(pool);
        while count().await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("the first record is stored");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_device_that_goes_and_comes_back_is_seen_by_the_operator(pool: PgPool) {
    enrol(&pool, 1).await;
    let (mqtt, folder, away) = (broker(), tempfile::tempdir().unwrap(), Arc::new(AtomicBool::new(false)));
    let is_away = away.clone();
    let endpoint = device(
        move |request| {
            if is_away.load(SeqCst) { Answer::Close } else { sdm630(&request, 100.0, 5.0) }
        },
    )
    .await;
    let metrics_file = folder.path().join("agent.prom");
    let config: AgentConfig = serde_json::from_value(serde_json::json!({
        "community_id": "demo", "agent_id": "agent-1", "slot_length_s": 10, "data_dir": folder.path(),
        "resend_after_ms": 300, "metrics_file": metrics_file,
        "devices": [{ "meter_id": "meter-1", "site_id": "site-1", "template": "eastron_sdm630",
                      "endpoint": endpoint.to_string() }],
    }))
    .unwrap();
    let clock = ManualClock::new(boundary(1));
    let shutdown = Shutdown::new();
    let time = Clock::Manual(clock.clone());
    let deps = IngestDeps { pool: pool.clone(), clock: time.clone(), seed: 1 };
    tokio::spawn(ingest::run(IngestConfig::default(), mqtt.clone(), deps, shutdown.clone()));
    let deps = AgentDeps { clock: time, signing_key: key(), boot_id: "boot".to_owned(), jitter_seed: 1 };
    let synchronised = Arc::new(|| TimeStatus::Synchronised);
    tokio::spawn(run_with_clock_state(config, mqtt, deps, synchronised, shutdown.clone()));
    // Records are sent until ingest is there, health is not.
    stored(&pool).await;
    clock.set(boundary(2));
    comes(&pool, "ok").await;
    away.store(true, SeqCst);
    clock.set(boundary(3));
    comes(&pool, "failing").await;
    away.store(false, SeqCst);
    clock.set(boundary(4));
    comes(&pool, "ok").await;
    assert_eq!(kinds(&pool).await, ["device_unreachable", "device_back"]);
    let record: String = sqlx::query_scalar("SELECT record FROM readings ORDER BY seq LIMIT 1")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(record.contains("+0000 S\""), "the record says how the clock is kept: {record}");
    let days: String =
        sqlx::query_scalar("SELECT days::text FROM device_health").fetch_one(&pool).await.unwrap();
    // A boundary that the clock leapt over was due as well.
    let stored = ["\"stored\": 2", "\"stored\": 3"].iter().any(|stored| days.contains(stored));
    assert!(days.contains("\"due\": 4") && stored, "{days}");
    let metrics = std::fs::read_to_string(&metrics_file).unwrap();
    assert!(metrics.contains("busbar_agent_device_errors_total{meter=\"meter-1\",class="), "{metrics}");
    shutdown.stop();
}

fn said(at_slot: i64) -> Health {
    let event = |meter_id, kind: &str| Event {
        meter_id,
        kind: kind.to_owned(),
        at: boundary(1),
        since: None,
        words: "words".to_owned(),
    };
    Health {
        community_id: demo(),
        agent_id: agent(),
        at: boundary(at_slot),
        agent: AgentState { outbox_records: Some(4), certificate_days: Some(12), ..AgentState::default() },
        devices: vec![Said {
            meter_id: meter(1),
            state: State::Failing,
            since: None,
            class: Some("timeout".to_owned()),
            last_success_at: None,
            errors: [("timeout".to_owned(), 1)].into(),
            days: Vec::new(),
        }],
        events: vec![event(Some(meter(1)), "device_unreachable"), event(None, "certificate_expires")],
    }
}

struct Bench {
    ingest: Ingest,
    pool: PgPool,
}

impl Bench {
    async fn new(pool: PgPool) -> Self {
        enrol(&pool, 1).await;
        let clock = Clock::Manual(ManualClock::new(boundary(100)));
        Self { ingest: Ingest::new(pool.clone(), clock, Duration::from_secs(60)), pool }
    }

    async fn take(&mut self, topic: &str, payload: String) -> usize {
        let messages = [Message { topic: topic.to_owned(), payload: payload.into_bytes() }];
        self.ingest.tick(&messages).await.unwrap().health
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn health_is_kept_once_and_only_if_it_is_its_agents(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let own = health_topic(&demo(), &agent());
    let other = health_topic(&demo(), &AgentId::new("agent-2").unwrap());
    let stranger = SigningKey::from_slice(&[9; 32]).unwrap();
    let future = Health { at: boundary(100) + TimeDelta::minutes(2), ..said(1) };
    for (topic, payload) in [
        (&own, health::sign(&said(1), &stranger)),
        (&other, health::sign(&said(1), &key())),
        (&own, health::sign(&future, &key())),
        (&own, "BUSBAR-HEALTH-1|{}|00".to_owned()),
        (&own, chain(1).remove(0)),
    ] {
        assert_eq!(bench.take(topic, payload).await, 0);
    }
    assert_eq!((state(&bench.pool).await, kinds(&bench.pool).await.len()), (None, 0));
    for _ in 0..2 {
        assert_eq!(bench.take(&own, health::sign(&said(2), &key())).await, 1);
    }
    // An older one says what happened, but not how it is now.
    let older = Health { devices: vec![Said { state: State::Ok, ..said(1).devices.remove(0) }], ..said(1) };
    assert_eq!(bench.take(&own, health::sign(&older, &key())).await, 1);
    assert_eq!(state(&bench.pool).await.as_deref(), Some("failing"));
    assert_eq!(kinds(&bench.pool).await, ["certificate_expires", "device_unreachable"]);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn flags_of_records_become_events_once(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let topic = readings_topic(&demo(), &agent());
    let (mut previous, mut records) = ([0; 32], Vec::new());
    for (number, flag) in [
        (1, "new_epoch_after_reset"),
        (2, "phase_sum_differs"),
        (3, "phase_sum_differs"),
        (4, "voltage_not_available"),
    ] {
        let text = ocmf::sign(&Record { quality: vec![flag.to_owned()], ..record(number, previous) }, &key());
        previous = ocmf::sha256(&text);
        records.push(text);
    }
    for _ in 0..2 {
        for record in &records {
            bench.take(&topic, record.clone()).await;
        }
    }
    assert_eq!(kinds(&bench.pool).await, ["new_epoch_after_reset", "phase_sum_differs"]);
}
