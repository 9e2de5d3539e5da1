//! Three days without a broker, at scale: agents with full outboxes are killed at random while several ingest
//! workers take what they send. Rows must equal records, exactly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/append.rs"]
mod append;
#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/community.rs"]
mod community;
#[path = "common/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::time::Duration;

use broker::broker;
use community::{add_meter, demo, enrol, key, meter};
use domain::ids::{AgentId, MeterId};
use domain::time::Clock;
use meter_agent::ingest::{self, IngestConfig, IngestDeps};
use meter_agent::keys;
use meter_agent::ocmf::sha256;
use meter_agent::outbox::Order;
use process::{Installed, kill, stop};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use service::lifecycle::Shutdown;
use sqlx::PgPool;
use store::agents;
use tokio::task::JoinHandle;

/// Quarter-hours of 72 hours.
const SLOTS: i64 = 288;
const AGENTS: usize = 4;
/// Meters of all agents; `BUSBAR_OUTAGE_METERS` sets another number.
const METERS: usize = 4;
/// Nobody answers there: what counts is in the outboxes already.
const NOWHERE: &str = "tcp://127.0.0.1:9";
const PATIENCE: Duration = Duration::from_secs(1_500);

#[allow(clippy::disallowed_methods)] // a longer run is asked for from outside
fn meters() -> usize {
    std::env::var("BUSBAR_OUTAGE_METERS").ok().and_then(|meters| meters.parse().ok()).unwrap_or(METERS)
}

fn work(pool: &PgPool, mqtt: &meter_agent::MqttConfig, seed: u64, shutdown: &Shutdown) -> JoinHandle<()> {
    let deps = IngestDeps { pool: pool.clone(), clock: Clock::System, seed };
    let run = ingest::run(IngestConfig::default(), mqtt.clone(), deps, shutdown.clone());
    tokio::spawn(async move { run.await.unwrap() })
}

async fn rows(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM readings").fetch_one(pool).await.unwrap()
}

async fn install(pool: &PgPool, number: usize, count: usize, mqtt: &meter_agent::MqttConfig) -> Installed {
    let agent = AgentId::new(&format!("outage-{number}")).unwrap();
    let public = keys::public_key(&key());
    agents::upsert_pending(pool, &demo(), &agent, &public.sec1, &public.fingerprint).await.unwrap();
    assert!(agents::approve(pool, &demo(), &agent, &public.fingerprint).await.unwrap());
    let numbers = (number * count + 1)..=((number + 1) * count);
    let meters: Vec<MeterId> = numbers.clone().map(meter).collect();
    for number in numbers {
        add_meter(pool, number, &agent).await;
    }
    let mqtt = mqtt.clone();
    let install = move || Installed::new(agent, meters, ("eastron_sdm630", NOWHERE), &mqtt, SLOTS);
    tokio::task::spawn_blocking(install).await.unwrap()
}

/// Hashes of what waits in the outboxes.
fn signed_by(installed: &[Installed]) -> BTreeSet<[u8; 32]> {
    let pending = |installed: &Installed| installed.outbox().pending(Order::OldestFirst, usize::MAX).unwrap();
    installed.iter().flat_map(pending).map(|pending| sha256(&pending.record)).collect()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f39_f41_after_three_days_rows_equal_records_though_agents_are_killed_and_workers_change(
    pool: PgPool,
) {
    enrol(&pool, 0).await;
    let mqtt = broker();
    let each = meters() / AGENTS;
    let mut installed = Vec::new();
    for number in 0..AGENTS {
        installed.push(install(&pool, number, each, &mqtt).await);
    }
    let records = i64::try_from(each * AGENTS).unwrap() * SLOTS;
    let signed = signed_by(&installed);
    assert_eq!(i64::try_from(signed.len()).unwrap(), records);
    let (first, shutdown) = (Shutdown::new(), Shutdown::new());
    let leaves = work(&pool, &mqtt, 1, &first);
    let mut workers = vec![work(&pool, &mqtt, 100, &shutdown)];
    let mut agents: Vec<_> = installed.iter().map(Installed::start).collect();
    let mut random = StdRng::seed_from_u64(72);
    let mut leaving = Some(leaves);
    let mut killed = 0;
    let deliver = async {
        while rows(&pool).await < records {
            tokio::time::sleep(Duration::from_millis(random.random_range(100..1_000))).await;
            let unlucky = random.random_range(0..AGENTS);
            kill(std::mem::replace(&mut agents[unlucky], installed[unlucky].start()));
            killed += 1;
            if rows(&pool).await > records / 3
                && let Some(worker) = leaving.take()
            {
                // One process of workers goes in the middle and another comes.
                first.stop();
                worker.await.unwrap();
                workers.push(work(&pool, &mqtt, 200, &shutdown));
            }
        }
    };
    tokio::time::timeout(PATIENCE, deliver).await.expect("all is delivered");
    assert!(killed > 0 && leaving.is_none(), "{killed} kills");
    // What was stored and not acknowledged is sent again, found stored, and acknowledged.
    for (agent, installed) in agents.into_iter().zip(&installed) {
        let mut agent = agent;
        for patience_s in 1..20 {
            tokio::time::sleep(Duration::from_secs(patience_s)).await;
            stop(agent);
            if installed.outbox().depth().unwrap() == 0 {
                break;
            }
            agent = installed.start();
        }
        assert_eq!(installed.outbox().depth().unwrap(), 0, "{} has delivered", installed.agent);
    }
    let (stored, places, wrong): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), count(DISTINCT (meter_id, epoch, seq)), count(*) FILTER (WHERE seq > $1) FROM readings",
    )
    .bind(SLOTS)
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((stored, places, wrong), (records, records, 0));
    let rows: Vec<String> = sqlx::query_scalar("SELECT record FROM readings").fetch_all(&pool).await.unwrap();
    let rows: BTreeSet<[u8; 32]> = rows.iter().map(|record| sha256(record)).collect();
    assert!(rows == signed, "every row is a record, byte for byte, and every record a row");
    let refused: i64 =
        sqlx::query_scalar("SELECT count(*) FROM quarantined_records").fetch_one(&pool).await.unwrap();
    assert_eq!(refused, 0);
    shutdown.stop();
    for worker in workers {
        worker.await.unwrap();
    }
}
