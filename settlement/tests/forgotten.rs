//! What the chain has of the settlement account and the rows have forgotten: used nonces are passed over without a
//! wait, no deposit is made twice, and a chain that forgot much is told it without holding up the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use common::anvil::{Anvil, deployed_on, settle_all};
use common::forgotten::forgotten;
use common::{UNIT_NANO, World, deployed, settings};
use domain::units::Money;
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, Call, Chain, UnsignedTx};
use settlement::deploy::deploy;
use settlement::resync::WINDOW;
use settlement::settler::Tick;
use store::PgPool;
use store::slots::SlotStatus;

/// A deposit made by the settlement account that no row tells of.
async fn deposit(world: &World, name: &str, units: i64) -> Call {
    let credit = world.settling().await.domain.credit;
    let (account, amount) = (world.address(name).await, Money::from_nano(units * UNIT_NANO));
    Call::DepositFor { credit, account, amount }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn used_nonces_are_passed_over_without_a_wait(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    // More than are taken at once.
    for _ in 0..300 {
        chain.spend_nonce_elsewhere();
    }
    let mined = chain.mined_nonce(1).await.unwrap();
    for slot in 0..2 {
        world.meter(slot, 1_000).await;
        assert_eq!(world.settle().await, Tick::Idle);
        assert_eq!(world.status(slot).await, SlotStatus::Settled, "the clock has stood still");
    }
    assert_eq!(chain.mined_nonce(1).await.unwrap(), mined + 2, "nothing was sent but the two batches");
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_node_that_names_too_high_a_nonce_leaves_none_out(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let mined = chain.mined_nonce(1).await.unwrap();
    chain.faults(|f| f.nonce_error = 3);
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Idle);
    chain.faults(|f| f.nonce_error = 0);
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.status(0).await, SlotStatus::Settled);
    assert_eq!(chain.mined_nonce(1).await.unwrap(), mined + 4, "three that do nothing, and the batch");
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_deposit_that_the_chain_has_is_not_made_again(pool: PgPool) {
    let (world, chain) = deployed(pool, 4).await;
    // At another fee than the settler would offer now, so that these are other bytes.
    chain.faults(|f| f.lowest_fee_wei = 5_000);
    let made = [deposit(&world, "m000", 7).await, deposit(&world, "m001", 7).await];
    forgotten(&chain, &made).await;
    chain.faults(|f| f.lowest_fee_wei = 0);
    // Somebody else pays in the same amount, which is no reason to leave the request out.
    let (buyer, amount) = (world.address("m002").await, Money::from_nano(7 * UNIT_NANO));
    chain.move_elsewhere(settlement::chain::MovementKind::Deposit, buyer, amount).unwrap();
    for client in ["first", "second"] {
        world.deposit(client, &["m000"], 7).await;
    }
    world.deposit("third", &["m001", "m002", "m003"], 7).await;
    assert_eq!(world.settle().await, Tick::Idle);
    for (name, units) in [("m000", 114), ("m001", 107), ("m002", 114), ("m003", 107)] {
        assert_eq!(world.balance(name).await, units * UNIT_NANO, "{name}");
    }
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn one_that_was_booked_by_its_event_is_booked_once(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    chain.faults(|f| f.lowest_fee_wei = 5_000);
    forgotten(&chain, &[deposit(&world, "m000", 7).await]).await;
    chain.faults(|f| f.lowest_fee_wei = 0);
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("m000").await, 107 * UNIT_NANO, "followed, as a stranger's would be");
    world.deposit("late", &["m000"], 7).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("m000").await, 107 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;
    // What is asked for after that is new.
    world.deposit("new", &["m000"], 7).await;
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("m000").await, 114 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn one_that_still_waited_to_be_mined_is_not_made_again(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    chain.faults(|f| (f.mine_at_once, f.lowest_fee_wei) = (false, 5_000));
    let (nonce, fees) = (chain.mined_nonce(1).await.unwrap(), chain.fees().await.unwrap());
    let call = deposit(&world, "m000", 7).await;
    let signed = chain.sign(&UnsignedTx { nonce, gas_limit: 1_000_000, fees, call }).unwrap();
    chain.broadcast(&signed.raw).await.unwrap();
    chain.faults(|f| f.lowest_fee_wei = 0);
    // The settler's own has the same nonce, and is refused: too little for a replacement.
    world.deposit("again", &["m000"], 7).await;
    world.settle().await;
    chain.mine();
    for _ in 0..5 {
        world.settle().await;
        chain.mine();
        world.clock.advance(TimeDelta::seconds(61));
    }
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("m000").await, 107 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn on_a_node_nonces_are_passed_over_and_deposits_taken_over(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (chain, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    world.deposit_all(100).await;
    settle_all(&world).await;
    forgotten(chain.as_ref(), &[deposit(&world, "m000", 7).await, deposit(&world, "m001", 8).await]).await;
    let mined = chain.mined_nonce(1).await.unwrap();
    world.deposit("again", &["m000"], 7).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    assert_eq!(world.status(0).await, SlotStatus::Settled);
    assert_eq!(chain.mined_nonce(1).await.unwrap(), mined + 1, "nothing was sent but the batch");
    assert_eq!(world.balance("m000").await, 107 * UNIT_NANO + 200_000_000);
    assert_eq!(world.balance("m001").await, 108 * UNIT_NANO - 232_000_000);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_chain_that_forgot_more_than_it_takes_at_once_holds_up_no_turn(pool: PgPool) {
    let chain = FakeChain::new(Address([0x11; 20]));
    chain.faults(|f| f.mine_at_once = true);
    let world = World::new(pool, Arc::new(chain.clone()), 2, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    for round in 0..=WINDOW / 4 {
        world.deposit(&format!("round-{round}"), &["m000", "m001", "grid", "reserve"], 1).await;
    }
    assert_eq!(world.settle().await, Tick::Idle);
    let before = world.balance("m000").await;
    let known = chain.mined_nonce(1).await.unwrap();
    assert!(i64::try_from(known).unwrap() > WINDOW);

    chain.restart_empty();
    chain.faults(|f| f.mine_at_once = false);
    world.meter(0, 1_000).await;
    let mut settler = world.settler().await;
    let quick = Duration::from_secs(30);
    assert_eq!(
        tokio::time::timeout(quick, settler.tick()).await.unwrap().unwrap(),
        Tick::Progress,
        "it prices"
    );
    // Nothing is mined yet, and no turn waits for that: other communities, and the health file, have theirs.
    for _ in 0..3 {
        assert_eq!(tokio::time::timeout(quick, settler.tick()).await.unwrap().unwrap(), Tick::Waiting);
    }
    world.meter(1, 1_000).await;
    assert_eq!(
        tokio::time::timeout(quick, settler.tick()).await.unwrap().unwrap(),
        Tick::Progress,
        "it prices"
    );
    for _ in 0..20 {
        chain.mine();
        while settler.tick().await.is_ok_and(|tick| tick == Tick::Progress) {}
    }
    assert_eq!(world.status(1).await, SlotStatus::Settled);
    assert_eq!(world.balance("m000").await, before + 400_000_000);
    world.assert_ledger_equals_chain().await;
}
