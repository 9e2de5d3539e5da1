//! A member's own orders and trades, and a community's trades a slot, as lists that go back in time.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId};
use sqlx::PgExecutor;

use super::OrderStatus;
use crate::StoreError;

/// Which of a member's orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Of this slot only.
    pub slot_start: Option<DateTime<Utc>>,
    /// In this status only.
    pub status: Option<OrderStatus>,
    /// Only those that come after this one in the list: its slot and its number.
    pub after: Option<(DateTime<Utc>, i64)>,
    /// How many.
    pub limit: i64,
}

/// An order as its member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnOrder {
    /// Its number in the community.
    pub order_id: i64,
    /// The slot it trades.
    pub slot_start: DateTime<Utc>,
    /// The site whose energy it trades.
    pub site_id: String,
    /// The id that the client gave it.
    pub client_id: String,
    /// `bid` or `offer`.
    pub side: String,
    /// How much was ordered, in Wh.
    pub energy_wh: i64,
    /// How much is not traded, in Wh.
    pub remaining_wh: i64,
    /// The worst price it accepts, in micro-currency per kWh.
    pub limit_micro_per_kwh: i64,
    /// How long it may wait.
    pub time_in_force: String,
    /// `open`, `filled`, `cancelled` or `expired`.
    pub status: String,
    /// Why it ended, unless it is open or filled.
    pub end_reason: Option<String>,
    /// `member` or `autopilot`.
    pub placed_by: String,
    /// Why the autopilot placed it, in plain words.
    pub reason: String,
}

/// A member's orders, the latest slot first, and within a slot the newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_member(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    wanted: &Wanted,
) -> Result<Vec<OwnOrder>, StoreError> {
    Ok(sqlx::query_as!(
        OwnOrder,
        "SELECT order_id, slot_start, site_id, client_id, side, energy_wh, remaining_wh, limit_micro_per_kwh,
             time_in_force, status, end_reason, placed_by, reason
         FROM orders
         WHERE community_id = $1 AND member_id = $2 AND ($3::timestamptz IS NULL OR slot_start = $3)
           AND ($4::text IS NULL OR status = $4)
           AND ($5::timestamptz IS NULL OR (slot_start, order_id) < ($5, $6))
         ORDER BY slot_start DESC, order_id DESC LIMIT $7",
        community.as_str(),
        member.as_str(),
        wanted.slot_start,
        wanted.status.map(OrderStatus::as_str),
        wanted.after.map(|(slot, _)| slot),
        wanted.after.map_or(0, |(_, order)| order),
        wanted.limit
    )
    .fetch_all(db)
    .await?)
}

/// A trade as one of its two members sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTrade {
    /// Its number in the community.
    pub trade_id: i64,
    /// The slot whose energy was traded.
    pub slot_start: DateTime<Utc>,
    /// The member's own order.
    pub order_id: i64,
    /// The member's own side, `bid` or `offer`.
    pub side: String,
    /// The other's pseudonym.
    pub counterpart: String,
    /// How much, in Wh.
    pub energy_wh: i64,
    /// At which price, in micro-currency per kWh.
    pub price_micro_per_kwh: i64,
    /// When.
    pub traded_at: DateTime<Utc>,
}

/// A member's trades, newest first: those before `before`, of one slot if that is given, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn trades_of_member(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    slot_start: Option<DateTime<Utc>>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<OwnTrade>, StoreError> {
    Ok(sqlx::query_as!(
        OwnTrade,
        r#"SELECT own.trade_id AS "trade_id!", own.slot_start AS "slot_start!", own.order_id AS "order_id!",
                  own.side AS "side!", m.pseudonym AS "counterpart!", own.energy_wh AS "energy_wh!",
                  own.price_micro_per_kwh AS "price_micro_per_kwh!", own.traded_at AS "traded_at!"
           FROM (
             (SELECT trade_id, slot_start, bid_id AS order_id, 'bid' AS side, seller_id AS other_id, energy_wh,
                     price_micro_per_kwh, traded_at
              FROM trades WHERE community_id = $1 AND buyer_id = $2 AND trade_id < $4
                AND ($3::timestamptz IS NULL OR slot_start = $3) ORDER BY trade_id DESC LIMIT $5)
             UNION ALL
             (SELECT trade_id, slot_start, offer_id, 'offer', buyer_id, energy_wh, price_micro_per_kwh, traded_at
              FROM trades WHERE community_id = $1 AND seller_id = $2 AND trade_id < $4
                AND ($3::timestamptz IS NULL OR slot_start = $3) ORDER BY trade_id DESC LIMIT $5)) AS own
           JOIN members m ON m.community_id = $1 AND m.member_id = own.other_id
           ORDER BY own.trade_id DESC LIMIT $5"#,
        community.as_str(),
        member.as_str(),
        slot_start,
        before.unwrap_or(i64::MAX),
        limit
    )
    .fetch_all(db)
    .await?)
}

/// What the continuous auction moved in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradedSlot {
    /// The slot.
    pub slot_start: DateTime<Utc>,
    /// How many trades.
    pub trades: i64,
    /// How much, in Wh.
    pub energy_wh: i64,
    /// The mean price by energy, rounded down, in micro-currency per kWh.
    pub mean_price_micro_per_kwh: i64,
    /// The lowest price, in micro-currency per kWh.
    pub lowest_price_micro_per_kwh: i64,
    /// The highest price, in micro-currency per kWh.
    pub highest_price_micro_per_kwh: i64,
    /// When the last of them was made.
    pub last_trade_at: DateTime<Utc>,
}

/// The slots before `before` (all, if `None`) in which anything traded, newest first, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn traded_slots(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<TradedSlot>, StoreError> {
    Ok(sqlx::query_as!(
        TradedSlot,
        r#"SELECT s.slot_start, t.trades AS "trades!", t.energy_wh AS "energy_wh!", t.mean AS "mean_price_micro_per_kwh!",
                  t.lowest AS "lowest_price_micro_per_kwh!", t.highest AS "highest_price_micro_per_kwh!",
                  t.last_at AS "last_trade_at!"
           FROM slots s CROSS JOIN LATERAL (
             SELECT count(*) AS trades, sum(energy_wh)::bigint AS energy_wh,
                    div(sum(price_micro_per_kwh * energy_wh), sum(energy_wh))::bigint AS mean,
                    min(price_micro_per_kwh) AS lowest, max(price_micro_per_kwh) AS highest, max(traded_at) AS last_at
             FROM trades WHERE community_id = s.community_id AND slot_start = s.slot_start) t
           WHERE s.community_id = $1 AND s.slot_start < coalesce($2, 'infinity'::timestamptz) AND t.trades > 0
           ORDER BY s.slot_start DESC LIMIT $3"#,
        community.as_str(),
        before,
        limit
    )
    .fetch_all(db)
    .await?)
}
