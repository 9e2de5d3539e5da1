//! From a Modbus register to a row: a real poller, outbox, publisher, broker, ingest and database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/append.rs"]
mod append;
#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/community.rs"]
mod community;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use append::append;
use broker::{Cuttable, broker};
use common::{device, sdm630};
use community::{agent, boundary, demo, enrol, key, meter};
use domain::ids::AgentId;
use domain::slot::SlotLength;
use domain::time::{Clock, ManualClock};
use meter_agent::MqttConfig;
use meter_agent::enrolment::announce;
use meter_agent::health::Reports;
use meter_agent::ingest::{self, Ingest, IngestConfig, IngestDeps, Message};
use meter_agent::keys;
use meter_agent::link::{self, LinkEvent};
use meter_agent::lost::{self, Lost};
use meter_agent::modbus::{Bus, BusTiming, ModbusMeter};
use meter_agent::ocmf::TimeStatus;
use meter_agent::outbox::Outbox;
use meter_agent::poll::{Group, PollTiming, PolledDevice, Poller, Signer};
use meter_agent::publish::{Publisher, WindowLimits};
use meter_agent::template::{Library, Quirks};
use meter_agent::wire::enrolment_topic;
use p256::ecdsa::SigningKey;
use rumqttc::v5::mqttbytes::QoS;
use service::lifecycle::Shutdown;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

const METERS: u8 = 3;

struct Bench {
    poller: Poller,
    outbox: Arc<Outbox>,
    stored: Arc<Notify>,
    clock: ManualClock,
    mqtt: MqttConfig,
    pool: PgPool,
    folder: tempfile::TempDir,
}

impl Bench {
    /// Three meters behind one endpoint, whose registers rise with the clock.
    async fn new(pool: PgPool) -> Self {
        enrol(&pool, usize::from(METERS)).await;
        let clock = ManualClock::new(boundary(0));
        let time = clock.clone();
        let endpoint = device(move |request| {
            let slots = i16::try_from((time.now() - boundary(0)).num_seconds() / 10).unwrap();
            sdm630(&request, 100.0 + f32::from(slots), f32::from(request.unit))
        })
        .await;
        let template = Library::embedded().unwrap().get("eastron_sdm630").unwrap();
        let bus = Arc::new(Mutex::new(Bus::new(endpoint, BusTiming::from(&Quirks::default()))));
        let devices = (1..=METERS).map(|unit| {
            let clock = Clock::Manual(clock.clone());
            let source = ModbusMeter::new(bus.clone(), unit, template.clone(), clock).unwrap();
            PolledDevice::new(meter(unit.into()), "eastron_sdm630@1".to_owned(), Box::new(source))
        });
        let folder = tempfile::tempdir().unwrap();
        let outbox = Arc::new(Outbox::open(&folder.path().join("outbox.redb"), 1_000, 1).unwrap());
        let signer = Signer {
            key: key(),
            community_id: demo(),
            agent_id: agent(),
            boot_id: "boot".to_owned(),
            time_status: TimeStatus::Unknown,
        };
        let timing = PollTiming::new(SlotLength::from_seconds(10).unwrap());
        let stored = Arc::new(Notify::new());
        let groups = vec![Group { devices: devices.collect() }];
        let poller = Poller::new(
            timing,
            groups,
            outbox.clone(),
            Arc::new(signer),
            Clock::Manual(clock.clone()),
            stored.clone(),
        );
        Self { poller, outbox, stored, clock, mqtt: broker(), pool, folder }
    }

    async fn read_boundaries(&mut self, numbers: impl IntoIterator<Item = i64>) {
        for number in numbers {
            self.clock.set(boundary(number));
            assert_eq!(self.poller.tick(boundary(number)).await.stored, usize::from(METERS));
        }
    }

    fn publish(&self, shutdown: &Shutdown) -> JoinHandle<()> {
        self.publish_at(2_000, shutdown)
    }

    fn publish_at(&self, drain_per_s: u32, shutdown: &Shutdown) -> JoinHandle<()> {
        self.publish_with(drain_per_s, None, shutdown)
    }

    fn publish_with(
        &self,
        drain_per_s: u32,
        reports: Option<Reports>,
        shutdown: &Shutdown,
    ) -> JoinHandle<()> {
        let resend_after = Duration::from_millis(300);
        let limits = WindowLimits { oldest: 32, newest: 4, resend_after, drain_per_s };
        let mut publisher =
            Publisher::new(self.outbox.clone(), &demo(), &agent(), limits, self.stored.clone());
        if let Some(reports) = reports {
            publisher = publisher.with_reports(reports);
        }
        let (options, shutdown) = (self.mqtt.options("agent-1").unwrap(), shutdown.clone());
        tokio::spawn(async move { publisher.run(options, 1, &shutdown).await })
    }

    fn ingest(&self, seed: u64, shutdown: &Shutdown) -> JoinHandle<()> {
        let deps = IngestDeps { pool: self.pool.clone(), clock: Clock::Manual(self.clock.clone()), seed };
        let run = ingest::run(IngestConfig::default(), self.mqtt.clone(), deps, shutdown.clone());
        tokio::spawn(async move { run.await.unwrap() })
    }

    /// Waits until so many records are left in the outbox, at the most.
    async fn drains_to(&self, depth: u64) {
        let drained = async {
            while self.outbox.depth().unwrap() > depth {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), drained).await.expect("the outbox drains");
    }

    async fn rows(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM readings").fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until the outbox is empty; every record must be a row then, and no row twice.
    async fn delivered(&self, boundaries: i64) {
        let empty = async {
            while self.outbox.depth().unwrap() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), empty).await.expect("the outbox drains");
        let (rows, numbers): (i64, i64) =
            sqlx::query_as("SELECT count(*), count(DISTINCT (meter_id, epoch, seq)) FROM readings")
                .fetch_one(&self.pool)
                .await
                .unwrap();
        assert_eq!((rows, numbers), (boundaries * i64::from(METERS), boundaries * i64::from(METERS)));
        let refused: i64 = sqlx::query_scalar("SELECT count(*) FROM quarantined_records")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        assert_eq!(refused, 0);
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn registers_become_rows(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let shutdown = Shutdown::new();
    let tasks = [bench.ingest(1, &shutdown), bench.publish(&shutdown)];
    bench.read_boundaries(1..=3).await;
    bench.delivered(3).await;
    let last: i64 =
        sqlx::query_scalar("SELECT max(import_mwh) FROM readings").fetch_one(&bench.pool).await.unwrap();
    assert_eq!(last, 103_000_000);
    shutdown.stop();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Waits until a listener at the broker has heard one record twice.
async fn seen_twice(mqtt: &MqttConfig, shutdown: &Shutdown) {
    let mut link = link::open(mqtt.options("listener").unwrap(), 8, 64, 1, shutdown.clone());
    let mut heard = HashSet::new();
    loop {
        match link.events.recv().await.unwrap() {
            LinkEvent::Connected => link.client.try_subscribe("busbar/#", QoS::AtLeastOnce).unwrap(),
            LinkEvent::Message { payload, .. } if !heard.insert(payload.clone()) => return,
            _ => {}
        }
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f42_records_are_sent_until_ingest_has_stored_them(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let shutdown = Shutdown::new();
    let publisher = bench.publish(&shutdown);
    bench.read_boundaries(1..=20).await;
    // The broker acknowledges everything, and ingest nothing: all is kept and sent again.
    seen_twice(&bench.mqtt, &shutdown).await;
    assert_eq!(bench.outbox.depth().unwrap(), 60);
    let first = Shutdown::new();
    let ingest = bench.ingest(1, &first);
    while bench.outbox.depth().unwrap() > 40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // One worker stops in the middle and two others go on.
    first.stop();
    ingest.await.unwrap();
    let workers = [bench.ingest(2, &shutdown), bench.ingest(3, &shutdown)];
    bench.read_boundaries(21..=22).await;
    bench.delivered(22).await;
    shutdown.stop();
    publisher.await.unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// 72 hours at a quarter-hour each, of which the broker saw nothing.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f39_three_days_without_a_broker_lose_nothing_and_live_data_does_not_wait(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let quarter_hours = |range: std::ops::RangeInclusive<i64>| range.map(|number| number * 90);
    bench.read_boundaries(quarter_hours(1..=288)).await;
    assert_eq!(bench.outbox.depth().unwrap(), 288 * u64::from(METERS));
    let shutdown = Shutdown::new();
    let tasks = [bench.ingest(1, &shutdown), bench.publish_at(150, &shutdown)];
    while bench.outbox.depth().unwrap() == 288 * u64::from(METERS) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.read_boundaries(quarter_hours(289..=289)).await;
    let live = boundary(289 * 90);
    loop {
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM readings WHERE slot_end = $1")
            .bind(live)
            .fetch_one(&bench.pool)
            .await
            .unwrap();
        if rows == i64::from(METERS) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(bench.outbox.depth().unwrap() > 0, "live data came before the backlog was through");
    bench.delivered(289).await;
    let out_of_order: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT slot_end <= lag(slot_end) OVER (PARTITION BY meter_id ORDER BY seq) AS wrong
             FROM readings) t WHERE wrong",
    )
    .fetch_one(&bench.pool)
    .await
    .unwrap();
    assert_eq!(out_of_order, 0);
    shutdown.stop();
    for task in tasks {
        task.await.unwrap();
    }
}

/// The outbox tore after some records were delivered: two in the middle are lost, and the rest must not wait for them.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f45_what_is_behind_a_lost_record_is_acknowledged_and_the_outbox_empties(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    bench.read_boundaries(1..=10).await;
    let records = bench.outbox.pending(meter_agent::outbox::Order::OldestFirst, 100).unwrap();
    // Numbers 1 to 3 of the first meter are delivered, 4 and 5 are lost.
    let first = |from: i64| move |p: &&meter_agent::outbox::Pending| p.meter_id == meter(1) && p.seq >= from;
    let delivered = records.iter().filter(first(1)).take(3).map(|p| p.record.clone().into_bytes());
    let topic = meter_agent::wire::readings_topic(&demo(), &agent());
    let delivered: Vec<_> = delivered.map(|payload| Message { topic: topic.clone(), payload }).collect();
    let clock = Clock::Manual(bench.clock.clone());
    let mut ingest = Ingest::new(bench.pool.clone(), clock, Duration::from_secs(10));
    assert_eq!(ingest.tick(&delivered).await.unwrap().stored, 3);
    let aside = bench.folder.path().join("aside");
    let left: Vec<&str> = records.iter().filter(first(6)).map(|p| p.record.as_str()).collect();
    std::fs::write(&aside, left.join("\n")).unwrap();
    bench.outbox = Arc::new(Outbox::open(&bench.folder.path().join("new.redb"), 1_000, 9).unwrap());
    let state = |gap: &lost::Gap| {
        let lost = Lost { community_id: demo(), agent_id: agent(), gap: gap.clone() };
        lost::sign(&lost, &key())
    };
    let saved = bench.outbox.take_over(&aside, key().verifying_key(), state).unwrap();
    assert_eq!((saved.recovered, bench.outbox.depth().unwrap()), (5, 6));
    let shutdown = Shutdown::new();
    let tasks = [bench.ingest(1, &shutdown), bench.publish(&shutdown)];
    bench.drains_to(0).await;
    assert_eq!(bench.rows().await, 8);
    let events: Vec<(String, String)> =
        sqlx::query_as("SELECT kind, words FROM device_events").fetch_all(&bench.pool).await.unwrap();
    assert!(
        matches!(events.as_slice(), [(kind, words)] if kind == "records_lost" && words.starts_with("2 ")),
        "{events:?}"
    );
    shutdown.stop();
    for task in tasks {
        task.await.unwrap();
    }
}

/// A meter that ingest does not know, with more records than are ever on their way.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn records_that_nobody_acknowledges_hold_up_no_other_meters(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let unknown = [domain::ids::MeterId::new("unknown").unwrap()];
    for number in 1..=200 {
        append(&bench.outbox, &agent(), &unknown, number, boundary(number)).unwrap();
    }
    bench.read_boundaries(1..=20).await;
    let shutdown = Shutdown::new();
    let tasks = [bench.ingest(1, &shutdown), bench.publish(&shutdown)];
    bench.drains_to(200).await;
    bench.read_boundaries(21..=21).await;
    let rows = async {
        while bench.rows().await != 21 * i64::from(METERS) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), rows).await.expect("live data comes through");
    bench.drains_to(200).await;
    assert_eq!(bench.outbox.depth().unwrap(), 200, "nothing of the unknown meter is lost");
    shutdown.stop();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Waits until a listener at the broker has heard `count` records.
async fn heard(mqtt: &MqttConfig, count: usize, shutdown: &Shutdown) {
    let mut link = link::open(mqtt.options("listener").unwrap(), 8, 256, 1, shutdown.clone());
    let mut heard = HashSet::new();
    while heard.len() < count {
        match link.events.recv().await.unwrap() {
            LinkEvent::Connected => {
                link.client.try_subscribe("busbar/+/+/+/readings", QoS::AtLeastOnce).unwrap()
            }
            LinkEvent::Message { payload, .. } => drop(heard.insert(payload)),
            _ => {}
        }
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f40_a_broker_that_comes_back_without_a_session_is_sent_everything_again(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let line = Cuttable::before(&bench.mqtt).await;
    let first = std::mem::replace(&mut bench.mqtt, line.config());
    let shutdown = Shutdown::new();
    let publisher = bench.publish(&shutdown);
    bench.read_boundaries(1..=10).await;
    // The first broker has taken every record that fits the window, and nobody has stored one.
    heard(&first, 30, &shutdown).await;
    assert_eq!(bench.outbox.depth().unwrap(), 30);
    for _ in 0..2 {
        line.cut();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // It comes back as one that knows nothing of sessions, nor of what it had acknowledged.
    let fresh = broker();
    line.lead_to(&fresh);
    bench.mqtt = fresh;
    let ingest = bench.ingest(1, &shutdown);
    bench.delivered(10).await;
    shutdown.stop();
    publisher.await.unwrap();
    ingest.await.unwrap();
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_key_is_announced_approved_and_replaced_by_one_that_it_signed(pool: PgPool) {
    let mut ingest = Ingest::new(pool.clone(), Clock::System, Duration::from_secs(10));
    enrol(&pool, 0).await;
    let (new, other) = (SigningKey::from_slice(&[8; 32]).unwrap(), SigningKey::from_slice(&[9; 32]).unwrap());
    let mut say = async |name: &str, key: &SigningKey, old: Option<&SigningKey>| {
        let agent = AgentId::new(name).unwrap();
        let topic = enrolment_topic(&demo(), &agent);
        let payload = announce(&demo(), &agent, key, old).into_bytes();
        let outcome = ingest.tick(&[Message { topic, payload }]).await.unwrap();
        let (_, _, answer) = outcome.answers.into_iter().next().unwrap();
        let is_new = answer.fingerprint == keys::public_key(key).fingerprint;
        (is_new, answer.status)
    };
    let status = |status: &str| status.to_owned();
    assert_eq!(say("agent-9", &new, None).await, (true, status("pending")));
    // A key that no approved key has signed does not replace one.
    assert_eq!(say("agent-1", &new, None).await, (false, status("approved")));
    assert_eq!(say("agent-1", &new, Some(&other)).await, (false, status("approved")));
    assert_eq!(say("agent-1", &new, Some(&key())).await, (true, status("approved")));
    // The answer may be lost: announcing again is the same.
    assert_eq!(say("agent-1", &new, Some(&key())).await, (true, status("approved")));
    // The old key counts no more, and a revoked one stays so.
    assert_eq!(say("agent-1", &key(), None).await, (false, status("approved")));
    store::agents::revoke(&pool, &demo(), &agent()).await.unwrap();
    assert_eq!(say("agent-1", &new, None).await, (true, status("revoked")));
    // Another key waits for the operator, whatever the revoked one has signed.
    assert_eq!(say("agent-1", &other, Some(&new)).await, (true, status("pending")));
}

/// A broker whose access rules deny every publication: MQTT 5, by hand.
async fn denying_broker() -> MqttConfig {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(1..) = stream.read(&mut buffer[..1]).await {
            let (mut length, mut shift) = (0, 0);
            loop {
                let byte = stream.read_u8().await.unwrap();
                length |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let kind = buffer[0] >> 4;
            stream.read_exact(&mut buffer[..length]).await.unwrap();
            let answer = match kind {
                1 => vec![0x20, 3, 0, 0, 0],
                3 => {
                    let at = 2 + usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
                    vec![0x40, 4, buffer[at], buffer[at + 1], 0x87, 0]
                }
                8 => vec![0x90, 4, buffer[0], buffer[1], 0, 1],
                12 => vec![0xd0, 0],
                _ => vec![],
            };
            stream.write_all(&answer).await.unwrap();
        }
    });
    MqttConfig { url: format!("mqtt://127.0.0.1:{port}"), ..MqttConfig::default() }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f43_what_access_rules_deny_is_seen_and_kept(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    bench.mqtt = denying_broker().await;
    bench.read_boundaries(1..=1).await;
    let shutdown = Shutdown::new();
    let mut link = link::open(bench.mqtt.options("agent-1").unwrap(), 8, 8, 1, shutdown.clone());
    assert_eq!(link.events.recv().await, Some(LinkEvent::Connected));
    let record = bench.outbox.pending(meter_agent::outbox::Order::OldestFirst, 1).unwrap().remove(0).record;
    link.client.try_publish("busbar/v1/demo/agent-1/readings", QoS::AtLeastOnce, false, record).unwrap();
    let refused = link.events.recv().await;
    assert_eq!(refused, Some(LinkEvent::Refused { reason: "NotAuthorized".to_owned() }));
    bench.mqtt = denying_broker().await;
    let (_messages, line, reports) = meter_agent::health::reports(&demo(), &agent());
    let publisher = bench.publish_with(2_000, Some(reports), &shutdown);
    let refused = async {
        while line.borrow().refusals < u64::from(METERS) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused)
        .await
        .expect("every record is refused, and counted");
    assert_eq!(bench.outbox.depth().unwrap(), u64::from(METERS));
    shutdown.stop();
    publisher.await.unwrap();
}
