//! One endpoint at one boundary: read in turn, judged, signed and stored in one step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::MeterId;
use domain::reading::{Register, Registers};
use domain::time::Clock;
use domain::units::Power;
use service::lifecycle::Backoff;
use tokio::time::Instant;

use super::device::Unsigned;
use super::{Group, PollTiming, PolledDevice, Signer};
use crate::continuity::{Before, Now, Verdict};
use crate::decode::DecodeError;
use crate::ocmf::TimeStatus;
use crate::outbox::{Draft, Outbox, OutboxError};
use crate::source::{Sample, SourceError};

/// A device that failed is left alone at most this many times as long as at first before it is asked again.
const MOST_PATIENCE: u32 = 16;

/// The class of a boundary that lies before one that is stored.
pub const CLOCK_WENT_BACK: &str = "clock_went_back";

/// A device whose registers were not stored for a boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The meter.
    pub meter_id: MeterId,
    /// A stable name of the kind of error.
    pub class: &'static str,
    /// What went wrong.
    pub reason: String,
}

/// What a boundary brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// How many readings were stored.
    pub stored: usize,
    /// How many were stored already, by this agent before a restart.
    pub repeated: usize,
    /// Those that were not.
    pub failures: Vec<Failure>,
}

impl Outcome {
    pub(super) fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.repeated += other.repeated;
        self.failures.extend(other.failures);
    }

    /// One line for what was read, and one a class of failure.
    pub(super) fn log(&self, slot_end: DateTime<Utc>) {
        tracing::debug!(%slot_end, stored = self.stored, failed = self.failures.len(), "read a boundary");
        let mut classes: BTreeMap<&str, (usize, &Failure)> = BTreeMap::new();
        for failure in &self.failures {
            classes.entry(failure.class).or_insert((0, failure)).0 += 1;
        }
        for (class, (count, first)) in classes {
            let (meter_id, reason) = (&first.meter_id, &first.reason);
            if class == "asleep" {
                tracing::debug!(%slot_end, count, "inverters sleep");
            } else {
                tracing::warn!(%slot_end, class, count, %meter_id, %reason, "meters were not read");
            }
        }
    }
}

/// Reads the devices of an endpoint and stores what came in time. Those that fail are asked again, after the others,
/// for as long as an answer would count: one lost frame or a busy device must not cost a boundary.
pub(super) async fn read_group(
    group: &mut Group,
    slot_end: DateTime<Utc>,
    timing: PollTiming,
    clock: &Clock,
    outbox: &Arc<Outbox>,
    signer: &Arc<Signer>,
    time_status: TimeStatus,
) -> Outcome {
    let mut outcome = Outcome::default();
    let (started, given) = (Instant::now(), patience(timing, clock.now() - slot_end));
    let mut again = Backoff::new(timing.ask_again, timing.ask_again * MOST_PATIENCE);
    group.devices.sort_by_key(|device| device.failed_before);
    let mut asked: Vec<&mut PolledDevice> = group.devices.iter_mut().collect();
    loop {
        let (mut unsigned, mut drafts, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for device in asked {
            match in_time(device, slot_end, timing, clock).await {
                Ok(sample) => {
                    device.failed_before = false;
                    match judge(device, slot_end, sample, outbox, timing.max_power_w, time_status) {
                        Ok(Some((draft, record))) => {
                            drafts.push(draft);
                            unsigned.push(record);
                        }
                        Ok(None) => outcome.repeated += 1,
                        Err(failure) => outcome.failures.push(failure),
                    }
                }
                Err(error) => failed.push((failure(device, error.class(), &error), device)),
            }
        }
        outcome.add(store(outbox, signer, drafts, unsigned).await);
        let wait = again.after_failure();
        let is_over = started.elapsed() + wait >= given;
        let (lost, worth_it): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|(failure, device)| is_over || is_usual(failure, device));
        for (failure, device) in lost {
            device.failed_before = true;
            outcome.failures.push(failure);
        }
        if worth_it.is_empty() {
            return outcome;
        }
        tokio::time::sleep(wait).await;
        asked = worth_it.into_iter().map(|(_, device)| device).collect();
    }
}

/// For how long devices are asked again: not beyond the tolerance, nor into what the next boundary needs.
fn patience(timing: PollTiming, passed: TimeDelta) -> Duration {
    let most = timing.tolerance.min(timing.slot_length.delta() / 2);
    (most - passed.max(TimeDelta::zero())).to_std().unwrap_or_default()
}

/// An inverter that slept at the last boundary already sleeps on.
fn is_usual(failure: &Failure, device: &PolledDevice) -> bool {
    failure.class == "asleep" && device.failed_before
}

/// A sample that was read within the tolerance of the boundary.
async fn in_time(
    device: &mut PolledDevice,
    slot_end: DateTime<Utc>,
    timing: PollTiming,
    clock: &Clock,
) -> Result<Sample, SourceError> {
    let limit_ms = u64::try_from(timing.tolerance.num_milliseconds()).unwrap_or_default();
    let late = SourceError::Late { limit_ms };
    let left = timing.tolerance - (clock.now() - slot_end);
    let Ok(left) = left.to_std() else { return Err(late) };
    match tokio::time::timeout(left, device.source.read(slot_end, left)).await {
        Err(_) => Err(late),
        Ok(Err(error)) => Err(error),
        Ok(Ok(sample)) if sample.read_at - slot_end > timing.tolerance => Err(late),
        // The clock was set back meanwhile: no record may say that its boundary was read before it was.
        Ok(Ok(sample)) if sample.read_at < slot_end => Err(SourceError::Early),
        Ok(Ok(sample)) => Ok(sample),
    }
}

/// Whether a sample can be stored, and as what; `None` if its boundary is stored already, by this agent before a
/// restart.
fn judge(
    device: &mut PolledDevice,
    slot_end: DateTime<Utc>,
    mut sample: Sample,
    outbox: &Outbox,
    max_power_w: i64,
    time_status: TimeStatus,
) -> Result<Option<(Draft, Unsigned)>, Failure> {
    let state = outbox.meter(&device.meter_id).map_err(|error| failure(device, "outbox", &error))?;
    match state.as_ref().map(|state| state.last.slot_end) {
        Some(last) if last == slot_end => return Ok(None),
        Some(last) if last > slot_end => {
            let reason = format!(
                "a record of {last} is stored already: the clock was ahead then or is behind now, and nothing can be \
                 stored until it is past that; check the clock"
            );
            return Err(failure(device, CLOCK_WENT_BACK, &reason));
        }
        _ => {}
    }
    let mut registers = sample.registers().map_err(|error| failure(device, error.class(), &error))?;
    let mut offset_mwh = state.as_ref().map(|state| state.offset_mwh).unwrap_or_default();
    let mut now = Now {
        registers: shifted(&registers, offset_mwh).map_err(|error| failure(device, "decode", &error))?,
        slot_end,
        serial: sample.device.serial.clone(),
        power_w: sample.power().map(Power::w),
        resolution_mwh: sample.billed_resolution_mwh.or(sample.resolution_mwh).unwrap_or(1),
        coarsest_mwh: sample.resolution_mwh.unwrap_or(1),
        span_mwh: sample.span_mwh,
        max_power_w,
    };
    let known_serial = state.as_ref().and_then(|state| state.serial.clone());
    let before = state.map(|state| Before {
        registers: state.last.registers,
        slot_end: state.last.slot_end,
        serial: state.serial,
    });
    let (production, flag) = device.continuity.production(before.as_ref(), &now);
    (registers.production, now.registers.production) = (production, production);
    sample.quality.extend(flag.map(str::to_owned));
    let verdict = device.continuity.judge(before.as_ref(), &now);
    let mut new_epoch = false;
    match verdict {
        Verdict::Follow => {}
        Verdict::Hold(doubt) => return Err(failure(device, doubt.class(), &doubt.reason())),
        Verdict::RolledOver(which) => {
            for (index, _) in which.into_iter().enumerate().filter(|(_, rolled)| *rolled) {
                offset_mwh[index] = offset_mwh[index].saturating_add(now.span_mwh[index].unwrap_or_default());
            }
            let again = shifted(&registers, offset_mwh);
            now.registers = again.map_err(|error| failure(device, "decode", &error))?;
            sample.quality.push("register_rolled_over".to_owned());
            tracing::warn!(meter_id = %device.meter_id, "a counter began again from zero and is carried on");
        }
        Verdict::NewEpoch(doubt) => {
            (new_epoch, offset_mwh, now.registers) = (true, [0; 2], registers);
            sample.quality.push(doubt.flag().to_owned());
            tracing::warn!(meter_id = %device.meter_id, reason = doubt.flag(),
                "doubtful registers stayed as they are: a new epoch begins, look at the meter");
        }
    }
    let (meter_id, template, registers) = (device.meter_id.clone(), device.template.clone(), now.registers);
    let serial = now.serial.or(known_serial);
    let draft = Draft { meter_id: meter_id.clone(), slot_end, registers, offset_mwh, serial, new_epoch };
    Ok(Some((draft, Unsigned { meter_id, template, slot_end, registers, sample, time_status })))
}

/// Registers with what their counters counted before they began again.
fn shifted(registers: &Registers, offset_mwh: [i64; 2]) -> Result<Registers, DecodeError> {
    let shift = |register: Register, offset: i64| {
        let mwh = register.mwh().checked_add(offset).ok_or(DecodeError::OutOfRange)?;
        Register::from_mwh(mwh).map_err(|_| DecodeError::OutOfRange)
    };
    Ok(Registers {
        import: shift(registers.import, offset_mwh[0])?,
        export: shift(registers.export, offset_mwh[1])?,
        production: registers.production,
    })
}

/// Stores on a thread that may wait for the disk.
async fn store(
    outbox: &Arc<Outbox>,
    signer: &Arc<Signer>,
    drafts: Vec<Draft>,
    unsigned: Vec<Unsigned>,
) -> Outcome {
    if drafts.is_empty() {
        return Outcome::default();
    }
    let meters: Vec<MeterId> = drafts.iter().map(|draft| draft.meter_id.clone()).collect();
    let (outbox, signer) = (outbox.clone(), signer.clone());
    let append = move || {
        outbox.append(&drafts, |index, position| {
            unsigned.get(index).map(|unsigned| signer.sign(unsigned, position)).unwrap_or_default()
        })
    };
    let positions = tokio::task::spawn_blocking(append)
        .await
        .map_err(|error| OutboxError::Storage(error.to_string()))
        .flatten();
    match positions {
        Ok(positions) => {
            let stored = positions.iter().flatten().count();
            Outcome { stored, repeated: positions.len() - stored, ..Outcome::default() }
        }
        Err(error) => {
            let failed = |meter_id| Failure { meter_id, class: "outbox", reason: error.to_string() };
            Outcome { failures: meters.into_iter().map(failed).collect(), ..Outcome::default() }
        }
    }
}

fn failure(device: &PolledDevice, class: &'static str, reason: &dyn std::fmt::Display) -> Failure {
    // Some vanish from the network, others are behind a gateway that answers for them.
    let away = matches!(class, "connect" | "timeout" | "exception_failed");
    let class = if device.sleeps_at_night && away { "asleep" } else { class };
    Failure { meter_id: device.meter_id.clone(), class, reason: reason.to_string() }
}
