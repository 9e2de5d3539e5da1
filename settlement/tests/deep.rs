//! Reorganisations deeper than what counts as final: what was forgotten is told again, and no fee is raised for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use chrono::TimeDelta;
use common::anvil::{Anvil, deployed_on, settle_all};
use common::{UNIT_NANO, World, deployed};
use serde_json::json;
use settlement::chain::fake::FakeChain;
use settlement::settler::{Settler, Tick};
use store::PgPool;
use store::slots::SlotStatus;

/// Another branch, without what was in the newest blocks, takes their place.
fn reorganise(chain: &FakeChain, depth: usize) {
    let height = chain.height();
    chain.reorganise(depth, true);
    while chain.height() <= height {
        chain.mine();
    }
}

/// Ticks one settler, which never connects anew, and mines, until a slot is settled.
async fn until_settled(world: &World, chain: &FakeChain, settler: &mut Settler, slot: i64) {
    for _ in 0..200 {
        // A contract that the chain has forgotten is named until it is back.
        if settler.tick().await.is_ok_and(|tick| tick == Tick::Progress) {
            continue;
        }
        if world.status(slot).await == SlotStatus::Settled {
            return;
        }
        chain.mine();
    }
    panic!("settlement has stopped");
}

async fn replacements(world: &World) -> i64 {
    let count = "SELECT count(*) FROM transactions WHERE attempt > 1";
    sqlx::query_scalar(count).fetch_one(&world.context.pool).await.unwrap()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_counted_as_final_is_sent_again(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let mut settler = world.settler().await;
    for slot in 0..2 {
        world.meter(slot, 1_000).await;
        until_settled(&world, &chain, &mut settler, slot).await;
    }
    chain.faults(|f| f.mine_at_once = false);
    // As deep as the last batch, as both, and as the contract itself; noticed by the one that waits, and by the events.
    let (mut slot, deepest) = (2, chain.height());
    for (depth, waited_s) in [(1, 61), (2, 61), (1, 0), (2, 0), (deepest, 61), (deepest, 0)] {
        world.meter(slot, 1_000).await;
        while settler.tick().await.unwrap() == Tick::Progress {}
        reorganise(&chain, depth);
        world.clock.advance(TimeDelta::seconds(waited_s));
        until_settled(&world, &chain, &mut settler, slot).await;
        slot += 1;
        assert_eq!(chain.settled_batches(), usize::try_from(slot).unwrap(), "{depth} deep: each batch once");
        assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + slot * 200_000_000);
        world.assert_ledger_equals_chain().await;
        assert_eq!(replacements(&world).await, 0, "no fee is too low for a nonce that waits for another");
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn it_is_noticed_with_nothing_on_its_way(pool: PgPool) {
    let (world, chain) = deployed(pool, 2).await;
    let mut settler = world.settler().await;
    world.meter(0, 1_000).await;
    until_settled(&world, &chain, &mut settler, 0).await;
    while settler.tick().await.unwrap() == Tick::Progress {}
    reorganise(&chain, 2);
    assert_eq!(chain.settled_batches(), 0);
    while settler.tick().await.unwrap() == Tick::Progress {}
    assert_eq!(chain.settled_batches(), 1);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_node_that_forgets_final_blocks_is_told_them_again(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let (_, world) = deployed_on(&anvil, &folder.path().join("key"), pool, 2).await;
    world.deposit_all(100).await;
    for slot in 0..2 {
        world.meter(slot, 1_000).await;
    }
    settle_all(&world).await;
    let mut settler = world.settler().await;
    while settler.tick().await.unwrap() == Tick::Progress {}
    // The newest blocks, with both batches and some deposits, become empty ones.
    anvil.rpc("anvil_reorg", json!([4, []])).await;
    anvil.rpc("evm_mine", json!([])).await;
    world.meter(2, 1_000).await;
    world.clock.advance(TimeDelta::seconds(61));
    for _ in 0..2_000 {
        if settler.tick().await.is_ok_and(|tick| tick == Tick::Idle) {
            break;
        }
    }
    assert_eq!(world.status(2).await, SlotStatus::Settled);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 3 * 200_000_000);
    world.assert_ledger_equals_chain().await;
    assert_eq!(replacements(&world).await, 0);
}
