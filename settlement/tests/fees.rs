//! Fees: offered no higher than configured, raised on the same nonce, waited for when the chain is dearer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use chrono::TimeDelta;
use common::{UNIT_NANO, World, deployed};
use settlement::chain::fake::FakeChain;
use settlement::chain::{Address, Chain};
use settlement::settler::Tick;
use store::slots::SlotStatus;
use store::{PgPool, transactions, waits};

const SENDER: Address = Address([0x11; 20]);
const CAP_WEI: u128 = 100_000;

async fn world(pool: PgPool) -> (World, FakeChain) {
    let (mut world, chain) = deployed(pool, 4).await;
    chain.faults(|f| f.mine_at_once = false);
    world.context.policy.fee_cap_wei = CAP_WEI;
    (world, chain)
}

/// What each attempt that has not ended offers a unit of gas, with its nonce.
async fn offers(world: &World) -> Vec<(i64, u128)> {
    let (pool, id) = (&world.context.pool, &world.context.community_id);
    let rows = transactions::in_flight(pool, id, &SENDER.to_string(), 99).await.unwrap();
    rows.into_iter().map(|row| (row.signed.nonce, row.signed.max_fee_per_gas_wei)).collect()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn above_the_ceiling_nothing_is_signed_and_it_looks_again_less_and_less_often(pool: PgPool) {
    let (world, chain) = world(pool.clone()).await;
    chain.faults(|f| f.lowest_fee_wei = CAP_WEI + 1);
    world.meter(0, 1_000).await;
    let mut settler = world.settler().await;
    while settler.tick().await.unwrap() == Tick::Progress {}
    assert!(settler.waits_for_lower_fees());
    assert_eq!(offers(&world).await, vec![]);
    let waiting = waits::all(&pool).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].reason.contains("highest_max_fee_gwei"), "{waiting:?}");
    assert_eq!(world.status(0).await, SlotStatus::Priced, "pricing goes on");
    world.meter(1, 1_000).await;
    assert_eq!(settler.tick().await.unwrap(), Tick::Progress);
    assert_eq!(world.status(1).await, SlotStatus::Priced);

    // Each look finds it dear; the waits double and end at ten minutes.
    let mut waited = Vec::new();
    for _ in 0..12 {
        let next = waits::all(&pool).await.unwrap()[0].next_try_at;
        let now = settlement_clock(&world);
        waited.push((next - now).num_seconds());
        world.clock.advance(next - now - TimeDelta::seconds(1));
        settler.tick().await.unwrap();
        assert_eq!(waits::all(&pool).await.unwrap()[0].next_try_at, next, "not before its time");
        world.clock.advance(TimeDelta::seconds(1));
        settler.tick().await.unwrap();
    }
    assert_eq!(waited[..4], [5, 10, 20, 40]);
    assert_eq!(waited[11], 600);
    assert_eq!(offers(&world).await, vec![]);

    // Cheap again: at the next look it settles, and says that it waits no more.
    chain.faults(|f| (f.lowest_fee_wei, f.mine_at_once) = (0, true));
    world.clock.advance(TimeDelta::seconds(600));
    for _ in 0..200 {
        settler.tick().await.unwrap();
    }
    assert!(!settler.waits_for_lower_fees());
    assert_eq!(waits::all(&pool).await.unwrap(), vec![]);
    assert_eq!((world.status(0).await, world.status(1).await), (SlotStatus::Settled, SlotStatus::Settled));
    assert_eq!(chain.settled_batches(), 2);
    world.assert_ledger_equals_chain().await;
}

fn settlement_clock(world: &World) -> chrono::DateTime<chrono::Utc> {
    world.context.clock.now()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_node_that_refuses_cheap_transactions_gets_dearer_ones_also_after_a_restart(pool: PgPool) {
    let (world, chain) = world(pool).await;
    world.meter(0, 1_000).await;
    let mut settler = world.settler().await;
    while offers(&world).await.is_empty() {
        settler.tick().await.unwrap();
    }
    // The spike comes between signing and sending.
    chain.faults(|f| (f.lowest_fee_wei, f.refuses_cheap) = (CAP_WEI / 4, true));
    assert_eq!(world.settle().await, Tick::Waiting);
    assert_eq!(chain.settled_batches(), 0);
    world.clock.advance(TimeDelta::seconds(61));
    assert_eq!(world.settle().await, Tick::Waiting);
    assert_eq!(offers(&world).await.len(), 2);
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!((world.status(0).await, chain.settled_batches()), (SlotStatus::Settled, 1));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_stuck_transaction_is_raised_by_an_eighth_at_least_up_to_the_ceiling_and_no_further(pool: PgPool) {
    let (world, chain) = world(pool.clone()).await;
    world.meter(0, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    // A spike under the ceiling, at which the fees that the node names would be above it.
    chain.faults(|f| f.lowest_fee_wei = CAP_WEI - 1);
    let mut settler = world.settler().await;
    for _ in 0..60 {
        world.clock.advance(TimeDelta::seconds(61));
        while settler.tick().await.unwrap() == Tick::Progress {}
    }
    let offers = offers(&world).await;
    assert!(offers.len() >= 2, "{offers:?}");
    for pair in offers.windows(2) {
        let ((nonce, before), (same, after)) = (pair[0], pair[1]);
        assert_eq!(nonce, same);
        assert!(after * 8 >= before * 9, "{offers:?}");
    }
    assert_eq!(offers.last().unwrap().1, CAP_WEI, "the most that is allowed");
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + 200_000_000);
    assert_eq!(chain.settled_batches(), 1);

    // Above it nothing is raised; it waits and says so.
    chain.faults(|f| f.lowest_fee_wei = 0);
    world.meter(1, 1_000).await;
    assert_eq!(world.settle().await, Tick::Waiting);
    chain.faults(|f| f.lowest_fee_wei = CAP_WEI * 2);
    let mut settler = world.settler().await;
    world.clock.advance(TimeDelta::seconds(61));
    assert_eq!(settler.tick().await.unwrap(), Tick::Waiting);
    assert!(settler.waits_for_lower_fees());
    assert_eq!(waits::all(&pool).await.unwrap().len(), 1);
    chain.faults(|f| (f.lowest_fee_wei, f.mine_at_once) = (0, true));
    chain.mine();
    assert_eq!(world.settle().await, Tick::Idle);
    assert_eq!(chain.mined_nonce(1).await.unwrap(), 11 + 6 + 2, "each nonce once");
    world.assert_ledger_equals_chain().await;
}
