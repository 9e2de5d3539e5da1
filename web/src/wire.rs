//! The types of the wire that several routes share. Energy is an integer of Wh, money and prices are
//! decimal strings, because a JSON number is a float to many readers and money must not be.

use std::fmt;
use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::views::slots::BatchSummary;
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;

/// The most entries of a page.
pub(crate) const MAX_LIMIT: i64 = 500;

/// The years that a time which is to be kept may have: JSON has room for others, the database and RFC 3339 have not.
const YEARS: RangeInclusive<i32> = 1970..=9999;
/// What is said of a time outside.
pub(crate) const YEARS_ONLY: &str = "times are of the years 1970 to 9999";

/// Whether a time from a body can be stored, and be shown again.
pub(crate) fn is_keepable(time: DateTime<Utc>) -> bool {
    YEARS.contains(&time.year())
}

/// A signed amount of nano-currency (10^-9 of a currency unit) as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^-?[0-9]{1,19}$", example = "-182000000")]
pub(crate) struct MoneyNano(pub(crate) i64);

/// A price in micro-currency (10^-6 of a currency unit) per kWh as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^-?[0-9]{1,19}$", example = "184000")]
pub(crate) struct PriceMicro(pub(crate) i64);

impl Serialize for MoneyNano {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for PriceMicro {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PriceMicro {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = text.strip_prefix('-').unwrap_or(&text).bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| plain).map(Self).ok_or_else(|| {
            serde::de::Error::custom(
                "a price is a whole number of micro-currency per kWh as a string, such as \"184000\"",
            )
        })
    }
}

/// A settlement batch at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Batch {
    /// The id that the contract knows: `0x` and 64 hex digits.
    pub(crate) batch_id: String,
    /// `prepared`, `signed`, `broadcast`, `final` or `void`.
    #[schema(example = "final")]
    pub(crate) status: String,
    /// The hash of the transaction that carries it, once one is signed.
    pub(crate) tx_hash: Option<String>,
    /// The block that holds the transaction, once it is mined.
    pub(crate) block_number: Option<i64>,
}

impl From<BatchSummary> for Batch {
    fn from(batch: BatchSummary) -> Self {
        Self {
            batch_id: Hex(&batch.batch_id).to_string(),
            status: batch.status,
            tx_hash: batch.tx_hash,
            block_number: batch.block_number,
        }
    }
}

/// Bytes as `0x` and hex digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

/// Which page of a list that goes back in time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// How many entries, 1 to 500.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// Only slots that start before this time: the `next_before` of the page before.
    #[param(value_type = Option<DateTime<Utc>>)]
    before: Option<String>,
}

impl Page {
    /// The page that a query of more parameters names.
    pub(crate) fn new(limit: Option<String>, before: Option<String>) -> Self {
        Self { limit, before }
    }

    /// The number of entries and the cursor.
    ///
    /// # Errors
    /// A problem if the number is out of bounds, or either is not what it should be.
    pub(crate) fn bounds(&self, default: i64) -> Result<(i64, Option<DateTime<Utc>>), ApiError> {
        let limit = match &self.limit {
            None => default,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
                    ApiError::invalid(format!("the query: limit must be 1 to {MAX_LIMIT}, but is {text:?}"))
                })?
            }
        };
        Ok((limit, self.before.as_deref().map(parse_before).transpose()?))
    }
}

fn parse_before(text: &str) -> Result<DateTime<Utc>, ApiError> {
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| {
        ApiError::invalid(format!("the query: before {text:?} is not a time such as 2026-03-01T12:00:00Z"))
    })
}

/// The cursor of the next page: the last entry's slot, unless this page was the last.
pub(crate) fn next_before(entries: usize, limit: i64, last: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    last.filter(|_| i64::try_from(entries).is_ok_and(|entries| entries == limit))
}

/// How many whole seconds lie between two times, never below zero: clocks differ.
pub(crate) fn age_s(now: DateTime<Utc>, then: DateTime<Utc>) -> i64 {
    (now - then).max(TimeDelta::zero()).num_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_and_prices_are_strings() {
        assert_eq!(serde_json::to_string(&MoneyNano(i64::MIN)).unwrap(), "\"-9223372036854775808\"");
        let price: PriceMicro = serde_json::from_str("\"184000\"").unwrap();
        assert_eq!(price, PriceMicro(184_000));
        for bad in ["184000", "\"\"", "\"1.5\"", "\"+1\"", "\" 1\"", "\"99999999999999999999\"", "\"1e3\""] {
            assert!(serde_json::from_str::<PriceMicro>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_are_bounded() {
        let page = |limit: Option<&str>| Page { limit: limit.map(str::to_owned), before: None }.bounds(50);
        assert_eq!(page(None).unwrap().0, 50);
        assert_eq!(page(Some("500")).unwrap().0, 500);
        for bad in ["0", "501", "-1", "many", ""] {
            assert!(page(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_page_has_no_next() {
        let last = Some(DateTime::UNIX_EPOCH);
        assert_eq!(next_before(50, 50, last), last);
        assert_eq!(next_before(49, 50, last), None);
    }

    #[test]
    fn an_age_is_never_negative() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(age_s(now, now + TimeDelta::seconds(3)), 0);
        assert_eq!(age_s(now + TimeDelta::seconds(3), now), 3);
    }
}
