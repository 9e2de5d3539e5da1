//! A limit of an inverter's power never outlives the agent: an inverter that ends limits by itself, as its
//! SunSpec model says, and whoever sets them dies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/inverter.rs"]
mod inverter;

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::MeterId;
use domain::time::{Clock, ManualClock};
use inverter::Inverter;
use meter_agent::agent;
use meter_agent::curtail::{CurtailError, Curtailer, Keeper, Limit};
use meter_agent::health::Board;
use meter_agent::modbus::{Bus, BusTiming};
use meter_agent::template::{Library, Quirks};
use meter_agent::{AgentConfig, AgentDeps, MqttConfig};
use p256::ecdsa::SigningKey;
use service::lifecycle::Shutdown;
use tokio::sync::Mutex;

const LIMIT: Limit = Limit { percent: 60, revert_s: 300 };

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_500, 0).unwrap()
}

fn curtailer(inverter: &Inverter) -> Curtailer {
    let template = Library::embedded().unwrap().get("sunspec_inverter").unwrap();
    let timing = BusTiming::from(&Quirks { request_timeout_ms: 500, ..Quirks::default() });
    let bus = Arc::new(Mutex::new(Bus::new(inverter.endpoint.clone(), timing)));
    Curtailer::new(bus, 1, template).unwrap()
}

#[tokio::test]
async fn f49_a_limit_counts_while_it_is_kept_and_ends_with_whoever_kept_it() {
    for model in [123, 704] {
        let clock = ManualClock::new(start());
        let inverter = Inverter::start(model, clock.clone()).await;
        let meter_id = MeterId::new("meter-1").unwrap();
        let board = Arc::new(Board::new([meter_id.clone()]));
        let time = Clock::Manual(clock.clone());
        let mut keeper = Keeper::new(meter_id, curtailer(&inverter), LIMIT, board.clone(), time);
        let every = TimeDelta::from_std(keeper.every()).unwrap();
        assert!(every * 2 < TimeDelta::seconds(LIMIT.revert_s.into()));
        for _ in 0..10 {
            keeper.tick().await.unwrap();
            clock.advance(every);
            assert_eq!(inverter.limit_percent(), Some(60), "model {model}");
        }
        drop(keeper);
        clock.advance(TimeDelta::seconds(LIMIT.revert_s.into()));
        assert_eq!((inverter.limit_percent(), board.events().len()), (None, 0), "model {model}");
    }
}

#[tokio::test]
async fn f49_an_agent_that_dies_leaves_no_limit_behind() {
    let clock = ManualClock::new(start());
    let inverter = Inverter::start(123, clock.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let config: AgentConfig = serde_json::from_value(serde_json::json!({
        "community_id": "demo", "agent_id": "agent-1", "slot_length_s": 900, "data_dir": folder.path(),
        "curtail": { "meter-1": { "limit_percent": 40, "revert_s": 60 } },
        "devices": [{ "meter_id": "meter-1", "site_id": "site-1", "template": "sunspec_inverter_meter",
                      "endpoint": inverter.endpoint.to_string(), "unit": 1 }],
    }))
    .unwrap();
    // Nobody is there: an inverter is limited whether or not the platform can be reached.
    let mqtt = MqttConfig { url: "mqtt://127.0.0.1:1".to_owned(), ..MqttConfig::default() };
    let deps = AgentDeps {
        clock: Clock::Manual(clock.clone()),
        signing_key: SigningKey::from_slice(&[7; 32]).unwrap(),
        boot_id: "boot".to_owned(),
        jitter_seed: 1,
    };
    let shutdown = Shutdown::new();
    let running = tokio::spawn(agent::run(config, mqtt, deps, shutdown.clone()));
    let limited = async {
        while inverter.limit_percent() != Some(40) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), limited).await.expect("the limit is set");
    running.abort();
    shutdown.stop();
    assert_eq!(inverter.limit_percent(), Some(40));
    clock.advance(TimeDelta::seconds(61));
    assert_eq!(inverter.limit_percent(), None);
}

#[tokio::test]
async fn f49_what_has_no_revert_timer_is_never_written_to() {
    let inverter = Inverter::start(123, ManualClock::new(start())).await;
    inverter.set(Inverter::REVERT_123, 0xffff);
    let error = curtailer(&inverter).limit(LIMIT).await.unwrap_err();
    assert!(matches!(error, CurtailError::NoRevertTimer { .. }), "{error}");
    assert_eq!((inverter.limit_percent(), inverter.writes()), (None, 0));
}

#[tokio::test]
async fn f49_a_value_that_is_not_taken_is_an_error_and_the_limit_is_switched_off() {
    let clock = ManualClock::new(start());
    let inverter = Inverter::start(123, clock.clone()).await;
    inverter.ignore_limit();
    let meter_id = MeterId::new("meter-1").unwrap();
    let board = Arc::new(Board::new([meter_id.clone()]));
    let mut keeper = Keeper::new(meter_id, curtailer(&inverter), LIMIT, board.clone(), Clock::Manual(clock));
    for _ in 0..2 {
        let error = keeper.tick().await.unwrap_err();
        assert!(matches!(error, CurtailError::NotTaken { point: "limit", .. }), "{error}");
    }
    let kinds: Vec<_> = board.events().into_iter().map(|event| event.kind).collect();
    assert_eq!((inverter.limit_percent(), kinds), (None, vec!["curtailment_failed".to_owned()]));
}

#[tokio::test]
async fn f49_a_device_without_a_control_model_names_what_it_has() {
    let inverter = Inverter::start(103, ManualClock::new(start())).await;
    let error = curtailer(&inverter).limit(LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("it has 1, 103"), "{error}");
}

async fn command(arguments: Vec<String>) -> Output {
    let run = move || Command::new(env!("CARGO_BIN_EXE_meter-agent")).args(arguments).output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn the_command_limits_once_and_says_so() {
    let inverter = Inverter::start(704, ManualClock::new(start())).await;
    let arguments = |template: &str| {
        let endpoint = inverter.endpoint.to_string();
        let fixed = ["curtail", "--json", "--limit-percent", "25", "--for-s", "600", "--unit", "1"];
        let own = ["--endpoint", &endpoint, "--template", template];
        fixed.iter().chain(&own).map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    let done = command(arguments("sunspec_inverter")).await;
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&report["limit_percent"], &report["reverts_after_s"]), (&25.into(), &600.into()));
    assert_eq!(inverter.limit_percent(), Some(25));
    // A meter cannot be limited: that is what was typed, and status 2. A device without the model is status 1.
    assert_eq!(command(arguments("eastron_sdm630")).await.status.code(), Some(2));
    inverter.set(Inverter::MODEL, 64_001);
    assert_eq!(command(arguments("sunspec_inverter")).await.status.code(), Some(1));
}
