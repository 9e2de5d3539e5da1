//! Deposits and withdrawals that the settler did not make, followed from the chain into the ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::anvil::{Anvil, deployed_on, settle_all};
use common::{UNIT_NANO, World, deployed, settings};
use domain::units::Money;
use serde_json::{Value, json};
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, MovementKind};
use settlement::follow::{Stretch, next_stretch};
use settlement::reconcile::reconcile;
use settlement::settler::Tick;
use store::{PgPool, movements};

async fn moves(world: &World, chain: &FakeChain, kind: MovementKind, units: i64) {
    let amount = Money::from_nano(units * UNIT_NANO);
    chain.move_elsewhere(kind, world.address("m000").await, amount).unwrap();
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn others_deposits_and_payouts_are_booked_once_and_our_own_not_again(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO, "the settler's own deposit counts once");
    moves(&world, &chain, MovementKind::Deposit, 7).await;
    moves(&world, &chain, MovementKind::Withdrawal, 30).await;
    world.meter(0, 1_000).await;
    for _ in 0..3 {
        // A new settler each time: what it knows is in the rows.
        assert_eq!(world.settle().await, Tick::Idle);
        assert_eq!(world.balance("m000").await, 77 * UNIT_NANO + 200_000_000);
        world.assert_ledger_equals_chain().await;
    }
    let followed = movements::followed(&world.context.pool, &world.context.community_id).await.unwrap();
    assert!(followed.len() > 1 && followed[0].block_number > followed[1].block_number, "{followed:?}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn only_blocks_deep_enough_count(pool: PgPool) {
    let (mut world, chain) = deployed(pool, 2).await;
    world.context.policy.watch.confirmations = 3;
    moves(&world, &chain, MovementKind::Deposit, 7).await;
    for expected in [100, 100, 107] {
        assert_eq!(world.settle().await, Tick::Idle);
        assert_eq!(world.balance("m000").await, expected * UNIT_NANO);
        chain.mine();
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_a_reorganisation_took_back_is_taken_off_the_ledger(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    moves(&world, &chain, MovementKind::Deposit, 7).await;
    world.settle().await;
    moves(&world, &chain, MovementKind::Deposit, 20).await;
    world.settle().await;
    assert_eq!(world.balance("m000").await, 127 * UNIT_NANO);
    chain.reorganise(1, false);
    assert_eq!(world.settle().await, Tick::Idle);
    moves(&world, &chain, MovementKind::Deposit, 5).await;
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("m000").await, 112 * UNIT_NANO, "7 stood, 20 were taken back, 5 are new");
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn following_can_begin_again_at_any_block(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    for units in [7, 8, 9] {
        moves(&world, &chain, MovementKind::Deposit, units).await;
        world.settle().await;
    }
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let followed = movements::followed(pool, id).await.unwrap();
    let numbers = followed.iter().map(|block| Some(block.block_number));
    for to in numbers.chain([None]) {
        let mut tx = pool.begin().await.unwrap();
        movements::rewind(&mut tx, id, to).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(world.settle().await, Tick::Idle);
        assert_eq!(world.balance("m000").await, 124 * UNIT_NANO, "after {to:?}");
    }
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn credits_of_a_stranger_are_named_and_booked_nowhere(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let stranger = Address([9; 20]);
    chain.move_elsewhere(MovementKind::Deposit, stranger, Money::from_nano(3)).unwrap();
    world.settle().await;
    let report = reconcile(&world.settling().await).await.unwrap();
    assert_eq!(report.unclaimed, [(stranger, 3_000_000_000)]);
    assert!(report.is_equal());
    // What nobody explains is named with both amounts.
    sqlx::query("UPDATE ledger_entries SET amount_nano = amount_nano + 1 WHERE account_id = 'm001'")
        .execute(&world.context.pool)
        .await
        .unwrap();
    let report = reconcile(&world.settling().await).await.unwrap();
    let named = report.differences[0].to_string();
    assert!(named.contains("m001") && named.contains("100000000001000000000 base units"), "{named}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_chain_that_started_over_is_followed_while_it_is_still_the_shorter_one(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    moves(&world, &chain, MovementKind::Deposit, 7).await;
    let request = MovementKind::WithdrawalRequested { claimable_at_s: 1_800_000_000 };
    moves(&world, &chain, request, 30).await;
    // So many that what is remembered of the newest blocks does not reach down to the new chain.
    for _ in 0..130 {
        chain.mine();
        world.settle().await;
    }
    assert_eq!((world.balance("m000").await, pending(&world).await), (107 * UNIT_NANO, Some(30 * UNIT_NANO)));
    let height = chain.height();
    chain.restart_empty();
    for _ in 0..20 {
        chain.mine();
    }
    for _ in 0..2 {
        world.settle().await;
    }
    assert!(chain.height() + 100 < height);
    assert_eq!((world.balance("m000").await, pending(&world).await), (100 * UNIT_NANO, None));
    moves(&world, &chain, MovementKind::Deposit, 5).await;
    world.settle().await;
    assert_eq!(world.balance("m000").await, 105 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_node_that_lags_takes_nothing_back(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    moves(&world, &chain, MovementKind::Deposit, 7).await;
    world.settle().await;
    let mut behind = world.settling().await;
    behind.context.policy.watch.confirmations = 2;
    assert_eq!(next_stretch(&behind).await.unwrap(), Stretch::None);
    assert_eq!(world.balance("m000").await, 107 * UNIT_NANO);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn withdrawals_are_known_while_nothing_can_be_signed_or_sent(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let request = MovementKind::WithdrawalRequested { claimable_at_s: 1_800_000_000 };
    world.meter(0, 1_000).await;
    chain.faults(|f| f.paused = true);
    moves(&world, &chain, request, 30).await;
    let refused = refused(&world).await;
    assert!(refused.contains("EnforcedPause"), "{refused}");
    assert_eq!(pending(&world).await, Some(30 * UNIT_NANO));

    // A batch is signed, and the node forgets it when the account has run out of means.
    chain.faults(|f| (f.paused, f.mine_at_once) = (false, false));
    assert_eq!(world.settle().await, Tick::Waiting);
    chain.clear_mempool();
    chain.faults(|f| f.penniless = true);
    moves(&world, &chain, MovementKind::WithdrawalCancelled, 30).await;
    let refused = self::refused(&world).await;
    assert!(refused.contains("cannot pay for gas"), "{refused}");
    assert_eq!(pending(&world).await, None);
}

/// What a settler that begins anew after each failure, as the service's does, comes to.
async fn refused(world: &World) -> String {
    for _ in 0..100 {
        if let Err(error) = world.settler().await.tick().await {
            return error.to_string();
        }
    }
    panic!("nothing is refused");
}

fn calldata(signature: &str, words: &[String]) -> String {
    let selector = hex::encode(&receipt::merkle::keccak256(&[signature.as_bytes()])[..4]);
    format!("0x{selector}{}", words.concat())
}

async fn send(anvil: &Anvil, from: Address, to: Address, data: String) {
    let from = from.to_string();
    anvil.rpc("anvil_impersonateAccount", json!([from])).await;
    anvil.rpc("anvil_setBalance", json!([from, "0xde0b6b3a7640000"])).await;
    let tx = json!({"from": from, "to": to.to_string(), "data": data, "gas": "0x7a120"});
    let hash = anvil.rpc("eth_sendTransaction", json!([tx])).await;
    let receipt = anvil.receipt(&hash).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_real_contracts_events_are_followed_to_the_last_base_unit(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (_, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    world.deposit_all(100).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;

    // A wallet of its own, seen from here: the settlement account's currency, but not its ledger.
    let credit = world.settling().await.domain.credit;
    let (member, sender) = (world.address("m000").await, world.context.chain.sender());
    let word = |number: u128| format!("{number:064x}");
    let account = format!("{:0>64}", hex::encode(member.0));
    for base_units in [7_000_000_000_u128 + 600_000_000, 600_000_000, 1] {
        let data = calldata("depositFor(address,uint256)", &[account.clone(), word(base_units)]);
        send(&anvil, sender, credit, data).await;
    }
    let withdrawn = 40 * 1_000_000_000_000_000_000_u128;
    send(&anvil, member, credit, calldata("requestWithdrawal(uint256)", &[word(withdrawn)])).await;
    send(&anvil, member, credit, calldata("cancelWithdrawal()", &[])).await;
    settle_all(&world).await;
    assert_eq!(pending(&world).await, None);
    send(&anvil, member, credit, calldata("requestWithdrawal(uint256)", &[word(withdrawn)])).await;
    settle_all(&world).await;
    assert_eq!(pending(&world).await, Some(40 * UNIT_NANO));
    anvil.rpc("evm_increaseTime", json!([settings().withdrawal_delay_s + 1])).await;
    assert_ne!(anvil.rpc("evm_mine", json!([])).await, Value::Null);
    send(&anvil, member, credit, calldata("claimWithdrawal()", &[])).await;

    settle_all(&world).await;
    assert_eq!(pending(&world).await, None);
    // 8.2 nano-currency came in: 8 are booked, the rest is known as dust.
    assert_eq!(world.balance("m000").await, 60 * UNIT_NANO + 200_000_000 + 8);
    world.assert_ledger_equals_chain().await;
    let chain_says = chain_balance(&world, member).await;
    assert_eq!(chain_says % 1_000_000_000, 200_000_001);
}

/// What is asked to be paid out, of all accounts together.
async fn pending(world: &World) -> Option<i64> {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let all = store::withdrawals::pending_nano(pool, id).await.unwrap();
    all.into_values().map(Money::nano).reduce(|a, b| a + b)
}

async fn chain_balance(world: &World, account: Address) -> u128 {
    let credit = world.settling().await.domain.credit;
    world.context.chain.balances(&credit, &[account]).await.unwrap()[0]
}
