//! Readings a second from a publisher's queue to ingest's acknowledgement, and its ceilings: signatures that
//! the same library verifies a second, and rows that the same insertion stores a second with nothing round it.
//!
//! Takes the server of `DATABASE_URL`, on which it makes a database of its own and drops it again; without
//! that variable the group is left out.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use domain::ids::MeterId;
use domain::time::{Clock, ManualClock};
use meter_agent::MqttConfig;
use meter_agent::ingest::{self, IngestConfig, IngestDeps};
use meter_agent::link::{self, LinkEvent};
use meter_agent::ocmf;
use meter_agent::wire::{Acknowledgement, readings_topic};
use p256::ecdsa::VerifyingKey;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, MqttOptions};
use service::lifecycle::Shutdown;
use sqlx::PgPool;
use store::readings::{self, NewReading};
use tokio::sync::Semaphore;

use crate::broker::broker;
use crate::world::{self, AGENTS, METERS_AN_AGENT, Signed, community};
use crate::{Figure, cpu, float};

/// Records of each meter.
const ROUNDS: i64 = 40;
const PUBLISHERS: usize = 4;
const METERS: usize = AGENTS * METERS_AN_AGENT;
/// Records on their way at once, over all agents: a few of each agent's window.
const WINDOW: usize = 4_000;
/// Longer than any machine that runs this takes.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn print() {
    #[allow(clippy::disallowed_methods)] // a bench is its own composition root
    let Ok(url) = std::env::var("DATABASE_URL") else {
        eprintln!("ingest: left out, DATABASE_URL is not set");
        return;
    };
    let signed = Arc::new(world::sign_all(ROUNDS));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (verified, rows, delivered) = runtime.block_on(async {
        let verified = verifications(&url, &signed).await;
        let pool = world::database(&url).await;
        let rows = bare_insert(&pool, &signed).await;
        pool.close().await;
        let pool = world::database(&url).await;
        let delivered = end_to_end(&pool, signed).await;
        world::drop_database(&url, pool).await;
        (verified, rows, delivered)
    });
    let records = float(METERS) * float(ROUNDS);
    let (verified, rows) = (records / verified.as_secs_f64(), records / rows.as_secs_f64());
    let rate = records / delivered.took.as_secs_f64();
    let cpu_us = (delivered.own_cpu_s + delivered.database_cpu_s) / records * 1e6;
    Figure::new("p256_verifications", verified, "records/s").print();
    Figure::new("bare_batch_insert", rows, "rows/s").print();
    Figure::new("ingest_end_to_end", rate, "readings/s")
        .beside("P-256 verifications alone, all cores", rate / verified)
        .print();
    Figure::new("ingest_end_to_end", rate, "readings/s").beside("bare batch insert", rate / rows).print();
    // Publisher, broker, ingest, listener and database together; two cores to themselves would do twice a
    // second's worth.
    Figure::new("ingest_cpu_per_reading", cpu_us, "us").at_most(200.0).print();
    eprintln!(
        "ingest: {:.0} us in this process, {:.0} us in the database",
        delivered.own_cpu_s / records * 1e6,
        delivered.database_cpu_s / records * 1e6
    );
}

/// Parsing and verifying, on all cores.
async fn verifications(url: &str, signed: &Arc<Vec<Signed>>) -> Duration {
    let pool = world::database(url).await;
    let agents = store::agents::all(&pool, &community()).await.unwrap();
    pool.close().await;
    let keys: HashMap<_, _> = agents
        .into_iter()
        .map(|agent| (agent.agent_id, VerifyingKey::from_sec1_bytes(&agent.public_key).unwrap()))
        .collect();
    let started = Instant::now();
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for part in signed.chunks(METERS.div_ceil(threads)) {
            let keys = &keys;
            scope.spawn(move || {
                for meter in part {
                    let key = &keys[&meter.agent];
                    meter.records.iter().for_each(|record| ocmf::verify(record, key).unwrap());
                }
            });
        }
    });
    started.elapsed()
}

/// Nothing but the insertion, in batches as large as ingest's.
async fn bare_insert(pool: &PgPool, signed: &[Signed]) -> Duration {
    let batch = IngestConfig::default().batch_max_records;
    let rows: Vec<NewReading> = in_order(signed)
        .map(|(_, record)| NewReading {
            reading: ocmf::parse(record).unwrap().reading,
            record: record.clone(),
            record_sha256: ocmf::sha256(record),
        })
        .collect();
    let started = Instant::now();
    for rows in rows.chunks(batch) {
        let mut tx = pool.begin().await.unwrap();
        assert_eq!(readings::insert(&mut tx, &community(), rows).await.unwrap().stored, rows.len());
        tx.commit().await.unwrap();
    }
    started.elapsed()
}

/// All meters' first records, then all meters' second, as they come in life.
fn in_order(signed: &[Signed]) -> impl Iterator<Item = (&Signed, &String)> {
    let rounds = usize::try_from(ROUNDS).unwrap();
    (0..rounds).flat_map(move |round| signed.iter().map(move |meter| (meter, &meter.records[round])))
}

/// What it took.
struct Delivered {
    took: Duration,
    own_cpu_s: f64,
    database_cpu_s: f64,
}

/// Processor time of the connections to our database; none if it is on another machine.
async fn database_cpu_s(pool: &PgPool) -> f64 {
    let pids: Vec<i32> =
        sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            .fetch_all(pool)
            .await
            .unwrap();
    pids.into_iter().map(|pid| cpu::seconds(u32::try_from(pid).unwrap())).sum()
}

/// Published over MQTT, verified, stored and acknowledged: the time until the last acknowledgement is here.
async fn end_to_end(pool: &PgPool, signed: Arc<Vec<Signed>>) -> Delivered {
    let mqtt = broker();
    let shutdown = Shutdown::new();
    let clock = Clock::Manual(ManualClock::new(world::afterwards()));
    let deps = IngestDeps { pool: pool.clone(), clock, seed: 1 };
    tokio::spawn(ingest::run(IngestConfig::default(), mqtt.clone(), deps, shutdown.clone()));
    let window = Arc::new(Semaphore::new(WINDOW));
    let acknowledged = tokio::spawn(acknowledgements(mqtt.clone(), window.clone(), shutdown.clone()));
    // Until ingest and the listener have subscribed.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cpu_before = [cpu::seconds(std::process::id()), database_cpu_s(pool).await];
    let started = Instant::now();
    for number in 0..PUBLISHERS {
        tokio::spawn(publish(mqtt.clone(), number, signed.clone(), window.clone()));
    }
    tokio::time::timeout(PATIENCE, acknowledged).await.expect("all is acknowledged in time").unwrap();
    let took = started.elapsed();
    let own_cpu_s = cpu::seconds(std::process::id()) - cpu_before[0];
    let database_cpu_s = database_cpu_s(pool).await - cpu_before[1];
    shutdown.stop();
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM readings").fetch_one(pool).await.unwrap();
    assert_eq!(usize::try_from(stored).unwrap(), METERS * usize::try_from(ROUNDS).unwrap());
    Delivered { took, own_cpu_s, database_cpu_s }
}

/// Waits until every meter's last record is acknowledged, and makes room in the window for what is.
async fn acknowledgements(mqtt: MqttConfig, window: Arc<Semaphore>, shutdown: Shutdown) {
    let mut link = link::open(mqtt.options("listener").unwrap(), 8, 4_096, 1, shutdown);
    let mut through: HashMap<MeterId, i64> = HashMap::new();
    let mut missing = i64::try_from(METERS).unwrap() * ROUNDS;
    while missing > 0 {
        match link.events.recv().await.unwrap() {
            LinkEvent::Connected => {
                link.client.try_subscribe("busbar/v1/+/+/ack", QoS::AtMostOnce).unwrap();
            }
            LinkEvent::Message { payload, .. } => {
                for acknowledgement in Acknowledgement::from_message(&payload).unwrap() {
                    let last = through.entry(acknowledgement.meter_id).or_insert(0);
                    let new = (acknowledgement.stored_through_seq - *last).max(0);
                    *last += new;
                    missing -= new;
                    window.add_permits(usize::try_from(new).unwrap());
                }
            }
            _ => {}
        }
    }
}

/// One connection of the fleet's, which sends its share of the meters.
async fn publish(mqtt: MqttConfig, number: usize, signed: Arc<Vec<Signed>>, window: Arc<Semaphore>) {
    let mut options: MqttOptions = mqtt.options(&format!("publisher-{number}")).unwrap();
    options.set_outgoing_inflight_upper_limit(100);
    let (client, mut events) = AsyncClient::new(options, 256);
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let topics: HashMap<_, _> = signed
        .iter()
        .map(|meter| (meter.agent.clone(), readings_topic(&community(), &meter.agent)))
        .collect();
    for (index, (meter, record)) in in_order(&signed).enumerate() {
        // All records of a meter go one way, as an agent's do.
        if index % METERS % PUBLISHERS == number {
            window.acquire().await.unwrap().forget();
            let topic = topics[&meter.agent].clone();
            client.publish(topic, QoS::AtLeastOnce, false, record.clone()).await.unwrap();
        }
    }
    std::future::pending::<()>().await;
}
