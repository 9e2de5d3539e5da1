//! The adapter against anvil, with the real contracts: deploy, deposit, settle, reconcile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{UNIT_NANO, World, at, settings};
use domain::units::Money;
use serde_json::{Value, json};
use settlement::chain::evm::{EvmChain, NodeSettings, SignerKey};
use settlement::chain::{Address, Call, Chain, ChainError, Fees, TxStatus, UnsignedTx};
use settlement::deploy::{DeploySettings, deploy};
use settlement::settler::Tick;
use store::batches::BatchStatus;
use store::slots::SlotStatus;
use store::{PgPool, batches};

const CHAIN_ID: u64 = 31_337;
const ETHER_WEI: u128 = 1_000_000_000_000_000_000;

/// A node of its own for each test, ended with it.
struct Anvil {
    child: Child,
    port: u16,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn anvil_binary() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/node_modules/@foundry-rs");
    let found = std::fs::read_dir(&packages).into_iter().flatten().flatten();
    found
        .map(|entry| entry.path().join("bin/anvil"))
        .find(|path| path.to_string_lossy().contains("anvil-") && path.is_file())
        .unwrap_or_else(|| panic!("anvil is not under {}: run `make setup`", packages.display()))
}

impl Anvil {
    fn start(port: Option<u16>, extra: &[&str]) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.unwrap_or_else(free);
        let mut child = Command::new(anvil_binary())
            .args(["--port", &port.to_string(), "--chain-id", &CHAIN_ID.to_string()])
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

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = reqwest::Client::new().post(self.url()).json(&body).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["result"].clone()
    }

    fn chain(&self, key_file: &Path, chain_id: u64) -> EvmChain {
        let settings = NodeSettings {
            rpc_url: self.url().parse().unwrap(),
            chain_id,
            request_timeout: Duration::from_secs(5),
            lowest_max_fee_wei: 3_000_000_000,
        };
        let key = SignerKey::read_or_create(key_file, &[0x42; 32]).unwrap();
        EvmChain::new(settings, &key).unwrap()
    }
}

/// Settles until nothing is on its way; the node mines by itself.
async fn settle_all(world: &World) {
    for _ in 0..20_000 {
        if world.settle().await == Tick::Idle {
            return;
        }
    }
    panic!("the chain does not mine");
}

async fn funded(anvil: &Anvil, key_file: &Path) -> Arc<EvmChain> {
    let chain = anvil.chain(key_file, CHAIN_ID);
    chain.check().await.unwrap();
    chain.fund_on_development_chain(1_000 * ETHER_WEI).await.unwrap();
    Arc::new(chain)
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn deploys_deposits_settles_and_reconciles(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let anvil = Anvil::start(None, &[]);
    let chain = funded(&anvil, &key_file).await;
    let world = World::new(pool, chain.clone(), 12, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    for slot in 0..3 {
        world.meter(slot, 1_000).await;
    }
    settle_all(&world).await;
    assert_eq!(world.status(2).await, SlotStatus::Settled);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 3 * 200_000_000);
    assert_eq!(world.ledger_sum().await, 14 * 100 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;

    let domain = world.settling().await.domain;
    let batch_id = domain.batch_id(at(1), 0);
    let batch = batches::find(&world.context.pool, &domain.community_id, &batch_id).await.unwrap().unwrap();
    assert_eq!(batch.status, BatchStatus::Final);
    let root = chain.settled_root(&domain.credit, &batch_id).await.unwrap();
    assert_eq!(root, Some(batch.statement_root));

    // The real contract refuses the id a second time, and says so by name.
    let (credit, statement_root) = (domain.credit, [1; 32]);
    let again =
        Call::Settle { credit, batch_id, slot_from_s: 1, slot_to_s: 2, statement_root, positions: vec![] };
    let refused = chain.estimate_gas(&again).await.unwrap_err();
    assert_eq!(refused, ChainError::WouldRevert { reason: "BatchAlreadySettled".to_owned() });

    // A node that was restarted empty is told everything again.
    let port = anvil.port;
    drop(anvil);
    let anvil = Anvil::start(Some(port), &[]);
    funded(&anvil, &key_file).await;
    world.meter(3, 1_000).await;
    deploy(&world.context, &settings()).await.unwrap();
    settle_all(&world).await;
    assert_eq!(world.status(3).await, SlotStatus::Settled);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn with_an_administrator_the_deployer_can_settle_and_grant_nothing(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let chain = funded(&anvil, &folder.path().join("key")).await;
    let world = World::new(pool, chain.clone(), 2, 1).await;
    let settings = DeploySettings { administrator: Some(Address([9; 20])), ..settings() };
    deploy(&world.context, &settings).await.unwrap();
    world.deposit_all(1).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    assert_eq!(world.status(0).await, SlotStatus::Settled);
    world.assert_ledger_equals_chain().await;
    let authority = chain.contract_address(1);
    let grant = Call::GrantRole { authority, role: 1, holder: chain.sender() };
    let refused = chain.estimate_gas(&grant).await.unwrap_err().to_string();
    assert!(refused.contains("AccessManagerUnauthorizedAccount"), "{refused}");
}

#[tokio::test]
async fn a_pending_transaction_is_replaced_and_its_fate_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &["--no-mining"]);
    let chain = funded(&anvil, &folder.path().join("key")).await;
    let fees = chain.fees().await.unwrap();
    let call = Call::Mint { currency: Address([8; 20]), to: chain.sender(), amount: Money::from_nano(1) };
    let first = chain.sign(&UnsignedTx { nonce: 0, gas_limit: 100_000, fees, call }).unwrap();
    assert_eq!(chain.status(&first.hash).await.unwrap(), TxStatus::Unknown);
    chain.broadcast(&first.raw).await.unwrap();
    chain.broadcast(&first.raw).await.unwrap(); // known already: no error
    assert_eq!(chain.status(&first.hash).await.unwrap(), TxStatus::Pending);

    let second = chain.sign_replacement(&first.raw, Fees { max_fee_per_gas_wei: 0, ..fees }).unwrap();
    assert_eq!(second.nonce, 0);
    assert!(second.max_fee_per_gas_wei * 8 >= first.max_fee_per_gas_wei * 9);
    chain.broadcast(&second.raw).await.unwrap();
    assert_eq!(chain.mined_nonce(1).await.unwrap(), 0);
    anvil.rpc("evm_mine", json!([])).await;
    anvil.rpc("evm_mine", json!([])).await;
    let status = chain.status(&second.hash).await.unwrap();
    assert!(matches!(status, TxStatus::Mined { block_number: 1, confirmations: 2, .. }), "{status:?}");
    assert_eq!(chain.mined_nonce(1).await.unwrap(), 1);
    assert_eq!(chain.mined_nonce(3).await.unwrap(), 0, "not deep enough for three confirmations");
    assert_eq!(chain.broadcast(&first.raw).await, Err(ChainError::NonceTooLow));
    assert_eq!(chain.head().await.unwrap().number, 2);
}

#[tokio::test]
async fn a_wrong_chain_and_an_absent_node_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let anvil = Anvil::start(None, &[]);
    let wrong = anvil.chain(&key_file, 1).check().await.unwrap_err();
    assert_eq!(wrong, ChainError::WrongChain { expected: 1, actual: CHAIN_ID });
    let chain = anvil.chain(&key_file, CHAIN_ID);
    let port = anvil.port;
    drop(anvil);
    let absent = chain.check().await.unwrap_err();
    assert!(absent.is_transient() && absent.to_string().contains(&format!("127.0.0.1:{port}")), "{absent}");
}

#[tokio::test]
async fn an_account_without_money_for_gas_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let chain = anvil.chain(&folder.path().join("key"), CHAIN_ID);
    let fees = chain.fees().await.unwrap();
    let call = Call::DeployCurrency { owner: chain.sender() };
    let signed = chain.sign(&UnsignedTx { nonce: 0, gas_limit: 3_000_000, fees, call }).unwrap();
    let refused = chain.broadcast(&signed.raw).await.unwrap_err();
    assert_eq!(refused, ChainError::OutOfGasMoney { sender: chain.sender() });
}
