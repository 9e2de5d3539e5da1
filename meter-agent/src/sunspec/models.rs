//! Where the points lie in the models that are read, and how they are decoded.
//!
//! Offsets count from the model's id (its header is words 0 and 1), as in the SunSpec model
//! definitions. A scale factor is taken from the same answer as its value.

use domain::reading::Register;

use super::SunSpecError;
use crate::decode::{
    DecodeError, Scalar, Unit, ValueType, WordOrder, decode, span_mwh, to_quantity, to_register,
};

/// Inverter models, integers first: they count exactly where single-precision floats do not. Last the
/// newer model of any generator.
pub(super) const INVERTERS: [u16; 7] = [103, 102, 101, 113, 112, 111, 701];
/// Meter models, likewise.
pub(super) const METERS: [u16; 8] = [203, 204, 202, 201, 213, 214, 212, 211];

/// The points of a model that the agent uses; `None` is "not implemented" or "not available now".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelValues {
    /// Energy imported (meters only).
    pub import: Option<Register>,
    /// Energy exported; of an inverter, its lifetime yield.
    pub export: Option<Register>,
    /// The coarser resolution of the two, in mWh.
    pub resolution_mwh: Option<i64>,
    /// Real power in W, with the model's own sign.
    pub power_w: Option<f64>,
    /// Voltage of the first phase in V.
    pub voltage_v: Option<f64>,
    /// Frequency in Hz.
    pub frequency_hz: Option<f64>,
    /// The words of the energy accumulators, hexadecimal: import, then export.
    pub raw: [Option<String>; 2],
    /// Where the accumulators begin again from zero, in mWh: import, then export.
    pub span_mwh: [Option<i64>; 2],
    /// What is to be known of points that could not be used.
    pub quality: Vec<String>,
}

impl ModelValues {
    /// Whether nothing is metered: no energy is known, and neither voltage nor frequency are there.
    pub(super) fn is_away(&self) -> bool {
        let absent = |value: Option<f64>| value.is_none_or(|value| value == 0.0);
        self.import.is_none() && self.export.is_none() && absent(self.voltage_v) && absent(self.frequency_hz)
    }
}

/// One point of a model: its offset, its type, and the offset of its scale factor.
#[derive(Debug, Clone, Copy)]
struct Point {
    name: &'static str,
    offset: usize,
    value_type: ValueType,
    scale: Option<usize>,
}

const fn point(name: &'static str, offset: usize, value_type: ValueType, scale: Option<usize>) -> Point {
    Point { name, offset, value_type, scale }
}

/// The points of a family of models.
struct Layout {
    /// The first that is implemented counts.
    voltage: &'static [Point],
    frequency: Point,
    power: Point,
    export: Point,
    import: Option<Point>,
}

const INVERTER_INTEGER: Layout = Layout {
    voltage: &[point("PhVphA", 10, ValueType::U16, Some(13))],
    power: point("W", 14, ValueType::I16, Some(15)),
    frequency: point("Hz", 16, ValueType::U16, Some(17)),
    export: point("WH", 24, ValueType::U32, Some(26)),
    import: None,
};
const INVERTER_FLOAT: Layout = Layout {
    voltage: &[point("PhVphA", 16, ValueType::F32, None)],
    power: point("W", 22, ValueType::F32, None),
    frequency: point("Hz", 24, ValueType::F32, None),
    export: point("WH", 32, ValueType::F32, None),
    import: None,
};
const METER_INTEGER: Layout = Layout {
    voltage: &[point("PhVphA", 8, ValueType::I16, Some(15))],
    frequency: point("Hz", 16, ValueType::I16, Some(17)),
    power: point("W", 18, ValueType::I16, Some(22)),
    export: point("TotWhExp", 38, ValueType::U32, Some(54)),
    import: Some(point("TotWhImp", 46, ValueType::U32, Some(54))),
};
const METER_FLOAT: Layout = Layout {
    voltage: &[point("PhVphA", 12, ValueType::F32, None)],
    frequency: point("Hz", 26, ValueType::F32, None),
    power: point("W", 28, ValueType::F32, None),
    export: point("TotWhExp", 60, ValueType::F32, None),
    import: Some(point("TotWhImp", 68, ValueType::F32, None)),
};
/// The generator model of the newer family. Its registers are 64 bits wide, and zero is a value there.
const GENERATOR: Layout = Layout {
    // The mean of the phases, which stands in the model's fixed part; some tell only the first phase's.
    voltage: &[point("LNV", 16, ValueType::U16, Some(114)), point("VL1", 47, ValueType::U16, Some(114))],
    frequency: point("Hz", 17, ValueType::U32, Some(115)),
    power: point("W", 10, ValueType::I16, Some(116)),
    export: point("TotWhInj", 19, ValueType::U64, Some(120)),
    import: Some(point("TotWhAbs", 23, ValueType::U64, Some(120))),
};

const fn layout(model: u16) -> Option<&'static Layout> {
    match model {
        101..=103 => Some(&INVERTER_INTEGER),
        111..=113 => Some(&INVERTER_FLOAT),
        201..=204 => Some(&METER_INTEGER),
        211..=214 => Some(&METER_FLOAT),
        701 => Some(&GENERATOR),
        _ => None,
    }
}

/// How many words of a model, its header included, hold everything that is read from it; for a device
/// that refuses to give the whole of it.
pub(super) fn words_needed(model: u16) -> Option<u16> {
    let layout = layout(model)?;
    let points = layout.voltage.iter().chain([&layout.frequency, &layout.power, &layout.export]);
    let last = points.chain(layout.import.as_ref()).map(|point| {
        let own = point.offset + usize::from(point.value_type.words().unwrap_or(1));
        own.max(point.scale.map_or(0, |scale| scale + 1))
    });
    u16::try_from(last.max()?).ok()
}

/// Decodes the words of a model, its header included. A point that the model is too short for, or whose
/// scale factor is none, is not known, which `quality` says; the others stand.
///
/// # Errors
/// [`SunSpecError`] if the model is not one of those known, or an implemented value cannot be decoded.
pub fn decode_model(model: u16, words: &[u16]) -> Result<ModelValues, SunSpecError> {
    let layout =
        layout(model).ok_or_else(|| SunSpecError::NoModel { needed: "known", found: model.to_string() })?;
    let mut values = ModelValues::default();
    let mut quality = Vec::new();
    let mut quantity = |point: Point, unit| -> Result<Option<f64>, SunSpecError> {
        let Some((scalar, scale)) = value(model, words, point, &mut quality)? else { return Ok(None) };
        to_quantity(&scalar, scale, unit).map(Some).map_err(|error| failed(model, point, error))
    };
    for point in layout.voltage {
        if values.voltage_v.is_none() {
            values.voltage_v = quantity(*point, Unit::Volt)?;
        }
    }
    values.frequency_hz = quantity(layout.frequency, Unit::Hertz)?;
    values.power_w = quantity(layout.power, Unit::Watt)?;
    values.quality = quality;
    if let Some(import) = layout.import {
        accumulator(model, words, import, &mut values, Side::Import)?;
    }
    accumulator(model, words, layout.export, &mut values, Side::Export)?;
    Ok(values)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Import,
    Export,
}

/// A cumulative register. Zero in a 32-bit accumulator means "not accumulated" by the standard, so that a
/// new meter is unknown until it has counted its first step, and one that has just started is not taken
/// for reset. Floats and 64-bit registers have a pattern of their own for that, and zero is a value.
fn accumulator(
    model: u16,
    words: &[u16],
    point: Point,
    values: &mut ModelValues,
    side: Side,
) -> Result<(), SunSpecError> {
    let Some((scalar, scale)) = value(model, words, point, &mut values.quality)? else { return Ok(()) };
    if point.value_type == ValueType::U32 && scalar == Scalar::Integer(0) {
        return Ok(());
    }
    let decoded = to_register(&scalar, scale, Unit::WattHour).map_err(|error| failed(model, point, error))?;
    let coarser = values.resolution_mwh.map_or(decoded.resolution_mwh, |r| r.max(decoded.resolution_mwh));
    values.resolution_mwh = Some(coarser);
    let raw = slice(words, point).iter().copied().flatten().map(|word| format!("{word:04X}")).collect();
    let index = usize::from(side == Side::Export);
    values.raw[index] = Some(raw);
    values.span_mwh[index] = span_mwh(point.value_type, scale, Unit::WattHour);
    match side {
        Side::Import => values.import = Some(decoded.register),
        Side::Export => values.export = Some(decoded.register),
    }
    Ok(())
}

/// A point's number and scale; `None` if the device does not implement it or gives it no valid scale.
fn value(
    model: u16,
    words: &[u16],
    point: Point,
    quality: &mut Vec<String>,
) -> Result<Option<(Scalar, i32)>, SunSpecError> {
    let Some(own) = slice(words, point) else {
        quality.push(format!("{}_beyond_the_model", point.name));
        return Ok(None);
    };
    let scalar = match decode(own, point.value_type, WordOrder::Msw, not_implemented(point.value_type)) {
        Ok(scalar) => scalar,
        Err(DecodeError::NotAvailable | DecodeError::NotFinite) => return Ok(None),
        Err(error) => return Err(failed(model, point, error)),
    };
    let Some(offset) = point.scale else { return Ok(Some((scalar, 0))) };
    let scale = words.get(offset).map(|word| i16::from_be_bytes(word.to_be_bytes()));
    match scale {
        Some(scale) if (-10..=10).contains(&scale) => Ok(Some((scalar, i32::from(scale)))),
        _ => {
            quality.push(format!("{}_scale_factor_invalid", point.name));
            Ok(None)
        }
    }
}

fn slice(words: &[u16], point: Point) -> Option<&[u16]> {
    let length = usize::from(point.value_type.words().unwrap_or(1));
    words.get(point.offset..point.offset + length)
}

/// The bit pattern that means "not implemented", by type.
pub(super) const fn not_implemented(value_type: ValueType) -> Option<u64> {
    match value_type {
        ValueType::U16 => Some(0xffff),
        ValueType::I16 => Some(0x8000),
        ValueType::U32 => Some(0xffff_ffff),
        ValueType::I32 => Some(0x8000_0000),
        ValueType::U64 => Some(u64::MAX),
        ValueType::I64 => Some(0x8000_0000_0000_0000),
        ValueType::F32 | ValueType::F64 | ValueType::Str => None,
    }
}

const fn failed(model: u16, point: Point, error: DecodeError) -> SunSpecError {
    SunSpecError::Decode { model, point: point.name, error }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A three-phase meter of integers with the given accumulators in Wh.
    pub(in crate::sunspec) fn meter_203(import_wh: u32, export_wh: u32) -> Vec<u16> {
        let mut words = vec![0x8000; 107];
        (words[0], words[1]) = (203, 105);
        (words[8], words[15]) = (2_301, 0xffff); // 230.1 V
        (words[16], words[17]) = (4_998, 0xfffe); // 49.98 Hz
        (words[18], words[22]) = (0xfb2e, 0); // -1234 W
        for (offset, wh) in [(38, export_wh), (46, import_wh)] {
            words[offset] = u16::try_from(wh >> 16).unwrap();
            words[offset + 1] = u16::try_from(wh & 0xffff).unwrap();
        }
        words[54] = 0;
        words
    }

    #[test]
    fn an_integer_meter() {
        let values = decode_model(203, &meter_203(1_000_001, 70_000)).unwrap();
        assert_eq!(values.import.unwrap().mwh(), 1_000_001_000);
        assert_eq!(values.export.unwrap().mwh(), 70_000_000);
        assert_eq!((values.power_w, values.frequency_hz), (Some(-1_234.0), Some(49.98)));
        assert_eq!(values.voltage_v, Some(230.1));
    }

    #[test]
    fn an_inverter_at_night_keeps_its_yield_and_has_no_power() {
        let mut words = vec![0x8000; 52];
        (words[10], words[16]) = (0xffff, 0xffff);
        (words[24], words[25], words[26]) = (0x0001, 0x0000, 1); // 65 536 * 10 Wh
        let values = decode_model(103, &words).unwrap();
        assert_eq!(values.export.unwrap().mwh(), 655_360_000);
        assert_eq!((values.power_w, values.voltage_v, values.frequency_hz), (None, None, None));
        assert_eq!(values.resolution_mwh, Some(10_000));
    }

    #[test]
    fn f17_not_accumulated_is_unknown_and_never_zero() {
        assert_eq!(decode_model(203, &meter_203(0, 5)).unwrap().import, None);
        assert_eq!(decode_model(203, &meter_203(u32::MAX, 5)).unwrap().import, None);
    }

    #[test]
    fn f16_a_scale_factor_is_that_of_the_same_answer_and_a_bad_one_makes_its_values_unknown() {
        for bad in [0x8000, 11, 0xfff5] {
            let mut words = meter_203(1, 1);
            words[54] = bad;
            let values = decode_model(203, &words).unwrap();
            assert_eq!((values.import, values.export), (None, None), "{bad:x}");
            assert_eq!(values.power_w, Some(-1_234.0));
            assert!(values.quality.contains(&"TotWhImp_scale_factor_invalid".to_owned()));
        }
        let mut words = meter_203(7, 1);
        words[54] = 1;
        assert_eq!(decode_model(203, &words).unwrap().import.unwrap().mwh(), 70_000);
    }

    #[test]
    fn f13_what_a_short_model_lacks_is_unknown() {
        let values = decode_model(103, &[103, 15, 0, 0, 0, 0, 0, 0, 0, 0, 2_301, 0, 0, 0xffff]).unwrap();
        assert_eq!((values.voltage_v, values.power_w, values.export), (Some(230.1), None, None));
        assert!(values.quality.contains(&"WH_beyond_the_model".to_owned()));
    }

    #[test]
    fn f17_the_sentinel_of_each_type_is_no_value() {
        let all = |model, word: u16| decode_model(model, &vec![word; 160]).unwrap();
        for (model, word) in [(103, 0xffff), (203, 0x8000), (113, 0x7fc0), (213, 0xffc0), (701, 0xffff)] {
            let mut values = all(model, word);
            values.quality.clear();
            // -1 is a value where only 0x8000 is none.
            assert_eq!((values.import, values.export), (None, None), "{model}");
            assert_eq!((values.voltage_v, values.frequency_hz), (None, None), "{model}");
        }
    }

    #[test]
    fn a_generator_of_the_newer_family() {
        let mut words = vec![0xffff; 155];
        (words[0], words[1], words[10], words[116]) = (701, 153, 0x8000, 0);
        words[19..27].copy_from_slice(&[0, 1, 0, 5, 0, 0, 0, 0]);
        (words[47], words[114], words[120]) = (2_305, 0xffff, 0);
        let values = decode_model(701, &words[..125]).unwrap();
        assert_eq!(values.export.unwrap().mwh(), ((1 << 32) + 5) * 1_000);
        assert_eq!(values.import.unwrap().mwh(), 0);
        assert_eq!((values.voltage_v, values.power_w), (Some(230.5), None));
        // As other readers of the model have it, the mean of the phases counts before the first phase.
        words[16] = 2_310;
        assert_eq!(decode_model(701, &words[..125]).unwrap().voltage_v, Some(231.0));
        words[47] = 0xffff;
        assert_eq!(decode_model(701, &words[..125]).unwrap().voltage_v, Some(231.0));
        assert_eq!(words_needed(701), Some(121));
    }

    #[test]
    fn floats_need_no_scale_factor() {
        let mut words = vec![0x7fc0; 125];
        (words[68], words[69]) = (0x4974, 0x2400); // 1 000 000 Wh
        let values = decode_model(213, &words).unwrap();
        assert_eq!(values.import.unwrap().mwh(), 1_000_000_000);
        assert_eq!((values.export, values.power_w), (None, None));
    }

    proptest! {
        #[test]
        fn never_panics(
            model in prop::sample::select(&[101_u16, 103, 113, 203, 213, 701, 1][..]),
            words in prop::collection::vec(any::<u16>(), 0..126)
        ) {
            let _ = decode_model(model, &words);
        }
    }
}
