//! Decimal numbers read exactly: `1.234567` kWh becomes 1 234 567 mWh without ever being a float.

/// More digits than any register can have.
const MAX_DIGITS: usize = 30;

/// A text is not a decimal number that can be held exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a plain decimal number that fits: {reason}")]
pub struct InvalidDecimal {
    /// The refused text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The number `text` times ten to the power of `shift`, cut towards zero to an integer.
///
/// Takes what JSON and devices write: an optional sign, digits, an optional fraction and an optional
/// exponent.
///
/// # Errors
/// [`InvalidDecimal`] if the text is no such number or the result does not fit.
pub fn scaled(text: &str, shift: i32) -> Result<i128, InvalidDecimal> {
    let error = |reason| InvalidDecimal { text: text.chars().take(40).collect(), reason };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, exponent.parse::<i32>().map_err(|_| error("its exponent is not a small integer"))?)
        }
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(error("only digits, one point and one sign are allowed"));
    }
    if whole.len() + fraction.len() > MAX_DIGITS {
        return Err(error("it has too many digits"));
    }
    let number: i128 =
        format!("{whole}{fraction}").parse().map_err(|_| error("it is outside the range that is held"))?;
    let places = i32::try_from(fraction.len()).map_err(|_| error("it has too many digits"))?;
    let power = shift.saturating_add(exponent).saturating_sub(places);
    let value =
        times_power_of_ten(number, power).ok_or_else(|| error("it is outside the range that is held"))?;
    Ok(if negative { -value } else { value })
}

/// `value` times ten to the power of `power`, cut towards zero; `None` if it does not fit.
#[must_use]
pub fn times_power_of_ten(value: i128, power: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(power.unsigned_abs());
    match factor {
        Some(factor) if power >= 0 => value.checked_mul(factor),
        Some(factor) => Some(value / factor),
        // Ten to a power that large divides anything to zero, and multiplies nothing but zero.
        None if power < 0 || value == 0 => Some(0),
        None => None,
    }
}

/// Prints `value` with `places` decimals, from integers: `(1234567, 6)` is `1.234567`.
#[must_use]
pub fn print(value: i64, places: u32) -> String {
    let factor = 10_u64.checked_pow(places).unwrap_or(1);
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    let width = usize::try_from(places).unwrap_or_default();
    if places == 0 {
        return format!("{sign}{magnitude}");
    }
    format!("{sign}{}.{:0width$}", magnitude / factor, magnitude % factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_devices_write() {
        assert_eq!(scaled("5415414.19", 3).unwrap(), 5_415_414_190);
        assert_eq!(scaled("1290.396", 6).unwrap(), 1_290_396_000);
        assert_eq!(scaled("-0.5", 1).unwrap(), -5);
        assert_eq!(scaled("1.5e3", 0).unwrap(), 1_500);
        assert_eq!(scaled("0.0000019", 6).unwrap(), 1);
    }

    #[test]
    fn refuses_everything_else() {
        for bad in ["", "-", ".5", "1,5", "NaN", "inf", "1e99", "0x10", "1e", "--1", "1.2.3", "null"] {
            assert!(scaled(bad, 6).is_err(), "{bad:?}");
        }
        assert!(scaled(&"9".repeat(31), 0).is_err());
    }

    proptest! {
        #[test]
        fn printing_and_reading_give_the_same(value in any::<i64>(), places in 0_u32..9) {
            let shift = i32::try_from(places).unwrap();
            prop_assert_eq!(scaled(&print(value, places), shift).unwrap(), i128::from(value));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}", shift in any::<i32>()) {
            let _ = scaled(&text, shift);
        }
    }
}
