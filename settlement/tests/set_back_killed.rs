//! The recovery of a database that was set back, killed at each of its points: the forgotten batch is ended, its slot
//! settled once, and no credit lost or moved twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::anvil::{Anvil, settle_all};
use common::crashing::{ALL, MAX_TURNS, seeds, settle};
use common::forgotten::{
    BUYER_NANO, EACH, Reached, SELLER_NANO, assert_exact, batch, forgotten, sent, set_back,
};
use common::process::{self, Settings, kills};
use common::proxy::Proxy;
use common::{UNIT_NANO, World, settings};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use settlement::chain::fake::FakeChain;
use settlement::deploy::deploy;
use store::PgPool;
use store::slots::SlotStatus;

const CONFIRMATIONS: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// A chain that mines when it is told to, and asks for depth.
async fn run(pool: &PgPool, number: usize, reached: Reached) -> (World, FakeChain) {
    let (mut world, chain) = set_back(pool, number, reached).await;
    chain.faults(|f| f.mine_at_once = false);
    world.context.policy.watch.confirmations = CONFIRMATIONS;
    (world, chain)
}

/// Until the slot is settled, by settlers that are not killed; the clock stands still. Returns the points passed.
async fn until_settled(world: &World, chain: &FakeChain, what: &str) -> u64 {
    let mut points = 0;
    for _ in 0..MAX_TURNS {
        let (passed, rests) = settle(world, chain, u64::MAX).await;
        points += passed;
        if rests && world.status(0).await == SlotStatus::Settled {
            return points;
        }
        chain.mine();
    }
    panic!("{what}: it does not come to its end");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn killed_at_each_point_of_the_recovery_it_goes_on(pool: PgPool) {
    let mut number = 0;
    for (at, reached) in EACH.into_iter().enumerate() {
        let (world, chain) = run(&pool, number, reached).await;
        number += 1;
        let points = until_settled(&world, &chain, &format!("{reached:?}")).await;
        assert!(points > 60, "{reached:?}: {points}");
        // With fewer seeds, every so many points, others for each way; always the same ones.
        let (first, step) = if seeds() >= ALL { (0, 1) } else { (11 * at % 40, 80) };
        let last = usize::try_from(points).unwrap();
        for point in (first..last).step_by(step) {
            let (world, chain) = run(&pool, number, reached).await;
            number += 1;
            let mut left = u64::try_from(point).unwrap();
            loop {
                let (passed, rests) = settle(&world, &chain, left).await;
                if passed > left || (rests && world.status(0).await == SlotStatus::Settled) {
                    break;
                }
                left -= passed;
                chain.mine();
            }
            let what = format!("{reached:?}, killed at point {point} of {points}");
            until_settled(&world, &chain, &what).await;
            assert_eq!(chain.settled_batches(), 1, "{what}");
            assert_exact(&world, &what).await;
        }
    }
}

/// The process itself, killed by SIGKILL, on a real node.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_process_killed_while_it_recovers_ends_each_forgotten_batch(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(None, &[]);
    let chain = Arc::new(process::chain(&anvil, folder.path()).await);
    let world = World::new(pool.clone(), chain.clone(), 6, 1).await;
    deploy(&world.context, &settings()).await.unwrap();
    world.deposit_all(100).await;
    settle_all(&world).await;
    let proxy = Proxy::before(anvil.url()).await;
    let rpc_url = format!("http://{}", proxy.address);
    let start = || {
        let settlement = "poll_interval_ms = 50\nchain_poll_interval_ms = 20";
        process::start(
            folder.path(),
            &pool,
            &Settings { rpc_url: &rpc_url, chain: "confirmations = 1", settlement },
        )
    };
    let mut random = StdRng::seed_from_u64(21);
    for slot in 0..kills() {
        world.meter(slot, 1_000).await;
        let reached = EACH[usize::try_from(slot).unwrap() % EACH.len()];
        let (open, chunks) = batch(&world, slot).await;
        forgotten(chain.as_ref(), &sent(&world, reached, &open, &chunks)).await;

        proxy.stop_after(random.random_range(1..140));
        let victim = start();
        let came = tokio::time::timeout(PATIENCE, async {
            tokio::select! {
                () = proxy.stopped() => {}
                // It was done before that point came.
                () = settled(&world, slot) => {}
            }
        });
        let came = came.await;
        process::kill(victim);
        came.expect("the point comes");

        proxy.stop_after(i64::MAX);
        let survivor = start();
        let ended = tokio::time::timeout(PATIENCE, settled(&world, slot)).await;
        process::kill(survivor);
        ended.unwrap_or_else(|_| panic!("slot {slot}, {reached:?}: it does not come to its end"));
        assert_eq!(world.balance("m000").await, 100 * UNIT_NANO + (slot + 1) * SELLER_NANO, "{reached:?}");
        assert_eq!(world.balance("m001").await, 100 * UNIT_NANO + (slot + 1) * BUYER_NANO, "{reached:?}");
        world.assert_ledger_equals_chain().await;
    }
}

async fn settled(world: &World, slot: i64) {
    while world.status(slot).await != SlotStatus::Settled {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
