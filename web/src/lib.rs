//! The HTTP API, its OpenAPI document, live events and the dashboard.
//!
//! The server reads through `store::views` and writes one thing, commands to the market. It decides
//! nothing itself: an order is accepted or refused by the market, and this crate shows the answer.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod app;
mod auth;
pub mod cli;
pub mod config;
mod dashboard;
mod error;
mod etag;
mod headers;
pub mod healthcheck;
mod live;
mod metrics;
pub mod openapi;
mod problems;
mod routes;
mod server;
mod wire;

pub use auth::load_or_create_token;
pub use config::WebConfig;
pub use server::{Bound, Deps, Mode, StackInfo, StartError, bind, run};
