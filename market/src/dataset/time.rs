//! The start of a slot.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// A time with its offset from UTC, as RFC 3339 has it.
pub(super) fn with_offset(cell: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(cell).ok().map(|time| time.with_timezone(&Utc))
}

/// A time as programs write it: with a `T` or a space, with or without seconds; without an offset it is UTC.
pub(super) fn as_written(cell: &str) -> Option<DateTime<Utc>> {
    with_offset(cell).or_else(|| {
        let (date, time) = cell.split_once(['T', 't', ' '])?;
        let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
        let (clock, offset) = time.split_at(time.find(['Z', 'z', '+', '-']).unwrap_or(time.len()));
        let clock = clock.trim();
        let clock = NaiveTime::parse_from_str(clock, "%H:%M:%S%.f")
            .or_else(|_| NaiveTime::parse_from_str(clock, "%H:%M"))
            .ok()?;
        date.and_time(clock).and_utc().checked_sub_signed(self::offset(offset)?)
    })
}

/// An offset from UTC: none, `Z`, `+01:00`, `+0100` or `+01`.
fn offset(text: &str) -> Option<TimeDelta> {
    if matches!(text, "" | "Z" | "z") {
        return Some(TimeDelta::zero());
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.as_bytes() {
        [_, _] => (digits, "0"),
        [_, _, b':', _, _] => (digits.get(..2)?, digits.get(3..)?),
        [_, _, _, _] => (digits.get(..2)?, digits.get(2..)?),
        _ => return None,
    };
    let number = |text: &str, below: i64| {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| plain && *number < below)
    };
    Some(TimeDelta::minutes(sign * (number(hours, 24)? * 60 + number(minutes, 60)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_moment_is_read_however_it_is_written() {
        for text in [
            "2016-01-18T00:15:00Z",
            "2016-01-18T00:15Z",
            "2016-01-18 00:15:00+00:00",
            "2016-01-18 01:15:00+01:00",
            "2016-01-18 01:15:00 +01:00",
            "2016-01-18T01:15+0100",
            "2016-01-18T01:15:00.000+01",
            "2016-01-17 19:15-05:00",
            "2016-01-18 00:15:00",
            "2016-01-18T00:15",
        ] {
            assert_eq!(as_written(text).map(|time| time.timestamp()), Some(1_453_076_100), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2016-01-18",
            "18.01.2016 00:15",
            "2016-01-18T00:15:00+25:00",
            "2016-01-18T00:15:00+1:00",
            "2016-01-18T00:15:00+--",
            "2016-01-18T00:15:00 CET",
            "2016-02-30 00:00",
            "1453076100",
            "2016-01-18T00:15:00+0é",
        ] {
            assert_eq!(as_written(text), None, "{text}");
        }
    }
}
