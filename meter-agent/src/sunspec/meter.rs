//! A unit that is read through its SunSpec models.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::models::{INVERTERS, METERS, ModelValues, decode_model};
use super::{HoldingReader, Map, ModelPlace, SunSpecError, discover};
use crate::decode::{Scalar, ValueType, WordOrder, decode};
use crate::modbus::{Bus, BusError, SharedBus};
use crate::source::{Device, MeterSource, Sample, SourceError};
use crate::template::{Function, RegistersFrom, SunSpecAccess, Template};

/// The protocol's limit of one answer. What is used of every model lies within it.
const MAX_WORDS: u16 = 125;
const COMMON_MODEL: u16 = 1;
/// Offset and length of manufacturer, model and serial number in the common model.
const COMMON_TEXTS: [(usize, usize); 3] = [(2, 16), (18, 16), (50, 16)];

/// One unit on a Modbus endpoint, read through its SunSpec models.
#[derive(Debug)]
pub struct SunSpecMeter {
    bus: SharedBus,
    unit: u8,
    template: Arc<Template>,
    access: SunSpecAccess,
    clock: Clock,
    found: Option<Found>,
}

/// What discovery found; forgotten as soon as it turns out not to be so any more.
#[derive(Debug, Clone)]
struct Found {
    map: Map,
    device: Device,
}

impl SunSpecMeter {
    /// A unit read with a template; `None` if the template is of another protocol.
    #[must_use]
    pub fn new(bus: SharedBus, unit: u8, template: Arc<Template>, clock: Clock) -> Option<Self> {
        let access = template.sunspec.clone()?;
        Some(Self { bus, unit, template, access, clock, found: None })
    }

    async fn sample(&mut self) -> Result<Sample, SourceError> {
        let bus = self.bus.clone();
        let mut bus = bus.lock().await;
        let mut reader = UnitReader { bus: &mut bus, unit: self.unit };
        let known = self.found.take();
        let mut result = read(&mut reader, &self.access, known, &self.template, &self.clock).await;
        if matches!(result, Err(SourceError::SunSpec(SunSpecError::Moved { .. }))) {
            // The map has changed since it was found: find it again, once.
            result = read(&mut reader, &self.access, None, &self.template, &self.clock).await;
        }
        if self.template.quirks.single_client {
            bus.close();
        }
        let (sample, found) = result?;
        self.found = Some(found);
        Ok(sample)
    }
}

impl MeterSource for SunSpecMeter {
    fn read(
        &mut self,
        _not_before: DateTime<Utc>,
        _patience: Duration,
    ) -> BoxFuture<'_, Result<Sample, SourceError>> {
        self.sample().boxed()
    }
}

struct UnitReader<'a> {
    bus: &'a mut Bus,
    unit: u8,
}

impl HoldingReader for UnitReader<'_> {
    fn holding(&mut self, address: u16, count: u16) -> BoxFuture<'_, Result<Vec<u16>, BusError>> {
        self.bus.read(self.unit, Function::Holding, address, count).boxed()
    }
}

async fn read(
    reader: &mut dyn HoldingReader,
    access: &SunSpecAccess,
    known: Option<Found>,
    template: &Template,
    clock: &Clock,
) -> Result<(Sample, Found), SourceError> {
    let found = match known {
        Some(found) => found,
        None => find(reader, access, template).await?,
    };
    let mut sample = Sample::empty(found.device.clone(), clock.now());
    match access.registers_from {
        RegistersFrom::Meter => {
            let place = need(&found.map, &METERS, "meter")?;
            let values = model(reader, place).await?;
            sample.read_at = clock.now();
            take(&mut sample, values, access.meter_power_sign.factor());
            match found.map.first_of(&INVERTERS) {
                Some(place) => production(&mut sample, model(reader, place).await)?,
                None => sample.quality.push("no_inverter_model".to_owned()),
            }
        }
        RegistersFrom::Inverter => {
            let place = need(&found.map, &INVERTERS, "inverter")?;
            let values = model(reader, place).await?;
            sample.read_at = clock.now();
            take(&mut sample, values, -1.0); // an inverter's power is positive on production
        }
    }
    Ok((sample, found))
}

async fn find(
    reader: &mut dyn HoldingReader,
    access: &SunSpecAccess,
    template: &Template,
) -> Result<Found, SourceError> {
    let map = discover(reader, &access.base_addresses).await?;
    let mut device = Device { vendor: template.vendor.clone(), model: template.model.clone(), serial: None };
    if let Some(place) = map.first_of(&[COMMON_MODEL]) {
        let words = words_of(reader, place).await?;
        let [vendor, model, serial] = COMMON_TEXTS.map(|(from, length)| {
            match decode(words.get(from..from + length)?, ValueType::Str, WordOrder::Msw, None) {
                Ok(Scalar::Text(text)) => Some(text),
                _ => None,
            }
        });
        device.vendor = vendor.unwrap_or(device.vendor);
        device.model = model.unwrap_or(device.model);
        device.serial = serial;
    }
    Ok(Found { map, device })
}

fn need(map: &Map, ids: &[u16], needed: &'static str) -> Result<ModelPlace, SunSpecError> {
    map.first_of(ids).ok_or_else(|| SunSpecError::NoModel { needed, found: map.ids() })
}

async fn model(reader: &mut dyn HoldingReader, place: ModelPlace) -> Result<ModelValues, SourceError> {
    let words = words_of(reader, place).await?;
    Ok(decode_model(place.id, &words)?)
}

/// A model's words with its header, which must still be what discovery found.
async fn words_of(reader: &mut dyn HoldingReader, place: ModelPlace) -> Result<Vec<u16>, SourceError> {
    let count = place.length.saturating_add(2).min(MAX_WORDS);
    let words = reader.holding(place.address, count).await?;
    if words.get(..2) == Some(&[place.id, place.length]) {
        Ok(words)
    } else {
        Err(SunSpecError::Moved { model: place.id, address: place.address }.into())
    }
}

fn take(sample: &mut Sample, values: ModelValues, power_factor: f64) {
    sample.import = values.import;
    sample.export = values.export;
    sample.power_w = values.power_w.map(|power| power * power_factor);
    sample.voltage_v = values.voltage_v;
    sample.frequency_hz = values.frequency_hz;
    if let Some(resolution_mwh) = values.resolution_mwh {
        sample.coarsen(resolution_mwh);
    }
    let [import, export] = values.raw;
    sample.raw.extend(import.map(|raw| ("import_energy", raw)));
    sample.raw.extend(export.map(|raw| ("export_energy", raw)));
}

/// The inverter's yield beside a meter's registers. At night inverters refuse while the meter behind
/// them answers: production is then not known, and the reading stands.
fn production(sample: &mut Sample, values: Result<ModelValues, SourceError>) -> Result<(), SourceError> {
    match values {
        Ok(values) => {
            sample.production = values.export;
            sample.raw.extend(values.raw[1].clone().map(|raw| ("production_energy", raw)));
        }
        Err(SourceError::Bus(error)) if error.exception().is_some() => {}
        Err(error) => return Err(error),
    }
    if sample.production.is_none() {
        sample.quality.push("production_energy_not_available".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::models::tests::meter_203;
    use super::super::walk::tests::Registers;
    use super::*;
    use crate::template::Library;

    fn device(meter: &[u16]) -> Registers {
        let mut common = vec![0; 68];
        (common[0], common[1]) = (1, 66);
        (common[2], common[3]) = (0x4163, 0x6d65); // Acme
        (common[50], common[51]) = (0x5331, 0x3233); // S123
        let mut inverter = vec![0x8000; 52];
        (inverter[0], inverter[1], inverter[10], inverter[16]) = (103, 50, 0xffff, 0xffff);
        (inverter[24], inverter[25], inverter[26]) = (0, 9_000, 0);
        let mut registers = Registers::default();
        registers.put(40_000, &[0x5375, 0x6e53]).put(40_002, &common);
        registers.put(40_070, &inverter).put(40_122, meter).put(40_229, &[0xffff, 0]);
        registers
    }

    async fn sample(registers: &mut Registers, known: Option<Found>) -> Result<(Sample, Found), SourceError> {
        let template = Library::embedded().unwrap().get("sunspec_inverter_meter").unwrap();
        let access = template.sunspec.clone().unwrap();
        read(registers, &access, known, &template, &Clock::System).await
    }

    #[tokio::test]
    async fn an_inverter_with_a_meter() {
        let (sample, found) = sample(&mut device(&meter_203(1_000, 2_000)), None).await.unwrap();
        let registers = sample.registers().unwrap();
        assert_eq!((registers.import.mwh(), registers.export.mwh()), (1_000_000, 2_000_000));
        assert_eq!(registers.production.unwrap().mwh(), 9_000_000);
        assert_eq!(
            sample.device,
            Device {
                vendor: "Acme".to_owned(),
                model: found.device.model.clone(),
                serial: Some("S123".to_owned())
            }
        );
    }

    #[tokio::test]
    async fn a_map_that_moved_is_noticed_before_it_is_read() {
        let (_, found) = sample(&mut device(&meter_203(1_000, 2_000)), None).await.unwrap();
        let mut shifted = device(&meter_203(1_000, 2_000));
        let meter = meter_203(1_000, 2_000);
        shifted.put(40_122, &[0]).put(40_123, &meter);
        let moved = sample(&mut shifted, Some(found)).await;
        assert!(matches!(moved, Err(SourceError::SunSpec(SunSpecError::Moved { model: 203, .. }))));
    }

    #[tokio::test]
    async fn a_map_without_meter_is_an_error_and_the_yield_does_not_stand_in() {
        let mut registers = device(&meter_203(1_000, 2_000));
        registers.put(40_122, &[0xffff, 0]);
        let error = sample(&mut registers, None).await.unwrap_err();
        assert_eq!(error.class(), "sunspec_no_model");
    }
}
