//! The command line and the composition root: here, and nowhere else, the process takes its
//! configuration, its clock and its randomness from the machine.

mod curtail;
mod enrol;
mod read;
mod read_mqtt;
mod scan;
mod system_clock;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use domain::time::Clock;
use rand::RngExt;
use serde_json::{Value, json};
use service::cli::{CommonArgs, finish, one_line};
use service::config::ConfigFile;
use service::database::DatabaseConfig;
use service::lifecycle::{self, Shutdown};
use service::telemetry::{LogFormat, TelemetryConfig};
use service::{health, telemetry};

use crate::config::{AgentPlan, DevicePlan};
use crate::curtail::CurtailError;
use crate::ingest::{self, IngestConfig, IngestDeps};
use crate::modbus::BusError;
use crate::source::SourceError;
use crate::template::{Library, Template};
use crate::{AgentConfig, AgentDeps, MqttConfig, agent, keys};

/// An older heartbeat than this means that the loop has stopped turning.
const HEARTBEAT_MAX_AGE: Duration = Duration::from_secs(60);

/// Threads that may wait for the disk or a name server at once.
const BLOCKING_THREADS: usize = 8;

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
    Run(Log),
    /// Receive, verify and store the records of all agents (the platform's end).
    Ingest(Log),
    /// Read one device once and print what it says.
    Read(read::ReadArgs),
    /// Find the units on an endpoint and their SunSpec models.
    Scan(scan::ScanArgs),
    /// Limit a device's power for a while, after which the device ends the limit by itself.
    Curtail(curtail::CurtailArgs),
    /// Decode a captured message of an MQTT device and print what it says.
    ReadMqtt(read_mqtt::ReadMqttArgs),
    /// Say whether [meter-agent], [ingest] and [mqtt] can be used, and end.
    CheckConfig(Output),
    /// Announce the agent's key to the platform, or replace it (--rotate).
    Enrol(enrol::EnrolArgs),
    /// Print the agent's public key and its fingerprint, for the operator to compare and approve.
    Keys(Output),
    /// List the device templates.
    Templates(Output),
    /// Look at a heartbeat file; status 0 if a running service has touched it within a minute.
    Healthcheck {
        /// The service's heartbeat_file.
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
}

/// How a service writes its log.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
struct Log {
    /// Log one JSON object a line, whatever log_format of [telemetry] says.
    #[arg(long)]
    json: bool,
}

/// How a command prints what it found.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
struct Output {
    /// Print one JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// Does what the command line asks; the status the process ends with.
#[must_use]
pub fn execute(args: Args) -> ExitCode {
    let command = if args.common.check_config {
        Command::CheckConfig(Output::default())
    } else {
        args.command.unwrap_or(Command::Run(Log::default()))
    };
    let file = || Ok(args.common.load()?);
    match command {
        Command::Run(log) => finish(file().and_then(|file| block_on(run_agent(&file, log)))),
        Command::Ingest(log) => finish(file().and_then(|file| block_on(run_ingest(&file, log)))),
        Command::Read(read) => looked(block_on(read::read(&read, Clock::System))),
        Command::Scan(scan) => looked(block_on(scan::scan(&scan))),
        Command::ReadMqtt(read) => looked(read_mqtt::read_mqtt(&read, Clock::System)),
        Command::Curtail(args) => looked(block_on(curtail::curtail(&args))),
        Command::Enrol(args) => finish(file().and_then(|file| block_on(enrol::enrol(&args, &file)))),
        Command::CheckConfig(output) => finish(file().and_then(|file| check(&file, output))),
        Command::Keys(output) => finish(file().and_then(|file| print_keys(&file, output))),
        Command::Templates(output) => finish(print_templates(output)),
        Command::Healthcheck { file, output } => healthcheck(&file, output),
    }
}

fn healthcheck(file: &Path, output: Output) -> ExitCode {
    let found = health::check(file, HEARTBEAT_MAX_AGE);
    let reason = found.as_ref().err().map(ToString::to_string);
    if output.json {
        let report = json!({ "healthy": reason.is_none(), "reason": reason });
        if let Err(error) = print_report(&report, true) {
            return finish(Err(error));
        }
    } else if let Some(reason) = &reason {
        eprintln!("unhealthy: {reason}");
    }
    if reason.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Status 1: the device; status 2: what was typed.
fn looked(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Err(error) if is_the_devices(&error) => {
            eprintln!("error: {}", one_line(error.as_ref()));
            if let Some(hint) = error.downcast_ref().and_then(what_to_try) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
        result => finish(result),
    }
}

/// What an installer can try next.
fn what_to_try(error: &SourceError) -> Option<&'static str> {
    match error {
        SourceError::Bus(BusError::Timeout { .. }) => {
            Some("is the unit id right? `meter-agent scan --endpoint ENDPOINT --units 1-247` asks them all")
        }
        SourceError::Bus(BusError::Exception { .. }) => Some(
            "is it the right template, and the right unit? `meter-agent scan` finds units and SunSpec models",
        ),
        SourceError::Stale { .. } => {
            Some("is the topic right, does the device publish there, and often enough for --wait-s?")
        }
        _ => None,
    }
}

fn is_the_devices(error: &anyhow::Error) -> bool {
    let of_curtailment = error.downcast_ref::<CurtailError>();
    error.is::<SourceError>() || of_curtailment.is_some_and(CurtailError::is_the_devices)
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
    runtime().context("cannot start the runtime")?.block_on(work)
}

/// What the agent and ingest run on. Threads that wait for the disk are few: a hundred devices that answer at
/// once would otherwise start a hundred, each with memory of its own, to wait for one outbox.
///
/// # Errors
/// If the system gives no thread.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build()
}

/// Logging, signals, and the TLS library's choice of algorithms.
fn prepare(file: &ConfigFile, log: Log) -> anyhow::Result<Shutdown> {
    let mut telemetry: TelemetryConfig = file.section("telemetry")?;
    if log.json {
        telemetry.log_format = LogFormat::Json;
    }
    telemetry::init(&telemetry)?;
    lifecycle::end_on_panic();
    // An error means that a provider is installed already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    let shutdown = Shutdown::new();
    lifecycle::stop_on_signal(shutdown.clone())?;
    Ok(shutdown)
}

async fn run_agent(file: &ConfigFile, log: Log) -> anyhow::Result<()> {
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
    let shutdown = prepare(file, log)?;
    let clock_state = Arc::new(system_clock::system_clock);
    agent::run_with_clock_state(config, mqtt, deps, clock_state, shutdown).await
}

async fn run_ingest(file: &ConfigFile, log: Log) -> anyhow::Result<()> {
    let config: IngestConfig = file.section("ingest")?;
    let mqtt: MqttConfig = file.section("mqtt")?;
    let database: DatabaseConfig = file.section("database")?;
    let shutdown = prepare(file, log)?;
    let password = database.password()?;
    let password = password.as_ref().map(service::secret::Secret::expose);
    let pool = store::connect(&database.url, password, database.max_connections, "busbar-ingest").await?;
    let deps = IngestDeps { pool, clock: Clock::System, seed: rand::rng().random() };
    ingest::run(config, mqtt, deps, shutdown).await
}

/// Checks what is there: a gateway's file has no [ingest], a server's no [meter-agent].
fn check(file: &ConfigFile, output: Output) -> anyhow::Result<()> {
    file.section::<IngestConfig>("ingest")?;
    let mqtt: MqttConfig = file.section("mqtt")?;
    mqtt.options("check")?;
    let plan = match file.section::<AgentConfig>("meter-agent") {
        Ok(config) => Some(AgentPlan::check(&config, &Library::embedded()?)?),
        Err(_) if file.section::<NoAgent>("meter-agent").is_ok() => None,
        Err(error) => return Err(error.into()),
    };
    if output.json {
        let devices: Option<Vec<Value>> = plan.map(|plan| plan.devices.iter().map(planned).collect());
        return print_report(&json!({ "usable": true, "devices": devices }), true);
    }
    match plan {
        Some(plan) => print(&format!("the configuration can be used: {} devices\n", plan.devices.len())),
        None => print("the configuration can be used; it has no [meter-agent]\n"),
    }
}

fn planned(device: &DevicePlan) -> Value {
    json!({
        "meter_id": device.meter_id.as_str(),
        "site_id": device.site_id.as_str(),
        "template": device.template.id,
        "has_own_places": device.is_adapted,
        "limit_percent": device.curtail.map(|curtail| curtail.limit.percent),
    })
}

/// A section that is empty or not there.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoAgent {}

fn print_keys(file: &ConfigFile, output: Output) -> anyhow::Result<()> {
    let config: AgentConfig = file.section("meter-agent")?;
    let plan = AgentPlan::check(&config, &Library::embedded()?)?;
    let key = keys::load_or_create(&plan.key_file, &mut rand::rng())?;
    let (public, pem) = (keys::public_key(&key), keys::public_key_pem(key.verifying_key())?);
    if output.json {
        let (agent_id, fingerprint) = (plan.agent_id.as_str(), public.fingerprint);
        let report = json!({ "agent_id": agent_id, "fingerprint": fingerprint, "public_key_pem": pem });
        return print_report(&report, true);
    }
    print(&format!("agent {}\nfingerprint {}\n{pem}", plan.agent_id, public.fingerprint))
}

fn print_templates(output: Output) -> anyhow::Result<()> {
    let library = Library::embedded()?;
    if output.json {
        let templates: Vec<Value> = library.iter().map(listed).collect();
        return print_report(&json!({ "templates": templates }), true);
    }
    let mut text = String::new();
    for template in library.iter() {
        let settles = if template.can_settle() { "" } else { " (cannot settle: not both registers)" };
        let (id, vendor, model) = (&template.id, &template.vendor, &template.model);
        text.push_str(&format!("{id:<24} {:<8} {vendor} {model}{settles}\n", template.protocol()));
    }
    print(&text)
}

fn listed(template: &Template) -> Value {
    json!({
        "id": template.id,
        "version": template.version,
        "vendor": template.vendor,
        "model": template.model,
        "protocol": template.protocol(),
        "can_settle": template.can_settle(),
        "can_be_limited": crate::curtail::check(template).is_ok(),
    })
}
