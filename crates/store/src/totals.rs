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

/// Adds a community up.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_community(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<Totals, StoreError> {
    let totals = sqlx::query_as!(
        Totals,
        r#"
        WITH newest AS (
            SELECT st.* FROM statements st
            JOIN slots s USING (community_id, slot_start)
            WHERE st.community_id = $1 AND st.account_id NOT IN ('grid', 'network', 'platform', 'reserve')
              AND st.revision = (SELECT max(n.revision) FROM statements n
                                 WHERE n.community_id = $1 AND n.slot_start = s.slot_start)
        ), sums AS (
            SELECT sum(net_nano) AS nano FROM statements WHERE community_id = $1 GROUP BY slot_start, revision
        )
        SELECT
            (SELECT count(*) FROM slots WHERE community_id = $1 AND status IN ('settled', 'corrected')) AS "slots_settled!",
            (SELECT count(*) FROM slots WHERE community_id = $1 AND status IN ('metered', 'priced')) AS "slots_unsettled!",
            (SELECT count(*) FROM sites WHERE community_id = $1) AS "sites!",
            (SELECT count(*) FROM readings WHERE community_id = $1) AS "readings_stored!",
            (SELECT count(*) FROM quarantined_records WHERE community_id = $1) AS "records_quarantined!",
            (SELECT count(*) FROM trades WHERE community_id = $1) AS "trades!",
            (SELECT coalesce(sum(energy_wh), 0)::bigint FROM trades WHERE community_id = $1) AS "traded_wh!",
            (SELECT coalesce(sum(closing_bought_wh), 0)::bigint FROM newest) AS "closing_auction_wh!",
            (SELECT coalesce(sum(residual_import_wh), 0)::bigint FROM newest) AS "grid_import_wh!",
            (SELECT coalesce(sum(residual_export_wh), 0)::bigint FROM newest) AS "grid_export_wh!",
            (SELECT count(*) FROM batches WHERE community_id = $1 AND status IN ('final', 'void')) AS "batches_final!",
            (SELECT count(*) FROM batches WHERE community_id = $1 AND status NOT IN ('final', 'void')) AS "batches_open!",
            (SELECT coalesce(sum(nano), 0)::bigint FROM sums) AS "money_sum_nano!",
            (SELECT count(*) FROM sums WHERE nano <> 0) AS "unbalanced_slots!"
        "#,
        community.as_str()
    )
    .fetch_one(db)
    .await?;
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn an_empty_community_has_zero_of_everything(pool: sqlx::PgPool) {
        let totals = of_community(&pool, &CommunityId::new("nobody").unwrap()).await.unwrap();
        assert_eq!((totals.slots_settled, totals.money_sum_nano, totals.sites), (0, 0, 0));
    }
}
