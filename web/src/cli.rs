//! The command line and the composition root: here, and nowhere else, the process takes its
//! configuration, its clock and its randomness from the machine.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use domain::time::Clock;
use service::cli::{CommonArgs, finish};
use service::config::ConfigFile;
use service::database::DatabaseConfig;
use service::lifecycle::{self, Shutdown};
use service::telemetry;

use crate::{Deps, Mode, StackInfo, WebConfig, auth, healthcheck, openapi, server};

/// The HTTP API and the dashboard of a Busbar community.
#[derive(Debug, Parser)]
#[command(name = "web", version)]
pub struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until stopped (the default).
    Run,
    /// Bring the database's schema up to date, and end.
    Migrate,
    /// Say whether the configuration can be used, and end.
    CheckConfig,
    /// Ask the running server whether it lives; status 0 if so.
    Healthcheck,
    /// Print the OpenAPI document.
    Openapi,
}

/// Does what the command line asks; the status the process ends with.
#[must_use]
pub fn execute(args: Args) -> ExitCode {
    let command =
        if args.common.check_config { Command::CheckConfig } else { args.command.unwrap_or(Command::Run) };
    match command {
        // Orchestrators read status 1 as "not healthy" and reserve 2.
        Command::Healthcheck => match check_health(&args.common) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("unhealthy: {}", service::cli::one_line(error.as_ref()));
                ExitCode::FAILURE
            }
        },
        Command::Openapi => finish(openapi::document().map_err(anyhow::Error::from).and_then(print)),
        Command::CheckConfig => {
            finish(load(&args.common).and_then(|_| print("the configuration can be used\n".to_owned())))
        }
        Command::Migrate => finish(load(&args.common).and_then(|config| block_on(migrate(config)))),
        Command::Run => finish(load(&args.common).and_then(|config| block_on(run(config)))),
    }
}

/// The sections that this process reads.
struct Loaded {
    web: WebConfig,
    database: DatabaseConfig,
    telemetry: telemetry::TelemetryConfig,
}

fn load(common: &CommonArgs) -> anyhow::Result<Loaded> {
    let file: ConfigFile = common.load()?;
    let web: WebConfig = file.section("web")?;
    web.validate()?;
    Ok(Loaded { web, database: file.section("database")?, telemetry: file.section("telemetry")? })
}

fn check_health(common: &CommonArgs) -> anyhow::Result<()> {
    let web: WebConfig = common.load()?.section("web")?;
    Ok(healthcheck::check(web.listen_addr)?)
}

fn print(text: String) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(work)
}

async fn connect(database: &DatabaseConfig) -> anyhow::Result<store::PgPool> {
    let password = database.password()?;
    let password = password.as_ref().map(service::secret::Secret::expose);
    Ok(store::connect(&database.url, password, database.max_connections, "busbar-web").await?)
}

async fn migrate(config: Loaded) -> anyhow::Result<()> {
    telemetry::init(&config.telemetry)?;
    let pool = connect(&config.database).await?;
    store::migrate(&pool).await?;
    tracing::info!("the schema is up to date");
    Ok(())
}

async fn run(config: Loaded) -> anyhow::Result<()> {
    telemetry::init(&config.telemetry)?;
    lifecycle::end_on_panic();
    let shutdown = Shutdown::new();
    lifecycle::stop_on_signal(shutdown.clone())?;
    let clock = Clock::System;
    let stack = StackInfo {
        mode: Mode::Production,
        notes: Vec::new(),
        started_at: clock.now(),
        profile_seconds_per_slot: None,
    };
    let token = auth::load_or_create_token(&config.web.token_file, &mut rand::rng())?;
    let pool = connect(&config.database).await?;
    server::run(config.web, Deps { pool, clock, token, stack }, shutdown).await
}
