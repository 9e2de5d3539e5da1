//! The market's process: reads the configuration, opens the database and runs the library.

mod commands;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use commands::clear::{ClearArgs, clear_file};
use commands::what_if::WhatIfArgs;
use commands::{ReplayArgs, SimulateArgs, print, simulate_folder};
use domain::ids::{AgentId, CommunityId};
use domain::slot::{Slot, SlotLength};
use domain::time::Clock;
use market::enrolment::CommunityConfig;
use market::words::counted;
use market::{Deps, MarketConfig, roster};
use service::cli::{CommonArgs, finish, one_line};
use service::database::DatabaseConfig;
use service::health;
use service::lifecycle::{self, Shutdown};
use service::telemetry::{self, TelemetryConfig};

/// A heartbeat is written every two seconds; this one is overdue.
const HEARTBEAT_MAX_AGE: Duration = Duration::from_secs(30);

/// The market of a Busbar community: slots, matching, closing auction and autopilot.
#[derive(Parser)]
#[command(name = "market", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the market until stopped (the default).
    Run,
    /// Say whether the configuration can be used, and end.
    CheckConfig,
    /// Say whether the process that writes this heartbeat lives; status 0 if so.
    Healthcheck {
        /// The file that `[market] heartbeat_file` names.
        heartbeat_file: PathBuf,
    },
    /// Clear one slot's orders from a file, without a database.
    Clear(ClearArgs),
    /// Play a community's profiles, without a database, and say what the market is worth.
    Simulate(SimulateArgs),
    /// Say what a setting of a site's autopilot would have saved, from what is stored.
    WhatIf(WhatIfArgs),
    /// Enrol the community of `[community]`, and the members, sites and meters of a roster.
    Enrol {
        /// A CSV file; docs/operating.md describes its columns.
        #[arg(long)]
        roster: PathBuf,
    },
    /// Approve a meter agent's signing key after comparing its fingerprint.
    ApproveAgent {
        /// The agent's id.
        #[arg(long)]
        agent_id: String,
        /// What `meter-agent enrol` printed at the agent.
        #[arg(long)]
        fingerprint: String,
    },
    /// Revoke a meter agent's signing key: what it signs from now on is kept out, with the reason.
    RevokeAgent {
        /// The agent's id.
        #[arg(long)]
        agent_id: String,
    },
    /// Replay a slot's accepted commands and check that they lead to the stored trades.
    Replay(ReplayArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let command =
        if args.common.check_config { Command::CheckConfig } else { args.command.unwrap_or(Command::Run) };
    match command {
        // Orchestrators read status 1 as "not healthy" and reserve 2.
        Command::Healthcheck { heartbeat_file } => match health::check(&heartbeat_file, HEARTBEAT_MAX_AGE) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("unhealthy: {}", one_line(&error));
                ExitCode::FAILURE
            }
        },
        Command::CheckConfig => {
            finish(load(&args.common).and_then(|_| print("the configuration can be used\n")))
        }
        Command::Clear(args) => finish(clear_file(&args)),
        Command::Simulate(args) => finish(simulate_folder(&args)),
        Command::WhatIf(asked) => finish(load(&args.common).and_then(|config| block_on(ask(config, asked)))),
        Command::Replay(replay) => {
            finish(load(&args.common).and_then(|config| block_on(replay_slot(config, replay))))
        }
        Command::Enrol { roster } => {
            finish(operator(&args.common).and_then(|config| block_on(enrol(config, roster))))
        }
        Command::ApproveAgent { agent_id, fingerprint } => {
            finish(operator(&args.common).and_then(|config| block_on(approve(config, agent_id, fingerprint))))
        }
        Command::RevokeAgent { agent_id } => {
            finish(operator(&args.common).and_then(|config| block_on(revoke(config, agent_id))))
        }
        Command::Run => finish(load(&args.common).and_then(|config| block_on(run(config)))),
    }
}

/// The sections that this process reads.
struct Loaded {
    market: MarketConfig,
    database: DatabaseConfig,
    telemetry: TelemetryConfig,
}

fn load(common: &CommonArgs) -> anyhow::Result<Loaded> {
    let file = common.load()?;
    let market: MarketConfig = file.section("market")?;
    market.check()?;
    Ok(Loaded { market, database: file.section("database")?, telemetry: file.section("telemetry")? })
}

/// What the operator's commands read: the community's own section.
fn operator(common: &CommonArgs) -> anyhow::Result<(CommunityConfig, DatabaseConfig)> {
    let file = common.load()?;
    Ok((file.section("community")?, file.section("database")?))
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(work)
}

async fn run(config: Loaded) -> anyhow::Result<()> {
    telemetry::init(&config.telemetry)?;
    lifecycle::end_on_panic();
    let shutdown = Shutdown::new();
    lifecycle::stop_on_signal(shutdown.clone())?;
    let pool = connect(&config.database, "busbar-market").await?;
    market::run(config.market, Deps { pool, clock: Clock::System }, shutdown).await
}

async fn replay_slot(config: Loaded, args: ReplayArgs) -> anyhow::Result<()> {
    commands::replay(args, &connect(&config.database, "busbar-replay").await?).await
}

async fn ask(config: Loaded, args: WhatIfArgs) -> anyhow::Result<()> {
    let pool = connect(&config.database, "busbar-what-if").await?;
    commands::what_if::run(args, &pool, config.market.forecast_share_percent, Clock::System.now()).await
}

async fn connect(database: &DatabaseConfig, name: &str) -> anyhow::Result<store::PgPool> {
    let password = database.password()?;
    let password = password.as_ref().map(service::secret::Secret::expose);
    Ok(store::connect(&database.url, password, database.max_connections, name).await?)
}

/// Makes the community at the first call, opening with the next slot; adds what the roster has new.
async fn enrol(
    (community, database): (CommunityConfig, DatabaseConfig),
    path: PathBuf,
) -> anyhow::Result<()> {
    let entries = roster::read(&path)?;
    let now = Clock::System.now();
    let opens_at = Slot::at_or_after(now, SlotLength::from_seconds(community.slot_length_s)?).start();
    let (community, tariff) = community.community(opens_at)?;
    let id = &community.community_id;
    let pool = connect(&database, "busbar-enrol").await?;
    let mut tx = pool.begin().await?;
    if store::communities::insert(&mut *tx, &community).await? {
        store::communities::insert_tariff(&mut *tx, id, opens_at, &tariff).await?;
    }
    let enrolled = roster::enrol(&mut tx, id, &entries).await?;
    tx.commit().await?;
    let (new, unchanged) = (counted(enrolled.new, "line"), enrolled.unchanged);
    print(&format!("{id}: enrolled {new} of the roster; {unchanged} enrolled before, as they are\n"))
}

async fn approve(
    (community, database): (CommunityConfig, DatabaseConfig),
    agent_id: String,
    fingerprint: String,
) -> anyhow::Result<()> {
    let (community, agent) = (CommunityId::new(&community.community_id)?, AgentId::new(&agent_id)?);
    let pool = connect(&database, "busbar-approve").await?;
    let approved = store::agents::approve(&pool, &community, &agent, &fingerprint).await?;
    anyhow::ensure!(
        approved,
        "{agent} of {community} has not announced a key with this fingerprint, or was revoked; run \
         `meter-agent enrol` at the agent and compare again"
    );
    print(&format!("{agent} is approved\n"))
}

async fn revoke(
    (community, database): (CommunityConfig, DatabaseConfig),
    agent_id: String,
) -> anyhow::Result<()> {
    let (community, agent) = (CommunityId::new(&community.community_id)?, AgentId::new(&agent_id)?);
    let pool = connect(&database, "busbar-revoke").await?;
    let known = store::agents::revoke(&pool, &community, &agent).await?;
    anyhow::ensure!(known, "{community} has no agent {agent}; look for its id in the roster");
    print(&format!(
        "{agent} is revoked. To let it in again, remove its signing key where it runs, announce a new one with \
         `meter-agent enrol`, and approve that\n"
    ))
}
