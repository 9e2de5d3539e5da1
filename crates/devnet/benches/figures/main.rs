//! Figures that need several services at once, as JSON lines:
//! `{"bench":..,"value":..,"unit":..,"peer":..,"ratio":..}`.
//!
//! `cargo bench -p devnet --bench figures` prints all, with `-- durable_http` or `-- slot_cost` one group.
//!
//! They take the server of `DATABASE_URL`, on which they make a database of their own and drop it again;
//! without that variable they are left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod client;
mod durable_http;
#[path = "../../../../market/benches/figures/figure.rs"]
mod figure;
mod slot_cost;
#[path = "../../../../market/tests/support/mod.rs"]
mod world;

use figure::Figure;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::PgPool;

const DATABASE: &str = "busbar_devnet_bench";

fn main() {
    #[allow(clippy::disallowed_methods)] // a bench is its own composition root
    let Ok(url) = std::env::var("DATABASE_URL") else {
        eprintln!("durable_http and slot_cost: left out, DATABASE_URL is not set");
        return;
    };
    // Cargo hands its own flags on; what is left is a part of a name.
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        if "durable_http".contains(&wanted) {
            with_database(&url, durable_http::print).await;
        }
        if "slot_cost".contains(&wanted) {
            with_database(&url, slot_cost::print).await;
        }
    });
}

/// Makes a database for one group of figures and drops it again.
async fn with_database(url: &str, print: impl AsyncFnOnce(&PgPool)) {
    let server: PgConnectOptions = url.parse().unwrap();
    let admin = PgPoolOptions::new().connect_with(server.clone()).await.unwrap();
    let drop_it = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
    sqlx::query(sqlx::AssertSqlSafe(drop_it.clone())).execute(&admin).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).execute(&admin).await.unwrap();
    let options = server.database(DATABASE);
    let pool = PgPoolOptions::new().max_connections(12).connect_with(options).await.unwrap();
    store::MIGRATOR.run(&pool).await.unwrap();
    print(&pool).await;
    pool.close().await;
    sqlx::query(sqlx::AssertSqlSafe(drop_it)).execute(&admin).await.unwrap();
}
