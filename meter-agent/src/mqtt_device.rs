//! Devices that publish their values over MQTT: Shelly, Tasmota, zigbee2mqtt.
//!
//! Their messages are untrusted input. What a reading is made of must have arrived after the slot's
//! boundary; retained messages say nothing about when they were true and are left aside.

mod connection;
mod hub;
mod message;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

pub use connection::listen;
pub use hub::{Hub, Message};
pub use message::{InvalidTopic, topics};

use crate::decode::{to_quantity, to_register};
use crate::source::{Device, MeterSource, Sample, SourceError};
use crate::template::{MessagePoint, MqttAccess, PointName, Template};

/// One device behind a broker.
#[derive(Debug)]
pub struct MqttMeter {
    hub: Arc<Hub>,
    prefix: String,
    template: Arc<Template>,
    access: MqttAccess,
}

impl MqttMeter {
    /// A device whose topics begin with `prefix`; `None` if the template is of another protocol.
    #[must_use]
    pub fn new(hub: Arc<Hub>, prefix: &str, template: Arc<Template>) -> Option<Self> {
        let access = template.mqtt.clone()?;
        Some(Self { hub, prefix: prefix.to_owned(), template, access })
    }

    async fn sample(&self, not_before: DateTime<Utc>, patience: Duration) -> Result<Sample, SourceError> {
        let deadline = Instant::now() + patience;
        let mut changes = self.hub.changes();
        loop {
            // Marked as seen before looking, so that what arrives meanwhile wakes us again.
            changes.borrow_and_update();
            let result = self.assemble(not_before);
            if result.is_ok() {
                return result;
            }
            // What is stale, partial or broken may be followed by something better in time.
            if !matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                return result;
            }
        }
    }

    fn assemble(&self, not_before: DateTime<Utc>) -> Result<Sample, SourceError> {
        let device =
            Device { vendor: self.template.vendor.clone(), model: self.template.model.clone(), serial: None };
        let mut sample = Sample::empty(device, not_before);
        let mut quantities = BTreeMap::new();
        for (name, point) in &self.access.points {
            if name.is_energy() {
                self.energy(&mut sample, *name, point, not_before)?;
                continue;
            }
            let oldest = not_before - TimeDelta::seconds(i64::from(self.access.max_age_s));
            match self.quantity(point, oldest) {
                Ok(value) => drop(quantities.insert(*name, value)),
                // Money does not rest on it: it is not known.
                Err(_) => sample.quality.push(format!("{}_not_available", name.as_str())),
            }
        }
        sample.power_w = quantities.get(&PointName::ActivePower).copied();
        sample.voltage_v = quantities.get(&PointName::Voltage).copied();
        sample.frequency_hz = quantities.get(&PointName::Frequency).copied();
        Ok(sample)
    }

    /// The sum of a register's topics, all of which must have come since `not_before`.
    fn energy(
        &self,
        sample: &mut Sample,
        name: PointName,
        point: &MessagePoint,
        not_before: DateTime<Utc>,
    ) -> Result<(), SourceError> {
        let mut total_mwh = 0_i64;
        let mut raw = Vec::with_capacity(point.topics.len());
        for topic in message::topics_of(point, &self.prefix) {
            let message = self.fresh(&topic, not_before)?;
            let number = match message::number(&message.payload, &point.pointer) {
                Ok(number) => number,
                Err(message::Absent) if point.optional => return Ok(()),
                Err(absent) => return Err(absent.on(&topic)),
            };
            let (scalar, scale) = number.scalar(&topic)?;
            let decoded = to_register(&scalar, scale + point.scale_pow10, point.unit)
                .map_err(|error| SourceError::Decode { point: name.as_str(), error })?;
            total_mwh = total_mwh.saturating_add(decoded.register.mwh());
            sample.coarsen(decoded.resolution_mwh);
            sample.read_at = sample.read_at.max(message.arrived_at);
            raw.push(number.text);
        }
        let register = domain::reading::Register::from_mwh(total_mwh).ok();
        sample.raw.insert(name.as_str(), raw.join("+"));
        match name {
            PointName::ImportEnergy => sample.import = register,
            PointName::ExportEnergy => sample.export = register,
            _ => sample.production = register,
        }
        Ok(())
    }

    fn quantity(&self, point: &MessagePoint, oldest: DateTime<Utc>) -> Result<f64, SourceError> {
        let mut total = 0.0;
        for topic in message::topics_of(point, &self.prefix) {
            let message = self.fresh(&topic, oldest)?;
            let number =
                message::number(&message.payload, &point.pointer).map_err(|absent| absent.on(&topic))?;
            let (scalar, scale) = number.scalar(&topic)?;
            total += to_quantity(&scalar, scale + point.scale_pow10, point.unit)
                .map_err(|error| SourceError::Decode { point: "quantity", error })?;
        }
        Ok(total * point.sign.factor())
    }

    fn fresh(&self, topic: &str, since: DateTime<Utc>) -> Result<Message, SourceError> {
        self.hub
            .newest(topic)
            .filter(|message| message.arrived_at >= since)
            .ok_or_else(|| SourceError::Stale { topic: topic.to_owned(), since })
    }
}

impl MeterSource for MqttMeter {
    fn read(
        &mut self,
        not_before: DateTime<Utc>,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Sample, SourceError>> {
        self.sample(not_before, patience).boxed()
    }
}

#[cfg(test)]
mod tests;
