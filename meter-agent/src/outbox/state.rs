//! What the outbox remembers of a meter: where its sequence stands, and its last registers.

use chrono::{DateTime, Utc};
use domain::reading::{Register, Registers};
use serde::{Deserialize, Serialize};

use super::{Draft, OutboxError, Position};
use crate::ocmf::RecordHash;

/// A meter's last record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterState {
    /// Its epoch.
    pub epoch: i32,
    /// Its number.
    pub seq: i64,
    /// Its hash, which the next record names.
    pub record_hash: RecordHash,
    /// What was read.
    pub last: LastReading,
    /// What counters counted before they began again from zero, in mWh: import, export. It is in the last
    /// registers already.
    pub offset_mwh: [i64; 2],
    /// The serial number of the device that was read, if one was told yet.
    pub serial: Option<String>,
    /// The boundary of the first record that this outbox stored of it.
    pub since: DateTime<Utc>,
}

/// The last registers that were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastReading {
    /// At which boundary.
    pub slot_end: DateTime<Utc>,
    /// The registers.
    pub registers: Registers,
}

impl MeterState {
    pub(super) fn after(
        draft: &Draft,
        position: &Position,
        record_hash: RecordHash,
        before: Option<&Self>,
    ) -> Self {
        let last = LastReading { slot_end: draft.slot_end, registers: draft.registers };
        Self {
            epoch: position.epoch,
            seq: position.seq,
            record_hash,
            last,
            offset_mwh: draft.offset_mwh,
            serial: draft.serial.clone(),
            since: before.map_or(draft.slot_end, |before| before.since),
        }
    }

    pub(super) fn to_text(&self) -> String {
        let registers = &self.last.registers;
        let stored = Stored {
            epoch: self.epoch,
            seq: self.seq,
            record_hash: hex::encode(self.record_hash),
            slot_end_s: self.last.slot_end.timestamp(),
            import_mwh: registers.import.mwh(),
            export_mwh: registers.export.mwh(),
            production_mwh: registers.production.map(Register::mwh),
            offset_mwh: self.offset_mwh,
            serial: self.serial.clone(),
            since_s: Some(self.since.timestamp()),
        };
        // A structure of numbers and plain texts can always be written.
        serde_json::to_string(&stored).unwrap_or_default()
    }

    pub(super) fn from_text(text: &str) -> Result<Self, OutboxError> {
        let corrupt = |error: String| OutboxError::Corrupt(error);
        let stored: Stored = serde_json::from_str(text).map_err(|error| corrupt(error.to_string()))?;
        let mut record_hash = RecordHash::default();
        hex::decode_to_slice(&stored.record_hash, &mut record_hash)
            .map_err(|error| corrupt(error.to_string()))?;
        let register = |mwh| Register::from_mwh(mwh).map_err(|error| corrupt(error.to_string()));
        let slot_end = DateTime::from_timestamp(stored.slot_end_s, 0)
            .ok_or_else(|| corrupt("a time out of range".to_owned()))?;
        let registers = Registers {
            import: register(stored.import_mwh)?,
            export: register(stored.export_mwh)?,
            production: stored.production_mwh.map(register).transpose()?,
        };
        Ok(Self {
            epoch: stored.epoch,
            seq: stored.seq,
            record_hash,
            last: LastReading { slot_end, registers },
            offset_mwh: stored.offset_mwh,
            serial: stored.serial,
            since: stored.since_s.and_then(|s| DateTime::from_timestamp(s, 0)).unwrap_or(slot_end),
        })
    }
}

/// The state as it is in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    epoch: i32,
    seq: i64,
    record_hash: String,
    slot_end_s: i64,
    import_mwh: i64,
    export_mwh: i64,
    production_mwh: Option<i64>,
    #[serde(default)]
    offset_mwh: [i64; 2],
    #[serde(default)]
    serial: Option<String>,
    #[serde(default)]
    since_s: Option<i64>,
}
