//! Signed readings: stored once, in whatever order and however often they arrive.

mod last;
mod quarantine;
mod sequence;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use domain::reading::{Reading, Register};
use domain::units::Power;
use sqlx::PgConnection;

use crate::StoreError;
use crate::error::corrupt;

pub use last::{LastReading, last_by_site};
pub use quarantine::{LostNumbers, MAX_QUARANTINED_PER_AGENT, Quarantined, mark_lost, quarantine};
pub use sequence::{Neighbour, Neighbours, SequenceKey, neighbours, stored_through};

/// The most readings that one call stores.
pub const MAX_BATCH: usize = 5_000;

/// A verified reading with the bytes that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReading {
    /// What it says.
    pub reading: Reading,
    /// The signed record, byte for byte.
    pub record: String,
    /// The SHA-256 of these bytes.
    pub record_sha256: [u8; 32],
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inserted {
    /// How many were new.
    pub stored: usize,
    /// The boundaries of those that were new, each once.
    pub slot_ends: Vec<DateTime<Utc>>,
    /// Positions in the batch of readings whose place is taken by other bytes. They are not stored.
    pub forks: Vec<usize>,
    /// How many slots were marked to be metered again.
    pub slots_marked: u64,
}

/// Stores readings of one community; those that are stored already are left as they are. In the same
/// step slots that were metered before a reading arrived, and that it bears on, are marked to be
/// metered again.
///
/// Call it in a transaction, before any slot is locked: metering keeps readings from being stored
/// while it works, so that each is either seen by it or finds its slot metered.
///
/// # Errors
/// [`StoreError`] if the database refuses them, or there are more than [`MAX_BATCH`].
pub async fn insert(
    tx: &mut PgConnection,
    community: &CommunityId,
    readings: &[NewReading],
) -> Result<Inserted, StoreError> {
    if readings.len() > MAX_BATCH {
        return Err(StoreError::Corrupt(format!(
            "a batch of {} readings; at most {MAX_BATCH}",
            readings.len()
        )));
    }
    let registers = |r: &NewReading| r.reading.registers;
    let new = sqlx::query!(
        "INSERT INTO readings (community_id, meter_id, epoch, seq, record_sha256, slot_end, read_at, import_mwh,
             export_mwh, production_mwh, power_w, record)
         SELECT $1, t.* FROM UNNEST($2::text[], $3::integer[], $4::bigint[], $5::bytea[], $6::timestamptz[],
             $7::timestamptz[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[]) AS t
         ON CONFLICT DO NOTHING RETURNING meter_id, epoch, seq, slot_end",
        community.as_str(),
        &column(readings, |r| r.reading.meter_id.to_string()),
        &column(readings, |r| r.reading.epoch),
        &column(readings, |r| r.reading.seq),
        &column(readings, |r| r.record_sha256.to_vec()),
        &column(readings, |r| r.reading.slot_end),
        &column(readings, |r| r.reading.read_at),
        &column(readings, |r| registers(r).import.mwh()),
        &column(readings, |r| registers(r).export.mwh()),
        &column(readings, |r| registers(r).production.map(Register::mwh)) as &[Option<i64>],
        &column(readings, |r| r.reading.power.map(Power::w)) as &[Option<i64>],
        &column(readings, |r| r.record.clone()),
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut inserted = Inserted { stored: new.len(), ..Inserted::default() };
    if new.len() < readings.len() {
        let stored = new.iter().map(|row| (row.meter_id.as_str(), row.epoch, row.seq)).collect();
        inserted.forks = forks(tx, community, readings, &stored).await?;
    }
    let (new_meters, new_ends): (Vec<_>, Vec<_>) = new.into_iter().map(|r| (r.meter_id, r.slot_end)).unzip();
    inserted.slots_marked = mark_slots(tx, community, &new_meters, &new_ends).await?;
    inserted.slot_ends = new_ends;
    inserted.slot_ends.sort_unstable();
    inserted.slot_ends.dedup();
    Ok(inserted)
}

/// Positions of those readings whose place is taken by other bytes. Only places that were not `stored` now, or that come
/// twice in the batch, are looked at.
async fn forks(
    tx: &mut PgConnection,
    community: &CommunityId,
    readings: &[NewReading],
    stored: &HashSet<(&str, i32, i64)>,
) -> Result<Vec<usize>, StoreError> {
    let mut seen = HashSet::with_capacity(readings.len());
    let taken: Vec<(usize, &NewReading)> = readings
        .iter()
        .enumerate()
        .filter(|(_, r)| {
            let place = (r.reading.meter_id.as_str(), r.reading.epoch, r.reading.seq);
            !(seen.insert(place) && stored.contains(&place))
        })
        .collect();
    let forks = sqlx::query_scalar!(
        r#"SELECT t.position AS "position!" FROM UNNEST($2::text[], $3::integer[], $4::bigint[], $5::bytea[])
               WITH ORDINALITY AS t (meter_id, epoch, seq, record_sha256, position)
           CROSS JOIN LATERAL (SELECT record_sha256 FROM readings r
               WHERE r.community_id = $1 AND r.meter_id = t.meter_id AND r.epoch = t.epoch AND r.seq = t.seq
               OFFSET 0) r
           WHERE r.record_sha256 <> t.record_sha256 ORDER BY t.position"#,
        community.as_str(),
        &column(&taken, |(_, r)| r.reading.meter_id.to_string()),
        &column(&taken, |(_, r)| r.reading.epoch),
        &column(&taken, |(_, r)| r.reading.seq),
        &column(&taken, |(_, r)| r.record_sha256.to_vec()),
    )
    .fetch_all(tx)
    .await?;
    forks
        .into_iter()
        .map(|position| {
            let nth = usize::try_from(position - 1).map_err(corrupt)?;
            let place = taken.get(nth).map(|(position, _)| *position);
            place.ok_or_else(|| StoreError::Corrupt("a fork of no reading".to_owned()))
        })
        .collect()
}

/// Marks the slots that a late reading bears on: from the one that ends at its boundary to the one that
/// ends at the meter's next stored boundary, whose energy was computed from an earlier start.
async fn mark_slots(
    tx: &mut PgConnection,
    community: &CommunityId,
    meter_ids: &[String],
    slot_ends: &[DateTime<Utc>],
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE slots s SET needs_remetering = true
         FROM communities c, (
             SELECT DISTINCT t.slot_end, (SELECT min(r.slot_end) FROM readings r
                 WHERE r.community_id = $1 AND r.meter_id = t.meter_id AND r.slot_end > t.slot_end) AS next_end
             FROM UNNEST($2::text[], $3::timestamptz[]) AS t (meter_id, slot_end)) late
         WHERE c.community_id = $1 AND s.community_id = $1
           AND s.status IN ('metered', 'priced', 'settled', 'corrected') AND NOT s.needs_remetering
           AND s.slot_start >= late.slot_end - make_interval(secs => c.slot_length_s)
           AND s.slot_start < COALESCE(late.next_end, late.slot_end)
           -- Readings that are in time bear on no such slot: known by one look at the slots, not one a meter.
           AND EXISTS (SELECT 1 FROM slots x WHERE x.community_id = $1 AND NOT x.needs_remetering
               AND x.status IN ('metered', 'priced', 'settled', 'corrected')
               AND x.slot_start >= (SELECT min(t) FROM UNNEST($3::timestamptz[]) AS t) - make_interval(secs => 3600))",
        community.as_str(),
        meter_ids,
        slot_ends,
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}

/// One column of a batch, for UNNEST.
pub(crate) fn column<T, U>(rows: &[U], value: impl Fn(&U) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

#[cfg(test)]
pub(crate) mod tests;
