//! An agent that is killed at its worst moments: a real process, its real outbox, a real broker, ingest and
//! database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/community.rs"]
mod community;

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use broker::broker;
use chrono::{DateTime, TimeDelta, Utc};
use common::{device, sdm630};
use community::{SLOT_S, agent, demo, enrol, key, meter, record};
use domain::slot::Slot;
use domain::slot::SlotLength;
use domain::time::Clock;
use meter_agent::MqttConfig;
use meter_agent::ingest::{self, IngestConfig, IngestDeps};
use meter_agent::modbus::Endpoint;
use meter_agent::ocmf;
use meter_agent::outbox::{Draft, Outbox};
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use service::lifecycle::Shutdown;
use sqlx::PgPool;
use tokio::sync::Notify;

/// Records that wait in the outbox when the agent starts for the first time.
const BACKLOG: i64 = 300;
/// How often the agent is killed at each point; `BUSBAR_KILLS` sets another number.
const KILLS: usize = 2;

#[allow(clippy::disallowed_methods)] // a longer run is asked for from outside
fn kills() -> usize {
    std::env::var("BUSBAR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// An outbox with a backlog that ends a minute ago, the agent's key, and its configuration.
fn prepare(folder: &Path, endpoint: &Endpoint, mqtt: &MqttConfig) {
    let data = folder.join("agent");
    let outbox = Outbox::open(&data.join("outbox.redb"), 10_000, 1).unwrap();
    let slot_length = SlotLength::from_seconds(10).unwrap();
    let end = Slot::containing(Clock::System.now() - TimeDelta::seconds(60), slot_length).start();
    let first = end - TimeDelta::seconds(SLOT_S * BACKLOG);
    for number in 1..=BACKLOG {
        let slot_end = first + TimeDelta::seconds(SLOT_S * number);
        let registers = record(number, [0; 32]).reading.registers;
        let draft = Draft {
            meter_id: meter(1),
            slot_end,
            registers,
            offset_mwh: [0; 2],
            serial: None,
            new_epoch: false,
        };
        let sign = |_: usize, position: &meter_agent::outbox::Position| {
            let mut record = record(position.seq, position.previous);
            (record.reading.slot_end, record.reading.read_at) = (slot_end, slot_end);
            (record.reading.epoch, record.reading.registers) = (position.epoch, registers);
            ocmf::sign(&record, &key())
        };
        outbox.append(&[draft], sign).unwrap();
    }
    let pem = key().to_pkcs8_pem(LineEnding::LF).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let options = options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(data.join("signing-key.pem")).unwrap();
    std::io::Write::write_all(&mut file, pem.as_bytes()).unwrap();
    let (community, agent, url) = (demo(), agent(), &mqtt.url);
    let text = format!(
        r#"
        [mqtt]
        url = "{url}"
        [meter-agent]
        community_id = "{community}"
        agent_id = "{agent}"
        slot_length_s = 10
        data_dir = "{data}"
        resend_after_ms = 300
        window_records = 16
        [[meter-agent.devices]]
        meter_id = "meter-1"
        site_id = "site-1"
        template = "eastron_sdm630"
        endpoint = "{endpoint}"
        "#,
        data = data.display()
    );
    std::fs::write(folder.join("busbar.toml"), text).unwrap();
}

fn start(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_meter-agent"))
        .args(["run", "--config"])
        .arg(folder.join("busbar.toml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// SIGKILL, which leaves a process no time for anything.
fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

async fn rows(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM readings").fetch_one(pool).await.unwrap()
}

/// Waits until there are more rows than `rows_before`, or half a second has passed.
async fn progress(pool: &PgPool, rows_before: i64) {
    for _ in 0..50 {
        if rows(pool).await > rows_before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f41_an_agent_that_is_killed_at_any_point_leaves_exactly_one_row_a_record(pool: PgPool) {
    enrol(&pool, 1).await;
    let sampled = Arc::new(Notify::new());
    let told = sampled.clone();
    let started: DateTime<Utc> = Clock::System.now();
    let endpoint = device(move |request| {
        told.notify_one();
        let seconds = i16::try_from((Clock::System.now() - started).num_seconds()).unwrap();
        sdm630(&request, 100.0 + f32::from(seconds), 1.0)
    })
    .await;
    let mqtt = broker();
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path(), &endpoint, &mqtt);
    // Published and acknowledged by the broker, and nobody stores it.
    for round in 0..kills() {
        let process = start(folder.path());
        tokio::time::sleep(Duration::from_millis(150 + 50 * u64::try_from(round % 4).unwrap())).await;
        kill(process);
    }
    let shutdown = Shutdown::new();
    let deps = IngestDeps { pool: pool.clone(), clock: Clock::System, seed: 1 };
    let ingest = tokio::spawn(ingest::run(IngestConfig::default(), mqtt, deps, shutdown.clone()));
    // Stored, and perhaps not acknowledged to the agent yet.
    for _ in 0..kills() * 2 {
        let before = rows(&pool).await;
        let process = start(folder.path());
        progress(&pool, before).await;
        kill(process);
    }
    // Sampled, and perhaps not committed; then committed, and perhaps not published.
    for round in 0..kills() * 2 {
        let process = start(folder.path());
        let _ = tokio::time::timeout(Duration::from_secs(25), sampled.notified()).await;
        tokio::time::sleep(Duration::from_millis(if round % 2 == 0 { 0 } else { 30 })).await;
        kill(process);
    }
    let process = start(folder.path());
    let outbox_file = folder.path().join("agent/outbox.redb");
    let (mut seen, mut still) = (0, 0);
    // Between two boundaries nothing changes once all is delivered.
    while still < 20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = rows(&pool).await;
        still = if now == seen && now >= BACKLOG { still + 1 } else { 0 };
        seen = now;
    }
    kill(process);
    let outbox = Outbox::open(&outbox_file, 10_000, 1).unwrap();
    let records = outbox.meter(&meter(1)).unwrap().unwrap().seq;
    let (rows, distinct, last): (i64, i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT (epoch, seq)), max(seq) FROM readings")
            .fetch_one(&pool)
            .await
            .unwrap();
    let waiting = i64::try_from(outbox.depth().unwrap()).unwrap();
    assert!(records >= BACKLOG && records - last <= waiting, "{records} {last} {waiting}");
    assert_eq!((rows, distinct), (last, last));
    let refused: i64 =
        sqlx::query_scalar("SELECT count(*) FROM quarantined_records").fetch_one(&pool).await.unwrap();
    assert_eq!(refused, 0);
    shutdown.stop();
    ingest.await.unwrap().unwrap();
}
