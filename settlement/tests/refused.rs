//! What is refused, with the reason and nothing changed: a configuration of another chain, token, contract or
//! community, and calls that the contract does not take.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::anvil::{Anvil, CHAIN_ID, deployed_on, settle_all};
use common::process::{self, Settings};
use common::{UNIT_NANO, World, at, settings};
use domain::ids::BatchId;
use domain::units::Money;
use serde_json::json;
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, Call, Chain, ChunkCall, CodeMatch, Position};
use settlement::context::{Settling, check};
use settlement::deploy::{DeploySettings, deploy};
use settlement::settler::Tick;
use store::communities::Contract;
use store::slots::SlotStatus;
use store::{PgPool, communities, transactions};

const SENDER: Address = Address([0x11; 20]);

fn nano(units: i64) -> Money {
    Money::from_nano(units * UNIT_NANO)
}

/// A deployed community of two with a slot that waits to be settled.
async fn world(pool: PgPool) -> (World, FakeChain) {
    let chain = FakeChain::new(SENDER);
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), 2, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    world.meter(0, 1_000).await;
    world.settle().await;
    world.meter(1, 1_000).await;
    (world, chain)
}

/// Ticks a new settler until it refuses; the reason. It prices, which needs no chain, and sends nothing.
async fn refusal(world: &World) -> String {
    let pool = &world.context.pool;
    let sender = SENDER.to_string();
    let before = transactions::last_nonce(pool, &sender).await.unwrap();
    let mut settler = world.settler().await;
    let refused = loop {
        match settler.tick().await {
            Ok(tick) => assert_eq!(tick, Tick::Progress, "it rests instead of refusing"),
            Err(error) => {
                assert!(error.is_mismatch(), "{error}");
                break error.to_string();
            }
        }
    };
    assert_eq!(transactions::last_nonce(pool, &sender).await.unwrap(), before, "nothing is signed");
    refused
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn other_code_at_the_contracts_address_is_refused(pool: PgPool) {
    let (world, chain) = world(pool).await;
    chain.faults(|f| f.other_code = true);
    let refused = refusal(&world).await;
    assert!(refused.contains("run the version that deployed it"), "{refused}");
    chain.faults(|f| f.other_code = false);
    assert_eq!(world.settle().await, Tick::Idle);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_contract_of_another_community_is_refused(pool: PgPool) {
    let (world, chain) = world(pool.clone()).await;
    let own = communities::find(&pool, &world.context.community_id).await.unwrap().unwrap().contract.unwrap();
    // A second community, deployed by the same account.
    let other = World::named("other", pool.clone(), Arc::new(chain.clone()), 2, 1).await;
    let theirs = deploy(&other.context, &settings()).await.unwrap();
    assert_ne!(own, theirs);
    sqlx::query("UPDATE communities SET credit_address = $1 WHERE community_id = 'demo'")
        .bind(&theirs.credit_address)
        .execute(&pool)
        .await
        .unwrap();
    let refused = refusal(&world).await;
    assert!(refused.contains("both name the contract"), "{refused}");

    // Also if the other community is not in this database.
    sqlx::query("UPDATE communities SET chain_id = NULL, credit_address = NULL WHERE community_id = 'other'")
        .execute(&pool)
        .await
        .unwrap();
    let refused = refusal(&world).await;
    assert!(refused.contains("does not know batch"), "{refused}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_community_of_another_chain_is_refused(pool: PgPool) {
    let (world, _) = world(pool.clone()).await;
    let own = communities::find(&pool, &world.context.community_id).await.unwrap().unwrap().contract.unwrap();
    let elsewhere = Contract { chain_id: 5, ..own };
    sqlx::query("UPDATE communities SET chain_id = 5").execute(&pool).await.unwrap();
    let found = communities::find(&pool, &world.context.community_id).await.unwrap().unwrap();
    assert_eq!(found.contract, Some(elsewhere));
    let refused = Settling::of(world.context.clone()).await.err().unwrap();
    assert!(refused.is_mismatch() && refused.to_string().contains("[chain] chain_id says"), "{refused}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn real_code_is_compared_but_for_what_the_constructor_was_given(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (chain, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    let settling = world.settling().await;
    check::contract(&settling).await.unwrap();

    // One byte more, and one byte changed.
    let credit = settling.domain.credit.to_string();
    let code = anvil.rpc("eth_getCode", json!([credit, "latest"])).await;
    let code = code.as_str().unwrap().to_owned();
    for changed in [format!("{code}00"), format!("0x61{}", &code[4..])] {
        anvil.rpc("anvil_setCode", json!([credit, changed])).await;
        let found = chain.credit_code(&settling.domain.credit).await.unwrap();
        assert!(matches!(found, CodeMatch::Other { .. }), "{found:?}");
        assert!(check::contract(&settling).await.unwrap_err().is_mismatch());
    }
    anvil.rpc("anvil_setCode", json!([credit, "0x"])).await;
    let none = check::contract(&settling).await.unwrap_err();
    assert!(!none.is_mismatch() && none.to_string().contains("there is no contract at"), "{none}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_program_ends_with_the_reason_and_changes_nothing(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let chain = Arc::new(process::chain(&anvil, folder.path()).await);
    let world = World::new(pool.clone(), chain.clone(), 2, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    world.meter(0, 1_000).await;
    let credit = world.settling().await.domain.credit.to_string();
    let sender = chain.sender().to_string();
    let before = transactions::last_nonce(&pool, &sender).await.unwrap();
    let (rpc_url, token) = (anvil.url(), format!("currency_address = '{}'", Address([7; 20])));
    for (chain_lines, settlement_lines, reason) in [
        ("chain_id = 5", "", "serves chain 31337, but [chain] chain_id says 5"),
        ("currency_decimals = 6", "", "has 18 decimals, but [chain] currency_decimals says 6"),
        ("", token.as_str(), "[settlement] currency_address says 0x0707"),
        ("", "", "run the version that deployed it"),
    ] {
        if chain_lines.is_empty() && settlement_lines.is_empty() {
            // The currency's own code is no credit contract, whatever the database says.
            let code =
                anvil.rpc("eth_getCode", json!([chain.contract_address(0).to_string(), "latest"])).await;
            anvil.rpc("anvil_setCode", json!([credit, code])).await;
        }
        let settings = Settings { rpc_url: &rpc_url, chain: chain_lines, settlement: settlement_lines };
        let ended = process::refused(folder.path(), &pool, &settings);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains(reason), "{reason}: {said}");
    }
    assert_eq!(transactions::last_nonce(&pool, &sender).await.unwrap(), before, "nothing is signed");
    assert_eq!(world.status(0).await, SlotStatus::Metered, "nothing is priced");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_contract_says_in_words_what_it_refuses(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (chain, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    world.deposit_all(100).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    let domain = world.settling().await.domain;
    let credit = domain.credit;
    let (a, b) = (world.address("m000").await, world.address("m001").await);
    let settle = |batch_id: BatchId, positions: Vec<Position>| Call::Settle {
        credit,
        batch_id,
        slot_from_s: 1,
        slot_to_s: 2,
        statement_root: [1; 32],
        positions,
    };
    let position = |account, amount| Position { account, amount };
    let new = BatchId([9; 32]);
    let owed = |units: i64| vec![position(a, nano(-units)), position(b, nano(units))];
    let chunk = ChunkCall { credit, batch_id: new, index: 0, positions: owed(1) };
    for (call, expected) in [
        (settle(domain.batch_id(at(0), 0), owed(1)), ["BatchAlreadySettled(batchId: 0x", "not taken twice"]),
        (
            settle(new, vec![position(a, nano(-1)), position(b, nano(2))]),
            ["PositionsNotBalanced(sum: 1000000000000000000)", "must sum to zero"],
        ),
        (
            settle(new, vec![position(b, nano(-1)), position(a, nano(1))]),
            ["PositionsNotAscending(index: 1)", "each account once"],
        ),
        (settle(new, owed(9_999)), ["InsufficientCredit(account: 0x", "holds less than it owes"]),
        (Call::PushChunk(chunk), ["NotTheBatchInProgress", "or there is none"]),
        (Call::FinaliseBatch { credit, batch_id: new }, ["NotTheBatchInProgress", "or there is none"]),
    ] {
        let refused = chain.estimate_gas(&call).await.unwrap_err().to_string();
        assert!(expected.iter().all(|part| refused.contains(part)), "{refused}");
    }

    // An account that the administrator has given no role, with money for gas.
    let stranger = anvil.chain(&folder.path().join("stranger"), CHAIN_ID);
    stranger.fund_on_development_chain(1_000_000_000_000_000_000).await.unwrap();
    let open = Call::OpenBatch {
        credit,
        batch_id: new,
        slot_from_s: 1,
        slot_to_s: 2,
        statement_root: [1; 32],
        chunks: vec![owed(1)],
    };
    for call in [settle(new, owed(1)), open, Call::AbandonBatch { credit, batch_id: new }] {
        let refused = stranger.estimate_gas(&call).await.unwrap_err();
        assert!(refused.is_refused_as("AccessManagedUnauthorized"), "{refused}");
        let words = format!("caller: {}", stranger.sender());
        assert!(refused.to_string().contains(&words), "{refused}");
        assert!(refused.to_string().contains("has no role for the function"), "{refused}");
    }
    // Refused in the estimate, and no less if it is sent all the same.
    let fees = stranger.fees().await.unwrap();
    let call = settle(new, owed(1));
    let tx = settlement::chain::UnsignedTx { nonce: 0, gas_limit: 300_000, fees, call };
    let signed = stranger.sign(&tx).unwrap();
    stranger.broadcast(&signed.raw).await.unwrap();
    let receipt = anvil.receipt(&json!(signed.hash.to_string())).await;
    assert_eq!(receipt["status"], "0x0", "{receipt}");
    assert_eq!(chain.settled_root(&credit, &new).await.unwrap(), None);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_withdrawal_delay_within_the_settlement_horizon_is_refused(pool: PgPool) {
    let chain = FakeChain::new(SENDER);
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), 2, 1).await;
    let pool = &world.context.pool;
    // 60 s before a slot of 10 s its orders begin, and its readings may come 60 s after it.
    let of = |withdrawal_delay_s| DeploySettings { withdrawal_delay_s, ..settings() };
    let refused = deploy(&world.context, &of(130)).await.unwrap_err();
    assert!(
        refused.is_mismatch() && refused.to_string().contains("withdrawal_delay_s above 130"),
        "{refused}"
    );
    assert_eq!(transactions::last_nonce(pool, &SENDER.to_string()).await.unwrap(), None, "nothing is signed");

    deploy(&world.context, &of(131)).await.unwrap();
    let settling = world.settling().await;
    check::deployed_delay(&settling).await.unwrap();
    sqlx::query("UPDATE communities SET metering_deadline_s = 61").execute(pool).await.unwrap();
    let said = check::deployed_delay(&settling).await.unwrap_err().to_string();
    assert!(said.contains("paid 131 s after"), "{said}");
}
