//! The real server on a real port, with the real database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod access;
mod autopilot;
mod communities;
mod dashboard;
mod devices;
mod errors;
mod grid;
mod links;
mod live;
mod members;
mod openapi;
mod operations;
mod orders;
mod receipts;
mod slots;
mod support;
mod trace;
