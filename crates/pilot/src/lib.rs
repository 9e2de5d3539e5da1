//! What a site's autopilot decides, as pure functions: what the site will have left over or lack
//! ([`forecast`]), what its battery should do about it ([`schedule`]), what it orders at what limit and
//! why ([`intent`], [`ramp`]), and what a setting would have saved ([`what_if`]).
//!
//! The market trades by it and the API previews it, so that both say the same. Energy and money are
//! integers; floats live in the forecaster alone, which only decides how much is ordered.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod battery;
pub mod bounds;
pub mod day;
pub mod forecast;
pub mod history;
pub mod intent;
pub mod outlook;
pub mod quantile;
pub mod ramp;
pub mod reason;
pub mod rhythm;
mod samples;
pub mod schedule;
pub mod settings;
pub mod what_if;
