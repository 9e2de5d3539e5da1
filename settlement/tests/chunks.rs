//! Slots too large for one transaction: settled in chunks, all or nothing, from whatever point it goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::anvil::{Anvil, funded, settle_all};
use common::{UNIT_NANO, World, account, at, settings};
use domain::units::Money;
use settlement::chain::evm::Reader;
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, Call, Chain, MovementKind, UnsignedTx};
use settlement::deploy::deploy;
use settlement::settler::Tick;
use settlement::verify::verify;
use store::batches::chunks;
use store::slots::SlotStatus;
use store::{PgPool, communities, receipts};

const SELLER_NANO: i64 = 200_000_000;
const BUYER_NANO: i64 = -232_000_000;

/// A community of eight, on a chain whose blocks hold so little that a slot of theirs takes six chunks.
async fn world(pool: PgPool, confirmations: u64) -> (World, FakeChain) {
    let chain = FakeChain::new(Address([0x11; 20]));
    chain.faults(|f| (f.mine_at_once, f.block_gas_limit) = (true, 440_000));
    let mut world = World::new(pool, Arc::new(chain.clone()), 8, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    assert_eq!(world.settle().await, Tick::Idle);
    chain.faults(|f| f.mine_at_once = false);
    world.context.policy.watch.confirmations = confirmations;
    (world, chain)
}

async fn assert_settled(world: &World, chain: &FakeChain, slots: i64) {
    for slot in 0..slots {
        assert_eq!(world.status(slot).await, SlotStatus::Settled, "slot {slot}");
    }
    assert_eq!(i64::try_from(chain.settled_batches()), Ok(slots));
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + slots * SELLER_NANO);
    assert_eq!(world.balance("m001").await, 100 * UNIT_NANO + slots * BUYER_NANO);
    world.assert_ledger_equals_chain().await;
}

/// Settles and mines until nothing is left to do; a new settler at each turn.
async fn finish(world: &World, chain: &FakeChain) {
    for _ in 0..60 {
        if world.settle().await == Tick::Idle {
            return;
        }
        chain.mine();
    }
    panic!("the batch does not end");
}

async fn chunk_count(world: &World) -> usize {
    let batch_id = world.settling().await.domain.batch_id(at(0), 0);
    chunks::find(&world.context.pool, &world.context.community_id, &batch_id).await.unwrap().len()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_large_slot_goes_in_chunks_and_a_small_one_in_one_call(pool: PgPool) {
    let (world, chain) = world(pool, 2).await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    assert!(chunk_count(&world).await >= 3);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Waiting, "mined, and not yet final");
    assert_eq!(world.status(0).await, SlotStatus::Priced);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO, "nothing is booked before the end");
    finish(&world, &chain).await;
    assert_settled(&world, &chain, 1).await;

    chain.faults(|f| f.block_gas_limit = 0);
    world.meter(1, 1_000).await;
    world.settle().await;
    let next = world.settling().await.domain.batch_id(at(1), 0);
    let found = chunks::find(&world.context.pool, &world.context.community_id, &next).await.unwrap();
    assert!(found.is_empty(), "one call is enough in an ordinary block");
    finish(&world, &chain).await;
    assert_settled(&world, &chain, 2).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn each_step_that_fails_once_is_made_good(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    // So many steps in a row revert, from the opening on: every way in which the rest can fail after it.
    for slot in 0..12 {
        world.meter(slot, 1_000).await;
        world.settle().await;
        chain.faults(|f| f.revert_next = u32::try_from(slot).unwrap() + 1);
        finish(&world, &chain).await;
        chain.faults(|f| f.revert_next = 0);
    }
    assert_settled(&world, &chain, 12).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_debtor_that_cannot_pay_its_chunk_lets_the_batch_be_given_back_and_cut_anew(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting, "signed, with what the ledger says");
    // Paid out before the opening is mined, so the contract could not refuse it.
    let poor = world.address("m007").await;
    chain.move_elsewhere(MovementKind::Withdrawal, poor, Money::from_nano(100 * UNIT_NANO)).unwrap();
    finish(&world, &chain).await;
    assert_eq!(world.status(0).await, SlotStatus::Settled);
    assert_eq!(chain.settled_batches(), 1);
    assert_eq!(chain.credits(&poor), Money::ZERO);
    assert_eq!(world.balance("reserve").await, 100 * UNIT_NANO + BUYER_NANO, "the reserve stands in");
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + SELLER_NANO);
    world.assert_ledger_equals_chain().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn chunks_that_a_stranger_releases_first_are_no_loss(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    // The opening, the pushes and the decision are mined; then a stranger pays every creditor.
    let (credit, batch_id) = {
        let domain = world.settling().await.domain;
        (domain.credit, domain.batch_id(at(0), 0))
    };
    let stored = chunks::find(&world.context.pool, &world.context.community_id, &batch_id).await.unwrap();
    chain.mine_some(2 + stored.len());
    for (index, chunk) in (0_u32..).zip(stored) {
        let positions = chunk
            .into_iter()
            .map(|p| settlement::chain::Position {
                account: p.chain_address.parse().unwrap(),
                amount: p.amount,
            })
            .collect();
        let call = settlement::chain::ChunkCall { credit, batch_id, index, positions };
        chain.call_elsewhere(&Call::ReleaseChunk(call)).unwrap();
    }
    finish(&world, &chain).await;
    assert_settled(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_pause_is_waited_for(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    world.settle().await;
    chain.mine_some(2);
    chain.faults(|f| f.paused = true);
    chain.mine();
    let mut settler = world.settler().await;
    let refused = loop {
        match settler.tick().await {
            Ok(tick) => assert_eq!(tick, Tick::Progress),
            Err(error) => break error.to_string(),
        }
    };
    assert!(refused.contains("EnforcedPause"), "{refused}");
    chain.faults(|f| f.paused = false);
    finish(&world, &chain).await;
    assert_settled(&world, &chain, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_batch_that_the_contract_knows_is_not_opened_again(pool: PgPool) {
    let (world, chain) = world(pool, 1).await;
    world.meter(0, 1_000).await;
    let domain = world.settling().await.domain;
    let (credit, batch_id, statement_root) = (domain.credit, domain.batch_id(at(0), 0), [1; 32]);
    let call =
        Call::Settle { credit, batch_id, slot_from_s: 1, slot_to_s: 2, statement_root, positions: vec![] };
    let (nonce, fees) = (chain.mined_nonce(1).await.unwrap(), chain.fees().await.unwrap());
    let earlier = chain.sign(&UnsignedTx { nonce, gas_limit: 1, fees, call }).unwrap();
    world.settler().await.tick().await.unwrap();
    chain.broadcast(&earlier.raw).await.unwrap();
    chain.mine();
    world.settle().await;
    world.clock.advance(chrono::TimeDelta::seconds(61));
    finish(&world, &chain).await;
    assert_eq!((world.status(0).await, chain.settled_batches()), (SlotStatus::Settled, 1));
    assert_eq!(chain.credits(&world.address("m000").await).nano(), 100 * UNIT_NANO, "moved by nobody");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn three_hundred_positions_settle_in_small_blocks_and_their_receipts_verify(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &["--gas-limit", "8000000"]);
    let chain = funded(&anvil, &folder.path().join("key")).await;
    let mut world = World::new(pool, chain.clone(), 300, 1).await;
    world.context.policy.batch_gas_share_percent = 15;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    settle_all(&world).await;
    world.meter(0, 1_000).await;
    settle_all(&world).await;
    assert_eq!(world.status(0).await, SlotStatus::Settled);
    assert!(chunk_count(&world).await >= 6, "{}", chunk_count(&world).await);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + SELLER_NANO);
    assert_eq!(world.balance("m299").await, 100 * UNIT_NANO + BUYER_NANO);
    assert_eq!(world.ledger_sum().await, 302 * 100 * UNIT_NANO);
    world.assert_ledger_equals_chain().await;

    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let community = communities::find(pool, id).await.unwrap().unwrap();
    let node = Reader::new(anvil.url().parse().unwrap(), Duration::from_secs(5)).unwrap();
    for name in ["m000", "m150", "m299", "network"] {
        let receipt = receipts::find(pool, &community, &account(name), at(0), None).await.unwrap().unwrap();
        verify(&serde_json::to_string(&receipt).unwrap(), None, &node).await.unwrap();
    }
    // The transaction that stands for the batch is the one that settled it.
    let batch_id = world.settling().await.domain.batch_id(at(0), 0);
    let root = chain.settled_root(&world.settling().await.domain.credit, &batch_id).await.unwrap();
    assert!(root.is_some());
}
