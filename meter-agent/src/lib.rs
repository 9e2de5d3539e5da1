//! Reads meters and inverters over Modbus and MQTT, signs what it read, and delivers it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod agent;
pub mod cli;
pub mod config;
pub mod continuity;
pub mod curtail;
pub mod decimal;
pub mod decode;
pub mod enrolment;
pub mod health;
pub mod ingest;
pub mod keys;
pub mod link;
pub mod lost;
pub mod modbus;
pub mod mqtt_device;
pub mod ocmf;
pub mod one_way;
pub mod outbox;
pub mod poll;
pub mod publish;
pub mod signed_text;
pub mod source;
pub mod sunspec;
pub mod template;
pub mod wire;

pub use agent::{AgentDeps, run};
pub use config::{AgentConfig, DeviceConfig};
pub use link::MqttConfig;
