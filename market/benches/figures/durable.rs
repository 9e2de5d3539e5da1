//! Commands that wait in PostgreSQL, decided, matched and committed a second, beside the bare insertion of as
//! many rows in batches of the same size.
//!
//! Takes the server of `DATABASE_URL`, on which it makes a database of its own and drops it again; without
//! that variable the figure is left out.

use std::time::{Duration, Instant};

use domain::ids::ClientId;
use domain::order::Side;
use domain::units::{Energy, Price};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::orders::{self, NewCommand};

use crate::Figure;
use crate::random::Random;
use crate::world::{World, member_id, site_id, slot};

const MEMBERS: usize = 100;
const BATCHES: usize = 60;
/// As many as the market decides in one transaction.
const BATCH: usize = 500;
const DATABASE: &str = "busbar_market_bench";

pub(crate) fn print() {
    #[allow(clippy::disallowed_methods)] // a bench is its own composition root
    let Ok(url) = std::env::var("DATABASE_URL") else {
        eprintln!("durable: left out, DATABASE_URL is not set");
        return;
    };
    let (matched, inserted) = tokio::runtime::Runtime::new().unwrap().block_on(measure(&url));
    let commands = f64::from(u32::try_from(BATCHES * BATCH).unwrap());
    let (value, ceiling) = (commands / matched.as_secs_f64(), commands / inserted.as_secs_f64());
    Figure::new("durable_matching", value, "commands/s").beside("bare batch insert", value / ceiling).print();
}

async fn measure(url: &str) -> (Duration, Duration) {
    let server: PgConnectOptions = url.parse().unwrap();
    let admin = PgPoolOptions::new().connect_with(server.clone()).await.unwrap();
    let drop_it = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
    sqlx::query(sqlx::AssertSqlSafe(drop_it.clone())).execute(&admin).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).execute(&admin).await.unwrap();
    let pool = PgPoolOptions::new().connect_with(server.database(DATABASE)).await.unwrap();
    store::MIGRATOR.run(&pool).await.unwrap();
    let world = World::new(pool.clone(), "bench", MEMBERS).await;
    market::slots::open(&pool, &world.community, world.manual.now()).await.unwrap();
    let mut runner = world.runner();
    // Builds the empty books, so that what is timed is commands alone.
    runner.tick().await.unwrap();
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    let batches: Vec<Vec<NewCommand>> = (0..BATCHES).map(|batch| commands(&mut random, batch)).collect();
    let started = Instant::now();
    for batch in &batches {
        orders::insert_commands(&pool, world.id(), batch, world.manual.now()).await.unwrap();
    }
    let inserted = started.elapsed();
    let started = Instant::now();
    let (mut decided, mut trades) = (0, 0);
    while decided < BATCHES * BATCH {
        let matched = runner.tick().await.unwrap();
        decided += matched.accepted + matched.refused;
        trades += matched.trades;
    }
    let matched = started.elapsed();
    assert!(trades > BATCHES * BATCH / 10, "the figure is about trading: {trades} trades");
    pool.close().await;
    sqlx::query(sqlx::AssertSqlSafe(drop_it)).execute(&admin).await.unwrap();
    (matched, inserted)
}

fn commands(random: &mut Random, batch: usize) -> Vec<NewCommand> {
    (0..BATCH)
        .map(|number| {
            let member = usize::try_from(random.between(0, 99)).unwrap() % MEMBERS;
            NewCommand {
                member_id: member_id(member),
                client_id: ClientId::new(&format!("c{batch}-{number}")).unwrap(),
                slot_start: slot(2),
                replaces: None,
                site_id: site_id(member),
                side: if random.between(0, 1) == 0 { Side::Bid } else { Side::Offer },
                energy: Energy::from_wh(random.between(1, 500)),
                limit: Price::from_micro_per_kwh(random.between(150_000, 220_000)),
                reason: String::new(),
            }
        })
        .collect()
}
