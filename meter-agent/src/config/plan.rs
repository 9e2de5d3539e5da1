//! A configuration that was checked: every id, template and endpoint is good, and nothing is there twice.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::ids::{AgentId, CommunityId, InvalidId, MeterId, SiteId};
use domain::slot::{InvalidSlotLength, SlotLength};

use super::adapt::{CurtailPlan, adapt};
use super::{AgentConfig, DeviceConfig};
use crate::curtail::CurtailError;
use crate::modbus::{Endpoint, InvalidEndpoint};
use crate::mqtt_device::{self, InvalidTopic};
use crate::one_way::OneWay;
use crate::poll::PollTiming;
use crate::publish::WindowLimits;
use crate::template::{InvalidTemplate, Library, Template, UnknownTemplate};

/// More devices than one agent can read in a boundary's tolerance.
const MAX_DEVICES: usize = 1_000;
const MAX_WINDOW: usize = 10_000;

/// The agent's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAgent {
    /// An id is not one.
    #[error("[meter-agent] {0}")]
    Id(#[from] InvalidId),
    /// The slot length is not one.
    #[error("[meter-agent] slot_length_s: {0}")]
    SlotLength(#[from] InvalidSlotLength),
    /// A number is out of range.
    #[error("[meter-agent] {key} must be {range}")]
    Range {
        /// Which key.
        key: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// A device cannot be used.
    #[error("[[meter-agent.devices]] {meter_id}: {problem}")]
    Device {
        /// Which device.
        meter_id: String,
        /// What is wrong.
        problem: DeviceProblem,
    },
}

/// What is wrong with a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceProblem {
    /// An id is not one.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// Its template does not exist.
    #[error(transparent)]
    Template(#[from] UnknownTemplate),
    /// Its endpoint is not one.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// Its topic is not one.
    #[error(transparent)]
    Topic(#[from] InvalidTopic),
    /// The device does not tell both registers.
    #[error(
        "template {0} has no import and export register: its readings cannot be settled; if energy flows one way only at \
         its connection point, say which with one_way = \"import\" or one_way = \"export\""
    )]
    CannotSettle(String),
    /// The device does not tell the register of the way that is named either.
    #[error("one_way: template {0} has no register of that way that can be settled")]
    OneWay(String),
    /// Template and endpoint are of two kinds.
    #[error("template {template} is read over {protocol}: its endpoint must be {endpoint}")]
    Protocol {
        /// The template.
        template: String,
        /// What it is read over.
        protocol: &'static str,
        /// What the endpoint must be.
        endpoint: &'static str,
    },
    /// A key is missing or of no use.
    #[error("{0}")]
    Key(&'static str),
    /// Its template cannot be used with what the configuration puts elsewhere.
    #[error(transparent)]
    Adapted(#[from] InvalidTemplate),
    /// Its power cannot be limited.
    #[error(transparent)]
    Curtail(#[from] CurtailError),
    /// Something is there twice.
    #[error("{0} is used by another device already")]
    Twice(&'static str),
}

/// How a device is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// A unit on a Modbus endpoint.
    Modbus {
        /// Where.
        endpoint: Endpoint,
        /// Which unit.
        unit: u8,
    },
    /// A device that publishes to a broker.
    Mqtt {
        /// The broker.
        endpoint: Endpoint,
        /// The prefix of its topics.
        topic: String,
    },
}

/// A device that can be read.
#[derive(Debug, Clone)]
pub struct DevicePlan {
    /// The meter.
    pub meter_id: MeterId,
    /// The site.
    pub site_id: SiteId,
    /// Its template.
    pub template: Arc<Template>,
    /// How it is reached.
    pub access: Access,
    /// Whether the configuration put values of its template elsewhere.
    pub is_adapted: bool,
    /// The only way that energy flows, if its installer says so.
    pub one_way: Option<OneWay>,
    /// The limit of its power that is kept, if there is one.
    pub curtail: Option<CurtailPlan>,
}

/// An agent that can be run.
#[derive(Debug, Clone)]
pub struct AgentPlan {
    /// The community.
    pub community_id: CommunityId,
    /// The agent.
    pub agent_id: AgentId,
    /// When it reads.
    pub timing: PollTiming,
    /// How much it sends ahead.
    pub limits: WindowLimits,
    /// The devices.
    pub devices: Vec<DevicePlan>,
    /// Where the outbox is.
    pub outbox_file: PathBuf,
    /// Where the signing key is.
    pub key_file: PathBuf,
}

impl AgentPlan {
    /// Checks a configuration.
    ///
    /// # Errors
    /// [`InvalidAgent`] with the key to mend.
    pub fn check(config: &AgentConfig, library: &Library) -> Result<Self, InvalidAgent> {
        let mut timing = PollTiming::new(SlotLength::from_seconds(config.slot_length_s)?);
        if let Some(ms) = config.read_tolerance_ms {
            timing.tolerance = TimeDelta::milliseconds(i64::from(ms));
        }
        if timing.tolerance <= TimeDelta::zero() || timing.tolerance >= timing.slot_length.delta() {
            return Err(InvalidAgent::Range {
                key: "read_tolerance_ms",
                range: "above 0 and below the slot length",
            });
        }
        if let Some(max_power_w) = config.max_power_w {
            timing.max_power_w = i64::from(max_power_w).max(1);
        }
        if !(1..=100_000).contains(&config.drain_per_s) {
            return Err(InvalidAgent::Range { key: "drain_per_s", range: "1 to 100000" });
        }
        if !(1..=MAX_WINDOW).contains(&config.window_records) {
            return Err(InvalidAgent::Range { key: "window_records", range: "1 to 10000" });
        }
        if !(100..=3_600_000).contains(&config.resend_after_ms) {
            return Err(InvalidAgent::Range { key: "resend_after_ms", range: "100 to 3600000" });
        }
        if config.outbox_max_records == 0 {
            return Err(InvalidAgent::Range { key: "outbox_max_records", range: "at least 1" });
        }
        if config.devices.len() > MAX_DEVICES {
            return Err(InvalidAgent::Range { key: "devices", range: "at most 1000" });
        }
        let mut used = Used::default();
        let mut devices = Vec::with_capacity(config.devices.len());
        for device in &config.devices {
            let plan = check_device(device, library).and_then(|plan| used.once(plan));
            devices.push(plan.map_err(|problem| InvalidAgent::Device {
                meter_id: device.meter_id.chars().take(64).collect(),
                problem,
            })?);
        }
        adapt(config, &mut devices)?;
        if config.metrics_file.as_ref().is_some_and(|file| file.extension().is_none_or(|end| end != "prom")) {
            return Err(InvalidAgent::Range {
                key: "metrics_file",
                range: "a file whose name ends in .prom",
            });
        }
        Ok(Self {
            community_id: CommunityId::new(&config.community_id)?,
            agent_id: AgentId::new(&config.agent_id)?,
            timing,
            limits: WindowLimits {
                oldest: config.window_records,
                // Enough for every device's newest record.
                newest: config.devices.len().max(1),
                resend_after: Duration::from_millis(config.resend_after_ms),
                drain_per_s: config.drain_per_s,
            },
            devices,
            outbox_file: config.data_dir.join("outbox.redb"),
            key_file: config.data_dir.join("signing-key.pem"),
        })
    }
}

fn check_device(device: &DeviceConfig, library: &Library) -> Result<DevicePlan, DeviceProblem> {
    let template = match (library.get(&device.template)?, device.one_way) {
        (template, None) if template.can_settle() => template,
        (_, None) => return Err(DeviceProblem::CannotSettle(device.template.clone())),
        (template, Some(way)) => {
            let one = way.template(&template);
            Arc::new(one.ok_or_else(|| DeviceProblem::OneWay(device.template.clone()))?)
        }
    };
    let endpoint: Endpoint = device.endpoint.parse()?;
    let is_mqtt = template.mqtt.is_some();
    if is_mqtt != matches!(endpoint, Endpoint::Mqtt { .. }) {
        return Err(DeviceProblem::Protocol {
            template: device.template.clone(),
            protocol: template.protocol(),
            endpoint: if is_mqtt {
                "mqtt://HOST:PORT"
            } else {
                "tcp:// or rtu+tcp://HOST:PORT, or rtu:///DEVICE"
            },
        });
    }
    let access = if is_mqtt {
        let topic =
            device.topic.clone().ok_or(DeviceProblem::Key("topic is missing: the prefix of its topics"))?;
        mqtt_device::topics(&template, &topic)?;
        if device.unit.is_some() {
            return Err(DeviceProblem::Key("a device on MQTT has no unit"));
        }
        Access::Mqtt { endpoint, topic }
    } else {
        if device.topic.is_some() {
            return Err(DeviceProblem::Key("a device on Modbus has no topic"));
        }
        Access::Modbus { endpoint, unit: device.unit.unwrap_or_else(|| template.default_unit()) }
    };
    let (meter_id, site_id) = (MeterId::new(&device.meter_id)?, SiteId::new(&device.site_id)?);
    let one_way = device.one_way;
    Ok(DevicePlan {
        meter_id,
        site_id,
        template,
        access,
        is_adapted: one_way.is_some(),
        one_way,
        curtail: None,
    })
}

/// What must not be there twice.
#[derive(Default)]
struct Used {
    meters: BTreeSet<MeterId>,
    sites: BTreeSet<SiteId>,
    accesses: BTreeSet<Access>,
}

impl Used {
    fn once(&mut self, plan: DevicePlan) -> Result<DevicePlan, DeviceProblem> {
        if !self.meters.insert(plan.meter_id.clone()) {
            return Err(DeviceProblem::Twice("its meter_id"));
        }
        if !self.sites.insert(plan.site_id.clone()) {
            return Err(DeviceProblem::Twice("its site_id"));
        }
        if !self.accesses.insert(plan.access.clone()) {
            return Err(DeviceProblem::Twice("its endpoint with that unit or topic"));
        }
        Ok(plan)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const GOOD: &str = r#"
        community_id = "demo"
        agent_id = "agent-1"
        slot_length_s = 900
        data_dir = "/var/lib/busbar"
        [[devices]]
        meter_id = "meter-1"
        site_id = "site-1"
        template = "eastron_sdm630"
        endpoint = "tcp://10.0.0.5:502"
        unit = 3
        [[devices]]
        meter_id = "meter-2"
        site_id = "site-2"
        template = "shelly_pro_3em"
        endpoint = "mqtt://broker:1883"
        topic = "shellypro3em-aabb"
    "#;

    pub(in crate::config) fn check(text: &str) -> Result<AgentPlan, String> {
        let config: AgentConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        AgentPlan::check(&config, &Library::embedded().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_good_one_is_planned() {
        let plan = check(GOOD).unwrap();
        assert_eq!((plan.devices.len(), plan.timing.tolerance), (2, TimeDelta::seconds(90)));
        assert!(matches!(plan.devices[0].access, Access::Modbus { unit: 3, .. }));
    }

    #[test]
    fn a_device_that_counts_one_way_is_planned_if_its_installer_says_so() {
        for (template, way) in [("sma_inverter", OneWay::Export), ("eastron_sdm630", OneWay::Import)] {
            let key = if way == OneWay::Export { "export" } else { "import" };
            let text = GOOD.replace("eastron_sdm630\"", &format!("{template}\"\none_way = \"{key}\""));
            let device = check(&text).unwrap().devices.remove(0);
            assert_eq!((device.one_way, device.is_adapted), (Some(way), true));
            let points = device.template.modbus.as_ref().unwrap().points.keys();
            let energies = points.filter(|name| name.is_energy()).count();
            assert_eq!((device.template.can_settle(), energies), (false, 1), "{template}");
        }
    }

    #[test]
    fn f50_each_mistake_is_named() {
        let cases = [
            ("eastron_sdm630", "eastron_sdm631", "unknown device template"),
            ("eastron_sdm630", "sma_inverter", "one_way = \"export\""),
            ("unit = 3", "unit = 3\none_way = \"both\"", "one_way"),
            ("eastron_sdm630\"", "sma_inverter\"\none_way = \"import\"", "no register of that way"),
            ("eastron_sdm630\"", "sunspec\"\none_way = \"export\"", "no register of that way"),
            ("eastron_sdm630", "shelly_pro_3em", "must be mqtt://"),
            ("tcp://10.0.0.5:502", "10.0.0.5", "not an endpoint"),
            ("unit = 3", "unti = 3", "unti"),
            ("unit = 3", "topic = \"x\"", "no topic"),
            ("topic = \"shellypro3em-aabb\"", "", "topic is missing"),
            ("shellypro3em-aabb", "#", "topic prefix"),
            ("meter-2", "meter-1", "meter_id is used by another"),
            ("site-2", "site-1", "site_id is used by another"),
            ("slot_length_s = 900", "slot_length_s = 7", "slot of 7 s"),
            ("slot_length_s = 900", "slot_length_s = 900\nread_tolerance_ms = 900000", "read_tolerance_ms"),
            ("agent-1", "agent 1", "agent id"),
            ("slot_length_s = 900", "slot_length_s = 900\nmetrics_file = \"/tmp/agent.txt\"", "metrics_file"),
        ];
        for (from, to, named) in cases {
            let error = check(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(named), "{to}: {error}");
        }
        let device = GOOD[GOOD.find("[[devices]]").unwrap()..GOOD.rfind("[[devices]]").unwrap()].to_owned();
        let twice = format!("{GOOD}{}", device.replace("meter-1", "meter-3").replace("site-1", "site-3"));
        assert!(check(&twice).unwrap_err().contains("that unit"));
    }
}
