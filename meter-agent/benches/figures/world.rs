//! A database of its own with a community, its agents and meters, and records that they signed.

use std::thread;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AgentId, CommunityId, MeterId};
use domain::reading::{Reading, Register, Registers};
use domain::slot::SlotLength;
use domain::units::{Energy, Power};
use meter_agent::keys;
use meter_agent::ocmf::{self, Record, TimeStatus};
use meter_agent::source::Device;
use p256::ecdsa::SigningKey;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::{agents, communities, meters};

pub(crate) const AGENTS: usize = 200;
pub(crate) const METERS_AN_AGENT: usize = 10;
const DATABASE: &str = "busbar_ingest_bench";
const SLOT_S: u32 = 900;

/// A meter and what it sends, in order.
pub(crate) struct Signed {
    pub(crate) agent: AgentId,
    pub(crate) records: Vec<String>,
}

pub(crate) fn community() -> CommunityId {
    CommunityId::new("bench").unwrap()
}

fn agent_id(number: usize) -> AgentId {
    AgentId::new(&format!("agent-{number:04}")).unwrap()
}

fn meter_id(number: usize) -> MeterId {
    MeterId::new(&format!("meter-{number:05}")).unwrap()
}

fn key(number: usize) -> SigningKey {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&u64::try_from(number + 1).unwrap().to_be_bytes());
    SigningKey::from_slice(&bytes).unwrap()
}

/// The time of the `number`th boundary.
fn boundary(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_100 / 900 * 900, 0).unwrap()
        + TimeDelta::seconds(i64::from(SLOT_S) * number)
}

/// When all boundaries that are used have passed.
pub(crate) fn afterwards() -> DateTime<Utc> {
    boundary(10_000)
}

/// A new database on the server of `url`, in place of an earlier run's.
pub(crate) async fn database(url: &str) -> PgPool {
    let server: PgConnectOptions = url.parse().unwrap();
    let admin = PgPoolOptions::new().connect_with(server.clone()).await.unwrap();
    for statement in
        [format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"), format!("CREATE DATABASE {DATABASE}")]
    {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&admin).await.unwrap();
    }
    let pool =
        PgPoolOptions::new().max_connections(10).connect_with(server.database(DATABASE)).await.unwrap();
    store::MIGRATOR.run(&pool).await.unwrap();
    enrol(&pool).await;
    pool
}

pub(crate) async fn drop_database(url: &str, pool: PgPool) {
    pool.close().await;
    let admin = PgPoolOptions::new().connect_with(url.parse().unwrap()).await.unwrap();
    let statement = format!("DROP DATABASE {DATABASE} WITH (FORCE)");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&admin).await.unwrap();
}

async fn enrol(pool: &PgPool) {
    let community = community();
    let new = communities::Community {
        community_id: community.clone(),
        name: "Bench".to_owned(),
        currency: "EUR".to_owned(),
        slot_length: SlotLength::from_seconds(SLOT_S).unwrap(),
        market_opens_at: boundary(0),
        open_lead: TimeDelta::days(1),
        gate_closure_lead: TimeDelta::zero(),
        metering_deadline: TimeDelta::days(1),
        max_order: Energy::from_wh(100_000),
        contract: None,
    };
    communities::insert(pool, &new).await.unwrap();
    let member_id = domain::ids::MemberId::new("member").unwrap();
    let member = store::members::Member {
        member_id: member_id.clone(),
        display_name: "Member".to_owned(),
        pseudonym: "P".to_owned(),
        preset: "hands-off".to_owned(),
    };
    store::members::insert(pool, &community, &member).await.unwrap();
    for agent in 0..AGENTS {
        let public = keys::public_key(&key(agent));
        let id = agent_id(agent);
        agents::upsert_pending(pool, &community, &id, &public.sec1, &public.fingerprint).await.unwrap();
        assert!(agents::approve(pool, &community, &id, &public.fingerprint).await.unwrap());
        for meter in agent * METERS_AN_AGENT..(agent + 1) * METERS_AN_AGENT {
            let site_id = domain::ids::SiteId::new(&format!("site-{meter:05}")).unwrap();
            let site = store::members::Site {
                site_id: site_id.clone(),
                member_id: member_id.clone(),
                pv_peak: Power::ZERO,
                battery_capacity: Energy::ZERO,
                battery_power: Power::ZERO,
            };
            store::members::insert_site(pool, &community, &site).await.unwrap();
            let meter = meters::Meter {
                meter_id: meter_id(meter),
                site_id,
                agent_id: id.clone(),
                template_id: "eastron_sdm630".to_owned(),
            };
            meters::insert(pool, &community, &meter).await.unwrap();
        }
    }
}

/// `rounds` records of every meter, signed on all cores.
pub(crate) fn sign_all(rounds: i64) -> Vec<Signed> {
    let sign = |agent: usize| {
        let key = key(agent);
        (agent * METERS_AN_AGENT..(agent + 1) * METERS_AN_AGENT)
            .map(|meter| Signed { agent: agent_id(agent), records: chain(agent, meter, rounds, &key) })
            .collect::<Vec<_>>()
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let agents: Vec<usize> = (0..AGENTS).collect();
    thread::scope(|scope| {
        let parts = agents.chunks(AGENTS.div_ceil(threads));
        let running: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().flat_map(|agent| sign(*agent)).collect::<Vec<_>>()))
            .collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn chain(agent: usize, meter: usize, rounds: i64, key: &SigningKey) -> Vec<String> {
    let mut previous = [0; 32];
    (1..=rounds)
        .map(|number| {
            let text = ocmf::sign(&record(agent, meter, number, previous), key);
            previous = ocmf::sha256(&text);
            text
        })
        .collect()
}

fn record(agent: usize, meter: usize, number: i64, previous: [u8; 32]) -> Record {
    let register = |mwh| Register::from_mwh(mwh).unwrap();
    Record {
        community_id: community(),
        agent_id: agent_id(agent),
        reading: Reading {
            meter_id: meter_id(meter),
            epoch: 1,
            seq: number,
            slot_end: boundary(number),
            read_at: boundary(number) + TimeDelta::milliseconds(120),
            registers: Registers {
                import: register(24_547_765_625 + number * 1_954),
                export: register(10_250_000 + number * 31),
                production: None,
            },
            power: Some(Power::from_w(-1_235)),
        },
        previous,
        boot_id: "5f0c6a52c0ffee00".to_owned(),
        time_status: TimeStatus::Synchronised,
        template: "eastron_sdm630@1".to_owned(),
        device: Device {
            vendor: "Eastron".to_owned(),
            model: "SDM630".to_owned(),
            serial: Some("12345678".to_owned()),
        },
        quality: Vec::new(),
        resolution_mwh: Some(1_954),
        raw: [("import_energy", "46BFC788".to_owned()), ("export_energy", "41240000".to_owned())].into(),
    }
}
