//! Limiting a device's power for a while.
//!
//! Nothing is written that would outlive the agent: a device is told first after how many seconds it is
//! to end the limit by itself, then the limit, then that it counts. Whoever wants it to last tells the
//! device again before that time is half over; an agent that dies leaves no limit behind.

mod keep;
mod plan;

use std::sync::Arc;

use crate::modbus::{BusError, SharedBus};
use crate::source::SourceError;
use crate::sunspec::{ModelPlace, UnitReader, find};
use crate::template::{Function, Template};

pub use keep::{Keeper, REVERT_RANGE_S};
use plan::Write;

/// A limit of a device's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// In per cent of the rated power, 0 to 100.
    pub percent: u8,
    /// After how many seconds the device ends it by itself.
    pub revert_s: u16,
}

/// A device's power was not limited.
#[derive(Debug, thiserror::Error)]
pub enum CurtailError {
    /// Its template does not say how.
    #[error("template {template} has no [curtail] section: this device's power cannot be limited")]
    NotSupported {
        /// The template.
        template: String,
    },
    /// It would keep the limit for ever.
    #[error(
        "the device has no revert timer ({which}): a limit would outlive this agent, so none is written; \
         limit it at the device itself"
    )]
    NoRevertTimer {
        /// Where it was looked for.
        which: String,
    },
    /// It has none of the models that control it.
    #[error("the device has no SunSpec control model ({wanted}); it has {found}")]
    NoModel {
        /// What was looked for.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// A model is longer or shorter than it must be, or its scale factor is none.
    #[error("SunSpec model {model} cannot be used: {reason}")]
    Model {
        /// Which.
        model: u16,
        /// What is wrong.
        reason: &'static str,
    },
    /// The limit cannot be written.
    #[error("{0}")]
    Range(&'static str),
    /// The device did not take a value.
    #[error(
        "the device did not take {point}: {wrote:?} was written and {reads:?} is read; is control over Modbus \
         allowed in its settings?"
    )]
    NotTaken {
        /// Which value.
        point: &'static str,
        /// What was written, word by word.
        wrote: Vec<u16>,
        /// What is read.
        reads: Vec<u16>,
    },
    /// The device could not be asked.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<BusError> for CurtailError {
    fn from(error: BusError) -> Self {
        Self::Source(error.into())
    }
}

impl CurtailError {
    /// Whether the device is at fault, rather than what was asked of it.
    #[must_use]
    pub const fn is_the_devices(&self) -> bool {
        !matches!(self, Self::NotSupported { .. } | Self::Range(_))
    }
}

/// Limits the power of one unit.
#[derive(Debug)]
pub struct Curtailer {
    bus: SharedBus,
    unit: u8,
    template: Arc<Template>,
    place: Option<ModelPlace>,
}

impl Curtailer {
    /// A unit with a template that says how its power is limited.
    ///
    /// # Errors
    /// [`CurtailError::NotSupported`] if it does not say so, [`CurtailError::NoRevertTimer`] if it says
    /// that the device keeps limits for ever.
    pub fn new(bus: SharedBus, unit: u8, template: Arc<Template>) -> Result<Self, CurtailError> {
        check(&template)?;
        Ok(Self { bus, unit, template, place: None })
    }

    /// Limits the power until the device ends the limit by itself. Each value is read back; if one was
    /// not taken the limit is switched off again as far as the device lets it.
    ///
    /// # Errors
    /// [`CurtailError`] with what is wrong.
    pub async fn limit(&mut self, limit: Limit) -> Result<(), CurtailError> {
        if limit.percent > 100 || limit.revert_s == 0 || limit.revert_s == u16::MAX {
            return Err(CurtailError::Range("a limit is 0 to 100 per cent for 1 to 65534 seconds"));
        }
        let writes = self.plan(limit).await?;
        let bus = self.bus.clone();
        let mut bus = bus.lock().await;
        for write in &writes {
            bus.write(self.unit, write.address, &write.words).await?;
            let count = u16::try_from(write.words.len()).unwrap_or(u16::MAX);
            let reads = bus.read(self.unit, Function::Holding, write.address, count).await?;
            if !write.is_taken(&reads) {
                if let Some(enable) = writes.iter().find(|write| write.enables) {
                    let off = vec![0; enable.words.len()];
                    let _ = bus.write(self.unit, enable.address, &off).await;
                }
                self.place = None;
                return Err(CurtailError::NotTaken { point: write.point, wrote: write.words.clone(), reads });
            }
        }
        if self.template.quirks.single_client {
            bus.close();
        }
        Ok(())
    }

    /// What to write, the revert timer first.
    async fn plan(&mut self, limit: Limit) -> Result<Vec<Write>, CurtailError> {
        let Some(access) = &self.template.curtail else { return Err(not_supported(&self.template)) };
        if let Some(registers) = &access.registers {
            return plan::registers(registers, limit);
        }
        let bus = self.bus.clone();
        let mut bus = bus.lock().await;
        let place = match self.place {
            Some(place) => place,
            None => self.find(&access.models, &mut UnitReader { bus: &mut bus, unit: self.unit }).await?,
        };
        let count = plan::words_needed(place.id);
        let words = bus.read(self.unit, Function::Holding, place.address, count).await?;
        if words.get(..2) != Some(&[place.id, place.length]) {
            self.place = None; // found again at the next try
            return Err(CurtailError::Model { model: place.id, reason: "it is not where it was any more" });
        }
        self.place = Some(place);
        plan::model(place, &words, limit)
    }

    async fn find(&self, models: &[u16], reader: &mut UnitReader<'_>) -> Result<ModelPlace, CurtailError> {
        let access = self.template.sunspec.as_ref().ok_or_else(|| not_supported(&self.template))?;
        let map = find(reader, access, &self.template).await?.map;
        map.first_of(models).ok_or_else(|| CurtailError::NoModel {
            wanted: models.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
            found: map.ids(),
        })
    }
}

/// Whether a template says how its device is limited, and that the device ends limits by itself.
///
/// # Errors
/// As [`Curtailer::new`].
pub fn check(template: &Template) -> Result<(), CurtailError> {
    match &template.curtail {
        None => Err(not_supported(template)),
        Some(access) => match &access.registers {
            Some(registers) if registers.revert.is_none() => {
                Err(CurtailError::NoRevertTimer { which: format!("template {} names none", template.id) })
            }
            _ => Ok(()),
        },
    }
}

fn not_supported(template: &Template) -> CurtailError {
    CurtailError::NotSupported { template: template.id.clone() }
}
