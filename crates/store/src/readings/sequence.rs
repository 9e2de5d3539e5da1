//! Where a meter's sequence stands: what lies round a reading, and up to where nothing is missing.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MeterId};
use domain::reading::{Register, Registers};
use sqlx::PgExecutor;

use super::column;
use crate::StoreError;
use crate::error::corrupt;

/// A place in a meter's sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceKey {
    /// The meter.
    pub meter_id: MeterId,
    /// Its epoch.
    pub epoch: i32,
    /// The number.
    pub seq: i64,
}

/// A stored reading beside a given place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its number.
    pub seq: i64,
    /// Its boundary.
    pub slot_end: DateTime<Utc>,
    /// Its registers.
    pub registers: Registers,
    /// The SHA-256 of its record.
    pub record_sha256: Vec<u8>,
}

/// The stored readings next to a given place, in the same epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Neighbours {
    /// The nearest before.
    pub before: Option<Neighbour>,
    /// The nearest after.
    pub after: Option<Neighbour>,
}

struct Row {
    position: i64,
    is_before: bool,
    seq: i64,
    slot_end: DateTime<Utc>,
    import_mwh: i64,
    export_mwh: i64,
    production_mwh: Option<i64>,
    record_sha256: Vec<u8>,
}

impl TryFrom<Row> for Neighbour {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let register = |mwh| Register::from_mwh(mwh).map_err(corrupt);
        Ok(Self {
            seq: row.seq,
            slot_end: row.slot_end,
            registers: Registers {
                import: register(row.import_mwh)?,
                export: register(row.export_mwh)?,
                production: row.production_mwh.map(register).transpose()?,
            },
            record_sha256: row.record_sha256,
        })
    }
}

/// What is stored round each of `keys`, in their order.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn neighbours(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    keys: &[SequenceKey],
) -> Result<Vec<Neighbours>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT t.position AS "position!", n.is_before AS "is_before!", n.seq AS "seq!", n.slot_end AS "slot_end!",
               n.import_mwh AS "import_mwh!", n.export_mwh AS "export_mwh!", n.production_mwh,
               n.record_sha256 AS "record_sha256!"
           FROM UNNEST($2::text[], $3::integer[], $4::bigint[])
               WITH ORDINALITY AS t (meter_id, epoch, seq, position)
           CROSS JOIN LATERAL (
               (SELECT true AS is_before, r.seq, r.slot_end, r.import_mwh, r.export_mwh, r.production_mwh,
                    r.record_sha256 FROM readings r
                WHERE r.community_id = $1 AND r.meter_id = t.meter_id AND r.epoch = t.epoch AND r.seq < t.seq
                ORDER BY r.seq DESC LIMIT 1)
               UNION ALL
               (SELECT false, r.seq, r.slot_end, r.import_mwh, r.export_mwh, r.production_mwh, r.record_sha256
                FROM readings r
                WHERE r.community_id = $1 AND r.meter_id = t.meter_id AND r.epoch = t.epoch AND r.seq > t.seq
                ORDER BY r.seq LIMIT 1)) n"#,
        community.as_str(),
        &column(keys, |k| k.meter_id.to_string()),
        &column(keys, |k| k.epoch),
        &column(keys, |k| k.seq),
    )
    .fetch_all(db)
    .await?;
    let mut found = vec![Neighbours::default(); keys.len()];
    for row in rows {
        let position = usize::try_from(row.position - 1).map_err(corrupt)?;
        let is_before = row.is_before;
        let Some(neighbours) = found.get_mut(position) else { continue };
        let side = if is_before { &mut neighbours.before } else { &mut neighbours.after };
        *side = Some(Neighbour::try_from(row)?);
    }
    Ok(found)
}

/// For each of `known`, whose `seq` is a number up to which all is known to be received (0: none), the
/// number up to which that is so now. Quarantined records of proven origin count as received: they
/// are kept, and must not block those behind them.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn stored_through(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    known: &[SequenceKey],
) -> Result<Vec<SequenceKey>, StoreError> {
    let rows = sqlx::query!(
        // Numbers beyond the known one, in order: the first of them is where they are counted from until one is missing.
        // Nothing before the known number is looked at, however long the meter's history is.
        r#"SELECT t.seq + (
               SELECT count(*) FROM (
                   SELECT c.seq, row_number() OVER (ORDER BY c.seq) AS nth FROM (
                       SELECT r.seq FROM readings r
                       WHERE r.community_id = $1 AND r.meter_id = t.meter_id AND r.epoch = t.epoch AND r.seq > t.seq
                       UNION SELECT q.seq FROM quarantined_records q
                       WHERE q.community_id = $1 AND q.meter_id = t.meter_id AND q.epoch = t.epoch AND q.seq > t.seq
                   ) c
               ) numbered WHERE numbered.seq = t.seq + numbered.nth
           ) AS "seq!"
           FROM UNNEST($2::text[], $3::integer[], $4::bigint[])
               WITH ORDINALITY AS t (meter_id, epoch, seq, position)
           ORDER BY t.position"#,
        community.as_str(),
        &column(known, |k| k.meter_id.to_string()),
        &column(known, |k| k.epoch),
        &column(known, |k| k.seq),
    )
    .fetch_all(db)
    .await?;
    let through = |(key, seq): (&SequenceKey, i64)| SequenceKey { seq, ..key.clone() };
    Ok(known.iter().zip(rows.into_iter().map(|row| row.seq)).map(through).collect())
}
