//! The market as its process runs it: it finds its communities, answers hints, hands over and stops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use domain::order::{Side, TimeInForce};
use market::{Deps, MarketConfig};
use service::lifecycle::Shutdown;
use store::notify::{self, Event, HINTS_KEPT};
use store::slots::{self, SlotStatus};
use store::{PgPool, StoreError};
use support::{World, slot};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);

fn start(world: &World, poll_interval_ms: u64) -> (Shutdown, JoinHandle<anyhow::Result<()>>) {
    let config = MarketConfig { poll_interval_ms, ..MarketConfig::default() };
    let deps = Deps { pool: world.pool.clone(), clock: world.clock() };
    let shutdown = Shutdown::new();
    (shutdown.clone(), tokio::spawn(market::run(config, deps, shutdown)))
}

/// Waits for hints until `done` says so.
async fn until(hints: &mut broadcast::Receiver<Event>, done: impl AsyncFn() -> Result<bool, StoreError>) {
    let wait = async {
        while !done().await.unwrap() {
            notify::wait(hints, Duration::from_millis(100), |_| true).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the market did not do it in time");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn leads_decides_stops_and_hands_over(pool: PgPool) {
    let world = World::new(pool.clone(), "demo", 2).await;
    let (sender, mut hints) = broadcast::channel(HINTS_KEPT);
    let pump = tokio::spawn(notify::pump(pool.clone(), sender));
    let is_open = async || {
        let row = slots::find(&world.pool, world.id(), slot(2)).await?;
        Ok(row.is_some_and(|row| row.status == SlotStatus::Open))
    };
    let (first, first_ended) = start(&world, 100);
    until(&mut hints, is_open).await;
    let one = world.order(0, "a", slot(2), (Side::Offer, 5, 90_000), TimeInForce::GoodTillGate).await;
    until(&mut hints, async || Ok(world.decision(one).await.0 == "accepted")).await;
    // Another process waits while the first leads, and goes on with its book when it stops.
    let (second, second_ended) = start(&world, 100);
    first.stop();
    first_ended.await.unwrap().unwrap();
    let two = world.order(1, "b", slot(2), (Side::Bid, 5, 90_000), TimeInForce::GoodTillGate).await;
    until(&mut hints, async || Ok(world.decision(two).await.0 == "accepted")).await;
    let trades = store::trades::of_slot(&world.pool, world.id(), slot(2)).await.unwrap();
    assert_eq!(trades.len(), 1);
    second.stop();
    second_ended.await.unwrap().unwrap();
    pump.abort();
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn changed_rules_of_a_community_reach_the_market_that_leads_it(pool: PgPool) {
    let world = World::new(pool.clone(), "demo", 1).await;
    let (sender, mut hints) = broadcast::channel(HINTS_KEPT);
    let pump = tokio::spawn(notify::pump(pool.clone(), sender));
    let is_open = async |number: i64| {
        let row = slots::find(&world.pool, world.id(), slot(number)).await?;
        Ok(row.is_some_and(|row| row.status == SlotStatus::Open))
    };
    let (shutdown, ended) = start(&world, 100);
    until(&mut hints, async || is_open(3).await).await;
    let large = async |client: &str| {
        world.order(0, client, slot(3), (Side::Offer, 5, 90_000), TimeInForce::GoodTillGate).await
    };
    let one = large("a").await;
    until(&mut hints, async || Ok(world.decision(one).await.0 == "accepted")).await;
    sqlx::query("UPDATE communities SET open_lead_s = 50, max_order_wh = 4").execute(&pool).await.unwrap();
    until(&mut hints, async || is_open(5).await).await;
    let two = large("b").await;
    until(&mut hints, async || Ok(world.decision(two).await.1.as_deref() == Some("too_large"))).await;
    shutdown.stop();
    ended.await.unwrap().unwrap();
    pump.abort();
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_configuration_that_cannot_work_is_refused(pool: PgPool) {
    let world = World::new(pool, "demo", 1).await;
    let config = MarketConfig { poll_interval_ms: 0, ..MarketConfig::default() };
    let deps = Deps { pool: world.pool.clone(), clock: world.clock() };
    let error = market::run(config, deps, Shutdown::new()).await.unwrap_err();
    assert!(error.to_string().contains("poll_interval_ms"), "{error}");
}
