//! The real server on a real port, with the real database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod communities;
mod dashboard;
mod errors;
mod live;
mod members;
mod openapi;
mod operations;
mod orders;
mod receipts;
mod slots;
mod support;
