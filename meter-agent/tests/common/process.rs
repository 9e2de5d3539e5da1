//! A real agent process with its folder: key, configuration, and an outbox that was filled before it starts.
#![allow(dead_code)] // each test uses its part

use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use chrono::TimeDelta;
use domain::ids::{AgentId, MeterId};
use domain::slot::{Slot, SlotLength};
use domain::time::Clock;
use meter_agent::MqttConfig;
use meter_agent::outbox::Outbox;
use p256::pkcs8::{EncodePrivateKey, LineEnding};

use super::append::append;
use super::community::{SLOT_S, demo, key};

const MAX_RECORDS: u64 = 100_000;

/// An agent as it is on its machine.
pub(crate) struct Installed {
    pub(crate) agent: AgentId,
    pub(crate) meters: Vec<MeterId>,
    folder: tempfile::TempDir,
}

impl Installed {
    /// An agent that reads `template` at `endpoint` with each of its meters, unit by unit, and whose outbox
    /// holds `backlog` records of each, the last of a minute ago.
    pub(crate) fn new(
        agent: AgentId,
        meters: Vec<MeterId>,
        (template, endpoint): (&str, &str),
        mqtt: &MqttConfig,
        backlog: i64,
    ) -> Self {
        let installed = Self { agent, meters, folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(installed.data()).unwrap();
        installed.fill(backlog);
        let pem = key().to_pkcs8_pem(LineEnding::LF).unwrap();
        let mut options = std::fs::OpenOptions::new();
        let options = options.create(true).write(true).truncate(true).mode(0o600);
        let mut file = options.open(installed.data().join("signing-key.pem")).unwrap();
        std::io::Write::write_all(&mut file, pem.as_bytes()).unwrap();
        let mut text = format!(
            r#"
            [telemetry]
            log_filter = "info,meter_agent=debug"
            [mqtt]
            url = "{url}"
            [meter-agent]
            community_id = "{community}"
            agent_id = "{agent}"
            slot_length_s = {SLOT_S}
            data_dir = "{data}"
            outbox_max_records = {MAX_RECORDS}
            resend_after_ms = 300
            window_records = 256
            drain_per_s = 5000
            "#,
            url = mqtt.url,
            community = demo(),
            agent = installed.agent,
            data = installed.data().display(),
        );
        for (unit, meter) in (1..).zip(&installed.meters) {
            text.push_str(&format!(
                r#"
                [[meter-agent.devices]]
                meter_id = "{meter}"
                site_id = "site-{unit}"
                template = "{template}"
                endpoint = "{endpoint}"
                unit = {unit}
                "#
            ));
        }
        std::fs::write(installed.config(), text).unwrap();
        installed
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("busbar.toml")
    }

    pub(crate) fn outbox_file(&self) -> PathBuf {
        self.data().join("outbox.redb")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("agent.log")
    }

    /// Its outbox, while no process has it.
    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::open(&self.outbox_file(), MAX_RECORDS, 1).unwrap()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meter-agent"));
        command.args(["run", "--config"]).arg(self.config()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts it, with a new log.
    pub(crate) fn start(&self) -> Child {
        self.command().stderr(std::fs::File::create(self.log_file()).unwrap()).spawn().unwrap()
    }

    fn fill(&self, backlog: i64) {
        let outbox = self.outbox();
        let slot_length = SlotLength::from_seconds(u32::try_from(SLOT_S).unwrap()).unwrap();
        let end = Slot::containing(Clock::System.now() - TimeDelta::seconds(60), slot_length).start();
        for number in 1..=backlog {
            let slot_end = end - TimeDelta::seconds(SLOT_S * (backlog - number));
            append(&outbox, &self.agent, &self.meters, number, slot_end).unwrap();
        }
    }
}

/// SIGKILL, which leaves a process no time for anything.
pub(crate) fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

/// A soft stop, which leaves the outbox as it is meant to be left.
pub(crate) fn stop(mut process: Child) {
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(process.wait().unwrap().success());
}

/// Waits until a running agent says that it stored what a boundary brought, which it says after the commit. The outbox
/// itself is the agent's alone while it runs.
pub(crate) async fn committed(installed: &Installed) {
    let stored =
        |log: &str| log.lines().any(|line| line.contains("read a boundary") && line.contains("\"stored\":1"));
    while !std::fs::read_to_string(installed.log_file()).is_ok_and(|log| stored(&log)) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
