//! Where the points lie in the models that are read, and how they are decoded.
//!
//! Offsets count from the model's id (its header is words 0 and 1), as in the SunSpec model
//! definitions. A scale factor is taken from the same answer as its value.

use domain::reading::Register;

use super::SunSpecError;
use crate::decode::{DecodeError, Scalar, Unit, ValueType, WordOrder, decode, to_quantity, to_register};

/// Inverter models, integers first: they count exactly where single-precision floats do not.
pub(super) const INVERTERS: [u16; 6] = [103, 102, 101, 113, 112, 111];
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
    voltage: Point,
    frequency: Point,
    power: Point,
    export: Point,
    import: Option<Point>,
}

const INVERTER_INTEGER: Layout = Layout {
    voltage: point("PhVphA", 10, ValueType::U16, Some(13)),
    power: point("W", 14, ValueType::I16, Some(15)),
    frequency: point("Hz", 16, ValueType::U16, Some(17)),
    export: point("WH", 24, ValueType::U32, Some(26)),
    import: None,
};
const INVERTER_FLOAT: Layout = Layout {
    voltage: point("PhVphA", 16, ValueType::F32, None),
    power: point("W", 22, ValueType::F32, None),
    frequency: point("Hz", 24, ValueType::F32, None),
    export: point("WH", 32, ValueType::F32, None),
    import: None,
};
const METER_INTEGER: Layout = Layout {
    voltage: point("PhVphA", 8, ValueType::I16, Some(15)),
    frequency: point("Hz", 16, ValueType::I16, Some(17)),
    power: point("W", 18, ValueType::I16, Some(22)),
    export: point("TotWhExp", 38, ValueType::U32, Some(54)),
    import: Some(point("TotWhImp", 46, ValueType::U32, Some(54))),
};
const METER_FLOAT: Layout = Layout {
    voltage: point("PhVphA", 12, ValueType::F32, None),
    frequency: point("Hz", 26, ValueType::F32, None),
    power: point("W", 28, ValueType::F32, None),
    export: point("TotWhExp", 60, ValueType::F32, None),
    import: Some(point("TotWhImp", 68, ValueType::F32, None)),
};

const fn layout(model: u16) -> Option<&'static Layout> {
    match model {
        101..=103 => Some(&INVERTER_INTEGER),
        111..=113 => Some(&INVERTER_FLOAT),
        201..=204 => Some(&METER_INTEGER),
        211..=214 => Some(&METER_FLOAT),
        _ => None,
    }
}

/// Decodes the words of a model, its header included.
///
/// # Errors
/// [`SunSpecError`] if the model is not one of those known, too short, or an implemented value cannot
/// be decoded.
pub fn decode_model(model: u16, words: &[u16]) -> Result<ModelValues, SunSpecError> {
    let layout =
        layout(model).ok_or_else(|| SunSpecError::NoModel { needed: "known", found: model.to_string() })?;
    let quantity = |point: Point, unit| -> Result<Option<f64>, SunSpecError> {
        let Some((scalar, scale)) = value(model, words, point)? else { return Ok(None) };
        to_quantity(&scalar, scale, unit).map(Some).map_err(|error| failed(model, point, error))
    };
    let mut values = ModelValues {
        voltage_v: quantity(layout.voltage, Unit::Volt)?,
        frequency_hz: quantity(layout.frequency, Unit::Hertz)?,
        power_w: quantity(layout.power, Unit::Watt)?,
        ..ModelValues::default()
    };
    if let Some(import) = layout.import {
        (values.import, values.raw[0]) = accumulator(model, words, import, &mut values.resolution_mwh)?;
    }
    (values.export, values.raw[1]) = accumulator(model, words, layout.export, &mut values.resolution_mwh)?;
    Ok(values)
}

type Accumulator = (Option<Register>, Option<String>);

/// A cumulative register. Zero means "not accumulated" by the standard, so that a new meter is
/// unknown until it has counted its first step, and one that has just started is not taken for reset.
fn accumulator(
    model: u16,
    words: &[u16],
    point: Point,
    resolution_mwh: &mut Option<i64>,
) -> Result<Accumulator, SunSpecError> {
    let Some((scalar, scale)) = value(model, words, point)? else { return Ok((None, None)) };
    let zero = match &scalar {
        Scalar::Integer(value) => *value == 0,
        Scalar::Float { value, .. } => *value == 0.0,
        Scalar::Text(_) => false,
    };
    if zero {
        return Ok((None, None));
    }
    let decoded = to_register(&scalar, scale, Unit::WattHour).map_err(|error| failed(model, point, error))?;
    *resolution_mwh = Some(resolution_mwh.map_or(decoded.resolution_mwh, |r| r.max(decoded.resolution_mwh)));
    let raw = slice(model, words, point)?.iter().map(|word| format!("{word:04X}")).collect();
    Ok((Some(decoded.register), Some(raw)))
}

/// A point's number and scale; `None` if the device does not implement it.
fn value(model: u16, words: &[u16], point: Point) -> Result<Option<(Scalar, i32)>, SunSpecError> {
    let own = slice(model, words, point)?;
    let scalar = match decode(own, point.value_type, WordOrder::Msw, not_implemented(point.value_type)) {
        Ok(scalar) => scalar,
        Err(DecodeError::NotAvailable | DecodeError::NotFinite) => return Ok(None),
        Err(error) => return Err(failed(model, point, error)),
    };
    let Some(offset) = point.scale else { return Ok(Some((scalar, 0))) };
    let word = words.get(offset).ok_or(too_short(model, words, point))?;
    let got = i16::from_be_bytes(word.to_be_bytes());
    if !(-10..=10).contains(&got) {
        return Err(SunSpecError::ScaleFactor { model, point: point.name, got });
    }
    Ok(Some((scalar, i32::from(got))))
}

fn slice(model: u16, words: &[u16], point: Point) -> Result<&[u16], SunSpecError> {
    let length = usize::from(point.value_type.words().unwrap_or(1));
    words.get(point.offset..point.offset + length).ok_or(too_short(model, words, point))
}

/// The bit pattern that means "not implemented", by type.
const fn not_implemented(value_type: ValueType) -> Option<u64> {
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

const fn too_short(model: u16, words: &[u16], point: Point) -> SunSpecError {
    SunSpecError::TooShort { model, words: words.len(), point: point.name }
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
    fn not_accumulated_is_unknown_and_never_zero() {
        assert_eq!(decode_model(203, &meter_203(0, 5)).unwrap().import, None);
        assert_eq!(decode_model(203, &meter_203(u32::MAX, 5)).unwrap().import, None);
    }

    #[test]
    fn a_bad_scale_factor_is_an_error() {
        for bad in [0x8000, 11, 0xfff5] {
            let mut words = meter_203(1, 1);
            words[54] = bad;
            assert!(matches!(decode_model(203, &words), Err(SunSpecError::ScaleFactor { .. })), "{bad:x}");
        }
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
            model in prop::sample::select(&[101_u16, 103, 113, 203, 213, 1][..]),
            words in prop::collection::vec(any::<u16>(), 0..126)
        ) {
            let _ = decode_model(model, &words);
        }
    }
}
