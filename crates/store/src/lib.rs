//! All SQL of the platform, one module a group of tables, and its one migrator.
//!
//! The services share nothing but these tables: a row is the message, a status column is the state,
//! NOTIFY is a hint to look and polling the fallback. Functions are free, take the connection first
//! and hold one statement each where that is possible; those with several take a connection that is
//! already in a transaction, so that the caller decides what is one step.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod agents;
pub mod autopilot;
pub mod batches;
pub mod communities;
pub mod connect;
pub mod device_events;
pub mod device_health;
pub mod durability;
pub mod error;
pub mod forecasts;
pub mod grid_limits;
pub mod keys;
pub mod leader;
pub mod ledger;
pub mod links;
pub mod members;
pub mod metering;
pub mod meters;
pub mod movements;
pub mod moves;
pub mod network_fees;
pub mod notify;
pub mod orders;
pub mod places;
pub mod readings;
pub mod receipts;
pub mod settled;
pub mod slots;
pub mod standing_orders;
pub mod statements;
pub mod totals;
pub mod trades;
pub mod transactions;
pub mod views;
pub mod waits;
pub mod withdrawals;
pub mod zones;

pub use connect::{connect, migrate};
pub use error::StoreError;
pub use sqlx::{PgConnection, PgExecutor, PgPool};

/// The migrations of `migrations/`, in order; the only way the schema changes.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");
