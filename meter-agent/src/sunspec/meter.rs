//! A unit that is read through its SunSpec models.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::details::Detail;
use super::find::Found;
use super::headless::Headless;
use super::reading::{all_details, read, tells_nothing};
use super::{HoldingReader, SunSpecError};
use crate::modbus::{Bus, BusError, SharedBus};
use crate::source::{MeterSource, Sample, SourceError};
use crate::template::{Function, SunSpecAccess, Template};

/// One unit on a Modbus endpoint, read through its SunSpec models.
#[derive(Debug)]
pub struct SunSpecMeter {
    bus: SharedBus,
    unit: u8,
    template: Arc<Template>,
    access: SunSpecAccess,
    clock: Clock,
    found: Option<Found>,
    may_assume: bool,
}

impl SunSpecMeter {
    /// A unit read with a template; `None` if the template is of another protocol.
    #[must_use]
    pub fn new(bus: SharedBus, unit: u8, template: Arc<Template>, clock: Clock) -> Option<Self> {
        let access = template.sunspec.clone()?;
        Some(Self { bus, unit, template, access, clock, found: None, may_assume: false })
    }

    /// The same unit, for looking at it: models whose headers it hides are assumed where its template says.
    #[must_use]
    pub fn assuming(mut self) -> Self {
        self.may_assume = true;
        self
    }

    /// What the device's other models tell: ratings, storage, strings. Call it after a reading, which
    /// finds the models.
    pub async fn details(&mut self) -> Vec<Detail> {
        let Some(found) = self.found.clone() else { return Vec::new() };
        let bus = self.bus.clone();
        let mut bus = bus.lock().await;
        let mut reader = UnitReader { bus: &mut bus, unit: self.unit };
        let details = all_details(&mut reader, &found.map).await;
        if self.template.quirks.single_client {
            bus.close();
        }
        details
    }

    async fn sample(&mut self) -> Result<Sample, SourceError> {
        let bus = self.bus.clone();
        let mut bus = bus.lock().await;
        let mut reader = UnitReader { bus: &mut bus, unit: self.unit };
        let known = self.found.take();
        let mut result = read(&mut reader, &self.access, known, &self.template, &self.clock).await;
        if matches!(result, Err(SourceError::SunSpec(SunSpecError::Moved { .. }))) {
            // The map has changed since it was found: find it again, once.
            result = read(&mut reader, &self.access, None, &self.template, &self.clock).await;
        }
        let is_nothing = match &result {
            Err(SourceError::SunSpec(SunSpecError::NotFound { .. })) => true,
            Ok((sample, _)) => tells_nothing(sample),
            Err(_) => false,
        };
        if self.may_assume && is_nothing {
            result = match self.assumed(&mut reader).await {
                Some(Ok(assumed)) if result.is_err() || !tells_nothing(&assumed.0) => Ok(assumed),
                _ => result,
            };
        }
        if self.template.quirks.single_client {
            bus.close();
        }
        let (sample, found) = result?;
        self.found = Some(found);
        Ok(sample)
    }

    /// What is read from assumed models; `None` if the device tells nothing where they would be.
    async fn assumed(&self, reader: &mut dyn HoldingReader) -> Option<Result<(Sample, Found), SourceError>> {
        let mut headless = Headless::over(reader, &self.access.assumed_models).await.ok()??;
        let fixed_addresses = self.access.assumed_models.iter().map(|(address, _)| *address).collect();
        // A map that was found and told nothing is not looked for again.
        let access = SunSpecAccess { fixed_addresses, base_addresses: Vec::new(), ..self.access.clone() };
        let result = read(&mut headless, &access, None, &self.template, &self.clock).await;
        Some(result.map(|(mut sample, found)| {
            sample.quality.push("sunspec_headers_assumed".to_owned());
            (sample, found)
        }))
    }
}

impl MeterSource for SunSpecMeter {
    fn read(
        &mut self,
        _not_before: DateTime<Utc>,
        _patience: Duration,
    ) -> BoxFuture<'_, Result<Sample, SourceError>> {
        self.sample().boxed()
    }
}

/// One unit of a bus, for discovery.
#[derive(Debug)]
pub struct UnitReader<'a> {
    /// The connection.
    pub bus: &'a mut Bus,
    /// The unit.
    pub unit: u8,
}

impl HoldingReader for UnitReader<'_> {
    fn holding(&mut self, address: u16, count: u16) -> BoxFuture<'_, Result<Vec<u16>, BusError>> {
        self.bus.read(self.unit, Function::Holding, address, count).boxed()
    }
}
