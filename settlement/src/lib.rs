//! Prices slots, nets them into batches and settles these on an EVM chain.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod batch;
pub mod chain;
pub mod config;
pub mod context;
pub mod deploy;
pub mod deposits;
pub mod error;
pub mod finish;
pub mod follow;
pub mod gas;
pub mod moves;
pub mod netting;
pub mod outgoing;
pub mod pricing;
pub mod pump;
pub mod reconcile;
pub mod resync;
pub mod rows;
mod run;
pub mod settler;
pub mod token;
pub mod verify;

pub use run::{Deps, run};
