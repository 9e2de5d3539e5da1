//! Every command as it is typed: what it prints with `--json`, and how it ends. 0 is success, 1 the device's
//! fault, 2 what was typed or configured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/community.rs"]
mod community;

use std::path::PathBuf;
use std::process::Command;

use broker::broker;
use common::{Answer, device, sdm630};
use community::{boundary, demo, enrol};
use domain::ids::AgentId;
use domain::time::{Clock, ManualClock};
use meter_agent::ingest::{self, IngestConfig, IngestDeps};
use serde_json::Value;
use service::lifecycle::Shutdown;
use sqlx::PgPool;
use store::agents;

/// A folder with a configuration of an agent with one meter.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(broker_url: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let data = folder.path("data");
        let text = format!(
            r#"
            [mqtt]
            url = "{broker_url}"
            [meter-agent]
            community_id = "demo"
            agent_id = "agent-new"
            slot_length_s = 900
            data_dir = "{}"
            [[meter-agent.devices]]
            meter_id = "meter-1"
            site_id = "site-1"
            template = "eastron_sdm630"
            endpoint = "tcp://127.0.0.1:1"
            "#,
            data.display()
        );
        std::fs::write(folder.path("busbar.toml"), &text).unwrap();
        std::fs::write(folder.path("wrong.toml"), text.replace("eastron_sdm630", "eastron_sdm999")).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command with a configuration of the folder.
    async fn run(&self, config: &str, command: &str) -> (Option<i32>, String, String) {
        let config = self.path(config);
        let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let run = move || {
            Command::new(env!("CARGO_BIN_EXE_meter-agent"))
                .arg("--config")
                .arg(config)
                .args(arguments)
                .output()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Runs one that must succeed and print one line of JSON.
    async fn json(&self, command: &str) -> Value {
        let (status, printed, said) = self.run("busbar.toml", &format!("{command} --json")).await;
        assert_eq!((status, printed.lines().count()), (Some(0), 1), "{command}: {said}");
        serde_json::from_str(&printed).unwrap()
    }

    async fn status(&self, command: &str) -> Option<i32> {
        self.run("busbar.toml", command).await.0
    }

    async fn status_when_wrong(&self, command: &str) -> Option<i32> {
        let (status, _, said) = self.run("wrong.toml", command).await;
        assert!(said.contains("eastron_sdm999") || status != Some(2), "{command}: {said}");
        status
    }
}

#[tokio::test]
async fn check_config_keys_and_templates() {
    let folder = Folder::new("mqtt://127.0.0.1:1");
    let checked = folder.json("check-config").await;
    assert_eq!((&checked["usable"], &checked["devices"][0]["meter_id"]), (&true.into(), &"meter-1".into()));
    let keys = folder.json("keys").await;
    assert_eq!(keys["agent_id"], "agent-new");
    assert_eq!(keys["fingerprint"].as_str().unwrap().len(), 64);
    assert!(keys["public_key_pem"].as_str().unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
    let (_, plain, _) = folder.run("busbar.toml", "keys").await;
    assert!(plain.contains(keys["fingerprint"].as_str().unwrap()), "the same key: {plain}");
    let templates = folder.json("templates").await;
    let listed = templates["templates"].as_array().unwrap();
    let sdm630 = listed.iter().find(|template| template["id"] == "eastron_sdm630").unwrap();
    assert_eq!((&sdm630["can_settle"], &sdm630["can_be_limited"]), (&true.into(), &false.into()));
    assert_eq!(folder.status("check-config").await, Some(0));
    for command in [
        "check-config",
        "--check-config",
        "check-config --json",
        "keys",
        "keys --json",
        "run",
        "enrol --json",
    ] {
        assert_eq!(folder.status_when_wrong(command).await, Some(2), "{command}");
    }
    std::fs::write(folder.path("ingest.toml"), "[ingest]\nbatch = 1\n").unwrap();
    for command in ["ingest", "check-config --json"] {
        let (status, _, said) = folder.run("ingest.toml", command).await;
        assert!(status == Some(2) && said.contains("batch"), "{command}: {said}");
    }
    for command in ["no-such-command", "check-config --jsno", "read --template eastron_sdm630"] {
        assert_eq!(folder.status(command).await, Some(2), "{command}");
    }
}

#[tokio::test]
async fn read_scan_and_read_mqtt() {
    let folder = Folder::new("mqtt://127.0.0.1:1");
    let well = device(|request| sdm630(&request, 200.0, 10.25)).await;
    let ill = device(|request| request.exception(4)).await;
    let shut = device(|_| Answer::Close).await;
    let read =
        |endpoint: &str, template: &str| format!("read --endpoint {endpoint} --unit 1 --template {template}");
    let report = folder.json(&read(&well.to_string(), "eastron_sdm630")).await;
    assert_eq!((&report["import_wh"], &report["export_wh"]), (&200_000.into(), &10_250.into()));
    for endpoint in [ill.to_string(), shut.to_string(), "tcp://127.0.0.1:1".to_owned()] {
        assert_eq!(folder.status(&read(&endpoint, "eastron_sdm630")).await, Some(1), "{endpoint}");
    }
    assert_eq!(folder.status(&read(&well.to_string(), "eastron_sdm999")).await, Some(2));
    assert_eq!(folder.status(&read("somewhere", "eastron_sdm630")).await, Some(2));
    let scan = folder.json(&format!("scan --endpoint {well} --units 1")).await;
    assert_eq!(scan["units"][0]["unit"], 1);
    assert_eq!(folder.status("scan --endpoint tcp://127.0.0.1:1 --units 1").await, Some(1));
    assert_eq!(folder.status(&format!("scan --endpoint {well} --units x")).await, Some(2));
    let message = r#"{"total_act": 1234, "total_act_ret": 7}"#;
    std::fs::write(folder.path("message.json"), message).unwrap();
    let file = folder.path("message.json");
    let decode = |template: &str, file: &PathBuf| {
        format!("read-mqtt --template {template} --topic shelly/status/emdata:0 --payload {}", file.display())
    };
    let decoded = folder.json(&decode("shelly_pro_3em", &file)).await;
    assert_eq!((&decoded["import_wh"], &decoded["export_wh"]), (&1_234.into(), &7.into()));
    assert_eq!(folder.status(&decode("shelly_pro_3em", &folder.path("nothing"))).await, Some(2));
    assert_eq!(folder.status(&decode("no_such_template", &file)).await, Some(2));
}

#[tokio::test]
async fn healthcheck_and_an_enrolment_that_nobody_answers() {
    let folder = Folder::new("mqtt://127.0.0.1:1");
    let file = folder.path("heartbeat");
    let command = format!("healthcheck {}", file.display());
    assert_eq!(folder.status(&command).await, Some(1));
    std::fs::write(&file, "alive").unwrap();
    assert_eq!(folder.status(&command).await, Some(0));
    let (status, printed, _) = folder.run("busbar.toml", &format!("{command} --json")).await;
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((status, &report["healthy"]), (Some(0), &Value::Bool(true)));
    std::fs::remove_file(&file).unwrap();
    let (status, printed, _) = folder.run("busbar.toml", &format!("{command} --json")).await;
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((status, &report["healthy"]), (Some(1), &Value::Bool(false)));
    assert_eq!(folder.status("enrol --json --wait-s 1").await, Some(2));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn enrol_says_what_the_operator_is_to_approve(pool: PgPool) {
    enrol(&pool, 1).await;
    let mqtt = broker();
    let shutdown = Shutdown::new();
    let clock = Clock::Manual(ManualClock::new(boundary(0)));
    let deps = IngestDeps { pool: pool.clone(), clock, seed: 1 };
    let listens = tokio::spawn(ingest::run(IngestConfig::default(), mqtt.clone(), deps, shutdown.clone()));
    let folder = Folder::new(&mqtt.url);
    // Until ingest listens nobody answers, and it is announced again.
    let mut announced = None;
    for _ in 0..10 {
        let (status, printed, _) = folder.run("busbar.toml", "enrol --json --wait-s 2").await;
        if status == Some(0) {
            announced = Some(serde_json::from_str::<Value>(&printed).unwrap());
            break;
        }
    }
    let announced = announced.expect("ingest answers");
    assert_eq!((&announced["agent_id"], &announced["status"]), (&"agent-new".into(), &"pending".into()));
    let fingerprint = announced["fingerprint"].as_str().unwrap();
    assert_eq!(folder.json("keys").await["fingerprint"], fingerprint);
    let agent = AgentId::new("agent-new").unwrap();
    assert!(agents::approve(&pool, &demo(), &agent, fingerprint).await.unwrap());
    assert_eq!(folder.json("enrol").await["status"], "approved");
    let rotated = folder.json("enrol --rotate").await;
    assert_ne!(rotated["fingerprint"], fingerprint);
    assert_eq!(folder.json("keys").await["fingerprint"], rotated["fingerprint"]);
    shutdown.stop();
    listens.await.unwrap().unwrap();
}
