//! A node of a development chain for one test, and the settler on it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use settlement::chain::evm::{EvmChain, NodeSettings, SignerKey};
use settlement::chain::{Chain, TokenScale};
use settlement::deploy::deploy;
use settlement::settler::Tick;
use store::PgPool;

use super::{World, settings};

pub const CHAIN_ID: u64 = 31_337;
pub const ETHER_WEI: u128 = 1_000_000_000_000_000_000;

/// A node of its own for each test, ended with it.
pub struct Anvil {
    child: Child,
    pub port: u16,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn anvil_binary() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/node_modules/@foundry-rs");
    let found = std::fs::read_dir(&packages).into_iter().flatten().flatten();
    found
        .map(|entry| entry.path().join("bin/anvil"))
        .find(|path| path.to_string_lossy().contains("anvil-") && path.is_file())
        .unwrap_or_else(|| panic!("anvil is not under {}: run `make setup`", packages.display()))
}

impl Anvil {
    pub fn start(port: Option<u16>, extra: &[&str]) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.unwrap_or_else(free);
        let mut child = Command::new(anvil_binary())
            .args(["--port", &port.to_string()])
            .args(["--accounts", "0"])
            .args(extra)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (listening, listens) = std::sync::mpsc::channel();
        // Read to its end, so that the node never waits for a reader.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok).filter(|line| line.contains("Listening on")) {
                let _ = listening.send(line);
            }
        });
        let anvil = Self { child, port };
        listens.recv_timeout(Duration::from_secs(30)).expect("anvil does not start");
        anvil
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = reqwest::Client::new().post(self.url()).json(&body).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["result"].clone()
    }

    /// The receipt of a transaction, once the node has mined it.
    pub async fn receipt(&self, hash: &Value) -> Value {
        for _ in 0..5_000 {
            let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
        }
        panic!("{hash} is not mined");
    }

    pub fn chain(&self, key_file: &Path, chain_id: u64) -> EvmChain {
        Self::chain_of(&[self.url()], key_file, chain_id)
    }

    /// The adapter to several nodes, each standing in for the ones before it.
    pub fn chain_of(urls: &[String], key_file: &Path, chain_id: u64) -> EvmChain {
        Self::set_up(urls, key_file, chain_id, TokenScale::ETHER)
    }

    /// The adapter as it is configured for another currency token.
    pub fn chain_with(urls: &[String], key_file: &Path, scale: TokenScale) -> EvmChain {
        Self::set_up(urls, key_file, CHAIN_ID, scale)
    }

    fn set_up(urls: &[String], key_file: &Path, chain_id: u64, scale: TokenScale) -> EvmChain {
        let settings = NodeSettings {
            rpc_urls: urls.iter().map(|url| url.parse().unwrap()).collect(),
            chain_id,
            request_timeout: Duration::from_secs(5),
            lowest_max_fee_wei: 3_000_000_000,
            scale,
        };
        EvmChain::new(settings, &key(key_file)).unwrap()
    }
}

/// The key in a keystore, which is made at the first call: another key for each file name.
fn key(keystore: &Path) -> SignerKey {
    let mut bytes = receipt::merkle::keccak256(&[keystore.file_name().unwrap().as_encoded_bytes()]);
    let random = || {
        bytes[0] = bytes[0].wrapping_add(1);
        bytes
    };
    SignerKey::open_or_create(keystore, &keystore.with_extension("password"), random).unwrap()
}

/// Settles until nothing is on its way; the node mines by itself.
pub async fn settle_all(world: &World) {
    for _ in 0..20_000 {
        if world.settle().await == Tick::Idle {
            return;
        }
    }
    panic!("the chain does not mine");
}

pub async fn funded(anvil: &Anvil, key_file: &Path) -> Arc<EvmChain> {
    let chain = anvil.chain(key_file, CHAIN_ID);
    chain.check().await.unwrap();
    chain.fund_on_development_chain(1_000 * ETHER_WEI).await.unwrap();
    Arc::new(chain)
}

/// A settler with means on a node, and a community of `members` with its contracts there.
pub async fn deployed_on(
    anvil: &Anvil,
    key_file: &Path,
    pool: PgPool,
    members: usize,
) -> (Arc<EvmChain>, World) {
    let chain = funded(anvil, key_file).await;
    let world = World::new(pool, chain.clone(), members, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    (chain, world)
}
