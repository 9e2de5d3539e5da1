//! What every service needs and that knows no domain: configuration, telemetry, lifecycle, health.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod cli;
pub mod config;
pub mod database;
pub mod health;
pub mod lifecycle;
pub mod secret;
pub mod telemetry;
