//! From the words of a Modbus response to a value: the last place where a float exists.
//!
//! Everything here is pure. What is not a value (a sentinel, not a number, a negative counter, an
//! absurd size) is an error and never zero.

mod scalar;

use domain::reading::Register;
use serde::Deserialize;

pub use scalar::{Scalar, decode};

use crate::decimal::times_power_of_ten;

/// How a value lies in its registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// Unsigned, one word.
    U16,
    /// Signed, one word.
    I16,
    /// Unsigned, two words.
    U32,
    /// Signed, two words.
    I32,
    /// Unsigned, four words.
    U64,
    /// Signed, four words.
    I64,
    /// IEEE 754 single precision, two words.
    F32,
    /// IEEE 754 double precision, four words.
    F64,
    /// Text, two characters a word; its length is the point's.
    Str,
}

impl ValueType {
    /// How many words a value of this type has; `None` for text.
    #[must_use]
    pub const fn words(self) -> Option<u16> {
        match self {
            Self::U16 | Self::I16 => Some(1),
            Self::U32 | Self::I32 | Self::F32 => Some(2),
            Self::U64 | Self::I64 | Self::F64 => Some(4),
            Self::Str => None,
        }
    }
}

/// Which word of a value of several words comes first. Inside a word bytes are big-endian, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WordOrder {
    /// Most significant word first.
    #[default]
    Msw,
    /// Least significant word first.
    Lsw,
}

/// The unit that a device gives a value in, after its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Unit {
    /// Watt-hours.
    #[serde(rename = "Wh")]
    WattHour,
    /// Kilowatt-hours.
    #[serde(rename = "kWh")]
    KilowattHour,
    /// Watts.
    #[serde(rename = "W")]
    Watt,
    /// Kilowatts.
    #[serde(rename = "kW")]
    Kilowatt,
    /// Volts.
    #[serde(rename = "V")]
    Volt,
    /// Hertz.
    #[serde(rename = "Hz")]
    Hertz,
    /// Without a unit: serial numbers, states.
    #[default]
    #[serde(rename = "none")]
    None,
}

impl Unit {
    /// Ten to this power of milliwatt-hours is one unit; `None` if it is no unit of energy.
    #[must_use]
    pub const fn mwh_pow10(self) -> Option<i32> {
        match self {
            Self::WattHour => Some(3),
            Self::KilowattHour => Some(6),
            _ => None,
        }
    }

    /// Ten to this power of the base unit (W, Wh, V, Hz) is one unit.
    #[must_use]
    pub const fn base_pow10(self) -> i32 {
        match self {
            Self::Kilowatt | Self::KilowattHour => 3,
            _ => 0,
        }
    }
}

/// Words do not hold a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The device sent more or fewer words than the value has.
    #[error("{got} words instead of {expected}")]
    WordCount {
        /// How many the type has.
        expected: u16,
        /// How many there are.
        got: usize,
    },
    /// The device says that it has no value.
    #[error("the device has no value now (its \"not available\" pattern)")]
    NotAvailable,
    /// A float that is not a number, or infinite.
    #[error("not a finite number")]
    NotFinite,
    /// A cumulative register below zero.
    #[error("a cumulative register is negative: check type, word order and sign of the template")]
    Negative,
    /// A number no register can hold.
    #[error("out of any plausible range: check type, word order and scale of the template")]
    OutOfRange,
    /// Text where a number is expected, or the reverse.
    #[error("not of the expected kind (number or text)")]
    WrongKind,
}

/// A cumulative register, and the smallest step it can show, in milliwatt-hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodedRegister {
    /// The register.
    pub register: Register,
    /// The device's resolution at this value, in mWh; at least 1.
    pub resolution_mwh: i64,
}

/// Turns a decoded number into a register of milliwatt-hours.
///
/// Integers are scaled exactly; parts of a milliwatt-hour are cut off. Floats are rounded to the
/// nearest milliwatt-hour and leave the program here.
///
/// # Errors
/// [`DecodeError`] for text, a negative number, or one beyond 63 bits of mWh.
pub fn to_register(scalar: &Scalar, scale_pow10: i32, unit: Unit) -> Result<DecodedRegister, DecodeError> {
    let power = scale_pow10 + unit.mwh_pow10().ok_or(DecodeError::WrongKind)?;
    let (mwh, resolution) = match scalar {
        Scalar::Integer(value) => {
            let mwh = times_power_of_ten(*value, power).ok_or(DecodeError::OutOfRange)?;
            (mwh, times_power_of_ten(1, power).unwrap_or(i128::MAX))
        }
        Scalar::Float { value, step } => {
            let factor = 10_f64.powi(power);
            (rounded(value * factor)?, rounded((step * factor).ceil())?)
        }
        Scalar::Text(_) => return Err(DecodeError::WrongKind),
    };
    let mwh = i64::try_from(mwh).map_err(|_| DecodeError::OutOfRange)?;
    let register = Register::from_mwh(mwh).map_err(|_| DecodeError::Negative)?;
    let resolution_mwh = i64::try_from(resolution).unwrap_or(i64::MAX).max(1);
    Ok(DecodedRegister { register, resolution_mwh })
}

/// How much energy a counter of this type holds before it begins again from zero, in mWh; `None` for
/// floats, and for counters that outlive their meter.
#[must_use]
pub fn span_mwh(value_type: ValueType, scale_pow10: i32, unit: Unit) -> Option<i64> {
    let bits = match value_type {
        ValueType::U16 => 16,
        ValueType::U32 => 32,
        _ => return None,
    };
    let power = scale_pow10 + unit.mwh_pow10()?;
    times_power_of_ten(1_i128 << bits, power).and_then(|span| i64::try_from(span).ok())
}

/// Turns a decoded number into a momentary quantity in W, V or Hz, for display and plausibility.
///
/// # Errors
/// [`DecodeError::WrongKind`] for text.
#[allow(clippy::cast_precision_loss)] // momentary values are never billed
pub fn to_quantity(scalar: &Scalar, scale_pow10: i32, unit: Unit) -> Result<f64, DecodeError> {
    let power = scale_pow10 + unit.base_pow10();
    let value = match scalar {
        Scalar::Integer(value) => *value as f64,
        Scalar::Float { value, .. } => *value,
        Scalar::Text(_) => return Err(DecodeError::WrongKind),
    };
    // Dividing by an exact power of ten gives 230.1 where multiplying by 0.1 gives 230.10000000000002.
    Ok(if power < 0 { value / 10_f64.powi(-power) } else { value * 10_f64.powi(power) })
}

/// The nearest integer, if it is one that 63 bits hold.
#[allow(clippy::cast_possible_truncation)] // the range is checked before
fn rounded(value: f64) -> Result<i128, DecodeError> {
    const LIMIT: f64 = 9.0e18;
    if !value.is_finite() {
        return Err(DecodeError::NotFinite);
    }
    if value.abs() > LIMIT {
        return Err(DecodeError::OutOfRange);
    }
    Ok(value.round() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(value: f32) -> Scalar {
        let bits = value.to_bits();
        let words = [bits >> 16, bits & 0xffff].map(|w| u16::try_from(w).unwrap());
        decode(&words, ValueType::F32, WordOrder::Msw, None).unwrap()
    }

    #[test]
    fn integers_scale_exactly() {
        let register = to_register(&Scalar::Integer(12_345), -1, Unit::KilowattHour).unwrap();
        assert_eq!(register.register.mwh(), 1_234_500_000);
        assert_eq!(register.resolution_mwh, 100_000);
        let counter = to_register(&Scalar::Integer(u64::MAX.into()), 0, Unit::WattHour);
        assert_eq!(counter, Err(DecodeError::OutOfRange));
    }

    #[test]
    fn a_float_counter_tells_its_resolution() {
        let register = to_register(&float(24_547.766), 0, Unit::KilowattHour).unwrap();
        assert_eq!(register.register.mwh(), 24_547_765_625);
        assert_eq!(register.resolution_mwh, 1_954); // 1.95 Wh a step at this size
    }

    #[test]
    fn what_is_no_counter_is_refused() {
        assert_eq!(to_register(&float(-0.5), 0, Unit::KilowattHour), Err(DecodeError::Negative));
        assert_eq!(to_register(&float(f32::MAX), 0, Unit::KilowattHour), Err(DecodeError::OutOfRange));
        assert_eq!(to_register(&Scalar::Integer(-1), 0, Unit::WattHour), Err(DecodeError::Negative));
        assert_eq!(to_register(&Scalar::Integer(1), 0, Unit::Watt), Err(DecodeError::WrongKind));
        assert_eq!(to_register(&Scalar::Text("1".into()), 0, Unit::WattHour), Err(DecodeError::WrongKind));
    }

    #[test]
    fn quantities_are_scaled_to_the_base_unit() {
        assert!((to_quantity(&Scalar::Integer(2_301), -1, Unit::Volt).unwrap() - 230.1).abs() < 1e-12);
        assert!((to_quantity(&float(1.5), 0, Unit::Kilowatt).unwrap() - 1_500.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn registers_never_panic_and_never_are_negative(
            value in any::<i128>(), scale in -12_i32..12, kilo in any::<bool>()
        ) {
            let unit = if kilo { Unit::KilowattHour } else { Unit::WattHour };
            if let Ok(decoded) = to_register(&Scalar::Integer(value), scale, unit) {
                prop_assert!(decoded.register.mwh() >= 0 && decoded.resolution_mwh >= 1);
            }
        }
    }
}
