//! A device with a register map of its own, read as its template says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::SharedBus;
use super::blocks::plan;
use super::questions::{Answers, Questions, Words};
use crate::decode::{DecodeError, Scalar, WordOrder, decode, span_mwh, to_quantity, to_register};
use crate::source::{Device, MeterSource, Sample, SourceError};
use crate::template::{ModbusAccess, PointName, RegisterPoint, Template};

/// How much of the time for a reading may pass before what money does not rest on is given up.
const SHARE_OF_PATIENCE: f64 = 0.75;

/// One unit on a Modbus endpoint.
#[derive(Debug)]
pub struct ModbusMeter {
    bus: SharedBus,
    unit: u8,
    template: Arc<Template>,
    access: ModbusAccess,
    /// What is asked for; learns which blocks the device refuses and which points it lacks.
    questions: Questions,
    clock: Clock,
}

impl ModbusMeter {
    /// A unit read with a template; `None` if the template is of another protocol.
    #[must_use]
    pub fn new(bus: SharedBus, unit: u8, template: Arc<Template>, clock: Clock) -> Option<Self> {
        let access = template.modbus.clone()?;
        let blocks = plan(&access.points, template.quirks.max_block_words, template.quirks.max_gap_words);
        Some(Self { bus, unit, template, access, questions: Questions::new(blocks), clock })
    }

    async fn sample(&mut self, patience: Duration) -> Result<Sample, SourceError> {
        // Somebody who has no hurry says nought.
        let deadline = (!patience.is_zero()).then(|| Instant::now() + patience.mul_f64(SHARE_OF_PATIENCE));
        let bus = self.bus.clone();
        let mut bus = bus.lock().await;
        let points = &self.access.points;
        let answers = self.questions.ask(&mut bus, self.unit, points, &self.clock, deadline).await;
        if self.template.quirks.single_client {
            bus.close();
        }
        let device =
            Device { vendor: self.template.vendor.clone(), model: self.template.model.clone(), serial: None };
        let Answers { words, read_at } = answers?;
        let sample = assemble(points, &words, Sample::empty(device, read_at));
        sample.map_err(|error| match error {
            SourceError::Implausible { point, value, hint, .. } => {
                SourceError::Implausible { template: self.template.id.clone(), point, value, hint }
            }
            other => other,
        })
    }
}

impl MeterSource for ModbusMeter {
    fn read(
        &mut self,
        _not_before: DateTime<Utc>,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Sample, SourceError>> {
        self.sample(patience).boxed()
    }
}

/// Makes a sample of the words that were read.
fn assemble(
    points: &BTreeMap<PointName, RegisterPoint>,
    words: &Words,
    mut sample: Sample,
) -> Result<Sample, SourceError> {
    let (mut powers, mut phases_wh) = (BTreeMap::new(), BTreeMap::new());
    for (name, words) in words {
        let Some(point) = points.get(name) else { continue };
        let failed = |error| SourceError::Decode { point: name.as_str(), error };
        let scalar = match decode(words, point.value_type, point.word_order, point.not_available_bits()) {
            Ok(scalar) => scalar,
            Err(DecodeError::NotAvailable) if is_extra(*name) => continue,
            Err(DecodeError::NotAvailable | DecodeError::NotFinite) if !needed(*name, point) => {
                sample.quality.push(format!("{}_not_available", name.as_str()));
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        match name {
            name if name.is_energy() => match energy(&mut sample, *name, point, &scalar, words) {
                Err(_) if !needed(*name, point) => {
                    sample.quality.push(format!("{}_implausible", name.as_str()));
                }
                result => result.map_err(failed)?,
            },
            PointName::Serial if is_blank(&scalar, words) => {
                sample.quality.push("serial_not_available".to_owned());
            }
            PointName::Serial => sample.device.serial = Some(text(&scalar)),
            PointName::Status => status(point, &scalar)?,
            _ => {
                let value = to_quantity(&scalar, point.scale_pow10, point.unit).map_err(failed)?;
                plausible(*name, point, words, value)?;
                match name {
                    PointName::Voltage => sample.voltage_v = Some(value),
                    PointName::Frequency => sample.frequency_hz = Some(value),
                    PointName::VoltageOfInverter => stand_in(&mut sample.voltage_v, value),
                    PointName::FrequencyOfInverter => stand_in(&mut sample.frequency_hz, value),
                    name if name.is_phase_energy() => drop(phases_wh.insert(*name, value)),
                    _ => drop(powers.insert(*name, value * point.sign.factor())),
                }
            }
        }
    }
    let absent = points.keys().filter(|name| !words.contains_key(name) && !is_extra(**name));
    sample.quality.extend(absent.map(|name| format!("{}_not_available", name.as_str())));
    sample.power_w = power(&powers);
    if sample.power_w.is_none() {
        sample.power_w = powers.get(&PointName::PowerOfInverter).copied();
        sample.quality.extend(sample.power_w.map(|_| "power_of_inverter".to_owned()));
    }
    let stood_in = [
        (sample.voltage_v, "voltage_not_available"),
        (sample.frequency_hz, "frequency_not_available"),
        (sample.power_w, "active_power_not_available"),
    ];
    for (_, flag) in stood_in.iter().filter(|(value, _)| value.is_some()) {
        sample.quality.retain(|known| known != flag);
    }
    sample.compare_phases(&phases_wh);
    if phases_differ(&powers) {
        sample.quality.push("phase_sum_differs".to_owned());
    }
    Ok(sample)
}

/// A value that some devices have beside the usual ones: that it is missing says nothing.
const fn is_extra(name: PointName) -> bool {
    name.is_wide() || name.is_phase_energy() || name.is_stand_in()
}

/// Takes the place of a value that was not told; points come in the order of their names' declaration, so
/// that the value itself was looked at before.
fn stand_in(place: &mut Option<f64>, value: f64) {
    *place = place.or(Some(value));
}

/// A value whose absence makes the whole reading worthless.
pub(super) fn needed(name: PointName, point: &RegisterPoint) -> bool {
    !point.optional && matches!(name, PointName::ImportEnergy | PointName::ExportEnergy | PointName::Status)
}

fn energy(
    sample: &mut Sample,
    name: PointName,
    point: &RegisterPoint,
    scalar: &Scalar,
    words: &[u16],
) -> Result<(), DecodeError> {
    let unsigned = match scalar {
        Scalar::Integer(value) if point.absolute => Scalar::Integer(value.saturating_abs()),
        other => other.clone(),
    };
    let decoded = to_register(&unsigned, point.scale_pow10, point.unit)?;
    if name.is_wide() && decoded.register.mwh() == 0 {
        return Ok(());
    }
    if matches!(name, PointName::ProductionEnergy) {
        sample.coarsen(decoded.resolution_mwh);
    } else {
        sample.coarsen_billed(decoded.resolution_mwh);
    }
    let raw = words.iter().map(|word| format!("{word:04X}")).collect();
    let span_mwh = span_mwh(point.value_type, point.scale_pow10, point.unit);
    // The wider register comes after the narrow one and takes its place.
    let name = match name {
        PointName::ImportEnergy | PointName::ImportEnergyWide => {
            (sample.import, sample.span_mwh[0]) = (Some(decoded.register), span_mwh);
            PointName::ImportEnergy
        }
        PointName::ExportEnergy | PointName::ExportEnergyWide => {
            (sample.export, sample.span_mwh[1]) = (Some(decoded.register), span_mwh);
            PointName::ExportEnergy
        }
        _ => {
            sample.production = Some(decoded.register);
            PointName::ProductionEnergy
        }
    };
    sample.raw.insert(name.as_str(), raw);
    Ok(())
}

fn status(point: &RegisterPoint, scalar: &Scalar) -> Result<(), SourceError> {
    match (point.must_equal, scalar) {
        (Some(expected), Scalar::Integer(got)) if *got != i128::from(expected) => {
            Err(SourceError::Status { expected, got: *got })
        }
        _ => Ok(()),
    }
}

fn plausible(name: PointName, point: &RegisterPoint, words: &[u16], value: f64) -> Result<(), SourceError> {
    match point.plausible {
        // A dead phase reads nought, in any word order.
        Some([least, most]) if value != 0.0 && !(least..=most).contains(&value) => {
            let hint = other_order(point, words, [least, most]);
            Err(SourceError::Implausible { template: String::new(), point: name.as_str(), value, hint })
        }
        _ => Ok(()),
    }
}

/// What to try with a value that cannot be: the other word order, if that makes it plausible.
fn other_order(point: &RegisterPoint, words: &[u16], [least, most]: [f64; 2]) -> String {
    let (other, name) = match point.word_order {
        WordOrder::Msw => (WordOrder::Lsw, "lsw"),
        WordOrder::Lsw => (WordOrder::Msw, "msw"),
    };
    let scalar = decode(words, point.value_type, other, point.not_available_bits());
    let value = scalar.and_then(|scalar| to_quantity(&scalar, point.scale_pow10, point.unit));
    match value {
        Ok(value) if words.len() > 1 && (least..=most).contains(&value) => {
            format!(
                "; with word_order = \"{name}\" it reads {value}: try that for all its values of several words"
            )
        }
        _ => ": is it the right template, and the right unit?".to_owned(),
    }
}

/// Whether a serial number was never written: a number whose bits are all nought, or all one.
fn is_blank(scalar: &Scalar, words: &[u16]) -> bool {
    matches!(scalar, Scalar::Integer(_))
        && (words.iter().all(|word| *word == 0) || words.iter().all(|word| *word == u16::MAX))
}

fn text(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Integer(value) => value.to_string(),
        Scalar::Float { value, .. } => value.to_string(),
        Scalar::Text(text) => text.clone(),
    }
}

/// The power at the connection point, positive on import, from whatever the device gives.
fn power(powers: &BTreeMap<PointName, f64>) -> Option<f64> {
    let get = |name| powers.get(&name).copied();
    get(PointName::ActivePower)
        .or_else(|| Some(get(PointName::PowerImport)? - get(PointName::PowerExport)?))
        .or_else(|| Some(get(PointName::PowerL1)? + get(PointName::PowerL2)? + get(PointName::PowerL3)?))
}

/// Whether the phases do not add up to the total, which is what counts: meters that net their phases, and
/// templates with a wrong one.
fn phases_differ(powers: &BTreeMap<PointName, f64>) -> bool {
    let get = |name| powers.get(&name).copied();
    let phases = || Some(get(PointName::PowerL1)? + get(PointName::PowerL2)? + get(PointName::PowerL3)?);
    match (get(PointName::ActivePower), phases()) {
        (Some(total), Some(phases)) => (total - phases).abs() > (total.abs() * 0.1).max(50.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::ValueType;
    use crate::template::Library;

    fn sample(template: &str, words: &[(PointName, &[u16])]) -> Result<Sample, SourceError> {
        let points = Library::embedded().unwrap().get(template).unwrap().modbus.clone().unwrap().points;
        let words = words.iter().map(|(name, words)| (*name, words.to_vec())).collect();
        assemble(&points, &words, Sample::empty(Device::default(), DateTime::UNIX_EPOCH))
    }

    const IMPORT: (PointName, &[u16]) = (PointName::ImportEnergy, &[0x4348, 0x0000]); // 200 kWh
    const EXPORT: (PointName, &[u16]) = (PointName::ExportEnergy, &[0x4124, 0x0000]); // 10.25 kWh

    #[test]
    fn an_sdm630_is_read_whole() {
        let sample = sample(
            "eastron_sdm630",
            &[
                IMPORT,
                EXPORT,
                (PointName::ActivePower, &[0xc49a, 0x5000]),
                (PointName::Serial, &[0x0012, 0xd687]),
            ],
        )
        .unwrap();
        let registers = sample.registers().unwrap();
        assert_eq!((registers.import.mwh(), registers.export.mwh()), (200_000_000, 10_250_000));
        assert_eq!(sample.power_w, Some(-1_234.5));
        assert_eq!(sample.device.serial.as_deref(), Some("1234567"));
        assert_eq!(sample.raw["import_energy"], "43480000");
    }

    #[test]
    fn not_a_number_is_an_error_for_a_register_and_unknown_for_a_power() {
        let nan: &[u16] = &[0x7fc0, 0x0000];
        let error = sample("eastron_sdm630", &[(PointName::ImportEnergy, nan), EXPORT]).unwrap_err();
        assert_eq!(error.class(), "decode");
        let sample = sample("eastron_sdm630", &[IMPORT, EXPORT, (PointName::ActivePower, nan)]).unwrap();
        assert_eq!(sample.power_w, None);
        assert!(sample.quality.contains(&"active_power_not_available".to_owned()));
    }

    #[test]
    fn a_serial_number_that_was_never_written_is_unknown() {
        for blank in [[0, 0], [0xffff, 0xffff]] {
            let sample = sample("eastron_sdm630", &[IMPORT, EXPORT, (PointName::Serial, &blank)]).unwrap();
            assert_eq!(sample.device.serial, None);
        }
    }

    #[test]
    fn f20_a_wrong_word_order_is_caught_by_the_voltage() {
        let swapped = sample("eastron_sdm630", &[IMPORT, EXPORT, (PointName::Voltage, &[0x8000, 0x4366])]);
        let error = swapped.unwrap_err();
        assert_eq!(error.class(), "implausible");
        assert!(error.to_string().contains("word_order = \"lsw\" it reads 230.5"), "{error}");
    }

    #[test]
    fn f20_every_wide_voltage_and_frequency_has_a_range_that_tells_the_orders_apart() {
        for template in Library::embedded().unwrap().iter() {
            let points = template.modbus.iter().flat_map(|modbus| &modbus.points);
            let probed = points.filter(|(name, point)| {
                matches!(name, PointName::Voltage | PointName::Frequency) && point.word_count() > 1
            });
            for (name, point) in probed {
                let id = &template.id;
                let usual = if *name == PointName::Voltage { 230.0_f64 } else { 50.0 };
                let [least, most] = point.plausible.unwrap_or_else(|| panic!("{id}: {name:?} has no range"));
                assert!((least..=most).contains(&usual) && least > 1.0, "{id}: {name:?}");
                let words = as_words(usual, point);
                let scalar = decode(&words, point.value_type, other(point.word_order), None);
                let value = to_quantity(&scalar.unwrap(), point.scale_pow10, point.unit).unwrap();
                assert!(plausible(*name, point, &words, value).is_err(), "{id}: {name:?} reads {value}");
            }
        }
    }

    fn other(order: WordOrder) -> WordOrder {
        if order == WordOrder::Msw { WordOrder::Lsw } else { WordOrder::Msw }
    }

    /// A usual value as the device sends it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // of a test's small numbers
    fn as_words(value: f64, point: &RegisterPoint) -> Vec<u16> {
        let bits = match point.value_type {
            ValueType::F32 => (value as f32).to_bits(),
            _ => (value * 10_f64.powi(-point.scale_pow10)) as u32,
        };
        let words = [bits >> 16, bits & 0xffff].map(|word| u16::try_from(word).unwrap());
        if point.word_order == WordOrder::Msw { words.to_vec() } else { vec![words[1], words[0]] }
    }

    #[test]
    fn a_meter_that_is_offline_does_not_count() {
        let offline = sample("huawei_sun2000_meter", &[(PointName::Status, &[0])]);
        assert_eq!(offline.unwrap_err().class(), "device_status");
    }

    #[test]
    fn f25_a_negative_export_is_taken_as_its_device_means_it() {
        let negative =
            sample("huawei_sun2000_meter", &[(PointName::ExportEnergy, &[0xffff, 0xff9c])]).unwrap();
        assert_eq!(negative.export.unwrap().mwh(), 1_000_000); // -100 of 0.01 kWh
    }

    #[test]
    fn a_wider_register_counts_where_it_counts() {
        let zero = [(PointName::ImportEnergy, &[0, 0][..]), (PointName::ExportEnergy, &[0, 0][..])];
        let wide = [(PointName::ImportEnergyWide, &[0, 0, 0, 15][..])]; // of 10 Wh
        let sample_of = |words: &[(PointName, &[u16])]| sample("goodwe_et", words).unwrap();
        let newer = sample_of(&[&zero[..], &wide].concat());
        assert_eq!((newer.import.unwrap().mwh(), newer.export.unwrap().mwh()), (150_000, 0));
        assert_eq!(newer.raw["import_energy"], "000000000000000F");
        let kept = [zero[1], (PointName::ImportEnergy, &[0x447a, 0]), (PointName::ImportEnergyWide, &[0; 4])];
        assert_eq!(sample_of(&kept).import.unwrap().mwh(), 1_000_000);
    }

    #[test]
    fn the_inverters_voltage_counts_where_the_meter_tells_none() {
        let inverter =
            [(PointName::VoltageOfInverter, &[2_393][..]), (PointName::FrequencyOfInverter, &[4_999][..])];
        let alone = sample("goodwe_et", &inverter).unwrap();
        assert_eq!((alone.voltage_v, alone.frequency_hz), (Some(239.3), Some(49.99)));
        assert!(!alone.quality.contains(&"voltage_not_available".to_owned()), "{:?}", alone.quality);
        let both = [&inverter[..], &[(PointName::Voltage, &[2_290][..])]].concat();
        let both = sample("goodwe_et", &both).unwrap();
        assert_eq!((both.voltage_v, both.frequency_hz), (Some(229.0), Some(49.99)));
        let neither = sample("goodwe_et", &[(PointName::VoltageOfInverter, &[0xffff][..])]).unwrap();
        assert_eq!(neither.voltage_v, None);
    }

    #[test]
    fn the_inverters_power_counts_where_no_meter_tells_one_and_says_so() {
        let flagged = |sample: &Sample| sample.quality.contains(&"power_of_inverter".to_owned());
        let inverter = [(PointName::PowerOfInverter, &[0xfe0c][..])];
        let alone = sample("goodwe_et", &inverter).unwrap();
        assert_eq!((alone.power_w, flagged(&alone)), (Some(500.0), true));
        assert!(!alone.quality.contains(&"active_power_not_available".to_owned()), "{:?}", alone.quality);
        let both = [&inverter[..], &[(PointName::ActivePower, &[0, 70][..])]].concat();
        let both = sample("goodwe_et", &both).unwrap();
        assert_eq!((both.power_w, flagged(&both)), (Some(-70.0), false));
    }

    #[test]
    fn f28_phases_that_do_not_add_up_are_flagged_and_the_total_is_used() {
        let powers = |total, l1| {
            BTreeMap::from([
                (PointName::ActivePower, total),
                (PointName::PowerL1, l1),
                (PointName::PowerL2, 100.0),
                (PointName::PowerL3, 100.0),
            ])
        };
        assert_eq!(power(&powers(300.0, -500.0)), Some(300.0));
        assert!(phases_differ(&powers(300.0, -500.0)) && !phases_differ(&powers(310.0, 100.0)));
    }

    #[test]
    fn power_is_made_of_what_there_is() {
        let one_direction = [(PointName::PowerImport, &[0, 0][..]), (PointName::PowerExport, &[0, 500][..])];
        assert_eq!(sample("sma_shm2", &one_direction).unwrap().power_w, Some(-500.0));
        let phases = [
            (PointName::PowerL1, &[0, 100][..]),
            (PointName::PowerL2, &[0, 20][..]),
            (PointName::PowerL3, &[0xffff, 0xffff][..]),
        ];
        assert_eq!(sample("victron_gx", &phases).unwrap().power_w, Some(119.0));
        assert_eq!(sample("victron_gx", &phases[..2]).unwrap().power_w, None);
    }
}
