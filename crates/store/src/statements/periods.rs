//! A member's statements summed by day or month, and what each line of a slot goes back to.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId};
use sqlx::PgExecutor;

use crate::StoreError;
use crate::views::statements::StatementRow;

/// Over what statements are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A day in UTC.
    Day,
    /// A month in UTC.
    Month,
}

impl Period {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// A member's statements of one day or month, each at its latest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodRow {
    /// How many slots are priced.
    pub slots: i64,
    /// How many of them are settled for good.
    pub settled_slots: i64,
    /// The sums; the slot is the period's start, the revision the highest. Production is `None` unless
    /// it is known for every slot.
    pub sums: StatementRow,
}

/// At most `limit` periods of a member that start before `before` (of all, if `None`), newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_member(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    period: Period,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<PeriodRow>, StoreError> {
    let rows = sqlx::query_file!(
        "src/statements/periods.sql",
        community.as_str(),
        member.as_str(),
        period.as_str(),
        before,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| PeriodRow {
            slots: row.slots,
            settled_slots: row.settled_slots,
            sums: StatementRow {
                slot_start: row.start,
                revision: row.revision,
                account_id: member.to_string(),
                kind: "member".to_owned(),
                pseudonym: None,
                import_wh: row.import_wh,
                export_wh: row.export_wh,
                production_wh: row.production_wh,
                substituted: row.substituted,
                traded_bought_wh: row.traded_bought_wh,
                traded_bought_nano: row.traded_bought_nano,
                traded_sold_wh: row.traded_sold_wh,
                traded_sold_nano: row.traded_sold_nano,
                closing_bought_wh: row.closing_bought_wh,
                closing_bought_nano: row.closing_bought_nano,
                closing_sold_wh: row.closing_sold_wh,
                closing_sold_nano: row.closing_sold_nano,
                preferred_bought_wh: row.preferred_bought_wh,
                preferred_bought_nano: row.preferred_bought_nano,
                preferred_sold_wh: row.preferred_sold_wh,
                preferred_sold_nano: row.preferred_sold_nano,
                residual_import_wh: row.residual_import_wh,
                residual_export_wh: row.residual_export_wh,
                residual_nano: row.residual_nano,
                curtailed_wh: row.curtailed_wh,
                over_limit_wh: row.over_limit_wh,
                network_fee_nano: row.network_fee_nano,
                platform_fee_nano: row.platform_fee_nano,
                net_nano: row.net_nano,
                base_nano: row.base_nano,
            },
        })
        .collect())
}

/// What a member's statement of a slot goes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The slot.
    pub slot_start: DateTime<Utc>,
    /// Its trades of the continuous auction, ascending.
    pub trade_ids: Vec<i64>,
    /// The signed readings of its meters at the slot's start and end: `meter/epoch/sequence`.
    pub readings: Vec<String>,
}

/// What a member's statements of slots go back to, in the order of `starts`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn traces(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    starts: &[DateTime<Utc>],
) -> Result<Vec<Trace>, StoreError> {
    Ok(sqlx::query_as!(
        Trace,
        r#"SELECT s.slot_start AS "slot_start!",
             ARRAY(SELECT trade_id FROM trades
                   WHERE community_id = $1 AND slot_start = s.slot_start AND (buyer_id = $2 OR seller_id = $2)
                   ORDER BY trade_id) AS "trade_ids!",
             ARRAY(SELECT format('%s/%s/%s', r.meter_id, r.epoch, r.seq)
                   FROM sites x JOIN meters m USING (community_id, site_id) JOIN readings r USING (community_id, meter_id)
                   WHERE x.community_id = $1 AND x.member_id = $2
                     AND r.slot_end IN (s.slot_start, s.slot_start + make_interval(secs => c.slot_length_s))
                   ORDER BY r.meter_id, r.slot_end, r.epoch, r.seq) AS "readings!"
           FROM UNNEST($3::timestamptz[]) WITH ORDINALITY AS s(slot_start, place)
           JOIN communities c ON c.community_id = $1
           ORDER BY s.place"#,
        community.as_str(),
        member.as_str(),
        starts
    )
    .fetch_all(db)
    .await?)
}
