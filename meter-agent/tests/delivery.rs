//! From a Modbus register to a row: a real poller, outbox, publisher, broker, ingest and database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/community.rs"]
mod community;

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use common::{device, sdm630};
use community::{agent, boundary, demo, enrol, key, meter};
use domain::slot::SlotLength;
use domain::time::{Clock, ManualClock};
use meter_agent::MqttConfig;
use meter_agent::ingest::{self, IngestConfig, IngestDeps};
use meter_agent::link::{self, LinkEvent};
use meter_agent::modbus::{Bus, BusTiming, ModbusMeter};
use meter_agent::ocmf::TimeStatus;
use meter_agent::outbox::Outbox;
use meter_agent::poll::{Group, PollTiming, PolledDevice, Poller, Signer};
use meter_agent::publish::{Publisher, WindowLimits};
use meter_agent::template::{Library, Quirks};
use rumqttc::v5::mqttbytes::QoS;
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use service::lifecycle::Shutdown;
use sqlx::PgPool;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

const METERS: u8 = 3;

/// A broker on a free port; its threads end with the process.
fn broker() -> MqttConfig {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 65_536,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server =
        ServerSettings { name: "v5".to_owned(), listen, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: 20,
        max_outgoing_packet_count: 200,
        max_segment_size: 1 << 20,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let config = Config { router, v5: Some(HashMap::from([("v5".to_owned(), server)])), ..Config::default() };
    std::thread::spawn(move || drop(Broker::new(config).start()));
    while TcpStream::connect(listen).is_err() {
        std::thread::yield_now();
    }
    MqttConfig { url: format!("mqtt://127.0.0.1:{port}"), ..MqttConfig::default() }
}

struct Bench {
    poller: Poller,
    outbox: Arc<Outbox>,
    stored: Arc<Notify>,
    clock: ManualClock,
    mqtt: MqttConfig,
    pool: PgPool,
    _folder: tempfile::TempDir,
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
        Self { poller, outbox, stored, clock, mqtt: broker(), pool, _folder: folder }
    }

    async fn read_boundaries(&mut self, numbers: std::ops::RangeInclusive<i64>) {
        for number in numbers {
            self.clock.set(boundary(number));
            assert_eq!(self.poller.tick(boundary(number)).await.stored, usize::from(METERS));
        }
    }

    fn publish(&self, shutdown: &Shutdown) -> JoinHandle<()> {
        let limits = WindowLimits { oldest: 8, newest: 4, resend_after: Duration::from_millis(300) };
        let mut publisher =
            Publisher::new(self.outbox.clone(), &demo(), &agent(), limits, self.stored.clone());
        let (options, shutdown) = (self.mqtt.options("agent-1").unwrap(), shutdown.clone());
        tokio::spawn(async move { publisher.run(options, 1, &shutdown).await })
    }

    fn ingest(&self, seed: u64, shutdown: &Shutdown) -> JoinHandle<()> {
        let deps = IngestDeps { pool: self.pool.clone(), clock: Clock::Manual(self.clock.clone()), seed };
        let run = ingest::run(IngestConfig::default(), self.mqtt.clone(), deps, shutdown.clone());
        tokio::spawn(async move { run.await.unwrap() })
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
