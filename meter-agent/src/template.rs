//! Device templates: everything the agent knows about a model of meter or inverter, as data.
//!
//! A template is one TOML file: what the device can tell, where its values lie, its quirks, and the
//! sources of these facts. Adding a device is adding a file.

mod check;
mod curtail;
mod library;
mod point;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use check::InvalidTemplate;
pub use curtail::{ControlPoint, CurtailAccess, CurtailRegisters};
pub use library::{Library, UnknownTemplate};
pub use point::{Function, ListRule, MessagePoint, Place, PointName, RegisterPoint, Sign};

/// A validated device template.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its id, which is also its file's name; readings name it.
    pub id: String,
    /// Other names it is known by.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Raised with every change that alters what is read.
    pub version: u32,
    /// Who makes the device.
    pub vendor: String,
    /// Which models it is for.
    pub model: String,
    /// What the device is.
    pub kind: Kind,
    /// What it can tell.
    pub capabilities: Vec<Capability>,
    /// Where the facts come from.
    pub sources: Vec<String>,
    /// What an installer should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the agent must respect when it asks.
    #[serde(default)]
    pub quirks: Quirks,
    /// Set for a device with a register map of its own.
    pub modbus: Option<ModbusAccess>,
    /// Set for a device that is read through its SunSpec models.
    pub sunspec: Option<SunSpecAccess>,
    /// Set for a device that publishes its values over MQTT.
    pub mqtt: Option<MqttAccess>,
    /// How its power can be limited for a while, if it can.
    pub curtail: Option<CurtailAccess>,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A meter at a connection point.
    Meter,
    /// An inverter.
    Inverter,
    /// An inverter that reads a meter at the connection point.
    InverterWithMeter,
}

/// Something a device can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// A cumulative register of energy taken from the network.
    Import,
    /// A cumulative register of energy delivered to the network (of an inverter: its lifetime yield).
    Export,
    /// A cumulative register of what a generator behind the meter produced.
    Production,
    /// The momentary power.
    Power,
    /// A voltage.
    Voltage,
    /// The network's frequency.
    Frequency,
    /// Its serial number.
    Serial,
}

/// What the agent must respect when it asks a device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Time between the connection and the first request, in milliseconds.
    pub connect_delay_ms: u64,
    /// Silence between two requests, in milliseconds.
    pub request_gap_ms: u64,
    /// Silence before a request to another unit on the same serial line, in milliseconds. A Modbus TCP
    /// gateway sees to it itself.
    pub unit_gap_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// The most words one request may ask for; the protocol's limit is 125.
    pub max_block_words: u16,
    /// How many unused words between two values are read along rather than asked around.
    pub max_gap_words: u16,
    /// The device serves one client at a time: the connection is closed after each round.
    pub single_client: bool,
    /// The device sleeps at night: not being reachable then is no alarm.
    pub sleeps_at_night: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            connect_delay_ms: 0,
            request_gap_ms: 0,
            unit_gap_ms: 0,
            request_timeout_ms: 1_000,
            max_block_words: 100,
            max_gap_words: 16,
            single_client: false,
            sleeps_at_night: false,
        }
    }
}

/// A device with a register map of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModbusAccess {
    /// The unit id that the device has when it leaves the factory.
    pub default_unit: u8,
    /// The TCP port it listens on, if it has one.
    pub default_port: Option<u16>,
    /// Where its values lie.
    pub points: BTreeMap<PointName, RegisterPoint>,
}

/// A device that is read through its SunSpec models.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SunSpecAccess {
    /// The unit id that the device has when it leaves the factory.
    pub default_unit: u8,
    /// The TCP port it listens on, if it has one.
    pub default_port: Option<u16>,
    /// Where the map may start; tried in this order.
    #[serde(default = "sunspec_bases")]
    pub base_addresses: Vec<u16>,
    /// Registers where the headers of the common, inverter and meter models lie if no map can be found.
    #[serde(default)]
    pub fixed_addresses: Vec<u16>,
    /// Where models lie whose headers may be hidden, each as the register of its header and its id. They are
    /// assumed for looking at a device, never for settling.
    #[serde(default)]
    pub assumed_models: Vec<(u16, u16)>,
    /// Which model the import and export registers are taken from.
    pub registers_from: RegistersFrom,
    /// Whether the meter model's power is positive on import or on export.
    #[serde(default)]
    pub meter_power_sign: Sign,
}

fn sunspec_bases() -> Vec<u16> {
    vec![40_000, 0, 50_000]
}

/// Which SunSpec model the settled registers come from. It is fixed by the template, so that a meter
/// that is absent for a while is an error and never silently replaced by the inverter's yield.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistersFrom {
    /// A meter model (201 to 204, 211 to 214); the inverter's yield is production.
    Meter,
    /// An inverter model (101 to 103, 111 to 113, 701); its yield is export.
    Inverter,
    /// Whichever there is, the meter's if there are both. Good for looking at a device, not for settling.
    Any,
}

impl SunSpecAccess {
    /// Whether a meter in the map is left aside.
    #[must_use]
    pub const fn is_inverter_only(&self) -> bool {
        matches!(self.registers_from, RegistersFrom::Inverter)
    }
}

/// A device that publishes its values over MQTT.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttAccess {
    /// How old a momentary value may be when a reading is made, in seconds.
    pub max_age_s: u32,
    /// The topic of its last will, where it or its broker tells whether it is there.
    pub online_topic: Option<String>,
    /// Where its values lie.
    pub points: BTreeMap<PointName, MessagePoint>,
}

impl Template {
    /// Reads and checks a template.
    ///
    /// # Errors
    /// [`InvalidTemplate`] with the key that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let template: Self =
            toml::from_str(text).map_err(|error| InvalidTemplate::Syntax(error.to_string()))?;
        template.checked()
    }

    /// The same template, if it keeps every rule.
    ///
    /// # Errors
    /// [`InvalidTemplate`] with the rule that it breaks.
    pub fn checked(self) -> Result<Self, InvalidTemplate> {
        check::check(&self)?;
        Ok(self)
    }

    /// Whether the device has a given capability.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Whether its readings can be billed: both registers of the connection point are known.
    #[must_use]
    pub fn can_settle(&self) -> bool {
        self.can(Capability::Import) && self.can(Capability::Export)
    }

    /// How the device is reached: `modbus`, `sunspec` or `mqtt`.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match (&self.modbus, &self.sunspec) {
            (Some(_), _) => "modbus",
            (None, Some(_)) => "sunspec",
            (None, None) => "mqtt",
        }
    }

    /// The unit id that the device has when it leaves the factory; 1 if it has none.
    #[must_use]
    pub fn default_unit(&self) -> u8 {
        let modbus = self.modbus.as_ref().map(|access| access.default_unit);
        modbus.or_else(|| self.sunspec.as_ref().map(|access| access.default_unit)).unwrap_or(1)
    }
}
