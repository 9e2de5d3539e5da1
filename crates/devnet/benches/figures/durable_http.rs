//! Orders posted over HTTP to the real server by keep-alive clients, accepted, matched and committed to
//! PostgreSQL: how many a second, and how long from the post to the answer that says so. Server, market and
//! clients share the machine with the database. The ceiling beside it is the bare insertion of as many rows in
//! batches, with nothing read, matched or updated.
//!
//! Every order has a request of its own (`durable_http_orders`) or shares one with many
//! (`durable_http_batched_orders`). Acknowledged is committed: the answer comes after the transaction that stored the
//! order, its trades and what they left.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::ids::ClientId;
use domain::order::Side;
use domain::time::Clock;
use domain::units::{Energy, Price};
use market::{Deps as MarketDeps, MarketConfig};
use service::lifecycle::Shutdown;
use service::secret::Secret;
use store::PgPool;
use store::orders::{self, NewCommand};
use web::{Deps, Mode, StackInfo, WebConfig};

use crate::Figure;
use crate::client::Client;
use crate::world::{World, member_id, site_id, slot};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ORDERS_PATH: &str = "/api/v1/communities/bench/orders";
const MEMBERS: usize = 100;
/// How many clients post one order each at a time.
const CLIENTS: usize = 512;
/// How many clients post batches, and how many orders each of these has.
const BATCH_CLIENTS: usize = 4;
const BATCH: usize = 250;
const WARM_UP: usize = 5_000;
/// Ten seconds' worth at the figure that is aimed at.
const ORDERS: usize = 60_000;

/// How a run went.
struct Run {
    took: Duration,
    /// From the post to the answer with the decision, an order.
    waited: HashMap<i64, Duration>,
}

pub(crate) async fn print(pool: &PgPool) {
    let ceiling = insert_bare(&World::new(pool.clone(), "ceiling", MEMBERS).await).await;
    let world = World::new(pool.clone(), "bench", MEMBERS).await;
    let shutdown = Shutdown::new();
    let clock = world.clock();
    let market = MarketDeps { pool: pool.clone(), clock: clock.clone() };
    let communities = vec!["bench".to_owned()];
    let market_config = MarketConfig { autopilot: false, communities, ..MarketConfig::default() };
    let market = tokio::spawn(market::run(market_config, market, shutdown.clone()));
    let bound = web::bind(&web_config(), web_deps(pool, clock), &shutdown).unwrap();
    let addr = bound.addr();
    let web = tokio::spawn(bound.serve());
    for (bench, clients, batch) in
        [("durable_http_orders", CLIENTS, 1), ("durable_http_batched_orders", BATCH_CLIENTS, BATCH)]
    {
        let name = if batch == 1 { "one" } else { "many" };
        load(addr, clients, batch, WARM_UP, &format!("w-{name}")).await;
        let run = load(addr, clients, batch, ORDERS, name).await;
        report(pool, bench, &run, ceiling).await;
    }
    shutdown.stop();
    web.await.unwrap().unwrap();
    market.await.unwrap().unwrap();
}

/// The ceiling, in rows a second.
async fn insert_bare(world: &World) -> f64 {
    let batches: Vec<Vec<NewCommand>> = (0..ORDERS / BATCH)
        .map(|batch| (0..BATCH).map(|number| bare_command(batch * BATCH + number)).collect())
        .collect();
    let started = Instant::now();
    for batch in &batches {
        // In a community that no market leads.
        orders::insert_commands(&world.pool, world.id(), batch, world.manual.now()).await.unwrap();
    }
    per_second(ORDERS, started.elapsed())
}

fn bare_command(number: usize) -> NewCommand {
    let (side, energy_wh, limit) = terms(number);
    NewCommand {
        member_id: member_id(number % MEMBERS),
        client_id: ClientId::new(&format!("bare-{number}")).unwrap(),
        slot_start: slot(2),
        replaces: None,
        site_id: site_id(number % MEMBERS),
        side,
        energy: Energy::from_wh(energy_wh),
        limit: Price::from_micro_per_kwh(limit),
        reason: String::new(),
    }
}

/// Numbers that look random and are the same in every run.
fn terms(number: usize) -> (Side, i64, i64) {
    let mut state = u64::try_from(number).unwrap().wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state ^= state >> 29;
    state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state ^= state >> 32;
    let part = |shift: u32, width: u64| i64::try_from((state >> shift) % width).unwrap();
    let side = if part(0, 2) == 0 { Side::Bid } else { Side::Offer };
    (side, 1 + part(8, 50), 150_000 + part(24, 70_001))
}

fn order(name: &str, number: usize) -> String {
    let (side, energy_wh, limit) = terms(number);
    let member = number % MEMBERS;
    format!(
        "{{\"member_id\":\"{}\",\"site_id\":\"{}\",\"client_id\":\"{name}-{number}\",\"slot_start\":\"{}\",\
         \"side\":\"{}\",\"energy_wh\":{energy_wh},\"limit_micro_per_kwh\":\"{limit}\",\
         \"time_in_force\":\"good-till-gate\"}}",
        member_id(member),
        site_id(member),
        slot(2).format("%Y-%m-%dT%H:%M:%SZ"),
        side.as_str()
    )
}

/// Lets `clients` post `orders` orders, `batch` a request, each its next one when the last was answered.
async fn load(addr: SocketAddr, clients: usize, batch: usize, orders: usize, name: &str) -> Run {
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let clients: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(post_all(addr, next.clone(), batch, orders, name.to_owned())))
        .collect();
    let mut waited = HashMap::with_capacity(orders);
    for client in clients {
        waited.extend(client.await.unwrap());
    }
    Run { took: started.elapsed(), waited }
}

async fn post_all(
    addr: SocketAddr,
    next: Arc<AtomicUsize>,
    batch: usize,
    orders: usize,
    name: String,
) -> Vec<(i64, Duration)> {
    let mut client = Client::connect(addr).await;
    let mut waited = Vec::new();
    loop {
        let first = next.fetch_add(batch, Ordering::Relaxed);
        if first >= orders {
            return waited;
        }
        let key = format!("{name}-{first}");
        let sent = Instant::now();
        if batch == 1 {
            let (status, answer) = client.post(ORDERS_PATH, TOKEN, &key, &order(&name, first)).await;
            let json: serde_json::Value = serde_json::from_str(answer).unwrap();
            assert_eq!(status, 202, "{answer}");
            waited.push((decided(&json), sent.elapsed()));
        } else {
            let list: Vec<_> = (first..first + batch).map(|number| order(&name, number)).collect();
            let body = format!("{{\"orders\":[{}]}}", list.join(","));
            let (status, answer) = client.post(&format!("{ORDERS_PATH}:batch"), TOKEN, &key, &body).await;
            assert_eq!(status, 202, "{answer}");
            let json: serde_json::Value = serde_json::from_str(answer).unwrap();
            let results = json["results"].as_array().unwrap();
            assert_eq!(results.len(), batch);
            let took = sent.elapsed();
            waited.extend(results.iter().map(|result| (decided(&result["command"]), took)));
        }
    }
}

/// The number of a command that the answer says was accepted.
fn decided(command: &serde_json::Value) -> i64 {
    assert_eq!(command["status"], "accepted", "{command}");
    command["command_id"].as_i64().unwrap()
}

async fn report(pool: &PgPool, bench: &str, run: &Run, ceiling: f64) {
    let traded = traded(pool).await;
    let of_trades: Vec<Duration> =
        run.waited.iter().filter(|(id, _)| traded.contains(id)).map(|(_, waited)| *waited).collect();
    assert_eq!(run.waited.len(), ORDERS, "every order was answered once");
    assert!(of_trades.len() > ORDERS / 5, "the figure is about trading: {} traded at once", of_trades.len());
    let value = per_second(ORDERS, run.took);
    Figure::new(bench, value, "orders/s").beside("bare batch insert", value / ceiling).print();
    for (name, permille) in [("p50", 500), ("p99", 990)] {
        let value = quantile(&of_trades, permille).as_secs_f64() * 1e3;
        Figure::new(format!("{bench}_post_to_trade_{name}"), value, "ms").print();
    }
}

/// The commands that traded as they arrived.
async fn traded(pool: &PgPool) -> HashSet<i64> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT command_id FROM trades JOIN commands USING (community_id, accepted_seq)",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    ids.into_iter().collect()
}

fn quantile(list: &[Duration], permille: usize) -> Duration {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * permille / 1_000]
}

fn per_second(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64()
}

fn web_config() -> WebConfig {
    WebConfig {
        listen_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        decision_wait_ms: 10_000,
        // All clients are one credential here.
        max_commands_per_second: NonZeroU32::MAX,
        ..WebConfig::default()
    }
}

fn web_deps(pool: &PgPool, clock: Clock) -> Deps {
    Deps {
        pool: pool.clone(),
        stack: StackInfo {
            mode: Mode::Demonstration,
            notes: vec![],
            started_at: clock.now(),
            profile_seconds_per_slot: None,
        },
        clock,
        token: Secret::new(TOKEN.to_owned()),
    }
}
