//! Two market processes and orders that never cease: the leader's connection is cut again and again, the other takes
//! over, and in the end every order was decided once, in a log without a gap that replays to the stored trades.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use domain::order::{Side, TimeInForce};
use market::runner::check_slot;
use market::{Deps, MarketConfig};
use service::lifecycle::Shutdown;
use store::PgPool;
use store::slots::{self, SlotStatus};
use support::{World, slot};
use tokio::task::JoinHandle;

const CUTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// A market process: connections of its own, as another process would have.
async fn start(world: &World) -> (Shutdown, JoinHandle<anyhow::Result<()>>) {
    let config = MarketConfig { poll_interval_ms: 50, autopilot: false, ..MarketConfig::default() };
    let pool = PgPool::connect_with((*world.pool.connect_options()).clone()).await.unwrap();
    let shutdown = Shutdown::new();
    let deps = Deps { pool, clock: world.clock() };
    (shutdown.clone(), tokio::spawn(market::run(config, deps, shutdown)))
}

/// The connection that holds the community's lock, if one does.
async fn leader(pool: &PgPool) -> Option<i32> {
    sqlx::query_scalar(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_optional(pool)
    .await
    .unwrap()
}

async fn count(pool: &PgPool, what: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM commands WHERE {what}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
}

async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let wait = async {
        while !done().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Posts orders until told to stop; the whole number of them.
async fn post(world: Arc<World>, stop: Arc<AtomicBool>, posted: Arc<AtomicUsize>) {
    for number in 0_i64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let site = usize::try_from(number % 4).unwrap();
        let side = if number % 3 == 0 { Side::Offer } else { Side::Bid };
        let terms = (side, 1 + number % 40, 150_000 + 1_000 * (number * 7 % 40));
        world.order(site, &format!("o{number}"), slot(2), terms, TimeInForce::GoodTillGate).await;
        posted.fetch_add(1, Ordering::Relaxed);
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn nothing_is_lost_when_the_leader_is_cut_off_under_load(pool: PgPool) {
    let world = Arc::new(World::new(pool.clone(), "demo", 4).await);
    let processes = [start(&world).await, start(&world).await];
    until("slot 2 opens", async || {
        let row = slots::find(&pool, world.id(), slot(2)).await.unwrap();
        row.is_some_and(|row| row.status == SlotStatus::Open)
    })
    .await;
    let (stop, posted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let poster = tokio::spawn(post(world.clone(), stop.clone(), posted.clone()));
    let mut leaders = vec![];
    for _ in 0..CUTS {
        until("somebody leads", async || leader(&pool).await.is_some_and(|pid| !leaders.contains(&pid)))
            .await;
        let pid = leader(&pool).await.unwrap();
        let before = count(&pool, "status = 'accepted'").await;
        until("orders are decided", async || count(&pool, "status = 'accepted'").await > before + 20).await;
        let cut: bool =
            sqlx::query_scalar("SELECT pg_terminate_backend($1)").bind(pid).fetch_one(&pool).await.unwrap();
        assert!(cut);
        leaders.push(pid);
    }
    let before = count(&pool, "status = 'accepted'").await;
    until("the last leader decides", async || count(&pool, "status = 'accepted'").await > before + 20).await;
    stop.store(true, Ordering::Relaxed);
    poster.await.unwrap();
    until("every order is decided", async || count(&pool, "status = 'submitted'").await == 0).await;
    for (shutdown, ended) in processes {
        shutdown.stop();
        ended.await.unwrap().unwrap();
    }
    let posted = i64::try_from(posted.load(Ordering::Relaxed)).unwrap();
    assert_eq!(count(&pool, "true").await, posted);
    let accepted = count(&pool, "status = 'accepted'").await;
    let last: i64 =
        sqlx::query_scalar("SELECT max(accepted_seq) FROM commands").fetch_one(&pool).await.unwrap();
    assert_eq!(accepted, last, "the log has no gap");
    let trades: (i64, i64) =
        sqlx::query_as("SELECT count(*), max(trade_id) FROM trades").fetch_one(&pool).await.unwrap();
    assert!(trades.0 == trades.1 && trades.0 > 10, "{trades:?}");
    let replayed = check_slot(&pool, world.id(), slot(2)).await.unwrap();
    assert_eq!(i64::try_from(replayed.commands).unwrap(), accepted);
}
