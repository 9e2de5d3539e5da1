//! Trades of the continuous auction.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId, OrderId, SiteId};
use domain::trade::Trade;
use domain::units::{Energy, Price};
use sqlx::PgExecutor;

use crate::StoreError;

/// A trade as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeRow {
    /// Counts the community's trades from 1.
    pub trade_id: i64,
    /// The slot whose energy was traded.
    pub slot_start: DateTime<Utc>,
    /// Who traded what with whom.
    pub trade: Trade,
    /// The sequence of the accepted command that caused it.
    pub accepted_seq: i64,
    /// When it was made.
    pub traded_at: DateTime<Utc>,
}

/// Adds trades; their orders must be stored already.
///
/// # Errors
/// [`StoreError`] if the database refuses them, such as for a number that exists already.
pub async fn insert_all(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    trades: &[TradeRow],
) -> Result<(), StoreError> {
    fn column<T>(trades: &[TradeRow], value: impl Fn(&TradeRow) -> T) -> Vec<T> {
        trades.iter().map(value).collect()
    }
    sqlx::query!(
        "INSERT INTO trades (community_id, trade_id, slot_start, bid_id, offer_id, buyer_id, buyer_site_id,
             seller_id, seller_site_id, energy_wh, price_micro_per_kwh, accepted_seq, traded_at)
         SELECT $1, t.* FROM UNNEST($2::bigint[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::text[],
             $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::timestamptz[]) AS t",
        community.as_str(),
        &column(trades, |t| t.trade_id),
        &column(trades, |t| t.slot_start),
        &column(trades, |t| t.trade.bid_id.0),
        &column(trades, |t| t.trade.offer_id.0),
        &column(trades, |t| t.trade.buyer.to_string()),
        &column(trades, |t| t.trade.buyer_site.to_string()),
        &column(trades, |t| t.trade.seller.to_string()),
        &column(trades, |t| t.trade.seller_site.to_string()),
        &column(trades, |t| t.trade.energy.wh()),
        &column(trades, |t| t.trade.price.micro_per_kwh()),
        &column(trades, |t| t.accepted_seq),
        &column(trades, |t| t.traded_at),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// All trades of a slot, in the order they were made.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<TradeRow>, StoreError> {
    sqlx::query!(
        "SELECT trade_id, bid_id, offer_id, buyer_id, buyer_site_id, seller_id, seller_site_id, energy_wh,
             price_micro_per_kwh, accepted_seq, traded_at
         FROM trades WHERE community_id = $1 AND slot_start = $2 ORDER BY trade_id",
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        let trade = Trade {
            bid_id: OrderId(row.bid_id),
            offer_id: OrderId(row.offer_id),
            buyer: MemberId::new(&row.buyer_id)?,
            buyer_site: SiteId::new(&row.buyer_site_id)?,
            seller: MemberId::new(&row.seller_id)?,
            seller_site: SiteId::new(&row.seller_site_id)?,
            energy: Energy::from_wh(row.energy_wh),
            price: Price::from_micro_per_kwh(row.price_micro_per_kwh),
        };
        Ok(TradeRow {
            trade_id: row.trade_id,
            slot_start,
            trade,
            accepted_seq: row.accepted_seq,
            traded_at: row.traded_at,
        })
    })
    .collect()
}

/// The number of the community's latest trade; 0 if there is none.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_id(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT COALESCE(max(trade_id), 0) AS "id!" FROM trades WHERE community_id = $1"#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}
