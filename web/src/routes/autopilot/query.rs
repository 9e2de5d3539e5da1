//! Settings that are only asked about: what a query does not name is as it is stored.

use domain::units::Price;
use pilot::bounds::Bounds;
use pilot::settings::Settings;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{invalid, preset};
use crate::error::ApiError;

/// The most days that a what-if looks back.
const MAX_DAYS: u32 = 31;
const USUAL_DAYS: u32 = 30;

/// Settings to try; what is left out is as it is set.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Trial {
    /// `greenest`, `hands-off` or `cheapest`; ends a pause.
    #[param(example = "cheapest")]
    preset: Option<String>,
    /// The most it would pay, fees apart.
    #[param(example = "250000")]
    bid_limit_micro_per_kwh: Option<String>,
    /// The least it would take.
    #[param(example = "100000")]
    offer_limit_micro_per_kwh: Option<String>,
    /// What would be kept back in the battery, 0 to 100.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 100)]
    battery_reserve_percent: Option<String>,
    /// Whether the battery would follow the plan.
    #[param(value_type = Option<bool>)]
    follows_battery_plan: Option<String>,
    /// How many days to look back; a what-if documents it, and everything else refuses it.
    #[param(ignore)]
    days: Option<String>,
}

impl Trial {
    /// The settings that are tried.
    ///
    /// # Errors
    /// A problem if they cannot hold.
    pub(crate) fn settings(&self, stored: &Settings, bounds: &Bounds) -> Result<Settings, ApiError> {
        let mut settings = *stored;
        if let Some(name) = &self.preset {
            settings.preset = preset(name)?;
            settings.paused = false;
        }
        if let Some(limit) = &self.bid_limit_micro_per_kwh {
            settings.bid_limit = Some(price("bid_limit_micro_per_kwh", limit)?);
        }
        if let Some(limit) = &self.offer_limit_micro_per_kwh {
            settings.offer_limit = Some(price("offer_limit_micro_per_kwh", limit)?);
        }
        if let Some(percent) = &self.battery_reserve_percent {
            settings.battery_reserve_percent = number("battery_reserve_percent", percent)?;
        }
        if let Some(follows) = &self.follows_battery_plan {
            settings.follows_battery_plan = number("follows_battery_plan", follows)?;
        }
        settings.check_within(bounds).map_err(|error| invalid(&error))?;
        Ok(settings)
    }

    /// Makes sure that nobody believes a question without a past to look back.
    ///
    /// # Errors
    /// A problem if `days` is given.
    pub(crate) fn without_days(&self) -> Result<(), ApiError> {
        match self.days {
            None => Ok(()),
            Some(_) => Err(ApiError::invalid("the query: days is a what-if's; leave it out here")),
        }
    }

    /// How many days to look back.
    ///
    /// # Errors
    /// A problem if it is not 1 to 31.
    pub(crate) fn days(&self) -> Result<u32, ApiError> {
        let days = self.days.as_deref().map_or(Ok(USUAL_DAYS), |days| number("days", days))?;
        if (1..=MAX_DAYS).contains(&days) {
            return Ok(days);
        }
        Err(ApiError::invalid(format!("the query: days is {days}: choose 1 to {MAX_DAYS}")))
    }
}

fn price(name: &str, text: &str) -> Result<Price, ApiError> {
    Ok(Price::from_micro_per_kwh(number(name, text)?))
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::invalid(format!("the query: {name} {text:?} is not possible")))
}
