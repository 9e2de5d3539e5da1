//! What a device said once, and the trait of everything that can ask one.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::reading::{Register, Registers};
use domain::units::Power;
use futures_util::future::BoxFuture;

use crate::decode::DecodeError;
use crate::modbus::BusError;
use crate::sunspec::SunSpecError;
use crate::template::PointName;

/// What a device said at one time. Absent is absent: nothing here is ever zero for "not known".
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Which device answered.
    pub device: Device,
    /// Energy taken from the network.
    pub import: Option<Register>,
    /// Energy delivered to the network (of an inverter alone: its lifetime yield).
    pub export: Option<Register>,
    /// Energy produced behind the meter.
    pub production: Option<Register>,
    /// The coarsest resolution of the registers above, in mWh.
    pub resolution_mwh: Option<i64>,
    /// That of import and export alone, where it is known apart.
    pub billed_resolution_mwh: Option<i64>,
    /// Momentary power in W, positive on import.
    pub power_w: Option<f64>,
    /// Voltage of the first phase in V.
    pub voltage_v: Option<f64>,
    /// The network's frequency in Hz.
    pub frequency_hz: Option<f64>,
    /// What is to be known about the sample, such as a value that could not be read.
    pub quality: Vec<String>,
    /// The raw words (hexadecimal) or texts of the energy registers.
    pub raw: BTreeMap<&'static str, String>,
    /// Where the import and the export register begin again from zero, in mWh, if they do.
    pub span_mwh: [Option<i64>; 2],
    /// When the energy registers were read, by the agent's clock.
    pub read_at: DateTime<Utc>,
}

/// Which device answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// Who made it.
    pub vendor: String,
    /// Its model.
    pub model: String,
    /// Its serial number, where it tells one.
    pub serial: Option<String>,
}

impl Sample {
    /// A sample without any value.
    #[must_use]
    pub fn empty(device: Device, read_at: DateTime<Utc>) -> Self {
        Self {
            device,
            import: None,
            export: None,
            production: None,
            resolution_mwh: None,
            billed_resolution_mwh: None,
            power_w: None,
            voltage_v: None,
            frequency_hz: None,
            quality: Vec::new(),
            raw: BTreeMap::new(),
            span_mwh: [None; 2],
            read_at,
        }
    }

    /// The registers that are billed.
    ///
    /// # Errors
    /// [`SourceError::Missing`] if the device did not tell import or export.
    pub fn registers(&self) -> Result<Registers, SourceError> {
        let need = |register: Option<Register>, point| register.ok_or(SourceError::Missing { point });
        Ok(Registers {
            import: need(self.import, "import_energy")?,
            export: need(self.export, "export_energy")?,
            production: self.production,
        })
    }

    /// The momentary power in whole watts; `None` if it is not known or absurd.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the range is checked before
    pub fn power(&self) -> Option<Power> {
        const LIMIT_W: f64 = 1e12;
        self.power_w.filter(|w| w.is_finite() && w.abs() < LIMIT_W).map(|w| Power::from_w(w.round() as i64))
    }

    /// Flags energies of phases (in Wh) that do not add up to the total, which alone counts: meters that net
    /// their phases, and templates with a wrong one. A hundredth and a kilowatt-hour are no difference.
    #[allow(clippy::cast_precision_loss)] // compared, never billed
    pub(crate) fn compare_phases(&mut self, phases_wh: &BTreeMap<PointName, f64>) {
        for (names, total) in PointName::PHASES.into_iter().zip([self.import, self.export]) {
            let sum: Option<f64> = names.iter().map(|name| phases_wh.get(name)).sum();
            let (Some(sum_wh), Some(total)) = (sum, total) else { continue };
            let total_wh = total.mwh() as f64 / 1_000.0;
            if (sum_wh - total_wh).abs() > total_wh * 0.01 + 1_000.0 {
                self.quality.push("phase_energy_differs".to_owned());
                return;
            }
        }
    }

    /// Notes a coarser resolution.
    pub(crate) fn coarsen(&mut self, resolution_mwh: i64) {
        self.resolution_mwh = self.resolution_mwh.max(Some(resolution_mwh));
    }

    /// Notes a coarser resolution of import or export.
    pub(crate) fn coarsen_billed(&mut self, resolution_mwh: i64) {
        self.billed_resolution_mwh = self.billed_resolution_mwh.max(Some(resolution_mwh));
        self.coarsen(resolution_mwh);
    }
}

/// A device could not be read. Nothing is stored; the next boundary's registers close the gap.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The Modbus connection failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Its SunSpec models cannot be read.
    #[error(transparent)]
    SunSpec(#[from] SunSpecError),
    /// Words do not hold a value.
    #[error("{point}: {error}")]
    Decode {
        /// Which value.
        point: &'static str,
        /// Why not.
        error: DecodeError,
    },
    /// A value is outside of the range that its template calls plausible.
    #[error("template {template}: {point} reads {value}, which cannot be{hint}")]
    Implausible {
        /// Which template.
        template: String,
        /// Which value.
        point: &'static str,
        /// What it reads.
        value: f64,
        /// What to try.
        hint: String,
    },
    /// The device says that its values do not count now.
    #[error("the device's status is {got}, not {expected}: its values do not count now")]
    Status {
        /// What it should be.
        expected: i64,
        /// What it is.
        got: i128,
    },
    /// The device did not tell a value that is needed.
    #[error("the device does not tell its {point}")]
    Missing {
        /// Which value.
        point: &'static str,
    },
    /// A message of an MQTT device does not hold what it should.
    #[error("message on {topic}: {reason}")]
    Message {
        /// On which topic.
        topic: String,
        /// What is wrong.
        reason: String,
    },
    /// A message of an MQTT device does not hold the value.
    #[error(
        "message on {topic}: it does not hold the value as a number (absent, null, a list or broken JSON)"
    )]
    Absent {
        /// On which topic.
        topic: String,
    },
    /// No message that is new enough has come.
    #[error("no message on {topic} since {since}")]
    Stale {
        /// On which topic.
        topic: String,
        /// The time it had to be newer than.
        since: DateTime<Utc>,
    },
    /// The device's last will says that it is away.
    #[error("the device is offline: its last will came on {topic}")]
    Offline {
        /// On which topic.
        topic: String,
    },
    /// The clock says that the device was read before the boundary.
    #[error("the clock was set back while the device was read")]
    Early,
    /// The device was not read in time.
    #[error("not read within {limit_ms} ms of the slot boundary")]
    Late {
        /// The tolerance.
        limit_ms: u64,
    },
}

impl SourceError {
    /// A stable name of the kind of error, for logs and counters.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Bus(error) => error.class(),
            Self::SunSpec(error) => error.class(),
            Self::Decode { .. } => "decode",
            Self::Implausible { .. } => "implausible",
            Self::Status { .. } => "device_status",
            Self::Missing { .. } => "missing_value",
            Self::Message { .. } | Self::Absent { .. } => "bad_message",
            Self::Stale { .. } => "stale",
            Self::Offline { .. } => "offline",
            Self::Early => "clock_stepped",
            Self::Late { .. } => "late",
        }
    }
}

/// Something that can be asked for a sample: a Modbus unit, a SunSpec unit, an MQTT device.
///
/// A read may be dropped at any time; the next one must not be disturbed by it.
pub trait MeterSource: Send {
    /// Reads once. Devices that are asked are asked now. Devices that publish by themselves answer with
    /// what arrived at or after `not_before`, and are waited for until `patience` has passed.
    fn read(
        &mut self,
        not_before: DateTime<Utc>,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Sample, SourceError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_register_is_an_error_and_never_zero() {
        let mut sample = Sample::empty(Device::default(), DateTime::UNIX_EPOCH);
        sample.import = Some(Register::from_mwh(5).unwrap());
        let error = sample.registers().unwrap_err();
        assert_eq!(error.class(), "missing_value");
        assert!(error.to_string().contains("export_energy"));
    }

    #[test]
    fn f28_energies_of_phases_that_do_not_add_up_are_flagged_and_the_total_stays() {
        let flagged = |phases_wh: [f64; 3]| {
            let mut sample = Sample::empty(Device::default(), DateTime::UNIX_EPOCH);
            sample.import = Some(Register::from_mwh(600_000_000).unwrap()); // 600 kWh
            sample.compare_phases(&PointName::PHASES[0].into_iter().zip(phases_wh).collect());
            assert_eq!(sample.import.unwrap().mwh(), 600_000_000);
            !sample.quality.is_empty()
        };
        assert!(!flagged([100_000.0, 200_000.0, 300_000.0]) && !flagged([100_000.0, 200_000.0, 306_000.0]));
        assert!(flagged([100_000.0, 200_000.0, 400_000.0]) && flagged([0.0, 0.0, 0.0]));
        let mut two = Sample::empty(Device::default(), DateTime::UNIX_EPOCH);
        two.import = Some(Register::from_mwh(600_000_000).unwrap());
        two.compare_phases(&BTreeMap::from([(PointName::ImportL1, 1.0), (PointName::ImportL2, 1.0)]));
        assert!(two.quality.is_empty(), "a phase that is not known says nothing");
    }

    #[test]
    fn power_is_rounded_and_absurd_power_is_unknown() {
        let mut sample = Sample::empty(Device::default(), DateTime::UNIX_EPOCH);
        for (power_w, whole) in [(Some(-1_234.5), Some(-1_235)), (Some(f64::NAN), None), (Some(1e300), None)]
        {
            sample.power_w = power_w;
            assert_eq!(sample.power().map(Power::w), whole);
        }
    }
}
