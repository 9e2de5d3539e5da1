//! The settlement service's process: reads the configuration, opens the database and the chain, and
//! runs the library.

mod commands;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use domain::time::Clock;
use rand::Rng;
use service::cli::{CommonArgs, finish};
use service::database::DatabaseConfig;
use service::lifecycle::{self, Shutdown};
use service::secret::Secret;
use service::telemetry::{self, TelemetryConfig};
use settlement::chain::Chain;
use settlement::chain::evm::EvmChain;
use settlement::config::{ChainConfig, SettlementConfig, send_policy};
use settlement::context::{Context, Settling};
use settlement::deploy::deploy;
use settlement::reconcile::reconcile_until_still;
use settlement::{Deps, run};
use store::PgPool;

/// Prices slots, nets them and settles them on an EVM chain.
#[derive(Parser)]
#[command(name = "settlement", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Settle until stopped (the default).
    Run,
    /// Turn currency of the settlement account into credits of an account.
    Deposit(commands::deposit::DepositArgs),
    /// Say whether the configuration can be used, and end.
    CheckConfig,
    /// Deploy the contracts of every community that has none, and end.
    Deploy {
        /// Fund the settlement account first, which only a development chain such as anvil does.
        #[arg(long)]
        development_chain: bool,
    },
    /// Compare the ledger with the chain, account by account; status 1 if they differ.
    Reconcile,
    /// Check a receipt with nothing but its file and a node: status 0 if it is valid, 1 if not.
    Verify(commands::verify::VerifyArgs),
    /// Show the addresses that the configured keystores stand for.
    #[command(subcommand)]
    Account(commands::account::AccountCommand),
    /// Make an encrypted keystore.
    #[command(subcommand)]
    Keystore(commands::keystore::KeystoreCommand),
    /// Say whether the service whose heartbeat file this is lives; status 0 if so.
    Healthcheck {
        /// What `[settlement] heartbeat_file` names.
        heartbeat_file: PathBuf,
    },
}

/// On a development chain the settlement account gets so much for its fees, in wei.
const DEVELOPMENT_BALANCE_WEI: u128 = 1_000_000_000_000_000_000_000;
/// A development chain that was started again has forgotten what it gave; it is asked again so often.
const FUND_EVERY: Duration = Duration::from_secs(5);
/// How often and how far apart accounts are compared until nothing differs: longer than a settler takes to book what has
/// become final.
const RECONCILE_LOOKS: u32 = 20;
const RECONCILE_EVERY: Duration = Duration::from_millis(500);
const MAX_HEARTBEAT_AGE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let args = Args::parse();
    let command =
        if args.common.check_config { Command::CheckConfig } else { args.command.unwrap_or(Command::Run) };
    match command {
        // Orchestrators read status 1 as "not healthy" and reserve 2.
        Command::Healthcheck { heartbeat_file } => {
            match service::health::check(&heartbeat_file, MAX_HEARTBEAT_AGE) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("unhealthy: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Command::Verify(args) => commands::verify::run(&args),
        Command::Keystore(command) => finish(commands::keystore::run(&command)),
        Command::Account(command) => finish(
            Loaded::load(&args.common).and_then(|config| commands::account::run(&command, &config.chain)),
        ),
        Command::CheckConfig => {
            finish(Loaded::load(&args.common).and_then(|_| print("the configuration can be used\n")))
        }
        Command::Run => finish(Loaded::load(&args.common).and_then(|config| block_on(serve(config)))),
        Command::Deposit(deposit) => finish(
            Loaded::load(&args.common).and_then(|config| block_on(commands::deposit::run(config, deposit))),
        ),
        Command::Deploy { development_chain } => {
            finish(Loaded::load(&args.common).and_then(|c| block_on(deploy_all(c, development_chain))))
        }
        Command::Reconcile => match Loaded::load(&args.common).and_then(|c| block_on(reconcile_all(c))) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => finish(Err(error)),
        },
    }
}

/// The sections that this process reads.
struct Loaded {
    chain: ChainConfig,
    settlement: SettlementConfig,
    database: DatabaseConfig,
    telemetry: TelemetryConfig,
}

impl Loaded {
    fn load(common: &CommonArgs) -> anyhow::Result<Self> {
        let file = common.load()?;
        let (chain, settlement): (ChainConfig, SettlementConfig) =
            (file.section("chain")?, file.section("settlement")?);
        chain.validate()?;
        settlement.validate()?;
        let (database, telemetry) = (file.section("database")?, file.section("telemetry")?);
        Ok(Self { chain, settlement, database, telemetry })
    }

    async fn pool(&self) -> anyhow::Result<PgPool> {
        let password = self.database.password()?;
        let password = password.as_ref().map(Secret::expose);
        let DatabaseConfig { url, max_connections, .. } = &self.database;
        Ok(store::connect(url, password, *max_connections, "busbar-settlement").await?)
    }

    fn evm(&self) -> anyhow::Result<EvmChain> {
        Ok(EvmChain::new(self.chain.node()?, &self.chain.signer_key()?)?)
    }

    /// A context for each community.
    async fn contexts(&self, chain: Arc<dyn Chain>) -> anyhow::Result<Vec<Context>> {
        let pool = self.pool().await?;
        let policy = send_policy(&self.chain, &self.settlement);
        let communities = store::communities::all(&pool).await?;
        let context = |community: store::communities::Community| Context {
            pool: pool.clone(),
            chain: Arc::clone(&chain),
            clock: Clock::System,
            community_id: community.community_id,
            policy,
        };
        Ok(communities.into_iter().map(context).collect())
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(work)
}

async fn serve(config: Loaded) -> anyhow::Result<()> {
    telemetry::init(&config.telemetry)?;
    lifecycle::end_on_panic();
    let shutdown = Shutdown::new();
    lifecycle::stop_on_signal(shutdown.clone())?;
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let (chain, pool) = (Arc::new(config.evm()?), config.pool().await?);
    if config.settlement.development_chain {
        tokio::spawn(keep_funded(Arc::clone(&chain)));
    }
    let deps = Deps { pool, clock: Clock::System, chain, seed };
    run(config.settlement, &config.chain, deps, shutdown).await
}

/// Gives the settlement account its fees for as long as the process lives: a development chain keeps nothing.
async fn keep_funded(chain: Arc<EvmChain>) {
    loop {
        if let Err(error) = chain.fund_on_development_chain(DEVELOPMENT_BALANCE_WEI).await {
            tracing::debug!(%error, "the settlement account was not funded");
        }
        tokio::time::sleep(FUND_EVERY).await;
    }
}

async fn deploy_all(config: Loaded, development_chain: bool) -> anyhow::Result<()> {
    telemetry::init(&config.telemetry)?;
    let chain = Arc::new(config.evm()?);
    chain.check().await?;
    if development_chain {
        chain.fund_on_development_chain(DEVELOPMENT_BALANCE_WEI).await?;
    }
    let settings = config.settlement.deploy_settings()?;
    for context in config.contexts(chain).await? {
        let contract = deploy(&context, &settings).await?;
        print(&format!(
            "{}: {} on chain {}\n",
            context.community_id, contract.credit_address, contract.chain_id
        ))?;
    }
    Ok(())
}

async fn reconcile_all(config: Loaded) -> anyhow::Result<bool> {
    telemetry::init(&config.telemetry)?;
    let chain: Arc<dyn Chain> = Arc::new(config.evm()?);
    chain.check().await?;
    let mut equal = true;
    for context in config.contexts(chain).await? {
        let community = context.community_id.clone();
        let settling = Settling::of(context).await?;
        settlement::token::check(&settling.context, &settling.domain.credit).await?;
        let report = reconcile_until_still(&settling, RECONCILE_LOOKS, RECONCILE_EVERY).await?;
        for difference in &report.differences {
            print(&format!("{community}: {difference}\n"))?;
        }
        for (address, base_units) in &report.unclaimed {
            print(&format!("{community}: {address} is no account's, but got {base_units} base units\n"))?;
        }
        let note = if report.in_flight { " (a transaction is on its way)" } else { "" };
        let (accounts, differ) = (report.accounts, report.differences.len());
        print(&format!("{community}: {accounts} accounts compared, {differ} differ{note}\n"))?;
        equal &= report.is_equal();
    }
    Ok(equal)
}
