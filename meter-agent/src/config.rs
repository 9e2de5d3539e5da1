//! Section `[meter-agent]`: what one agent reads, and in whose name.

mod adapt;
mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

pub use adapt::{CurtailConfig, CurtailPlan, PlaceConfig};
pub use plan::{Access, AgentPlan, DevicePlan, InvalidAgent};

use crate::ocmf::TimeStatus;
use crate::one_way::OneWay;
use crate::template::PointName;

/// Section `[meter-agent]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// The community that the meters belong to.
    pub community_id: String,
    /// The agent's own id; also the common name of its TLS certificate.
    pub agent_id: String,
    /// The community's slot length in seconds: every meter is read at every boundary.
    pub slot_length_s: u32,
    /// The folder of the signing key and the outbox; this agent's alone.
    pub data_dir: PathBuf,
    /// The most records that the outbox holds; it refuses further ones and never drops any. The
    /// default holds 16 meters at a quarter-hour for more than four months.
    #[serde(default = "outbox_max_records")]
    pub outbox_max_records: u64,
    /// How long after a boundary its registers may still be read, in milliseconds; a tenth of a slot,
    /// but at least two seconds, if it is missing.
    pub read_tolerance_ms: Option<u32>,
    /// The most any of the connections can carry, in W; registers that rise faster are held back. A
    /// megawatt if it is missing.
    pub max_power_w: Option<u32>,
    /// How long a published record waits for ingest's acknowledgement before it is sent again, in
    /// milliseconds; doubles each time.
    #[serde(default = "resend_after_ms")]
    pub resend_after_ms: u64,
    /// How many records may be on their way at once.
    #[serde(default = "window_records")]
    pub window_records: usize,
    /// How many records of a backlog are sent a second, beside the newest ones, which do not wait.
    #[serde(default = "drain_per_s")]
    pub drain_per_s: u32,
    /// How this machine's clock is kept: `synchronised`, `informative`, `unsynchronised` or `unknown`. It is
    /// written into every record. If it is missing the system is asked.
    pub time_status: Option<TimeStatus>,
    /// A file to touch while the loop turns.
    pub heartbeat_file: Option<PathBuf>,
    /// A file to write metrics to, in Prometheus' text format, for the node exporter's textfile collector;
    /// its name must end in `.prom`.
    pub metrics_file: Option<PathBuf>,
    /// Limits of devices' power, by meter id.
    #[serde(default)]
    pub curtail: BTreeMap<String, CurtailConfig>,
    /// Where values of MQTT devices are, if they are not where their templates say, by meter id and value.
    #[serde(default)]
    pub mqtt_points: BTreeMap<String, BTreeMap<PointName, PlaceConfig>>,
    /// The devices.
    #[serde(default)]
    pub devices: Vec<DeviceConfig>,
}

const fn outbox_max_records() -> u64 {
    200_000
}

const fn resend_after_ms() -> u64 {
    10_000
}

const fn window_records() -> usize {
    64
}

const fn drain_per_s() -> u32 {
    500
}

/// One `[[meter-agent.devices]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// The meter's id, as enrolled.
    pub meter_id: String,
    /// The site it measures.
    pub site_id: String,
    /// The device template's id; `meter-agent templates` lists them.
    pub template: String,
    /// Where it is reached: `tcp://HOST:PORT`, `rtu+tcp://HOST:PORT`, or `mqtt://HOST:PORT` of the
    /// broker it publishes to.
    pub endpoint: String,
    /// Its Modbus unit id; the template's default if it is missing.
    pub unit: Option<u8>,
    /// The prefix of its MQTT topics.
    pub topic: Option<String>,
    /// The only way that energy flows at its connection point, if it counts no other; both ways if it is missing.
    pub one_way: Option<OneWay>,
}
