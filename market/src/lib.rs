//! The market: the continuous double auction, the closing auction, slot life and the autopilot.
//!
//! Pure: [`book`], [`auction`], [`closing`], [`validate`], [`metering`], [`rules`], [`forecast`],
//! [`simulate`] with its [`dataset`].
//! Over the rows: [`runner`], [`slots`], [`meterer`], [`autopilot`], and [`community`], which turns
//! them in one loop, and can be stopped after each commit by a [`fuse`]. [`run`] leads as many communities as it is allowed to.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod auction;
pub mod autopilot;
pub mod book;
pub mod clear;
pub mod closing;
pub mod community;
pub mod config;
pub mod dataset;
pub mod enrolment;
pub mod forecast;
pub mod fuse;
mod lead;
pub mod meterer;
pub mod metering;
pub mod roster;
pub mod rules;
pub mod runner;
pub mod simulate;
pub mod slots;
mod terms;
pub mod validate;
pub mod words;

pub use config::MarketConfig;
pub use lead::{Deps, run};
