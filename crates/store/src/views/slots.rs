//! Slots as a list shows them: one row each, with its market, its meters and its batch.

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// A slot at a glance. Energies of meters and of the grid belong to the latest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSummary {
    /// When the slot starts.
    pub slot_start: DateTime<Utc>,
    /// `scheduled`, `open`, `closed`, `metered`, `priced`, `settled` or `corrected`.
    pub status: String,
    /// Counts the corrections; 0 is the first pricing.
    pub revision: i32,
    /// How many trades the continuous auction made.
    pub trades: i64,
    /// What they moved, in Wh.
    pub traded_wh: i64,
    /// Their mean price by energy, rounded down, in micro-currency per kWh; `None` without trades.
    pub mean_trade_price_micro_per_kwh: Option<i64>,
    /// What the closing auction moved, in Wh.
    pub closing_auction_wh: i64,
    /// Its one price, in micro-currency per kWh; `None` if it moved nothing.
    pub closing_price_micro_per_kwh: Option<i64>,
    /// What members took from the grid at the retail tariff, in Wh; 0 until the slot is priced.
    pub grid_import_wh: i64,
    /// What members gave to the grid at the feed-in tariff, in Wh; 0 until the slot is priced.
    pub grid_export_wh: i64,
    /// What was produced behind the meters, in Wh; `None` unless known for every site.
    pub production_wh: Option<i64>,
    /// What was consumed behind the meters, in Wh; `None` unless production is known.
    pub consumption_wh: Option<i64>,
    /// What open bids still want, in Wh.
    pub open_bids_wh: i64,
    /// What open offers still hold, in Wh.
    pub open_offers_wh: i64,
    /// The settlement batch of the latest priced revision.
    pub batch: Option<BatchSummary>,
}

/// A settlement batch at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSummary {
    /// The id that the contract knows.
    pub batch_id: Vec<u8>,
    /// `prepared`, `signed`, `broadcast`, `final` or `void`.
    pub status: String,
    /// The transaction that carries it, once one is signed.
    pub tx_hash: Option<String>,
    /// The block that holds the transaction, once it is mined.
    pub block_number: Option<i64>,
}

/// The batches of slots, each with the slot and the revision that it settles.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn batches(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    starts: &[DateTime<Utc>],
) -> Result<Vec<(DateTime<Utc>, i32, BatchSummary)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT b.slot_start, b.revision, b.batch_id, b.status, x.tx_hash AS "tx_hash?",
                  x.block_number AS "block_number?"
           FROM batches b
           LEFT JOIN LATERAL (
             SELECT tx_hash, block_number FROM transactions
             WHERE community_id = b.community_id AND batch_id = b.batch_id
             ORDER BY (status = 'final') DESC, attempt DESC LIMIT 1) x ON true
           WHERE b.community_id = $1 AND b.slot_start = ANY($2)"#,
        community.as_str(),
        starts
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let (batch_id, status) = (row.batch_id, row.status);
            let batch =
                BatchSummary { batch_id, status, tx_hash: row.tx_hash, block_number: row.block_number };
            (row.slot_start, row.revision, batch)
        })
        .collect())
}

/// The starts of at most `limit` slots before `before` (of all, if `None`), newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn page(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT slot_start FROM slots
         WHERE community_id = $1 AND slot_start < coalesce($2, 'infinity'::timestamptz)
         ORDER BY slot_start DESC LIMIT $3",
        community.as_str(),
        before,
        limit
    )
    .fetch_all(db)
    .await?)
}

/// The start of the latest slot that is settled, or corrected.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn latest_settled(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT max(slot_start) FROM slots WHERE community_id = $1 AND status IN ('settled', 'corrected')",
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// The summaries of those of `starts` that exist, newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn summaries(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    starts: &[DateTime<Utc>],
) -> Result<Vec<SlotSummary>, StoreError> {
    let rows =
        sqlx::query_file!("src/views/slot_summaries.sql", community.as_str(), starts).fetch_all(db).await?;
    Ok(rows
        .into_iter()
        .map(|row| SlotSummary {
            slot_start: row.slot_start,
            status: row.status,
            revision: row.revision,
            trades: row.trades,
            traded_wh: row.traded_wh,
            mean_trade_price_micro_per_kwh: row.mean_price,
            closing_auction_wh: row.closing_wh,
            closing_price_micro_per_kwh: row.closing_price,
            grid_import_wh: row.grid_import_wh,
            grid_export_wh: row.grid_export_wh,
            production_wh: row.production_wh,
            consumption_wh: row.consumption_wh,
            open_bids_wh: row.bids_wh,
            open_offers_wh: row.offers_wh,
            batch: row.batch_id.zip(row.batch_status).map(|(batch_id, status)| BatchSummary {
                batch_id,
                status,
                tx_hash: row.tx_hash,
                block_number: row.block_number,
            }),
        })
        .collect())
}
