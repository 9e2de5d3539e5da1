//! Reading Modbus devices: over TCP, and over TCP with serial framing as simple gateways speak it.

mod blocks;
mod bus;
mod endpoint;
mod line;
mod meter;
mod patience;
mod questions;

pub use blocks::{Block, plan};
pub use bus::{Bus, BusError, BusTiming, ExceptionClass};
pub use endpoint::{Endpoint, InvalidEndpoint, Parity, SerialLine};
pub use meter::ModbusMeter;

/// One connection, shared by all units behind it, which are read in turn.
pub type SharedBus = std::sync::Arc<tokio::sync::Mutex<Bus>>;
