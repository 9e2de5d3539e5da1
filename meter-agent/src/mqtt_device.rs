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
use message::PLACES;
pub use message::{InvalidTopic, prefix_in, state_topics, topics};

use crate::decode::{Scalar, to_quantity, to_register};
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
        let mut sample = self.empty(not_before);
        for (name, point) in self.access.points.iter().filter(|(name, _)| name.is_energy()) {
            match self.sum(point, not_before) {
                Ok(sum) => energy(&mut sample, *name, point, &sum)?,
                Err(SourceError::Absent { .. }) if point.optional => {}
                Err(SourceError::Stale { topic, since }) => return Err(self.stale(topic, since)),
                Err(error) => return Err(error),
            }
        }
        let oldest = not_before - TimeDelta::seconds(i64::from(self.access.max_age_s));
        self.quantities(&mut sample, oldest, false);
        Ok(sample)
    }

    /// What the messages that have come say, whatever is missing: for looking at a device.
    #[must_use]
    pub fn look(&self) -> Sample {
        let since = DateTime::<Utc>::MIN_UTC;
        let mut sample = self.empty(since);
        for (name, point) in self.access.points.iter().filter(|(name, _)| name.is_energy()) {
            let sum = self.sum(point, since).or_else(|error| self.partial(point, since).ok_or(error));
            let taken = sum.and_then(|sum| {
                if sum.parts < sum.of {
                    sample.quality.push(format!("{}_of_{}_of_{}_topics", name.as_str(), sum.parts, sum.of));
                }
                energy(&mut sample, *name, point, &sum)
            });
            if taken.is_err() {
                sample.quality.push(format!("{}_not_available", name.as_str()));
            }
        }
        self.quantities(&mut sample, since, true);
        sample
    }

    fn empty(&self, read_at: DateTime<Utc>) -> Sample {
        let (vendor, model) = (self.template.vendor.clone(), self.template.model.clone());
        Sample::empty(Device { vendor, model, serial: None }, read_at)
    }

    fn quantities(&self, sample: &mut Sample, oldest: DateTime<Utc>, take_parts: bool) {
        let mut phases_wh = BTreeMap::new();
        for (name, point) in self.access.points.iter().filter(|(name, _)| !name.is_energy()) {
            let part = || if take_parts { self.partial(point, oldest) } else { None };
            let sum = self.sum(point, oldest).or_else(|error| part().ok_or(error));
            if let Ok(sum) = &sum
                && sum.parts < sum.of
            {
                sample.quality.push(format!("{}_of_{}_of_{}_topics", name.as_str(), sum.parts, sum.of));
            }
            let value = sum.and_then(|sum| {
                to_quantity(&sum.scalar(), point.scale_pow10 - PLACES, point.unit)
                    .map_err(|error| SourceError::Decode { point: name.as_str(), error })
            });
            let value = match value {
                Err(_) if name.is_phase_energy() => continue,
                value => value,
            };
            let Ok(value) = value else {
                // Money does not rest on it: it is not known.
                sample.quality.push(format!("{}_not_available", name.as_str()));
                continue;
            };
            match name {
                PointName::ActivePower => sample.power_w = Some(value * point.sign.factor()),
                PointName::Voltage => sample.voltage_v = Some(value),
                PointName::Frequency => sample.frequency_hz = Some(value),
                name if name.is_phase_energy() => drop(phases_wh.insert(*name, value)),
                _ => {}
            }
        }
        sample.compare_phases(&phases_wh);
    }

    /// The sum of a value's topics, all of which must have come since `since`; or what one of its other
    /// places holds.
    fn sum(&self, point: &MessagePoint, since: DateTime<Utc>) -> Result<Sum, SourceError> {
        let mut sum = Sum { of: point.topics.len(), ..Sum::default() };
        let first = message::topics_of(point, &self.prefix)
            .try_for_each(|topic| self.add(&mut sum, &topic, &point.pointer, point, since));
        let Err(error) = first else { return Ok(sum) };
        for place in &point.or {
            let mut sum = Sum { of: 1, ..Sum::default() };
            let topic = message::named(&place.topic, &self.prefix);
            if self.add(&mut sum, &topic, &place.pointer, point, since).is_ok() {
                return Ok(sum);
            }
        }
        Err(error)
    }

    /// The sum of those topics that have come, if any has.
    fn partial(&self, point: &MessagePoint, since: DateTime<Utc>) -> Option<Sum> {
        let mut sum = Sum { of: point.topics.len(), ..Sum::default() };
        for topic in message::topics_of(point, &self.prefix) {
            let _ = self.add(&mut sum, &topic, &point.pointer, point, since);
        }
        (sum.parts > 0).then_some(sum)
    }

    fn add(
        &self,
        sum: &mut Sum,
        topic: &str,
        pointer: &str,
        point: &MessagePoint,
        since: DateTime<Utc>,
    ) -> Result<(), SourceError> {
        let message = self.fresh(topic, since)?;
        let number = message::number(&message.payload, pointer, point.list, topic)?;
        sum.nano = sum.nano.saturating_add(number.nano);
        sum.parts += 1;
        sum.arrived_at = sum.arrived_at.max(Some(message.arrived_at));
        sum.raw.push(number.text);
        Ok(())
    }

    /// Why nothing has come: the device may have said that it goes.
    fn stale(&self, topic: String, since: DateTime<Utc>) -> SourceError {
        let state = self.access.online_topic.as_deref().map(|topic| message::named(topic, &self.prefix));
        match state.filter(|state| self.hub.newest(state).is_some_and(|m| message::says_offline(&m.payload)))
        {
            Some(state) => SourceError::Offline { topic: state },
            None => SourceError::Stale { topic, since },
        }
    }

    fn fresh(&self, topic: &str, since: DateTime<Utc>) -> Result<Message, SourceError> {
        self.hub
            .newest(topic)
            .filter(|message| message.arrived_at >= since)
            .ok_or_else(|| SourceError::Stale { topic: topic.to_owned(), since })
    }
}

/// What the topics of one value say together.
#[derive(Debug, Default)]
struct Sum {
    /// In units of ten to the minus [`PLACES`].
    nano: i128,
    parts: usize,
    of: usize,
    arrived_at: Option<DateTime<Utc>>,
    raw: Vec<String>,
}

impl Sum {
    const fn scalar(&self) -> Scalar {
        Scalar::Integer(self.nano)
    }
}

fn energy(sample: &mut Sample, name: PointName, point: &MessagePoint, sum: &Sum) -> Result<(), SourceError> {
    let decoded = to_register(&sum.scalar(), point.scale_pow10 - PLACES, point.unit)
        .map_err(|error| SourceError::Decode { point: name.as_str(), error })?;
    match name {
        PointName::ImportEnergy | PointName::ExportEnergy => sample.coarsen_billed(decoded.resolution_mwh),
        _ => sample.coarsen(decoded.resolution_mwh),
    }
    sample.read_at = sum.arrived_at.map_or(sample.read_at, |at| sample.read_at.max(at));
    sample.raw.insert(name.as_str(), sum.raw.join("+"));
    match name {
        PointName::ImportEnergy => sample.import = Some(decoded.register),
        PointName::ExportEnergy => sample.export = Some(decoded.register),
        _ => sample.production = Some(decoded.register),
    }
    Ok(())
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
