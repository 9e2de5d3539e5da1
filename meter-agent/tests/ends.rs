//! `run` and `ingest` as a supervisor ends them: real processes, whatever they wait for, leave with status 0 at the
//! first SIGTERM or SIGINT. With `--json` each line of their log is an object.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/community.rs"]
mod community;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use broker::broker;
use common::{Answer, device, sdm630};
use community::enrol;
use sqlx::PgPool;

const SIGNALS: [&str; 2] = ["-TERM", "-INT"];
/// Nobody listens there.
const NOWHERE: &str = "mqtt://127.0.0.1:1";
/// Longer than a soft stop may take, after which a process ends with another status.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a command with its configuration, and waits for its first heartbeat.
async fn start(folder: &Path, command: &str, config: &str) -> Child {
    let heartbeat = folder.join(format!("{command}.alive"));
    drop(std::fs::remove_file(&heartbeat));
    let file = folder.join(format!("{command}.toml"));
    let config = config.replace("HEARTBEAT", &heartbeat.display().to_string());
    std::fs::write(&file, format!("{config}\n[telemetry]\nlog_format = 'text'\n")).unwrap();
    let log = std::fs::File::create(folder.join(format!("{command}.log"))).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_meter-agent"));
    let program = program.args([command, "--json", "--config"]).arg(&file).stdin(Stdio::null());
    let mut process = program.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let beats = async {
        while !heartbeat.exists() {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "{command} ended: {}", log_of(folder, command));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, beats).await.unwrap_or_else(|_| panic!("{}", log_of(folder, command)));
    process
}

fn log_of(folder: &Path, command: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{command}.log"))).unwrap()
}

fn assert_objects(log: &str) {
    assert!(!log.is_empty());
    let is_object = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|v| v.is_object());
    assert!(log.lines().all(is_object), "{log}");
}

/// Sends a signal and waits for the end.
async fn end(mut process: Child, signal: &str) -> ExitStatus {
    let pid = process.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || process.wait().unwrap());
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap()
}

fn agent_config(folder: &Path, mqtt_url: &str, endpoint: &str) -> String {
    format!(
        r#"
        [mqtt]
        url = "{mqtt_url}"
        [meter-agent]
        community_id = "demo"
        agent_id = "agent-1"
        slot_length_s = 10
        data_dir = "{}"
        heartbeat_file = "HEARTBEAT"
        [[meter-agent.devices]]
        meter_id = "meter-1"
        site_id = "site-1"
        template = "eastron_sdm630"
        endpoint = "{endpoint}"
        "#,
        folder.join("data").display()
    )
}

#[tokio::test]
async fn an_agent_ends_with_status_0_whatever_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let mqtt = broker();
    let well = device(|request| sdm630(&request, 200.0, 10.25)).await.to_string();
    let mute = device(|_| Answer::Silence).await.to_string();
    for (url, endpoint) in [(mqtt.url.as_str(), &well), (mqtt.url.as_str(), &mute), (NOWHERE, &well)] {
        for signal in SIGNALS {
            let agent = start(folder.path(), "run", &agent_config(folder.path(), url, endpoint)).await;
            let status = end(agent, signal).await;
            let log = log_of(folder.path(), "run");
            assert_eq!(status.code(), Some(0), "{signal} {url} {endpoint}: {log}");
            assert_objects(&log);
        }
    }
}

/// The database of a test for a configuration, with the file of its password where the server asks for one.
/// Connections do not tell their password, so it is taken from where they have it.
#[allow(clippy::disallowed_methods)]
fn database(folder: &Path, pool: &PgPool) -> String {
    let options = pool.connect_options();
    let (host, port, user) = (options.get_host(), options.get_port(), options.get_username());
    let mut section = format!(
        "[database]\nurl = 'postgres://{user}@{host}:{port}/{}'\nmax_connections = 2\n",
        options.get_database().unwrap()
    );
    let url = url::Url::parse(&std::env::var("DATABASE_URL").unwrap()).unwrap();
    if let Some(password) = url.password() {
        let file = folder.join("database-password");
        std::fs::write(&file, password).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        section.push_str(&format!("password_file = '{}'\n", file.display()));
    }
    section
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn ingest_ends_with_status_0_with_and_without_its_broker(pool: PgPool) {
    enrol(&pool, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let mqtt = broker();
    let database = database(folder.path(), &pool);
    for url in [mqtt.url.as_str(), NOWHERE] {
        for signal in SIGNALS {
            let config = format!("{database}[mqtt]\nurl = '{url}'\n[ingest]\nheartbeat_file = 'HEARTBEAT'\n");
            let ingest = start(folder.path(), "ingest", &config).await;
            let status = end(ingest, signal).await;
            let log = log_of(folder.path(), "ingest");
            assert_eq!(status.code(), Some(0), "{signal} {url}: {log}");
            assert_objects(&log);
        }
    }
}
