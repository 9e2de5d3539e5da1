//! SunSpec: finding a device's models and reading the few points that matter.
//!
//! The map is found once and each model's header is read again with its values, in one answer, so
//! that a map that has moved is noticed before anything is taken from it.

mod details;
mod find;
mod headless;
mod meter;
mod models;
mod reading;
mod walk;

pub use details::{Detail, details};
pub use find::{Found, find};
pub use meter::{SunSpecMeter, UnitReader};
pub use models::{ModelValues, decode_model};
pub use walk::{HoldingReader, Map, ModelPlace, discover};

/// A device's SunSpec models cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SunSpecError {
    /// No map at any of the addresses.
    #[error("no SunSpec map at registers {tried}: is it enabled in the device, and is the unit id right?")]
    NotFound {
        /// The addresses tried, separated by commas.
        tried: String,
    },
    /// The map never ends.
    #[error(
        "the SunSpec map has more than {limit} models or runs beyond register 65535: not a SunSpec device?"
    )]
    Endless {
        /// The most models that are walked.
        limit: usize,
    },
    /// The map has none of the models that are needed.
    #[error("the SunSpec map has no {needed} model; it has {found}")]
    NoModel {
        /// What is needed.
        needed: &'static str,
        /// The ids that were found.
        found: String,
    },
    /// A model is no longer where it was, twice in a row.
    #[error("SunSpec model {model} is not at register {address} any more: the device changes its map")]
    Moved {
        /// The model's id.
        model: u16,
        /// Where it was.
        address: u16,
    },
    /// A value cannot be decoded.
    #[error("SunSpec model {model}: {point}: {error}")]
    Decode {
        /// The model's id.
        model: u16,
        /// Which point.
        point: &'static str,
        /// Why not.
        error: crate::decode::DecodeError,
    },
}

impl SunSpecError {
    /// A stable name of the kind of error, for logs and counters.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "sunspec_not_found",
            Self::Endless { .. } => "sunspec_endless",
            Self::NoModel { .. } => "sunspec_no_model",
            Self::Moved { .. } => "sunspec_moved",
            Self::Decode { .. } => "decode",
        }
    }
}
