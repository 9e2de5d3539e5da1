//! The adapter against anvil, with the real contracts: deploy, deposit, settle, reconcile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::anvil::{Anvil, CHAIN_ID, deployed_on, funded, settle_all};
use common::{UNIT_NANO, World, at, settings};
use domain::units::Money;
use serde_json::{Value, json};
use settlement::chain::{Address, Call, Chain, ChainError, Fees, TxStatus, UnsignedTx};
use settlement::context::Context;
use settlement::deploy::{DeploySettings, deploy, deploy_from};
use store::batches::BatchStatus;
use store::slots::SlotStatus;
use store::{PgPool, batches};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn deploys_deposits_settles_and_reconciles(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let anvil = Anvil::start(None, &[]);
    let (chain, world) = deployed_on(&anvil, &key_file, pool, 12).await;
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
    let delay_s = chain.withdrawal_delay_s(&domain.credit).await.unwrap();
    assert_eq!(delay_s, settings().withdrawal_delay_s);
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
    assert!(refused.is_refused_as("BatchAlreadySettled"), "{refused}");

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

/// Calls a view with `words` as arguments, by its selector; the answer in hex.
async fn view(anvil: &Anvil, to: &Address, selector: &str, words: &[String]) -> String {
    let call = json!({ "to": to.to_string(), "data": format!("{selector}{}", words.concat()) });
    match anvil.rpc("eth_call", json!([call, "latest"])).await {
        Value::String(answer) => answer,
        other => panic!("{selector} is refused: {other}"),
    }
}

/// Whether an account has a role: the first word of what `hasRole` answers.
async fn has_role(anvil: &Anvil, authority: &Address, role: u64, account: &Address) -> bool {
    let words = [format!("{role:064x}"), format!("{:0>64}", hex::encode(account.0))];
    view(anvil, authority, "0xd1f856ee", &words).await.get(2..66).is_some_and(|word| word.ends_with('1'))
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_deployer_of_its_own_is_left_without_any_role(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let (settler_key, deployer_key) = (folder.path().join("key"), folder.path().join("deployer"));
    let anvil = Anvil::start(None, &[]);
    let chain = funded(&anvil, &settler_key).await;
    let deployer = funded(&anvil, &deployer_key).await;
    let administrator = Address([9; 20]);
    let world = World::new(pool, chain.clone(), 2, 1).await;
    let settings = DeploySettings { administrator: Some(administrator), ..settings() };
    let from = Context { chain: deployer.clone(), ..world.context.clone() };
    let contract = deploy_from(&from, &world.context, &settings).await.unwrap();

    let (currency, authority) = (deployer.contract_address(0), deployer.contract_address(1));
    assert_eq!(contract.credit_address, deployer.contract_address(2).to_string());
    let (settler, gone) = (chain.sender(), deployer.sender());
    for role in 0..=2 {
        assert!(!has_role(&anvil, &authority, role, &gone).await, "the deployer has role {role}");
        assert_eq!(has_role(&anvil, &authority, role, &settler).await, role == 1, "settler, role {role}");
        assert_eq!(has_role(&anvil, &authority, role, &administrator).await, role != 1, "role {role}");
    }
    let owner = view(&anvil, &currency, "0x8da5cb5b", &[]).await;
    assert!(owner.ends_with(&hex::encode(administrator.0)), "the currency belongs to {owner}");

    world.deposit_all(1).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    assert_eq!(world.status(0).await, SlotStatus::Settled);

    // A node that was restarted empty is told the deployer's transactions first, then the settler's.
    let port = anvil.port;
    drop(anvil);
    let anvil = Anvil::start(Some(port), &[]);
    funded(&anvil, &settler_key).await;
    funded(&anvil, &deployer_key).await;
    world.meter(1, 1_000).await;
    let again = deploy_from(&from, &world.context, &settings).await.unwrap();
    assert_eq!(again, contract);
    settle_all(&world).await;
    assert_eq!(world.status(1).await, SlotStatus::Settled);
    world.assert_ledger_equals_chain().await;
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

#[tokio::test]
async fn another_node_of_the_chain_stands_in_for_one_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let (other_chain, good) = (Anvil::start(None, &["--chain-id", "5"]), Anvil::start(None, &[]));
    funded(&good, &key_file).await;
    let away = Anvil::start(None, &[]).url();
    let chain = Anvil::chain_of(&[away, other_chain.url(), good.url()], &key_file, CHAIN_ID);
    let fees = chain.fees().await.unwrap();
    let call = Call::DeployCurrency { owner: chain.sender() };
    let signed = chain.sign(&UnsignedTx { nonce: 0, gas_limit: 3_000_000, fees, call }).unwrap();
    chain.broadcast(&signed.raw).await.unwrap();
    assert_eq!(good.rpc("eth_blockNumber", json!([])).await, "0x1");
    assert_eq!(other_chain.rpc("eth_blockNumber", json!([])).await, "0x0", "it serves another chain");

    // With none left, each is named with what is wrong with it.
    drop(good);
    let failed = chain.fees().await.unwrap_err();
    assert!(failed.is_transient(), "{failed}");
    assert!(failed.to_string().contains("serves chain 0x5 instead of"), "{failed}");
}
