//! The book of a slot as everybody may see it: how much waits at each price, and never whose it is.

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use domain::order::Side;
use sqlx::PgExecutor;

use crate::StoreError;
use crate::error::corrupt;

/// What waits at one limit price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Which side.
    pub side: Side,
    /// The limit, in micro-currency per kWh.
    pub limit_micro_per_kwh: i64,
    /// What has not traded of all orders with this limit, in Wh.
    pub energy_wh: i64,
    /// How many orders that is.
    pub orders: i64,
    /// What waits on the whole side, in Wh.
    pub side_wh: i64,
}

/// The best `levels` limits of each side: the bids, then the offers, the best first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn depth(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
    levels: i64,
) -> Result<Vec<Level>, StoreError> {
    sqlx::query!(
        r#"SELECT side AS "side!", limit_micro_per_kwh AS "limit!", energy_wh AS "energy_wh!", orders AS "orders!",
                  side_wh AS "side_wh!"
           FROM (SELECT side, limit_micro_per_kwh, sum(remaining_wh)::bigint AS energy_wh, count(*) AS orders,
                        sum(sum(remaining_wh)) OVER (PARTITION BY side)::bigint AS side_wh,
                        row_number() OVER (PARTITION BY side ORDER BY
                            CASE side WHEN 'bid' THEN -limit_micro_per_kwh ELSE limit_micro_per_kwh END) AS place
                 FROM orders WHERE community_id = $1 AND slot_start = $2 AND status = 'open'
                 GROUP BY side, limit_micro_per_kwh) AS level
           WHERE place <= $3 ORDER BY side, place"#,
        community.as_str(),
        slot_start,
        levels
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(Level {
            side: Side::parse(&row.side).ok_or_else(|| corrupt(format!("the side {:?}", row.side)))?,
            limit_micro_per_kwh: row.limit,
            energy_wh: row.energy_wh,
            orders: row.orders,
            side_wh: row.side_wh,
        })
    })
    .collect()
}

/// The slot's last trade, without whose it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastTrade {
    /// How much, in Wh.
    pub energy_wh: i64,
    /// At which price, in micro-currency per kWh.
    pub price_micro_per_kwh: i64,
    /// When.
    pub traded_at: DateTime<Utc>,
}

/// The slot's last trade, if it has any.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_trade(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Option<LastTrade>, StoreError> {
    Ok(sqlx::query_as!(
        LastTrade,
        "SELECT energy_wh, price_micro_per_kwh, traded_at FROM trades
         WHERE community_id = $1 AND slot_start = $2 ORDER BY trade_id DESC LIMIT 1",
        community.as_str(),
        slot_start
    )
    .fetch_optional(db)
    .await?)
}
