//! The market's process: reads the configuration, opens the database and runs the library.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use domain::time::Clock;
use market::clear::{self, Cleared, Mechanism};
use market::{Deps, MarketConfig};
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
    Clear {
        /// Orders with the columns `side,id,member,energy_wh,price_micro_per_kwh`.
        #[arg(long)]
        csv: PathBuf,
        /// How they are matched.
        #[arg(long, value_enum, default_value = "call")]
        mechanism: MechanismArg,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum MechanismArg {
    /// The continuous double auction, in the order of the file.
    Cda,
    /// One call auction at a uniform price.
    Call,
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
            finish(load(&args.common).and_then(|_| print("the configuration can be used\n".to_owned())))
        }
        Command::Clear { csv, mechanism, json } => finish(clear_file(&csv, mechanism, json)),
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

fn print(text: String) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(work)
}

async fn run(config: Loaded) -> anyhow::Result<()> {
    telemetry::init(&config.telemetry)?;
    lifecycle::end_on_panic();
    let shutdown = Shutdown::new();
    lifecycle::stop_on_signal(shutdown.clone())?;
    let password = config.database.password()?;
    let password = password.as_ref().map(service::secret::Secret::expose);
    let (url, connections) = (&config.database.url, config.database.max_connections);
    let pool = store::connect(url, password, connections, "busbar-market").await?;
    market::run(config.market, Deps { pool, clock: Clock::System }, shutdown).await
}

fn clear_file(path: &std::path::Path, mechanism: MechanismArg, json: bool) -> anyhow::Result<()> {
    let orders = clear::read(path)?;
    let mechanism = match mechanism {
        MechanismArg::Cda => Mechanism::ContinuousDoubleAuction,
        MechanismArg::Call => Mechanism::CallAuction,
    };
    let started = Instant::now();
    let cleared = clear::clear(&orders, mechanism)?;
    let wall_ns = started.elapsed().as_nanos();
    let Cleared { volume_wh, welfare_nano, price_micro_per_kwh, trades } = cleared;
    print(if json {
        let price = price_micro_per_kwh.map_or("null".to_owned(), |price| price.to_string());
        format!(
            "{{\"volume_wh\":{volume_wh},\"welfare_nano\":{welfare_nano},\"price_micro_per_kwh\":{price},\
             \"trades\":{trades},\"wall_ns\":{wall_ns}}}\n"
        )
    } else {
        let price = price_micro_per_kwh.map_or("none".to_owned(), |price| price.to_string());
        format!(
            "{} orders, {trades} trades, {volume_wh} Wh at {price} micro-currency per kWh, \
             gains {welfare_nano} nano-currency, in {wall_ns} ns\n",
            orders.len()
        )
    })
}
