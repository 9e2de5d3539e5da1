//! Every service in this process, each started as its own program would start it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::ids::CommunityId;
use domain::time::Clock;
use rand::Rng;
use service::config::ConfigFile;
use service::lifecycle::Shutdown;
use store::communities::Community;
use store::{PgPool, members, meters};
use tokio::task::JoinSet;
use url::Url;
use web::{Mode, StackInfo};

use crate::agents;
use crate::broker::Broker;
use crate::cli::{DemoArgs, first_opening};
use crate::community;
use crate::dataset::DataSet;
use crate::energy_manager::{self, EnergyManager};
use crate::enrol::{Enrolment, enrolments};
use crate::fleet::bank::MeterBank;
use crate::fleet::profile_clock::ProfileClock;
use crate::fleet::{self, DeviceKind, FleetHandle};
use crate::money::{self, Chain};
use crate::parts::Parts;
use crate::ports::ReservedPort;
use crate::reconciling::Comparisons;
use crate::state::State;
use crate::website;

/// Connections for all services together, leadership and listening included.
const DATABASE_CONNECTIONS: u32 = 32;

type Task = (&'static str, anyhow::Result<()>);

/// A running community.
pub struct Stack {
    /// Its id.
    pub community_id: CommunityId,
    /// The database.
    pub pool: PgPool,
    /// Its chain side.
    pub chain: Chain,
    /// Where the dashboard is.
    pub dashboard_addr: SocketAddr,
    /// What runs where, for people.
    pub notes: Vec<String>,
    /// How the chain compared with the ledger after each batch.
    pub comparisons: Comparisons,
    parts: Parts,
    fleet: FleetHandle,
    /// Stops agents and market, so that no new slot is metered.
    trading: Shutdown,
    /// Stops the rest.
    settling: Shutdown,
    services: JoinSet<Task>,
}

impl Stack {
    /// Starts everything, from the database to the dashboard. `broker` is that of an earlier stack of this process.
    ///
    /// # Errors
    /// The first thing that does not start, in a line that says what to do.
    pub async fn start(
        args: &DemoArgs,
        mut config: ConfigFile,
        data: DataSet,
        state: &State,
        broker: Option<Broker>,
    ) -> anyhow::Result<Self> {
        let dashboard_port = ReservedPort::new(Some(args.port))?;
        let dashboard_origin = format!("http://{}", dashboard_port.address());
        let mut parts = Parts::start(args, state.dir(), &dashboard_origin, broker).await?;
        connect_to(&mut config, args, &parts)?;
        let pool = store::connect(&parts.database_url, None, DATABASE_CONNECTIONS, "busbar-demo").await?;
        store::migrate(&pool).await?;
        let clock = Clock::System;
        let community = community::find_or_insert(&pool, &config, &data, args, clock.now()).await?;
        let enrolments = enrol(&pool, &community.community_id, args, &data, state).await?;
        let chain = Chain::connect(&config, &parts, &pool, &community.community_id, state.dir()).await?;
        let contract = chain.deploy().await?;
        chain.endow().await?;
        let mut notes = std::mem::take(&mut parts.notes);
        notes.push(format!("credits: contract {} on chain {}", contract.credit_address, contract.chain_id));

        let (community, profile_seconds) = (open(&pool, community, args, &clock).await?, data.slot_seconds);
        let (fleet, bank) = simulate(data, &community, &parts, &clock, state).await?;
        let (id, now) = (&community.community_id, clock.now());
        let households =
            energy_manager::switch_on(&pool, id, &enrolments, (&bank, &args.meters), now).await?;
        let (trading, settling) = (Shutdown::new(), Shutdown::new());
        let mut services = JoinSet::new();
        let (devices, device_mqtt) = (fleet.devices(), &parts.device_mqtt_url);
        let agents =
            agents::assemble(state.dir(), &community, &enrolments, devices, &args.meters, device_mqtt)?;
        notes.push(readers(fleet.devices().len(), agents.len()));
        start_edge(&mut services, &config, agents, &pool, &clock, (&trading, &settling))?;
        start_core(&mut services, &config, &chain, &pool, &clock, (&trading, &settling))?;
        if let Some(taken) = dashboard_port.taken() {
            notes.push(format!("port {taken} is taken, so the dashboard has another one"));
        }
        // Our own node lets the dashboard's pages ask it; of another we cannot know.
        let public_rpc_url = parts.owns_chain().then(|| parts.chain_rpc_url.clone());
        let about = StackInfo {
            mode: Mode::Demonstration,
            notes: notes.clone(),
            started_at: clock.now(),
            profile_seconds_per_slot: Some(profile_seconds),
        };
        let (port, rpc, dir) = (dashboard_port, public_rpc_url, state.dir());
        let bound = website::bind(port, rpc, &config, &pool, dir, about, &settling)?;
        let dashboard_addr = bound.addr();
        services.spawn(async move { ("web", bound.serve().await) });
        let (api, id) = (Url::parse(&dashboard_origin)?, community.community_id.clone());
        start_managers(&mut services, EnergyManager::new(api, id, households, bank, clock)?, &trading);
        let comparisons = Comparisons::default();
        let follow = comparisons.clone().follow(chain.context(), settling.clone());
        services.spawn(async move { ("the comparison with the chain", follow.await) });
        Ok(Self {
            community_id: community.community_id,
            pool,
            chain,
            dashboard_addr,
            notes,
            comparisons,
            parts,
            fleet,
            trading,
            settling,
            services,
        })
    }

    /// Waits until a service or a server ends, which none does by itself while all is well.
    pub async fn failed(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            ended = self.services.join_next() => ended,
            server = self.parts.ended() => return anyhow::anyhow!(server),
        };
        match ended {
            Some(Ok((name, Err(error)))) => error.context(format!("{name} ended")),
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended without being asked to"),
            Some(Err(error)) => anyhow::anyhow!("a service was torn down: {error}"),
            None => anyhow::anyhow!("no service runs"),
        }
    }

    /// The server that was started here and is gone, if one is: the reason of whatever failed just now.
    pub async fn lost_server(&mut self) -> Option<String> {
        /// What fails first is often whoever lost its connection.
        const PATIENCE: Duration = Duration::from_secs(1);
        tokio::time::timeout(PATIENCE, self.parts.ended()).await.ok()
    }

    /// The broker in this process, for the stack that takes over from this one.
    #[must_use]
    pub fn broker(&self) -> Option<Broker> {
        self.parts.broker()
    }

    /// Stops agents and market: from here on nothing new is metered or traded, and what was is settled.
    pub fn stop_trading(&self) {
        self.trading.stop();
    }

    /// Stops everything in order, the children last.
    ///
    /// # Errors
    /// When a child does not stop.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        const SOFT_STOP: Duration = Duration::from_secs(20);
        self.trading.stop();
        self.settling.stop();
        let all = async { while self.services.join_next().await.is_some() {} };
        if tokio::time::timeout(SOFT_STOP, all).await.is_err() {
            tracing::warn!("a service did not stop in time; its state is in the database");
            self.services.abort_all();
        }
        self.fleet.stop().await;
        // A connection that is still held must not keep the server from stopping.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.pool.close()).await;
        self.parts.stop().await
    }
}

/// Points the shared configuration at the parts that were started.
fn connect_to(config: &mut ConfigFile, args: &DemoArgs, parts: &Parts) -> anyhow::Result<()> {
    config.set("mqtt", "url", parts.mqtt_url.clone())?;
    config.set("chain", "rpc_url", parts.chain_rpc_url.clone())?;
    config.set("chain", "chain_id", i64::try_from(args.chain_id)?)?;
    config.set("chain", "confirmations", 1)?;
    config.set("settlement", "poll_interval_ms", 500)?;
    config.set("settlement", "chain_poll_interval_ms", 100)?;
    Ok(())
}

/// Enrols members, sites, accounts, agents and meters; what is enrolled already stays.
async fn enrol(
    pool: &PgPool,
    community: &CommunityId,
    args: &DemoArgs,
    data: &DataSet,
    state: &State,
) -> anyhow::Result<Vec<Enrolment>> {
    let kinds = DeviceKind::of_sites(&data.sites);
    let template = |index: usize| {
        let real = args.meters.iter().find(|meter| meter.site_id == data.sites[index].id);
        real.map_or_else(|| kinds[index].template_id().to_owned(), |meter| meter.template.clone())
    };
    let all = enrolments(data, usize::from(args.sites_per_agent), &template)?;
    agents::enrol(pool, community, state.dir(), &all).await?;
    let mut tx = pool.begin().await?;
    for Enrolment { member, site, meter } in &all {
        members::insert(&mut *tx, community, member).await?;
        members::insert_site(&mut *tx, community, site).await?;
        meters::insert(&mut *tx, community, meter).await?;
    }
    tx.commit().await?;
    money::enrol_accounts(pool, community, state.dir(), &all).await?;
    Ok(all)
}

/// A new community's first slot starts once everything else is in place.
async fn open(
    pool: &PgPool,
    mut community: Community,
    args: &DemoArgs,
    clock: &Clock,
) -> anyhow::Result<Community> {
    let opens_at = first_opening(clock.now(), args.slot);
    if store::communities::postpone_opening(pool, &community.community_id, opens_at).await? {
        community.market_opens_at = opens_at;
    }
    Ok(community)
}

async fn simulate(
    data: DataSet,
    community: &Community,
    parts: &Parts,
    clock: &Clock,
    state: &State,
) -> anyhow::Result<(FleetHandle, Arc<MeterBank>)> {
    let slot = Duration::from_secs(u64::from(community.slot_length.seconds()));
    let profile = ProfileClock::new(community.market_opens_at, slot, data.slot_seconds, data.rows.len())?;
    let bank = MeterBank::new(Arc::new(data), profile).with_batteries(&state.dir().join("batteries"))?;
    let bank = Arc::new(bank);
    let mqtt = Url::parse(&parts.device_mqtt_url).context("MQTT_URL is not mqtt://HOST:PORT")?;
    let fleet = fleet::start(Arc::clone(&bank), &mqtt, clock.clone(), &Shutdown::new().token()).await?;
    Ok((fleet, bank))
}

fn readers(sites: usize, agents: usize) -> String {
    let noun = if agents == 1 { "agent" } else { "agents" };
    format!("{sites} sites, read by {agents} meter {noun}")
}

/// What makes the batteries follow their plans, as long as there is trade.
fn start_managers(services: &mut JoinSet<Task>, manager: EnergyManager, trading: &Shutdown) {
    let stop = trading.clone();
    services.spawn(async move {
        manager.run(stop).await;
        ("the batteries' energy managers", Ok(()))
    });
}

/// Agents, and ingest that stores what they deliver.
fn start_edge(
    services: &mut JoinSet<Task>,
    config: &ConfigFile,
    agents: Vec<agents::Agent>,
    pool: &PgPool,
    clock: &Clock,
    (trading, settling): (&Shutdown, &Shutdown),
) -> anyhow::Result<()> {
    let mqtt: meter_agent::MqttConfig = config.section("mqtt")?;
    let ingest = config.section("ingest")?;
    let deps = meter_agent::ingest::IngestDeps {
        pool: pool.clone(),
        clock: clock.clone(),
        seed: rand::rng().next_u64(),
    };
    let (broker, stop) = (mqtt.clone(), settling.clone());
    services.spawn(async move { ("ingest", meter_agent::ingest::run(ingest, broker, deps, stop).await) });
    for agent in agents {
        let (broker, stop) = (mqtt.clone(), trading.clone());
        services.spawn(async move {
            ("a meter agent", meter_agent::run(agent.config, broker, agent.deps, stop).await)
        });
    }
    Ok(())
}

/// Market and settlement, for this community alone.
fn start_core(
    services: &mut JoinSet<Task>,
    config: &ConfigFile,
    chain: &Chain,
    pool: &PgPool,
    clock: &Clock,
    (trading, settling): (&Shutdown, &Shutdown),
) -> anyhow::Result<()> {
    let market = config.section("market")?;
    let deps = market::Deps { pool: pool.clone(), clock: clock.clone() };
    let stop = trading.clone();
    services.spawn(async move { ("the market", market::run(market, deps, stop).await) });

    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let deps = settlement::Deps { pool: pool.clone(), clock: clock.clone(), chain: chain.evm.clone(), seed };
    let (section, chain_section) = (chain.settlement_config.clone(), chain.chain_config.clone());
    let stop = settling.clone();
    services.spawn(async move { ("settlement", settlement::run(section, &chain_section, deps, stop).await) });
    Ok(())
}
