//! How the devices and the agent itself are doing: kept in memory, told to the platform in small signed
//! messages, and written for Prometheus.
//!
//! Health is news, not money: a message that is lost is followed by the next one. Events are carried by
//! every message of a day, so that ingest, which keeps each once, misses none that matters.

mod board;
mod message;
mod metrics;
mod report;

pub use board::{AgentState, Board, DeviceState, Event, State};
pub use message::{DayOf, Health, InvalidHealth, Said, sign, verify};
pub use metrics::{Days, Figures, text as metrics_text};
pub use report::{ClockState, Line, Reporter, Reports, reports};
