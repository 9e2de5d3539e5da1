//! The durable outbox: every signed record is on disk before it is sent, and stays there until ingest
//! has said that it is stored.
//!
//! Records, sequence numbers and the hash of each meter's last record live in one file and change in
//! one transaction that is flushed to disk, so that a crash at any point neither loses a record nor
//! uses a number twice. A full outbox refuses new records; it never drops old ones.

mod file;
mod pending;
mod salvage;
mod state;

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::MeterId;
use domain::reading::Registers;
use redb::{Durability, ReadableTable, ReadableTableMetadata, TableDefinition};

use file::Store;
pub use pending::Due;
pub use salvage::Salvaged;
pub use state::{LastReading, MeterState};

use crate::ocmf::{RecordHash, sha256};
use crate::wire::Acknowledgement;

const METERS: TableDefinition<'_, &str, &str> = TableDefinition::new("meters");
const RECORDS: TableDefinition<'_, RecordKey<'_>, (u64, &str)> = TableDefinition::new("records");
const QUEUE: TableDefinition<'_, u64, RecordKey<'_>> = TableDefinition::new("queue");
/// Records stored of a meter for each UTC day, counted from 1970.
const DAYS: TableDefinition<'_, (&str, i32), u32> = TableDefinition::new("days");
/// How many days are counted.
const DAYS_KEPT: i32 = 8;
const DAY_S: i64 = 24 * 3_600;

/// Meter, epoch and sequence number.
type RecordKey<'a> = (&'a str, i32, i64);

/// A meter and one of its epochs, whose numbers follow each other.
pub type Sequence = (MeterId, i32);

/// The outbox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file cannot be opened.
    #[error("cannot open the outbox {path}: {reason}; another agent may be using it, or the disk is full")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The disk or the file failed.
    #[error("the outbox failed: {0}; nothing was stored, check the disk")]
    Storage(String),
    /// There is no room for more.
    #[error(
        "the outbox holds {held} records, the most it may: deliver them (is the broker reachable and ingest running?) \
         or raise max_records"
    )]
    Full {
        /// How many it holds.
        held: u64,
    },
    /// What it holds is not what this program writes.
    #[error("the outbox holds something that no version wrote: {0}; move the file away to start a new one")]
    Corrupt(String),
}

impl From<redb::Error> for OutboxError {
    fn from(error: redb::Error) -> Self {
        Self::Storage(error.to_string())
    }
}

/// Any of the store's errors.
fn storage(error: impl Into<redb::Error>) -> OutboxError {
    OutboxError::from(error.into())
}

/// Whether the file is not what the store wrote, rather than in use or out of reach.
fn is_damage(error: &redb::DatabaseError) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        redb::DatabaseError::Storage(redb::StorageError::Corrupted(_)) => true,
        redb::DatabaseError::Storage(redb::StorageError::Io(error)) => {
            matches!(error.kind(), InvalidData | UnexpectedEof)
        }
        _ => false,
    }
}

/// A reading that is to be stored.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The meter.
    pub meter_id: MeterId,
    /// The boundary the registers stand for.
    pub slot_end: DateTime<Utc>,
    /// The registers, kept to judge the next ones.
    pub registers: Registers,
    /// What of them counters counted before they began again from zero, in mWh: import, export.
    pub offset_mwh: [i64; 2],
    /// Whose registers they are, if that is told.
    pub serial: Option<String>,
    /// Whether it begins a new epoch.
    pub new_epoch: bool,
}

/// The place that a record was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The meter's epoch.
    pub epoch: i32,
    /// The number in the epoch, from 1.
    pub seq: i64,
    /// The hash of the meter's record before; zeros for its first.
    pub previous: RecordHash,
}

/// A record that waits for its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The meter.
    pub meter_id: MeterId,
    /// Its epoch.
    pub epoch: i32,
    /// Its number.
    pub seq: i64,
    /// The signed record.
    pub record: String,
}

impl Pending {
    /// What it is known by: meter, epoch and number.
    #[must_use]
    pub fn key(&self) -> (MeterId, i32, i64) {
        (self.meter_id.clone(), self.epoch, self.seq)
    }
}

/// From which end pending records are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In the order they were stored.
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// The outbox of one agent.
#[derive(Debug)]
pub struct Outbox {
    store: Store,
    max_records: u64,
    first_epoch: i32,
}

impl Outbox {
    /// Opens the outbox at `path`, or makes one. Meters it does not know begin with `first_epoch`:
    /// an agent that lost its disk must not use the numbers of an earlier epoch again.
    ///
    /// # Errors
    /// [`OutboxError::Open`] if it cannot be opened, for instance by a second agent.
    pub fn open(path: &Path, max_records: u64, first_epoch: i32) -> Result<Self, OutboxError> {
        let failed = |reason: String| OutboxError::Open { path: path.to_owned(), reason };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        }
        let outbox = Self { store: Store::open(path)?, max_records, first_epoch };
        let transaction = outbox.store.begin_write()?;
        transaction.open_table(METERS).map_err(storage)?;
        transaction.open_table(RECORDS).map_err(storage)?;
        transaction.open_table(QUEUE).map_err(storage)?;
        transaction.open_table(DAYS).map_err(storage)?;
        transaction.commit().map_err(storage)?;
        Ok(outbox)
    }

    /// Opens the outbox at `path`; one that is damaged is moved aside, and a new one begins with
    /// `first_epoch`, so that no number is used twice. The second value is where the damaged one is now.
    ///
    /// # Errors
    /// [`OutboxError::Open`] if it cannot be opened for another reason, or not be moved.
    pub fn open_or_replace(
        path: &Path,
        max_records: u64,
        first_epoch: i32,
    ) -> Result<(Self, Option<PathBuf>), OutboxError> {
        match Self::open(path, max_records, first_epoch).and_then(Self::checked) {
            Ok(outbox) => Ok((outbox, None)),
            Err(OutboxError::Corrupt(_)) => {
                let aside = path.with_extension(format!("damaged-{first_epoch}"));
                let failed = |reason: String| OutboxError::Open { path: path.to_owned(), reason };
                std::fs::rename(path, &aside).map_err(|error| failed(error.to_string()))?;
                Ok((Self::open(path, max_records, first_epoch)?, Some(aside)))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads everything once, so that damage is found at the start and not at a boundary.
    fn checked(self) -> Result<Self, OutboxError> {
        let corrupt = |error: redb::Error| OutboxError::Corrupt(error.to_string());
        let transaction = self.store.begin_read()?;
        let meters = transaction.open_table(METERS).map_err(|error| corrupt(error.into()))?;
        for entry in meters.iter().map_err(|error| corrupt(error.into()))? {
            let (_, state) = entry.map_err(|error| corrupt(error.into()))?;
            MeterState::from_text(state.value())?;
        }
        let records = transaction.open_table(RECORDS).map_err(|error| corrupt(error.into()))?;
        for entry in records.iter().map_err(|error| corrupt(error.into()))? {
            entry.map_err(|error| corrupt(error.into()))?;
        }
        let queue = transaction.open_table(QUEUE).map_err(|error| corrupt(error.into()))?;
        let (queued, held) = (queue.len(), records.len());
        match (queued, held) {
            (Ok(queued), Ok(held)) if queued == held => {}
            _ => return Err(OutboxError::Corrupt("its queue and its records differ".to_owned())),
        }
        drop((meters, records, queue, transaction));
        Ok(self)
    }

    /// Gives each draft its place, has it signed, and stores all of them in one step. A draft whose
    /// boundary is not after the meter's last one is left out, and `None` in the answer: a clock that
    /// went back, or a restart within a boundary, must not read it twice.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing is stored then and no number is used.
    pub fn append(
        &self,
        drafts: &[Draft],
        mut sign: impl FnMut(usize, &Position) -> String,
    ) -> Result<Vec<Option<Position>>, OutboxError> {
        let mut transaction = self.store.begin_write()?;
        transaction.set_durability(Durability::Immediate).map_err(storage)?;
        let mut positions = Vec::with_capacity(drafts.len());
        {
            let mut meters = transaction.open_table(METERS).map_err(storage)?;
            let mut records = transaction.open_table(RECORDS).map_err(storage)?;
            let mut queue = transaction.open_table(QUEUE).map_err(storage)?;
            let mut days = transaction.open_table(DAYS).map_err(storage)?;
            let mut next = queue.last().map_err(storage)?.map_or(0, |(number, _)| number.value() + 1);
            for (index, draft) in drafts.iter().enumerate() {
                let meter = draft.meter_id.as_str();
                let state = meters.get(meter).map_err(storage)?.map(|state| state.value().to_owned());
                let state = state.map(|text| MeterState::from_text(&text)).transpose()?;
                let Some(position) = self.place(state.as_ref(), draft) else {
                    positions.push(None);
                    continue;
                };
                let held = records.len().map_err(storage)?;
                if held >= self.max_records {
                    return Err(OutboxError::Full { held });
                }
                let record = sign(index, &position);
                let key = (meter, position.epoch, position.seq);
                records.insert(key, (next, record.as_str())).map_err(storage)?;
                queue.insert(next, key).map_err(storage)?;
                count_day(&mut days, meter, draft.slot_end)?;
                let state = MeterState::after(draft, &position, sha256(&record), state.as_ref());
                meters.insert(meter, state.to_text().as_str()).map_err(storage)?;
                next += 1;
                positions.push(Some(position));
            }
        }
        transaction.commit().map_err(storage)?;
        Ok(positions)
    }

    fn place(&self, state: Option<&MeterState>, draft: &Draft) -> Option<Position> {
        let Some(state) = state else {
            return Some(Position { epoch: self.first_epoch, seq: 1, previous: RecordHash::default() });
        };
        if draft.slot_end <= state.last.slot_end {
            return None;
        }
        let (epoch, seq) = if draft.new_epoch { (state.epoch + 1, 1) } else { (state.epoch, state.seq + 1) };
        Some(Position { epoch, seq, previous: state.record_hash })
    }

    /// How many records were stored of a meter for each of the last UTC days, oldest first.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be read.
    pub fn days(&self, meter_id: &MeterId) -> Result<Vec<(NaiveDate, u32)>, OutboxError> {
        let transaction = self.store.begin_read()?;
        let days = transaction.open_table(DAYS).map_err(storage)?;
        let meter = meter_id.as_str();
        let mut counts = Vec::new();
        for entry in days.range((meter, i32::MIN)..=(meter, i32::MAX)).map_err(storage)? {
            let (key, stored) = entry.map_err(storage)?;
            let day = DateTime::from_timestamp(i64::from(key.value().1) * DAY_S, 0);
            counts.extend(day.map(|day| (day.date_naive(), stored.value())));
        }
        Ok(counts)
    }

    /// What is known of a meter's last record.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be read.
    pub fn meter(&self, meter_id: &MeterId) -> Result<Option<MeterState>, OutboxError> {
        let transaction = self.store.begin_read()?;
        let meters = transaction.open_table(METERS).map_err(storage)?;
        let state = meters.get(meter_id.as_str()).map_err(storage)?;
        state.map(|state| MeterState::from_text(state.value())).transpose()
    }

    /// Forgets what acknowledgements cover. Returns how many records that were.
    ///
    /// # Errors
    /// [`OutboxError`]; the records are kept then and will be sent again.
    pub fn acknowledge(&self, acknowledgements: &[Acknowledgement]) -> Result<u64, OutboxError> {
        let mut transaction = self.store.begin_write()?;
        // Not flushed: what a crash brings back is sent once more and found to be stored.
        transaction.set_durability(Durability::None).map_err(storage)?;
        let mut forgotten = 0;
        {
            let mut records = transaction.open_table(RECORDS).map_err(storage)?;
            let mut queue = transaction.open_table(QUEUE).map_err(storage)?;
            for ack in acknowledgements {
                let meter = ack.meter_id.as_str();
                let covered = (meter, ack.epoch, 0)..=(meter, ack.epoch, ack.stored_through_seq);
                for entry in records.extract_from_if(covered, |_, _| true).map_err(storage)? {
                    let (_, value) = entry.map_err(storage)?;
                    queue.remove(value.value().0).map_err(storage)?;
                    forgotten += 1;
                }
            }
        }
        transaction.commit().map_err(storage)?;
        Ok(forgotten)
    }

    /// How many records wait.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be read.
    pub fn depth(&self) -> Result<u64, OutboxError> {
        let transaction = self.store.begin_read()?;
        transaction.open_table(RECORDS).map_err(storage)?.len().map_err(storage)
    }
}

/// Counts a record for the day of its boundary, and forgets days that are long over.
fn count_day(
    days: &mut redb::Table<'_, (&'static str, i32), u32>,
    meter: &str,
    slot_end: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let day = i32::try_from(slot_end.timestamp().div_euclid(DAY_S)).unwrap_or(i32::MAX);
    let stored = days.get((meter, day)).map_err(storage)?.map_or(0, |stored| stored.value());
    days.insert((meter, day), stored.saturating_add(1)).map_err(storage)?;
    if stored == 0 {
        days.retain_in((meter, i32::MIN)..(meter, day.saturating_sub(DAYS_KEPT - 1)), |_, _| false)
            .map_err(storage)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
