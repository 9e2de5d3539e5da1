//! Accepted orders, the commands they come from, and the credits that cover them.

mod commands;
mod credits;
mod depth;
mod listing;

use chrono::{DateTime, Utc};
use domain::ids::{ClientId, CommunityId, MemberId, OrderId, SiteId};
use domain::order::{Order, Side, TimeInForce};
use domain::units::{Energy, Price};
use sqlx::PgExecutor;

use crate::StoreError;
use crate::error::corrupt;

pub use commands::{
    CommandRow, Decision, NewCommand, accepted_of_slot, autopilot_waiting, insert_commands,
    last_accepted_seq, record_decisions, submitted,
};
pub use credits::{credit_stamp, free_credits};
pub use depth::{LastTrade, Level, depth, last_trade};
pub use listing::{OwnOrder, OwnTrade, TradedSlot, Wanted, of_member, traded_slots, trades_of_member};

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderStatus {
    /// Rests in the book.
    Open,
    /// All of it traded.
    Filled,
    /// Ended before gate closure.
    Cancelled,
    /// Gate closure ended it.
    Expired,
}

impl OrderStatus {
    const ALL: [Self; 4] = [Self::Open, Self::Filled, Self::Cancelled, Self::Expired];

    /// The name the database and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Reads the form that [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// An accepted order and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The order, with the energy and limit of its last replacement.
    pub order: Order,
    /// The slot it is for.
    pub slot_start: DateTime<Utc>,
    /// What has not traded.
    pub remaining: Energy,
    /// What became of it.
    pub status: OrderStatus,
    /// Why it ended, if it was cancelled.
    pub end_reason: Option<&'static str>,
    /// The sequence of the command that gave it its place in the book.
    pub accepted_seq: i64,
    /// `member` or `autopilot`.
    pub placed_by: String,
    /// Why the autopilot placed it, in plain words.
    pub reason: String,
}

/// Stores orders as they are now, whether new or known.
///
/// # Errors
/// [`StoreError`] if the database refuses them.
pub async fn upsert_all(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    orders: &[OrderRow],
) -> Result<(), StoreError> {
    fn column<T>(orders: &[OrderRow], value: impl Fn(&OrderRow) -> T) -> Vec<T> {
        orders.iter().map(value).collect()
    }
    let end_reasons = column(orders, |o| o.end_reason.map(str::to_owned));
    sqlx::query!(
        "INSERT INTO orders (community_id, order_id, slot_start, member_id, site_id, client_id, side, energy_wh,
             remaining_wh, limit_micro_per_kwh, time_in_force, status, end_reason, accepted_seq, placed_by, reason)
         SELECT $1, t.* FROM UNNEST($2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
             $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::bigint[],
             $15::text[], $16::text[]) AS t
         ON CONFLICT (community_id, order_id) DO UPDATE SET
             energy_wh = excluded.energy_wh, remaining_wh = excluded.remaining_wh,
             limit_micro_per_kwh = excluded.limit_micro_per_kwh, status = excluded.status,
             end_reason = excluded.end_reason, accepted_seq = excluded.accepted_seq, reason = excluded.reason",
        community.as_str(),
        &column(orders, |o| o.order.order_id.0),
        &column(orders, |o| o.slot_start),
        &column(orders, |o| o.order.member_id.to_string()),
        &column(orders, |o| o.order.site_id.to_string()),
        &column(orders, |o| o.order.client_id.to_string()),
        &column(orders, |o| o.order.side.as_str().to_owned()),
        &column(orders, |o| o.order.energy.wh()),
        &column(orders, |o| o.remaining.wh()),
        &column(orders, |o| o.order.limit.micro_per_kwh()),
        &column(orders, |o| o.order.time_in_force.as_str().to_owned()),
        &column(orders, |o| o.status.as_str().to_owned()),
        &end_reasons as &[Option<String>],
        &column(orders, |o| o.accepted_seq),
        &column(orders, |o| o.placed_by.clone()),
        &column(orders, |o| o.reason.clone()),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The open orders of a slot, by number.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn open_of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<OrderRow>, StoreError> {
    let rows = sqlx::query!(
        "SELECT order_id, member_id, site_id, client_id, side, energy_wh, remaining_wh, limit_micro_per_kwh,
             time_in_force, accepted_seq, placed_by, reason
         FROM orders WHERE community_id = $1 AND slot_start = $2 AND status = 'open' ORDER BY order_id",
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let order = Order {
                order_id: OrderId(row.order_id),
                member_id: MemberId::new(&row.member_id)?,
                site_id: SiteId::new(&row.site_id)?,
                client_id: ClientId::new(&row.client_id)?,
                side: Side::parse(&row.side).ok_or_else(|| corrupt(format!("the side {:?}", row.side)))?,
                energy: Energy::from_wh(row.energy_wh),
                limit: Price::from_micro_per_kwh(row.limit_micro_per_kwh),
                time_in_force: TimeInForce::parse(&row.time_in_force)
                    .ok_or_else(|| corrupt(format!("the time in force {:?}", row.time_in_force)))?,
            };
            Ok(OrderRow {
                order,
                slot_start,
                remaining: Energy::from_wh(row.remaining_wh),
                status: OrderStatus::Open,
                end_reason: None,
                accepted_seq: row.accepted_seq,
                placed_by: row.placed_by,
                reason: row.reason,
            })
        })
        .collect()
}

/// The autopilot's newest order of a site for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutopilotOrder {
    /// The order's number.
    pub order_id: OrderId,
    /// The site it trades for.
    pub site_id: SiteId,
    /// The site's member.
    pub member_id: MemberId,
    /// Buys or sells.
    pub side: Side,
    /// The whole order's energy.
    pub energy: Energy,
    /// Its present limit.
    pub limit: Price,
    /// What became of it.
    pub status: OrderStatus,
}

/// The autopilot's newest order of each site for a slot, by site.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_autopilot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<AutopilotOrder>, StoreError> {
    sqlx::query!(
        "SELECT DISTINCT ON (site_id) order_id, site_id, member_id, side, energy_wh, limit_micro_per_kwh, status
         FROM orders WHERE community_id = $1 AND slot_start = $2 AND placed_by = 'autopilot'
         ORDER BY site_id, order_id DESC",
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(AutopilotOrder {
            order_id: OrderId(row.order_id),
            site_id: SiteId::new(&row.site_id)?,
            member_id: MemberId::new(&row.member_id)?,
            side: Side::parse(&row.side).ok_or_else(|| corrupt(format!("the side {:?}", row.side)))?,
            energy: Energy::from_wh(row.energy_wh),
            limit: Price::from_micro_per_kwh(row.limit_micro_per_kwh),
            status: OrderStatus::parse(&row.status)
                .ok_or_else(|| corrupt(format!("the order status {:?}", row.status)))?,
        })
    })
    .collect()
}
