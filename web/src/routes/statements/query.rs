//! Which statements are asked for, and how they are written.

use serde::Deserialize;
use store::statements::periods::Period;
use utoipa::IntoParams;

use crate::error::ApiError;
use crate::wire::Page;

/// Which statements, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatementQuery {
    /// How many entries, 1 to 500.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// Only entries that start before this time: the `next_before` of the page before.
    #[param(value_type = Option<DateTime<Utc>>)]
    before: Option<String>,
    /// `slot` (the default), or sums by `day` or `month` in UTC.
    #[param(example = "day")]
    period: Option<String>,
    /// `json` (the default) or `csv`; a CSV page names the next one in the header `x-next-before`.
    #[param(example = "json")]
    format: Option<String>,
}

/// How statements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As JSON.
    Json,
    /// As CSV (RFC 4180), one line an entry.
    Csv,
}

impl StatementQuery {
    /// The page.
    pub(crate) fn page(&self) -> Page {
        Page::new(self.limit.clone(), self.before.clone())
    }

    /// Over what to sum; `None` for each slot by itself.
    ///
    /// # Errors
    /// A problem if it is none of the three.
    pub(crate) fn period(&self) -> Result<Option<Period>, ApiError> {
        match self.period.as_deref() {
            None | Some("slot") => Ok(None),
            Some("day") => Ok(Some(Period::Day)),
            Some("month") => Ok(Some(Period::Month)),
            Some(other) => Err(one_of("period", "slot, day or month", other)),
        }
    }

    /// How to write.
    ///
    /// # Errors
    /// A problem if it is neither.
    pub(crate) fn format(&self) -> Result<Format, ApiError> {
        match self.format.as_deref() {
            None | Some("json") => Ok(Format::Json),
            Some("csv") => Ok(Format::Csv),
            Some(other) => Err(one_of("format", "json or csv", other)),
        }
    }
}

fn one_of(name: &str, choices: &str, got: &str) -> ApiError {
    ApiError::invalid(format!("the query: {name} must be {choices}, but is {got:?}"))
}
