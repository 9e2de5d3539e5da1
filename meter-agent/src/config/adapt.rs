//! What a configuration says of single devices beside where they are: values that lie elsewhere than their
//! template says, and a limit of their power.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::AgentConfig;
use super::plan::{Access, DevicePlan, DeviceProblem, InvalidAgent};
use crate::curtail::{self, Limit, REVERT_RANGE_S};
use crate::template::{PointName, Template};

/// One `[meter-agent.mqtt_points.METER.POINT]`: where a value of an MQTT device is, if it is not where its
/// template says, such as under a sensor's name that its owner chose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceConfig {
    /// The topics it comes on, which are added; `{topic}` stands for the device's prefix. The template's if
    /// they are missing.
    pub topics: Option<Vec<String>>,
    /// The JSON pointer to it in the payload. The template's if it is missing.
    pub pointer: Option<String>,
}

/// One `[meter-agent.curtail.METER]`: a limit of a device's power, kept for as long as the agent runs.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurtailConfig {
    /// In per cent of the rated power, 0 to 100.
    pub limit_percent: u8,
    /// After how many seconds the device ends the limit by itself when the agent is gone; it is told again
    /// three times as often.
    #[serde(default = "revert_s")]
    pub revert_s: u16,
    /// The unit that is limited, if it is not the one that is read.
    pub unit: Option<u8>,
}

const fn revert_s() -> u16 {
    300
}

/// A limit that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurtailPlan {
    /// The limit.
    pub limit: Limit,
    /// The unit.
    pub unit: u8,
}

/// Puts what is said of single devices into their plans.
pub(super) fn adapt(config: &AgentConfig, devices: &mut [DevicePlan]) -> Result<(), InvalidAgent> {
    let known: BTreeSet<String> = devices.iter().map(|device| device.meter_id.to_string()).collect();
    let named = config.mqtt_points.keys().chain(config.curtail.keys());
    if let Some(unknown) = named.into_iter().find(|meter| !known.contains(*meter)) {
        return Err(problem(unknown, DeviceProblem::Key("no device of this agent has this meter_id")));
    }
    for device in devices {
        let meter = device.meter_id.to_string();
        if let Some(points) = config.mqtt_points.get(&meter) {
            let adapted = adapted(&device.template, points).map_err(|reason| problem(&meter, reason))?;
            (device.template, device.is_adapted) = (Arc::new(adapted), true);
        }
        if let Some(curtail) = config.curtail.get(&meter) {
            let plan = curtail_plan(curtail, device).map_err(|reason| problem(&meter, reason))?;
            device.curtail = Some(plan);
        }
    }
    Ok(())
}

fn problem(meter: &str, problem: DeviceProblem) -> InvalidAgent {
    InvalidAgent::Device { meter_id: meter.chars().take(64).collect(), problem }
}

/// The template with values in other places.
fn adapted(
    template: &Template,
    points: &BTreeMap<PointName, PlaceConfig>,
) -> Result<Template, DeviceProblem> {
    let mut adapted = template.clone();
    let Some(mqtt) = &mut adapted.mqtt else {
        return Err(DeviceProblem::Key("mqtt_points are for devices on MQTT alone"));
    };
    for (name, place) in points {
        let Some(point) = mqtt.points.get_mut(name) else {
            return Err(DeviceProblem::Key(
                "mqtt_points names a value that the device's template does not have",
            ));
        };
        if place.topics.is_none() && place.pointer.is_none() {
            return Err(DeviceProblem::Key("a value in mqtt_points needs topics, a pointer or both"));
        }
        // Whoever says where a value is does not want it looked for elsewhere.
        point.or.clear();
        point.topics = place.topics.clone().unwrap_or_else(|| std::mem::take(&mut point.topics));
        point.pointer = place.pointer.clone().unwrap_or_else(|| std::mem::take(&mut point.pointer));
    }
    Ok(adapted.checked()?)
}

fn curtail_plan(config: &CurtailConfig, device: &DevicePlan) -> Result<CurtailPlan, DeviceProblem> {
    curtail::check(&device.template)?;
    let Access::Modbus { unit, .. } = device.access else {
        return Err(DeviceProblem::Key("only devices on Modbus can be limited"));
    };
    if config.limit_percent > 100 {
        return Err(DeviceProblem::Key("curtail: limit_percent must be 0 to 100"));
    }
    if !REVERT_RANGE_S.contains(&config.revert_s) {
        return Err(DeviceProblem::Key("curtail: revert_s must be 30 to 65534"));
    }
    let limit = Limit { percent: config.limit_percent, revert_s: config.revert_s };
    Ok(CurtailPlan { limit, unit: config.unit.unwrap_or(unit) })
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::check;
    use super::*;

    const GOOD: &str = r#"
        community_id = "demo"
        agent_id = "agent-1"
        slot_length_s = 900
        data_dir = "/var/lib/busbar"
        [mqtt_points.meter-1.import_energy]
        pointer = "/Cellar/Total_in"
        [mqtt_points.meter-1.export_energy]
        topics = ["{topic}/own"]
        pointer = "/Cellar/Total_out"
        [curtail.meter-2]
        limit_percent = 60
        unit = 3
        [[devices]]
        meter_id = "meter-1"
        site_id = "site-1"
        template = "tasmota_sml"
        endpoint = "mqtt://broker:1883"
        topic = "tele/meter"
        [[devices]]
        meter_id = "meter-2"
        site_id = "site-2"
        template = "sunspec_inverter_meter"
        endpoint = "tcp://10.0.0.5:502"
    "#;

    #[test]
    fn renamed_channels_and_a_limit_are_planned() {
        let plan = check(GOOD).unwrap();
        let points = &plan.devices[0].template.mqtt.as_ref().unwrap().points;
        let import = &points[&PointName::ImportEnergy];
        assert_eq!((import.pointer.as_str(), import.or.len()), ("/Cellar/Total_in", 0));
        assert_eq!(points[&PointName::ExportEnergy].topics, ["{topic}/own"]);
        assert!(plan.devices[0].is_adapted && !plan.devices[1].is_adapted);
        let limit = Limit { percent: 60, revert_s: 300 };
        assert_eq!(plan.devices[1].curtail, Some(CurtailPlan { limit, unit: 3 }));
    }

    #[test]
    fn f50_each_mistake_of_a_single_device_is_named() {
        for (from, to, named) in [
            ("mqtt_points.meter-1.import_energy", "mqtt_points.meter-9.import_energy", "no device"),
            ("mqtt_points.meter-1.import_energy", "mqtt_points.meter-2.import_energy", "MQTT alone"),
            ("mqtt_points.meter-1.import_energy", "mqtt_points.meter-1.serial", "does not have"),
            ("mqtt_points.meter-1.import_energy", "mqtt_points.meter-1.imported", "imported"),
            ("pointer = \"/Cellar/Total_in\"", "", "needs topics"),
            ("pointer = \"/Cellar/Total_in\"", "pointer = \"Total_in\"", "JSON pointer"),
            ("topics = [\"{topic}/own\"]", "topics = [\"{topic}/#\"]", "wildcard"),
            ("curtail.meter-2", "curtail.meter-1", "[curtail] section"),
            ("limit_percent = 60", "limit_percent = 101", "0 to 100"),
            ("limit_percent = 60", "limit_percent = 60\nrevert_s = 5", "revert_s"),
            ("limit_percent = 60", "limit = 60", "limit"),
        ] {
            let error = check(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(named), "{to}: {error}");
        }
    }
}
