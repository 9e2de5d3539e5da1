//! An agent that is killed at its worst moments: a real process, its real outbox, a real broker, ingest and
//! database. What lies between is held back, so that each moment is exactly that one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/append.rs"]
mod append;
#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/community.rs"]
mod community;
#[path = "common/held_line.rs"]
mod held_line;
#[path = "common/process.rs"]
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::broker;
use common::{Answer, Request, device};
use community::{add_meter, demo, enrol, key, meter};
use domain::ids::AgentId;
use domain::time::Clock;
use futures_util::future::join_all;
use held_line::{Held, HeldLine};
use meter_agent::MqttConfig;
use meter_agent::ingest::{self, IngestConfig, IngestDeps};
use meter_agent::keys;
use process::{Installed, committed, kill, stop};
use service::lifecycle::Shutdown;
use sqlx::PgPool;
use store::agents;
use tokio::sync::Notify;

/// Records that wait in each outbox when its agent starts for the first time.
const BACKLOG: i64 = 60;
/// How often agents are killed at each point; `BUSBAR_KILLS` sets another number.
const KILLS: usize = 2;
/// Agents that are tormented side by side, since each boundary takes its time.
const AGENTS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(60);

#[allow(clippy::disallowed_methods)] // a longer run is asked for from outside
fn kills() -> usize {
    std::env::var("BUSBAR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// A meter whose energy is read first and whose power is read afterwards, and can be waited for.
struct Meter {
    endpoint: String,
    /// The energy was told.
    sampled: Arc<Notify>,
    /// Whether the rest is kept back.
    mute: Arc<AtomicBool>,
}

/// Where an ABB B23 has its energies, and where its powers.
const ENERGIES: u16 = 20_480;
const POWERS: u16 = 23_296;

impl Meter {
    async fn new() -> Self {
        let sampled = Arc::new(Notify::new());
        let mute = Arc::new(AtomicBool::new(false));
        let (told, silent) = (sampled.clone(), mute.clone());
        let started = Clock::System.now();
        let answer = move |request: Request| {
            let mut words = vec![0_u16; usize::from(request.count)];
            match request.address {
                ENERGIES => {
                    told.notify_one();
                    // Hundredths of a kWh: a little more than the backlog's, and rising with the clock.
                    let seconds = (Clock::System.now() - started).num_seconds();
                    words[3] = u16::try_from(100 + seconds).unwrap();
                    words[7] = 100;
                }
                POWERS if silent.load(Ordering::SeqCst) => return Answer::Silence,
                POWERS => words[1] = 2_305,
                // Of the rest it has nothing.
                _ => return request.exception(2),
            }
            request.words(&words)
        };
        let endpoint = device(answer).await.to_string();
        Self { endpoint, sampled, mute }
    }
}

/// One agent with its meter and its line to the broker.
struct Victim {
    installed: Installed,
    meter: Meter,
    line: HeldLine,
}

impl Victim {
    async fn new(pool: &PgPool, number: usize, mqtt: &MqttConfig) -> Self {
        let agent = AgentId::new(&format!("victim-{number}")).unwrap();
        let public = keys::public_key(&key());
        agents::upsert_pending(pool, &demo(), &agent, &public.sec1, &public.fingerprint).await.unwrap();
        assert!(agents::approve(pool, &demo(), &agent, &public.fingerprint).await.unwrap());
        add_meter(pool, number, &agent).await;
        let (line, device) = (HeldLine::before(mqtt).await, Meter::new().await);
        let place = ("abb_b23", device.endpoint.as_str());
        let installed = Installed::new(agent, vec![meter(number)], place, &line.config(), BACKLOG);
        Self { installed, meter: device, line }
    }

    /// Number of the last record, and how many wait.
    fn stands(&self) -> (i64, u64) {
        let outbox = self.installed.outbox();
        (outbox.meter(&self.installed.meters[0]).unwrap().unwrap().seq, outbox.depth().unwrap())
    }

    /// Starts the agent, waits until `moment` has come, and kills it there and then.
    async fn die(&self, moment: impl Future<Output = ()>) {
        let process = self.installed.start();
        let came = tokio::time::timeout(PATIENCE, moment).await;
        kill(process);
        came.expect("the moment comes");
    }

    async fn between_sample_and_commit(&self) {
        let before = self.stands();
        self.line.hold(Held::Everything);
        self.meter.mute.store(true, Ordering::SeqCst);
        forget(&self.meter.sampled).await;
        self.die(self.meter.sampled.notified()).await;
        self.meter.mute.store(false, Ordering::SeqCst);
        assert_eq!(self.stands(), before, "sampled, and not committed");
    }

    async fn between_commit_and_publish(&self) {
        let before = self.stands();
        self.line.hold(Held::Everything);
        self.die(committed(&self.installed)).await;
        let stored = self.stands();
        assert!(stored.0 > before.0, "committed");
        self.nothing_left(before, stored);
    }

    /// Every record that was added meanwhile waits with those of before: on a slow machine a second boundary may have
    /// come.
    fn nothing_left(&self, before: (i64, u64), now: (i64, u64)) {
        let added = u64::try_from(now.0 - before.0).unwrap();
        assert_eq!(now.1, before.1 + added, "{}: nothing is forgotten", self.installed.agent);
    }

    async fn between_publish_and_puback(&self) {
        self.dies_with_held(Held::Pubacks).await;
    }

    async fn between_puback_and_acknowledgement(&self) {
        self.dies_with_held(Held::Acknowledgements).await;
    }

    async fn dies_with_held(&self, held: Held) {
        let before = self.stands();
        self.line.hold(held);
        forget(&self.line.reached).await;
        self.die(self.line.reached.notified()).await;
        self.nothing_left(before, self.stands());
    }

    async fn after_an_acknowledgement(&self) {
        self.line.hold(Held::Nothing);
        forget(&self.line.reached).await;
        self.die(self.line.reached.notified()).await;
    }

    async fn suffers(&self, times: usize) {
        for _ in 0..times {
            self.between_publish_and_puback().await;
            self.between_puback_and_acknowledgement().await;
            self.between_sample_and_commit().await;
            self.between_commit_and_publish().await;
            self.after_an_acknowledgement().await;
        }
    }

    /// Runs until every record is a row. Those of boundaries that come meanwhile are waited for as well.
    async fn recovers(&self, pool: &PgPool) {
        self.line.hold(Held::Nothing);
        loop {
            let process = self.installed.start();
            let (mut seen, mut still) = (-1, 0);
            while still < 10 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let now = rows(pool, &self.installed).await.0;
                still = if now == seen { still + 1 } else { 0 };
                seen = now;
            }
            stop(process);
            if self.stands().1 == 0 {
                return;
            }
        }
    }
}

/// Takes back what was told before.
async fn forget(notify: &Notify) {
    let _ = tokio::time::timeout(Duration::ZERO, notify.notified()).await;
}

/// Rows of an agent's meter, different places among them, and the last number.
async fn rows(pool: &PgPool, installed: &Installed) -> (i64, i64, i64) {
    sqlx::query_as(
        "SELECT count(*), count(DISTINCT (epoch, seq)), COALESCE(max(seq), 0) FROM readings WHERE meter_id = $1",
    )
    .bind(installed.meters[0].as_str())
    .fetch_one(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn f41_an_agent_that_is_killed_at_any_point_leaves_exactly_one_row_a_record(pool: PgPool) {
    enrol(&pool, 0).await;
    let mqtt = broker();
    let shutdown = Shutdown::new();
    let deps = IngestDeps { pool: pool.clone(), clock: Clock::System, seed: 1 };
    let ingest = tokio::spawn(ingest::run(IngestConfig::default(), mqtt.clone(), deps, shutdown.clone()));
    let agents = if kills() > KILLS { 2 * AGENTS } else { AGENTS };
    let victims = join_all((1..=agents).map(|number| Victim::new(&pool, number, &mqtt))).await;
    join_all(victims.iter().map(|victim| victim.suffers(kills().div_ceil(agents)))).await;
    join_all(victims.iter().map(|victim| victim.recovers(&pool))).await;
    for victim in &victims {
        let (last, _) = victim.stands();
        assert!(last > BACKLOG, "{last} records: boundaries were read");
        assert_eq!(rows(&pool, &victim.installed).await, (last, last, last), "{}", victim.installed.agent);
    }
    let refused: i64 =
        sqlx::query_scalar("SELECT count(*) FROM quarantined_records").fetch_one(&pool).await.unwrap();
    assert_eq!(refused, 0);
    shutdown.stop();
    ingest.await.unwrap().unwrap();
}
