//! One reading from a unit's models.

use domain::time::Clock;

use super::details::{self, Detail};
use super::find::{Found, find};
use super::models::{INVERTERS, METERS, ModelValues, decode_model, words_needed};
use super::{HoldingReader, Map, ModelPlace, SunSpecError};
use crate::modbus::ExceptionClass;
use crate::source::{Sample, SourceError};
use crate::template::{RegistersFrom, SunSpecAccess, Template};

/// The protocol's limit of one answer. What is used of every model lies within it.
const MAX_WORDS: u16 = 125;

pub(super) async fn read(
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
    let has_meter = found.map.first_of(&METERS).is_some();
    let has_inverter = found.map.first_of(&INVERTERS).is_some();
    match access.registers_from {
        RegistersFrom::Any if !has_meter && !has_inverter => {
            sample.quality.push("no_meter_or_inverter_model".to_owned());
        }
        RegistersFrom::Inverter | RegistersFrom::Any if !has_meter || access.is_inverter_only() => {
            let place = need(&found.map, &INVERTERS, "inverter")?;
            let values = told(reader, place, access, &mut sample).await?;
            sample.read_at = clock.now();
            take(&mut sample, values, -1.0); // an inverter's power is positive on production
        }
        _ => {
            let place = need(&found.map, &METERS, "meter")?;
            let values = told(reader, place, access, &mut sample).await?;
            sample.read_at = clock.now();
            let is_away = values.is_away() && !sample.quality.iter().any(|flag| flag.ends_with("_refused"));
            take(&mut sample, values, access.meter_power_sign.factor());
            match found.map.first_of(&INVERTERS) {
                // The map has room for a meter that is not connected.
                Some(place) if is_away && access.registers_from == RegistersFrom::Any => {
                    let values = told(reader, place, access, &mut sample).await?;
                    take(&mut sample, values, -1.0);
                    sample.quality.push("meter_model_tells_nothing".to_owned());
                }
                Some(place) => production(&mut sample, model(reader, place).await)?,
                None => sample.quality.push("no_inverter_model".to_owned()),
            }
        }
    }
    Ok((sample, found))
}

fn need(map: &Map, ids: &[u16], needed: &'static str) -> Result<ModelPlace, SunSpecError> {
    map.first_of(ids).ok_or_else(|| SunSpecError::NoModel { needed, found: map.ids() })
}

async fn model(reader: &mut dyn HoldingReader, place: ModelPlace) -> Result<ModelValues, SourceError> {
    let words = words_of(reader, place).await?;
    Ok(decode_model(place.id, &words)?)
}

/// A model's values. For looking at a device, what it shows in its map and refuses to tell is not known; where
/// money rests on it, it is an error.
async fn told(
    reader: &mut dyn HoldingReader,
    place: ModelPlace,
    access: &SunSpecAccess,
    sample: &mut Sample,
) -> Result<ModelValues, SourceError> {
    match model(reader, place).await {
        Err(SourceError::Bus(error))
            if access.registers_from == RegistersFrom::Any
                && error.exception() == Some(ExceptionClass::NotThere) =>
        {
            sample.quality.push(format!("model_{}_refused", place.id));
            Ok(ModelValues::default())
        }
        values => values,
    }
}

/// A model's words with its header, which must still be what discovery found.
pub(super) async fn words_of(
    reader: &mut dyn HoldingReader,
    place: ModelPlace,
) -> Result<Vec<u16>, SourceError> {
    let count = place.length.saturating_add(2).min(MAX_WORDS);
    let words = match (reader.holding(place.address, count).await, words_needed(place.id)) {
        // Some models are longer than what the device gives of them, at night for instance.
        (Err(error), Some(needed))
            if needed < count && error.exception() == Some(ExceptionClass::NotThere) =>
        {
            reader.holding(place.address, needed).await?
        }
        (words, _) => words?,
    };
    if words.get(..2) == Some(&[place.id, place.length]) {
        Ok(words)
    } else {
        Err(SunSpecError::Moved { model: place.id, address: place.address }.into())
    }
}

/// What the models beside the metering ones tell; one that cannot be read is left out.
pub(super) async fn all_details(reader: &mut dyn HoldingReader, map: &Map) -> Vec<Detail> {
    let mut found = Vec::new();
    for place in map.models.iter().filter(|place| details::MODELS.contains(&place.id)) {
        if let Ok(words) = words_of(reader, *place).await {
            found.extend(details::details(place.id, &words));
        }
    }
    found
}

/// Whether a reading holds no value at all.
pub(super) const fn tells_nothing(sample: &Sample) -> bool {
    sample.import.is_none()
        && sample.export.is_none()
        && sample.production.is_none()
        && sample.power_w.is_none()
        && sample.voltage_v.is_none()
        && sample.frequency_hz.is_none()
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
    sample.quality.extend(values.quality);
    sample.span_mwh = values.span_mwh;
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
    use crate::source::Device;
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
    async fn f15_a_map_that_moved_is_noticed_before_it_is_read() {
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

    #[tokio::test]
    async fn a_device_that_hides_its_name_is_read_all_the_same() {
        let mut nameless = device(&meter_203(1_000, 2_000));
        for address in 40_004..40_070 {
            nameless.0.remove(&address);
        }
        let (sample, _) = sample(&mut nameless, None).await.unwrap();
        assert_eq!((sample.import.unwrap().mwh(), sample.device.serial), (1_000_000, None));
    }

    /// The lengths of common models that devices have: the standard's, without its padding, and one that stops
    /// in the middle of the maker's name.
    #[tokio::test]
    async fn f13_common_models_of_every_length_are_passed_and_what_they_lack_is_unknown() {
        let whole = device(&meter_203(1_000, 2_000));
        for (length, serial) in [(66, Some("S123")), (65, Some("S123")), (15, None)] {
            let word = |address: u16| whole.0.get(&address).copied();
            let rest = 40_002 + 2 + length;
            let mut shorter = Registers::default();
            for address in 40_000..rest {
                shorter.put(address, &[word(address).unwrap()]);
            }
            shorter.put(40_003, &[length]);
            for (address, from) in (rest..).zip(40_070..=40_230) {
                shorter.put(address, &[word(from).unwrap()]);
            }
            let (sample, _) = sample(&mut shorter, None).await.unwrap();
            assert_eq!(sample.import.unwrap().mwh(), 1_000_000, "{length}");
            assert_eq!(sample.production.unwrap().mwh(), 9_000_000, "{length}");
            assert_eq!((sample.device.vendor.as_str(), sample.device.serial.as_deref()), ("Acme", serial));
        }
    }

    /// An inverter with a meter behind it, each with a common model.
    fn with_named_meter(serial: [u16; 2]) -> Registers {
        let mut registers = device(&[1, 65]);
        let mut common = vec![0; 67];
        (common[0], common[1], common[2], common[50], common[51]) = (1, 65, 0x4d65, serial[0], serial[1]);
        registers.put(40_122, &common).put(40_189, &meter_203(1_000, 2_000)).put(40_296, &[0xffff, 0]);
        registers
    }

    #[tokio::test]
    async fn f27_a_meter_behind_an_inverter_is_known_by_its_own_serial_number() {
        let mut registers = with_named_meter([0x4d31, 0]);
        let (billed, _) = sample(&mut registers, None).await.unwrap();
        assert_eq!((billed.device.vendor.as_str(), billed.device.serial.as_deref()), ("Me", Some("M1")));
        // To who looks, the device is the one that answers.
        let (template, access) = sunspec("sunspec");
        let (looked, _) = read(&mut registers, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!(looked.device.serial.as_deref(), Some("S123"));
        let (nameless, _) = sample(&mut with_named_meter([0, 0]), None).await.unwrap();
        assert_eq!(nameless.device.serial.as_deref(), Some("S123"));
    }

    #[tokio::test]
    async fn where_a_meters_place_is_empty_the_inverter_is_shown_to_who_looks() {
        let mut empty = meter_203(0, 0);
        (empty[8], empty[16], empty[18], empty[54]) = (0, 0, 0, 0x8000);
        let (template, access) = sunspec("sunspec");
        let (looked, _) = read(&mut device(&empty), &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!((looked.export.unwrap().mwh(), looked.production), (9_000_000, None));
        assert_eq!((looked.voltage_v, looked.power_w), (None, None));
        assert!(looked.quality.contains(&"meter_model_tells_nothing".to_owned()), "{:?}", looked.quality);
        // A meter that has counted nothing yet is there all the same.
        let new = meter_203(0, 0);
        let (looked, _) = read(&mut device(&new), &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!((looked.export, looked.voltage_v), (None, Some(230.1)));
        assert_eq!(looked.production.unwrap().mwh(), 9_000_000);
    }

    fn sunspec(text: &str) -> (Template, SunSpecAccess) {
        let template = Library::embedded().unwrap().get(text).unwrap();
        let access = template.sunspec.clone().unwrap();
        ((*template).clone(), access)
    }

    #[tokio::test]
    async fn any_device_reads_as_what_it_has() {
        let (template, access) = sunspec("sunspec");
        let mut with_meter = device(&meter_203(1_000, 2_000));
        let (sample, _) = read(&mut with_meter, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!(sample.export.unwrap().mwh(), 2_000_000);
        let mut alone = device(&meter_203(1_000, 2_000));
        alone.put(40_122, &[0xffff, 0]);
        let (sample, _) = read(&mut alone, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!((sample.import, sample.export.unwrap().mwh()), (None, 9_000_000));
        alone.put(40_070, &[0xffff, 0]);
        let (sample, _) = read(&mut alone, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!((sample.export, sample.device.serial.as_deref()), (None, Some("S123")));
    }

    #[tokio::test]
    async fn a_model_that_is_shown_and_refused_is_unknown_to_who_looks_and_an_error_to_who_bills() {
        let mut refusing = device(&meter_203(1_000, 2_000));
        for address in 40_124..40_229 {
            refusing.0.remove(&address);
        }
        let (template, access) = sunspec("sunspec");
        let (looked, _) = read(&mut refusing, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!((looked.import, looked.power_w), (None, None));
        assert_eq!(looked.production.unwrap().mwh(), 9_000_000);
        assert!(looked.quality.contains(&"model_203_refused".to_owned()), "{:?}", looked.quality);
        assert_eq!(sample(&mut refusing, None).await.unwrap_err().class(), "exception_not_there");
    }

    #[tokio::test]
    async fn f14_of_integer_and_float_models_exactly_one_is_used() {
        let (template, access) = sunspec("sunspec");
        let mut registers = device(&[0xffff, 0]);
        let mut float = vec![0; 62];
        (float[0], float[1], float[32], float[33]) = (113, 60, 0x4974, 0x2400);
        registers.put(40_122, &float).put(40_184, &[0xffff, 0]);
        let (sample, _) = read(&mut registers, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!(sample.export.unwrap().mwh(), 9_000_000);
    }

    #[tokio::test]
    async fn f18_at_night_the_yield_stands_and_the_power_is_unknown() {
        let (template, access) = sunspec("sunspec_inverter");
        let mut registers = device(&[0xffff, 0]);
        let (sample, _) = read(&mut registers, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!((sample.export.unwrap().mwh(), sample.power_w), (9_000_000, None));
    }

    #[tokio::test]
    async fn a_device_whose_map_has_no_marker_is_read_at_its_known_addresses() {
        let (template, access) = sunspec("solaredge");
        let mut registers = Registers::default();
        registers.put(40_188, &meter_203(1_000, 2_000));
        let (sample, _) = read(&mut registers, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!((sample.import.unwrap().mwh(), sample.power_w), (1_000_000, Some(1_234.0)));
    }

    #[tokio::test]
    async fn a_model_that_is_refused_whole_is_read_as_far_as_it_is_needed() {
        let (template, access) = sunspec("sunspec_inverter");
        let mut registers = device(&[0xffff, 0]);
        for address in 40_100..40_122 {
            registers.0.remove(&address);
        }
        let (sample, _) = read(&mut registers, &access, None, &template, &Clock::System).await.unwrap();
        assert_eq!(sample.export.unwrap().mwh(), 9_000_000);
    }
}
