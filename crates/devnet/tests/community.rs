//! The whole platform as a process of its own: started, killed, started again; and what it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta};
use devnet::parts::postgres_options;
use devnet::postgres::Postgres;
use domain::ids::CommunityId;
use store::settled;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const DATA: &str = "crates/devnet/data/simbench-lv-rural";

/// A folder for the state of one test, inside the build folder: the database's user has to reach it.
fn state(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn busbar(arguments: &[&str], state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_busbar"));
    command.args(["demo", "--state"]).arg(state).args(arguments).current_dir(REPOSITORY);
    // Whatever the tests themselves use must not reach the community.
    for variable in ["DATABASE_URL", "MQTT_URL", "CHAIN_RPC_URL", "CHAIN_ID", "BUSBAR_CONFIG"] {
        command.env_remove(variable);
    }
    command
}

/// Runs until `slots` lines of settled slots were printed, then kills the process as a power cut would.
fn run_and_kill(state: &Path, slots: usize) {
    let mut child = busbar(&["--data", DATA, "--slot", "10s", "--fresh", "--port", "0"], state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let settled = lines.filter(|line| line.contains(" in block ")).take(slots).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(settled, slots, "it ended before {slots} slots had settled");
}

/// Runs until `slots` more slots have settled, and returns the last line.
fn run_to_the_end(state: &Path, slots: &str) -> serde_json::Value {
    let arguments = ["--data", DATA, "--slot", "10s", "--port", "0", "--slots", slots, "--json"];
    let output = busbar(&arguments, state).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn killed_in_the_middle_of_a_slot_it_goes_on_and_every_sum_holds() {
    let state = state("killed");
    run_and_kill(&state, 2);
    let summary = run_to_the_end(&state, "3");
    assert_eq!(summary["money_sum_nano"], 0);
    assert_eq!(summary["chain_equals_ledger"], true);
    assert_eq!(summary["batches_open"], 0);
    assert_eq!(summary["sites"], 13);
    // The ledger was compared with the chain after the batches of this run, not only at its end.
    assert!(summary["batches_reconciled"].as_i64().unwrap() >= 2, "{summary}");
    assert!(summary["trades"].as_i64().unwrap() > 0, "{summary}");

    // No slot is missing between the first and the last, and none settled twice.
    let postgres = Postgres::start(postgres_options(&state)).await.unwrap();
    let pool = store::connect(postgres.url(), None, 2, "test").await.unwrap();
    let community = CommunityId::new("simbench-lv-rural").unwrap();
    let slots = settled::since(&pool, &community, DateTime::UNIX_EPOCH).await.unwrap();
    let first_revisions: Vec<_> =
        slots.iter().filter(|slot| slot.revision == 0).map(|s| s.slot_start).collect();
    let starts: BTreeSet<_> = first_revisions.iter().copied().collect();
    assert_eq!(starts.len(), first_revisions.len(), "a slot settled twice");
    let (first, last) = (*starts.first().unwrap(), *starts.last().unwrap());
    let expected = (last - first).num_seconds() / 10 + 1;
    assert_eq!(i64::try_from(starts.len()).unwrap(), expected, "a slot was lost: {starts:?}");
    assert!(expected >= 5 && last - first >= TimeDelta::seconds(40));

    // Whoever changes the ledger is told on by the next comparison, account by account.
    let changed = "UPDATE ledger_entries SET amount_nano = amount_nano + 7
        WHERE account_id = 'grid' AND deposit_id IS NOT NULL";
    assert_eq!(sqlx::query(changed).execute(&pool).await.unwrap().rows_affected(), 1);
    pool.close().await;
    postgres.stop().await.unwrap();
    let arguments = ["--data", DATA, "--slot", "10s", "--port", "0", "--slots", "1", "--json"];
    let output = busbar(&arguments, &state).output().unwrap();
    let (text, faults) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{text}{faults}");
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(summary["chain_equals_ledger"], false);
    let named = |line: &&str| line.starts_with("fault: account grid (0x") && line.contains("base units");
    assert!(faults.lines().filter(named).count() >= 2, "after the batch, and at the end: {faults}");
    assert!(!faults.contains("account reserve"), "only what differs is named: {faults}");
}

/// The process whose id is the first line of a file.
fn kill_9(pid_file: &Path) {
    let text = std::fs::read_to_string(pid_file).unwrap();
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[test]
fn servers_that_are_killed_are_started_again_and_every_sum_holds() {
    let state = state("lost-servers");
    let arguments = ["--data", DATA, "--slot", "10s", "--fresh", "--port", "0", "--slots", "4", "--json"];
    let mut child = busbar(&arguments, &state).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut until =
        |part: &str| lines.find(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part}"));
    for (pid_file, name) in
        [("anvil/anvil.pid", "the chain (anvil)"), ("postgres-18/data/postmaster.pid", "PostgreSQL")]
    {
        until(" in block ");
        kill_9(&state.join(pid_file));
        let line = until("starting again");
        assert!(line.starts_with(&format!("{name} ended by itself (signal: 9")), "{line}");
    }
    let summary: serde_json::Value = serde_json::from_str(&until("{")).unwrap();
    assert!(child.wait().unwrap().success(), "{summary}");
    assert_eq!((&summary["money_sum_nano"], &summary["chain_equals_ledger"]), (&0.into(), &true.into()));
    assert!(summary["slots_settled"].as_i64().unwrap() >= 4, "{summary}");
}

/// Runs what cannot start: status 2, one line, and the state folder is not made.
fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("never-made");
    let output = busbar(arguments, &state).envs(environment.iter().copied()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!state.exists(), "something was made: {error}");
    error
}

#[test]
fn a_malformed_profile_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Path::new(REPOSITORY).join(DATA).join("sites.csv"), folder.path().join("sites.csv"))
        .unwrap();
    let profile = "slot_start,site_id,load_w,pv_w\n2016-01-18T00:00:00Z,site-001,a lot,0\n";
    std::fs::write(folder.path().join("profiles.csv"), profile).unwrap();
    let error = refused(&["--data", folder.path().to_str().unwrap()], &[]);
    assert!(error.contains("profiles.csv") && error.contains("line 2"), "{error}");
}

#[test]
fn an_unknown_key_of_the_configuration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("busbar.toml");
    std::fs::write(&config, "[market]\nauto_pilot = true\n").unwrap();
    let error = refused(&["--data", DATA, "--config", config.to_str().unwrap()], &[]);
    assert!(error.contains("[market]") && error.contains("auto_pilot"), "{error}");
}

#[test]
fn servers_that_do_not_answer_are_named() {
    // Port 1 on loopback: nobody listens there.
    for (variable, url) in [
        ("DATABASE_URL", "postgres://busbar@127.0.0.1:1/busbar"),
        ("MQTT_URL", "mqtt://127.0.0.1:1"),
        ("CHAIN_RPC_URL", "http://127.0.0.1:1"),
    ] {
        let error = refused(&["--data", DATA], &[(variable, url)]);
        assert!(error.contains(variable) && error.contains("127.0.0.1:1"), "{error}");
    }
}

#[tokio::test]
async fn another_chain_than_the_one_that_is_meant_is_refused() {
    let run_dir = tempfile::tempdir().unwrap();
    let options = devnet::anvil::AnvilOptions {
        binary: devnet::anvil::package_binary(&devnet::installed::folder(devnet::installed::CONTRACTS)),
        run_dir: run_dir.path().to_owned(),
        chain_id: 4_242,
        mining: devnet::anvil::Mining::Automine { seconds: 1 },
        preferred_port: None,
        allowed_origin: None,
    };
    let anvil = devnet::anvil::Anvil::start(options).await.unwrap();
    let error = refused(&["--data", DATA], &[("CHAIN_RPC_URL", anvil.url().as_str())]);
    assert!(error.contains("4242") && error.contains("31337"), "{error}");
    anvil.stop().await.unwrap();
}
