//! The command line and the composition root: here, and nowhere else, the process takes its
//! configuration, its clock and its randomness from the machine.

mod enrol;
mod read;
mod read_mqtt;
mod scan;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use domain::time::Clock;
use rand::RngExt;
use service::cli::{CommonArgs, finish, one_line};
use service::config::ConfigFile;
use service::database::DatabaseConfig;
use service::lifecycle::{self, Shutdown};
use service::{health, telemetry};

use crate::config::AgentPlan;
use crate::ingest::{self, IngestConfig, IngestDeps};
use crate::template::Library;
use crate::{AgentConfig, AgentDeps, MqttConfig, agent, keys};

/// An older heartbeat than this means that the loop has stopped turning.
const HEARTBEAT_MAX_AGE: Duration = Duration::from_secs(60);

/// Reads meters and inverters, signs what they say and delivers it; and ingest, which receives it.
#[derive(Debug, Parser)]
#[command(name = "meter-agent", version)]
pub struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the devices of [meter-agent] at every slot boundary and deliver what they say (the default).
    Run,
    /// Receive, verify and store the records of all agents (the platform's end).
    Ingest,
    /// Read one device once and print what it says.
    Read(read::ReadArgs),
    /// Find the units on an endpoint and their SunSpec models.
    Scan(scan::ScanArgs),
    /// Decode a captured message of an MQTT device and print what it says.
    ReadMqtt(read_mqtt::ReadMqttArgs),
    /// Say whether [meter-agent], [ingest] and [mqtt] can be used, and end.
    CheckConfig,
    /// Announce the agent's key to the platform, or replace it (--rotate).
    Enrol(enrol::EnrolArgs),
    /// Print the agent's public key and its fingerprint, for the operator to compare and approve.
    Keys,
    /// List the device templates.
    Templates,
    /// Look at a heartbeat file; status 0 if a running service has touched it within a minute.
    Healthcheck {
        /// The service's heartbeat_file.
        file: PathBuf,
    },
}

/// Does what the command line asks; the status the process ends with.
#[must_use]
pub fn execute(args: Args) -> ExitCode {
    let command =
        if args.common.check_config { Command::CheckConfig } else { args.command.unwrap_or(Command::Run) };
    let file = || Ok(args.common.load()?);
    match command {
        Command::Run => finish(file().and_then(|file| block_on(run_agent(&file)))),
        Command::Ingest => finish(file().and_then(|file| block_on(run_ingest(&file)))),
        Command::Read(read) => looked(block_on(read::read(&read, Clock::System))),
        Command::Scan(scan) => looked(block_on(scan::scan(&scan))),
        Command::ReadMqtt(read) => looked(read_mqtt::read_mqtt(&read, Clock::System)),
        Command::Enrol(args) => finish(file().and_then(|file| block_on(enrol::enrol(&args, &file)))),
        Command::CheckConfig => finish(file().and_then(|file| check(&file))),
        Command::Keys => finish(file().and_then(|file| print_keys(&file))),
        Command::Templates => finish(print_templates()),
        Command::Healthcheck { file } => match health::check(&file, HEARTBEAT_MAX_AGE) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("unhealthy: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Status 1: the device; status 2: what was typed.
fn looked(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.is::<crate::source::SourceError>() => {
            eprintln!("error: {}", one_line(error.as_ref()));
            ExitCode::FAILURE
        }
        result => finish(result),
    }
}

/// Prints what was found: on one line for programs, on many for people.
fn print_report(report: &serde_json::Value, on_one_line: bool) -> anyhow::Result<()> {
    let text = if on_one_line { report.to_string() } else { format!("{report:#}") };
    print(&format!("{text}\n"))
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")?.block_on(work)
}

/// Logging, signals, and the TLS library's choice of algorithms.
fn prepare(file: &ConfigFile) -> anyhow::Result<Shutdown> {
    telemetry::init(&file.section("telemetry")?)?;
    lifecycle::end_on_panic();
    // An error means that a provider is installed already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let shutdown = Shutdown::new();
    lifecycle::stop_on_signal(shutdown.clone())?;
    Ok(shutdown)
}

async fn run_agent(file: &ConfigFile) -> anyhow::Result<()> {
    let config: AgentConfig = file.section("meter-agent")?;
    let mqtt: MqttConfig = file.section("mqtt")?;
    let plan = AgentPlan::check(&config, &Library::embedded()?)?;
    let mut rng = rand::rng();
    let deps = AgentDeps {
        clock: Clock::System,
        signing_key: keys::load_or_create(&plan.key_file, &mut rng)?,
        boot_id: format!("{:016x}", rng.random::<u64>()),
        jitter_seed: rng.random(),
    };
    let shutdown = prepare(file)?;
    agent::run(config, mqtt, deps, shutdown).await
}

async fn run_ingest(file: &ConfigFile) -> anyhow::Result<()> {
    let config: IngestConfig = file.section("ingest")?;
    let mqtt: MqttConfig = file.section("mqtt")?;
    let database: DatabaseConfig = file.section("database")?;
    let shutdown = prepare(file)?;
    let password = database.password()?;
    let password = password.as_ref().map(service::secret::Secret::expose);
    let pool = store::connect(&database.url, password, database.max_connections, "busbar-ingest").await?;
    let deps = IngestDeps { pool, clock: Clock::System, seed: rand::rng().random() };
    ingest::run(config, mqtt, deps, shutdown).await
}

/// Checks what is there: a gateway's file has no [ingest], a server's no [meter-agent].
fn check(file: &ConfigFile) -> anyhow::Result<()> {
    file.section::<IngestConfig>("ingest")?;
    let mqtt: MqttConfig = file.section("mqtt")?;
    mqtt.options("check")?;
    match file.section::<AgentConfig>("meter-agent") {
        Ok(config) => {
            let plan = AgentPlan::check(&config, &Library::embedded()?)?;
            print(&format!("the configuration can be used: {} devices\n", plan.devices.len()))
        }
        Err(_) if file.section::<NoAgent>("meter-agent").is_ok() => {
            print("the configuration can be used; it has no [meter-agent]\n")
        }
        Err(error) => Err(error.into()),
    }
}

/// A section that is empty or not there.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoAgent {}

fn print_keys(file: &ConfigFile) -> anyhow::Result<()> {
    let config: AgentConfig = file.section("meter-agent")?;
    let plan = AgentPlan::check(&config, &Library::embedded()?)?;
    let key = keys::load_or_create(&plan.key_file, &mut rand::rng())?;
    let public = keys::public_key(&key);
    let pem = keys::public_key_pem(key.verifying_key())?;
    print(&format!("agent {}\nfingerprint {}\n{pem}", plan.agent_id, public.fingerprint))
}

fn print_templates() -> anyhow::Result<()> {
    let mut text = String::new();
    for template in Library::embedded()?.iter() {
        let settles = if template.can_settle() { "" } else { " (cannot settle: not both registers)" };
        let (id, vendor, model) = (&template.id, &template.vendor, &template.model);
        text.push_str(&format!("{id:<24} {:<8} {vendor} {model}{settles}\n", template.protocol()));
    }
    print(&text)
}
