//! The pure core of Busbar: units, identifiers, time, readings, orders, trades and tariffs.
//!
//! Nothing here is asynchronous, reads a file, asks a database or uses a float, and no unit type is
//! serialised: each wire format converts at its own border, so that a change of format can never
//! change a sum.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod apportion;
pub mod fees;
pub mod grid;
pub mod ids;
pub mod order;
pub mod reading;
pub mod slot;
pub mod standing;
#[cfg(any(test, feature = "strategies"))]
pub mod strategies;
pub mod tariff;
pub mod time;
pub mod trade;
pub mod units;
