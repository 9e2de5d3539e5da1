//! Meters that count one way only, such as an import meter of a household without generation, or the inverter of a
//! plant that feeds in all it makes. A missing register is never taken for zero by itself: the installer says so in the
//! configuration, and each record says that it was said.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::reading::Register;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use crate::source::{MeterSource, Sample, SourceError};
use crate::template::{Capability, PointName, RegistersFrom, Template};

/// The only way that energy flows at a connection point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OneWay {
    /// It is only taken from the network.
    Import,
    /// It is only delivered to the network.
    Export,
}

impl OneWay {
    /// The template without the register of the other way, so that a device that lacks it is not asked for it; `None`
    /// if the template does not count this way either.
    #[must_use]
    pub fn template(self, template: &Template) -> Option<Template> {
        let (own, other, points) = match self {
            Self::Import => (
                Capability::Import,
                Capability::Export,
                [PointName::ExportEnergy, PointName::ExportEnergyWide],
            ),
            Self::Export => (
                Capability::Export,
                Capability::Import,
                [PointName::ImportEnergy, PointName::ImportEnergyWide],
            ),
        };
        let looks_only =
            template.sunspec.as_ref().is_some_and(|access| access.registers_from == RegistersFrom::Any);
        if !template.can(own) || looks_only {
            return None;
        }
        let mut template = template.clone();
        if template.sunspec.is_none() {
            template.capabilities.retain(|capability| *capability != other);
        }
        for name in points {
            template.modbus.iter_mut().for_each(|access| drop(access.points.remove(&name)));
            template.mqtt.iter_mut().for_each(|access| drop(access.points.remove(&name)));
        }
        Some(template)
    }

    /// Counts the other way as nothing, unless the device tells it all the same.
    fn complete(self, sample: &mut Sample) {
        let (other, own_sign, flag) = match self {
            Self::Import => (&mut sample.export, 1.0, "export_not_metered"),
            Self::Export => (&mut sample.import, -1.0, "import_not_metered"),
        };
        if other.is_some() {
            return;
        }
        *other = Some(Register::ZERO);
        sample.quality.push(flag.to_owned());
        // What an inverter takes at night moves no register, and must not look as if one were stuck.
        sample.power_w = sample.power_w.filter(|power| power * own_sign >= 0.0);
    }
}

/// A meter that counts one way only.
pub struct OneWayMeter {
    meter: Box<dyn MeterSource>,
    way: OneWay,
}

impl OneWayMeter {
    /// The meter, by the word of its installer.
    #[must_use]
    pub fn new(meter: Box<dyn MeterSource>, way: OneWay) -> Self {
        Self { meter, way }
    }
}

impl std::fmt::Debug for OneWayMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneWayMeter").field("way", &self.way).finish_non_exhaustive()
    }
}

impl MeterSource for OneWayMeter {
    fn read(
        &mut self,
        not_before: DateTime<Utc>,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Sample, SourceError>> {
        let way = self.way;
        async move {
            let mut sample = self.meter.read(not_before, patience).await?;
            way.complete(&mut sample);
            Ok(sample)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Device;
    use crate::template::Library;

    fn sample(import_mwh: Option<i64>, export_mwh: Option<i64>) -> Sample {
        let mut sample = Sample::empty(Device::default(), DateTime::UNIX_EPOCH);
        let register = |mwh: i64| Register::from_mwh(mwh).unwrap();
        (sample.import, sample.export) = (import_mwh.map(register), export_mwh.map(register));
        sample
    }

    #[test]
    fn the_other_way_counts_as_nothing_unless_it_is_told_and_the_own_way_never_does() {
        let mut consumer = sample(Some(5_000), None);
        OneWay::Import.complete(&mut consumer);
        let registers = consumer.registers().unwrap();
        assert_eq!((registers.import.mwh(), registers.export.mwh()), (5_000, 0));
        assert_eq!(consumer.quality, ["export_not_metered"]);
        let mut plant = sample(None, Some(7_000));
        OneWay::Export.complete(&mut plant);
        assert_eq!(
            (plant.registers().unwrap().import.mwh(), &plant.quality[..]),
            (0, &["import_not_metered".to_owned()][..])
        );
        let mut night = sample(None, Some(7_000));
        night.power_w = Some(12.0);
        OneWay::Export.complete(&mut night);
        assert_eq!(night.power_w, None);
        night.power_w = Some(-900.0);
        night.import = None;
        OneWay::Export.complete(&mut night);
        assert_eq!(night.power_w, Some(-900.0));
        let mut told = sample(Some(3), Some(7_000));
        OneWay::Export.complete(&mut told);
        assert_eq!((told.registers().unwrap().import.mwh(), told.quality.len()), (3, 0));
        let mut silent = sample(None, None);
        OneWay::Import.complete(&mut silent);
        assert_eq!(silent.registers().unwrap_err().class(), "missing_value");
    }

    #[test]
    fn every_template_counts_at_least_one_way_and_is_sound_without_the_other() {
        let library = Library::embedded().unwrap();
        for template in library.iter() {
            let ways = [OneWay::Import, OneWay::Export].map(|way| way.template(template));
            let counts = ways.into_iter().flatten().filter_map(|one| one.checked().ok()).count();
            let can =
                [Capability::Import, Capability::Export].into_iter().filter(|c| template.can(*c)).count();
            let looks_only = template.id == "sunspec";
            assert_eq!(counts, if looks_only { 0 } else { can }, "{}", template.id);
        }
        let tasmota = OneWay::Import.template(&library.get("tasmota_energy").unwrap()).unwrap();
        let points = tasmota.mqtt.unwrap().points;
        assert!(
            points.contains_key(&PointName::ImportEnergy) && !points.contains_key(&PointName::ExportEnergy)
        );
    }
}
