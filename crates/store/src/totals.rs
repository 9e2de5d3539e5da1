//! A community's totals: what a demonstration is judged by, and an operator's first look.

use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// Sums over everything a community has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Slots whose money has moved, at whatever revision.
    pub slots_settled: i64,
    /// Slots that were metered or priced, and whose money has not moved yet.
    pub slots_unsettled: i64,
    /// Enrolled sites.
    pub sites: i64,
    /// Verified readings.
    pub readings_stored: i64,
    /// Records that were refused.
    pub records_quarantined: i64,
    /// Trades of the continuous auction.
    pub trades: i64,
    /// Energy traded in the continuous auction.
    pub traded_wh: i64,
    /// Energy cleared in closing auctions, at each slot's newest revision.
    pub closing_auction_wh: i64,
    /// Energy bought at the retail tariff, at each slot's newest revision.
    pub grid_import_wh: i64,
    /// Energy sold at the feed-in tariff, at each slot's newest revision.
    pub grid_export_wh: i64,
    /// Batches whose transaction is final, or that had nothing to move.
    pub batches_final: i64,
    /// Batches that are on their way.
    pub batches_open: i64,
    /// The sum of every statement of every slot and revision: zero, or money was made or lost.
    pub money_sum_nano: i64,
    /// How many slots and revisions do not sum to zero on their own.
    pub unbalanced_slots: i64,
}

/// Adds a community up, from the sums that are kept for each slot: the cost does not depend on how many members
/// and readings there are.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_community(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Totals, StoreError> {
    let totals = sqlx::query_as!(
        Totals,
        r#"
        WITH newest AS (
            SELECT DISTINCT ON (slot_start) * FROM slot_totals WHERE community_id = $1
            ORDER BY slot_start DESC, revision DESC
        ), unpriced AS (
            SELECT energy_wh FROM trades WHERE community_id = $1 AND slot_start IN (
                SELECT slot_start FROM slots s
                WHERE community_id = $1 AND status IN ('scheduled', 'open', 'closed', 'metered')
                  AND NOT EXISTS (SELECT FROM slot_totals t
                                  WHERE t.community_id = $1 AND t.slot_start = s.slot_start))
        )
        SELECT
            (SELECT count(*) FROM slots WHERE community_id = $1 AND status IN ('settled', 'corrected')) AS "slots_settled!",
            (SELECT count(*) FROM slots WHERE community_id = $1 AND status IN ('metered', 'priced')) AS "slots_unsettled!",
            (SELECT count(*) FROM sites WHERE community_id = $1) AS "sites!",
            (SELECT coalesce(sum(readings), 0)::bigint FROM reading_counts WHERE community_id = $1) AS "readings_stored!",
            (SELECT count(*) FROM quarantined_records WHERE community_id = $1) AS "records_quarantined!",
            ((SELECT coalesce(sum(trades), 0) FROM newest) + (SELECT count(*) FROM unpriced))::bigint AS "trades!",
            ((SELECT coalesce(sum(traded_wh), 0) FROM newest) + (SELECT coalesce(sum(energy_wh), 0) FROM unpriced))::bigint
                AS "traded_wh!",
            (SELECT coalesce(sum(closing_wh), 0)::bigint FROM newest) AS "closing_auction_wh!",
            (SELECT coalesce(sum(grid_import_wh), 0)::bigint FROM newest) AS "grid_import_wh!",
            (SELECT coalesce(sum(grid_export_wh), 0)::bigint FROM newest) AS "grid_export_wh!",
            (SELECT count(*) FROM batches WHERE community_id = $1 AND status IN ('final', 'void')) AS "batches_final!",
            (SELECT count(*) FROM batches WHERE community_id = $1 AND status NOT IN ('final', 'void')) AS "batches_open!",
            (SELECT coalesce(sum(net_sum_nano), 0)::bigint FROM slot_totals WHERE community_id = $1) AS "money_sum_nano!",
            (SELECT count(*) FROM slot_totals WHERE community_id = $1 AND net_sum_nano <> 0) AS "unbalanced_slots!"
        "#,
        community.as_str()
    )
    .fetch_one(db)
    .await?;
    Ok(totals)
}

#[cfg(test)]
mod tests;
