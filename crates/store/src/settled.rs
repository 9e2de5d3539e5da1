//! Which slots have settled since one last looked: the running report of a community.

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// How many slots one look returns at most.
pub const LOOK: i64 = 200;

/// A slot's batch that has become final, or void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledSlot {
    /// The slot's start.
    pub slot_start: DateTime<Utc>,
    /// Which revision of it.
    pub revision: i32,
    /// When; the cursor of the next look.
    pub final_at: DateTime<Utc>,
    /// Trades of the continuous auction.
    pub trades: i64,
    /// Their energy.
    pub traded_wh: i64,
    /// Their value; with the energy, the mean price.
    pub traded_nano: i64,
    /// What the closing auction cleared.
    pub closing_auction_wh: i64,
    /// At which uniform price.
    pub closing_price_micro_per_kwh: Option<i64>,
    /// What members bought at the retail tariff.
    pub grid_import_wh: i64,
    /// What members sold at the feed-in tariff.
    pub grid_export_wh: i64,
    /// Sites whose reading was missing at the deadline.
    pub substituted_sites: i64,
    /// Credits that changed hands on the chain.
    pub moved_nano: i64,
    /// Accounts whose credits changed.
    pub positions: i64,
    /// The transaction, if anything moved.
    pub tx_hash: Option<String>,
    /// Its block.
    pub block_number: Option<i64>,
}

/// The slots that became final after `cursor`, oldest first, at most [`LOOK`].
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn since(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    cursor: DateTime<Utc>,
) -> Result<Vec<SettledSlot>, StoreError> {
    let rows = sqlx::query_as!(
        SettledSlot,
        r#"
        SELECT b.slot_start, b.revision, b.final_at AS "final_at!",
            t.trades AS "trades!", t.wh AS "traded_wh!", t.nano AS "traded_nano!",
            c.wh AS "closing_auction_wh!", c.price AS closing_price_micro_per_kwh,
            st.import_wh AS "grid_import_wh!", st.export_wh AS "grid_export_wh!",
            m.substituted AS "substituted_sites!",
            p.moved AS "moved_nano!", p.positions AS "positions!",
            tx.tx_hash AS "tx_hash?", tx.block_number AS "block_number?"
        FROM batches b
        CROSS JOIN LATERAL (
            SELECT count(*) AS trades, coalesce(sum(energy_wh), 0)::bigint AS wh,
                coalesce(sum(energy_wh * price_micro_per_kwh), 0)::bigint AS nano
            FROM trades WHERE community_id = b.community_id AND slot_start = b.slot_start) t
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(energy_wh) FILTER (WHERE side = 'bid'), 0)::bigint AS wh, max(price_micro_per_kwh) AS price
            FROM closing_fills
            WHERE community_id = b.community_id AND slot_start = b.slot_start AND revision = b.revision) c
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(residual_import_wh), 0)::bigint AS import_wh,
                coalesce(sum(residual_export_wh), 0)::bigint AS export_wh
            FROM statements
            WHERE community_id = b.community_id AND slot_start = b.slot_start AND revision = b.revision
              AND account_id NOT IN ('grid', 'network', 'platform', 'reserve')) st
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE substituted) AS substituted
            FROM metered_sites
            WHERE community_id = b.community_id AND slot_start = b.slot_start AND revision = b.revision) m
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(settled_nano) FILTER (WHERE settled_nano > 0), 0)::bigint AS moved,
                count(*) FILTER (WHERE settled_nano <> 0) AS positions
            FROM batch_positions WHERE community_id = b.community_id AND batch_id = b.batch_id) p
        LEFT JOIN transactions tx
            ON tx.community_id = b.community_id AND tx.batch_id = b.batch_id AND tx.status = 'final'
        WHERE b.community_id = $1 AND b.status IN ('final', 'void') AND b.final_at > $2
        ORDER BY b.final_at LIMIT $3
        "#,
        community.as_str(),
        cursor,
        LOOK
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// How long after its end the money of each slot had moved for good, in milliseconds, in the order of the
/// slots: those from `since` on whose first settlement is final on the chain.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn end_to_final_ms(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    since: DateTime<Utc>,
) -> Result<Vec<i64>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT (extract(epoch FROM b.final_at - b.slot_start - make_interval(secs => c.slot_length_s)) * 1000)::bigint
               AS "ms!"
           FROM batches b JOIN communities c USING (community_id)
           WHERE b.community_id = $1 AND b.status = 'final' AND b.revision = 0 AND b.slot_start >= $2
           ORDER BY b.slot_start"#,
        community.as_str(),
        since
    )
    .fetch_all(db)
    .await?)
}

/// When the last batch became final on the chain.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_final_at(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT max(final_at) FROM batches WHERE community_id = $1 AND status = 'final'",
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn nothing_has_settled_in_an_empty_community(pool: sqlx::PgPool) {
        let community = CommunityId::new("nobody").unwrap();
        assert!(since(&pool, &community, DateTime::UNIX_EPOCH).await.unwrap().is_empty());
    }
}
