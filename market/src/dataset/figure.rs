//! One figure of a cell, as a whole number of its unit.

use super::Problem;
use super::table::shorten;

/// Digits without a sign, at most `limit`.
pub(super) fn whole(cell: &str, limit: u32) -> Result<u32, Problem> {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    if digits.is_empty() || !all_digits(digits) {
        return Err(Problem::NotAnInteger(shorten(cell)));
    }
    if digits.len() < cell.len() {
        return Err(Problem::Negative(shorten(cell)));
    }
    let value = cell.parse().ok().filter(|value| *value <= limit);
    value.ok_or_else(|| Problem::TooGreat { value: shorten(cell), limit })
}

/// A decimal number, rounded half away from zero to a whole one, at most `limit`. `None` if there is no number, which
/// programs also write as `NaN`.
pub(super) fn rounded(cell: &str, limit: u32) -> Result<Option<u32>, Problem> {
    if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
        return Ok(None);
    }
    let unsigned = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let value = magnitude(unsigned).ok_or_else(|| Problem::NotANumber(shorten(cell)))?;
    if cell.starts_with('-') && value > 0 {
        return Err(Problem::Negative(shorten(cell)));
    }
    let value = u32::try_from(value).ok().filter(|value| *value <= limit);
    value.map(Some).ok_or_else(|| Problem::TooGreat { value: shorten(cell), limit })
}

/// `2283`, `2283.37` or `2.28337e3`, rounded half up; digit by digit, so that no float decides.
fn magnitude(text: &str) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = before.len() + after.len();
    if digits == 0 || !all_digits(before) || !all_digits(after) {
        return None;
    }
    // How many digits are left of the point once the exponent has moved it.
    let point = i64::try_from(before.len()).ok()? + i64::from(exponent);
    let mut value = 0_u64;
    for (at, digit) in (0..).zip(before.bytes().chain(after.bytes())) {
        let digit = u64::from(digit - b'0');
        if at < point {
            value = value.saturating_mul(10).saturating_add(digit);
        } else {
            let half = at == point && digit >= 5;
            return Some(value.saturating_add(half.into()));
        }
    }
    let zeros = u32::try_from(point - i64::try_from(digits).ok()?).ok()?;
    Some(value.saturating_mul(10_u64.saturating_pow(zeros)))
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_half_away_from_zero() {
        for (text, value) in [
            ("0", 0),
            ("2283.37", 2_283),
            ("2283.0", 2_283),
            ("2283.5", 2_284),
            ("0.5", 1),
            ("0.4999999999999999999", 0),
            ("-0.2", 0),
            ("-0.0", 0),
            ("-0", 0),
            ("+7", 7),
            ("1e3", 1_000),
            ("1.5E+1", 15),
            ("25e-1", 3),
            ("6e-1", 1),
            ("6e-2", 0),
            (".5", 1),
            ("5.", 5),
            ("0e999999999", 0),
            ("1e-2147483648", 0),
            ("007", 7),
        ] {
            assert_eq!(rounded(text, 10_000).unwrap(), Some(value), "{text}");
        }
        assert!(["", "NaN", "nan"].iter().all(|text| rounded(text, 1).unwrap().is_none()));
    }

    #[test]
    fn what_is_no_number_or_negative_or_too_great_is_refused() {
        for text in [
            ".", "-", "+", "e3", "1e", "inf", "-inf", "infinity", "0x1f", "1_000", "1,5", "1.2.3", "--1",
            "1 0", "٣",
        ] {
            assert!(matches!(rounded(text, 1_000), Err(Problem::NotANumber(_))), "{text}");
        }
        for text in ["-0.5", "-1", "-1e3"] {
            assert!(matches!(rounded(text, 1_000), Err(Problem::Negative(_))), "{text}");
        }
        for text in ["1000.5", "1e4", "1e300", "99999999999999999999999"] {
            assert!(matches!(rounded(text, 1_000), Err(Problem::TooGreat { .. })), "{text}");
        }
    }
}
