//! A real meter in place of a simulated one.

use std::str::FromStr;

use meter_agent::DeviceConfig;

use crate::enrol::Enrolment;

/// A site of the data set whose device is a real one: `SITE=TEMPLATE,ENDPOINT[,UNIT or TOPIC]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealMeter {
    /// The site.
    pub site_id: String,
    /// The device template's id.
    pub template: String,
    endpoint: String,
    unit: Option<u8>,
    topic: Option<String>,
}

impl FromStr for RealMeter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || {
            "name it as SITE=TEMPLATE,ENDPOINT[,UNIT or TOPIC], such as \
             site-005=eastron_sdm630,tcp://192.0.2.10:502,1"
                .to_owned()
        };
        let (site_id, device) = text.split_once('=').ok_or_else(usage)?;
        let mut parts = device.splitn(3, ',');
        let (Some(template), Some(endpoint)) = (parts.next(), parts.next()) else { return Err(usage()) };
        if site_id.is_empty() || template.is_empty() || !endpoint.contains("://") {
            return Err(usage());
        }
        let (unit, topic) = match parts.next() {
            None => (None, None),
            Some(last) => match last.parse::<u8>() {
                Ok(unit) => (Some(unit), None),
                Err(_) => (None, Some(last.to_owned())),
            },
        };
        Ok(Self {
            site_id: site_id.to_owned(),
            template: template.to_owned(),
            endpoint: endpoint.to_owned(),
            unit,
            topic,
        })
    }
}

impl RealMeter {
    /// How an agent reads it.
    #[must_use]
    pub fn device(&self, enrolment: &Enrolment) -> DeviceConfig {
        DeviceConfig {
            meter_id: enrolment.meter.meter_id.to_string(),
            site_id: self.site_id.clone(),
            template: self.template.clone(),
            endpoint: self.endpoint.clone(),
            unit: self.unit,
            topic: self.topic.clone(),
            one_way: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modbus_meter_has_a_unit_and_an_mqtt_one_a_topic() {
        let modbus: RealMeter = "site-005=eastron_sdm630,tcp://192.0.2.10:502,3".parse().unwrap();
        assert_eq!((modbus.site_id.as_str(), modbus.unit, modbus.topic), ("site-005", Some(3), None));
        let mqtt: RealMeter = "a=shelly_pro_3em,mqtt://192.0.2.1:1883,shellypro3em-1".parse().unwrap();
        assert_eq!((mqtt.unit, mqtt.topic.as_deref()), (None, Some("shellypro3em-1")));
        assert_eq!("a=b,tcp://c:1".parse::<RealMeter>().unwrap().unit, None);
        for bad in ["", "a", "a=b", "a=b,c", "=b,tcp://c:1"] {
            assert!(bad.parse::<RealMeter>().is_err(), "{bad}");
        }
    }
}
