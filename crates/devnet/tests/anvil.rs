//! The local chain, as a real process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use devnet::anvil::{Anvil, AnvilError, AnvilOptions, Mining, package_binary};
use devnet::process;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const OPERATOR: &str = "0x00000000000000000000000000000000000000aa";

fn options(run_dir: &Path) -> AnvilOptions {
    // Relative on purpose: tests run in the crate's folder.
    let contracts = Path::new("../../settlement/contracts");
    AnvilOptions {
        binary: package_binary(contracts),
        run_dir: run_dir.to_owned(),
        chain_id: 31_999,
        mining: Mining::Interval { seconds: 1 },
        preferred_port: None,
        allowed_origin: None,
    }
}

async fn call(anvil: &Anvil, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let answer: Value =
        client.post(anvil.url().clone()).json(&request).send().await.unwrap().json().await.unwrap();
    answer["result"].clone()
}

#[tokio::test]
async fn a_chain_starts_mines_funds_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(options(dir.path())).await.unwrap();
    assert_eq!(call(&anvil, "eth_chainId", json!([])).await, "0x7cff");
    assert_eq!(call(&anvil, "eth_accounts", json!([])).await, json!([]), "no account with a known key");
    anvil.set_balance(OPERATOR, 10_u128.pow(21)).await.unwrap();
    assert_eq!(call(&anvil, "eth_getBalance", json!([OPERATOR, "latest"])).await, "0x3635c9adc5dea00000");
    let error = anvil.set_balance("0x12", 1).await.unwrap_err().to_string();
    assert!(error.contains("`0x12` is no address"), "{error}");

    let deadline = Instant::now() + Duration::from_secs(20);
    while call(&anvil, "eth_blockNumber", json!([])).await == "0x0" {
        assert!(Instant::now() < deadline, "no block was made");
        sleep(Duration::from_millis(50)).await;
    }
    let pid: u32 = std::fs::read_to_string(dir.path().join("anvil.pid")).unwrap().parse().unwrap();
    assert!(process::is_running(pid));
    anvil.stop().await.unwrap();
    assert!(!process::is_running(pid));
}

#[tokio::test]
async fn what_a_killed_run_left_behind_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let binary = options(dir.path()).binary;
    let mut orphan = std::process::Command::new(binary)
        .args(["--quiet", "--port", "0"])
        .env("HOME", dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::fs::write(dir.path().join("anvil.pid"), orphan.id().to_string()).unwrap();
    // Until the child has become the program, it cannot be recognised.
    while !process::command_line(orphan.id()).first().is_some_and(|name| name.ends_with("anvil")) {
        sleep(Duration::from_millis(5)).await;
    }
    let options = AnvilOptions { mining: Mining::Automine { seconds: 1 }, ..options(dir.path()) };
    let anvil = Anvil::start(options.clone()).await.unwrap();
    assert!(!process::is_running(orphan.id()));
    orphan.wait().unwrap();

    let error = Anvil::start(options).await.unwrap_err();
    assert!(matches!(error, AnvilError::Locked(_)), "a second run is refused: {error}");
    anvil.stop().await.unwrap();
}

#[tokio::test]
async fn a_missing_program_names_the_command_that_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = AnvilOptions { binary: dir.path().join("anvil"), ..options(dir.path()) };
    let error = Anvil::start(options).await.unwrap_err().to_string();
    assert!(error.contains("make setup") && error.contains("CHAIN_RPC_URL"), "{error}");
}
