//! Trades of the continuous auction: a member's own, and the community's a slot.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::orders::{self, OwnTrade, TradedSlot};
use utoipa::{IntoParams, ToSchema};

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::routes::slot::parse_start;
use crate::wire::{Page, PriceMicro, next_before};

const DEFAULT_LIMIT: i64 = 50;

/// Which of a member's trades.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OwnTradesQuery {
    /// Of this slot only, by its start.
    #[param(value_type = Option<DateTime<Utc>>)]
    slot: Option<String>,
    /// How many, 1 to 500.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of a member's trades.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnTrades {
    /// Newest first.
    trades: Vec<MemberTrade>,
    /// Give this as `cursor` to get the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A trade as one of its two members sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberTrade {
    /// Its number in the community.
    trade_id: i64,
    /// The slot whose energy was traded.
    slot_start: DateTime<Utc>,
    /// The member's own order.
    order_id: i64,
    /// The member's own side: `bid` (bought) or `offer` (sold).
    #[schema(example = "bid")]
    side: String,
    /// The other's pseudonym.
    #[schema(example = "Amber Kite")]
    counterpart: String,
    /// How much.
    energy_wh: i64,
    /// The price: the resting order's.
    price_micro_per_kwh: PriceMicro,
    /// When.
    traded_at: DateTime<Utc>,
}

/// A page of a community's trades.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TradedSlots {
    /// One entry a slot in which anything traded, newest first.
    slots: Vec<SlotTrades>,
    /// Give this as `before` to get the next page; null on the last one.
    next_before: Option<DateTime<Utc>>,
}

/// What the continuous auction moved in a slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotTrades {
    /// The slot.
    slot_start: DateTime<Utc>,
    /// How many trades.
    trades: i64,
    /// How much.
    energy_wh: i64,
    /// The mean price by energy, rounded down.
    mean_price_micro_per_kwh: PriceMicro,
    /// The lowest price.
    lowest_price_micro_per_kwh: PriceMicro,
    /// The highest price.
    highest_price_micro_per_kwh: PriceMicro,
    /// When the last of them was made.
    last_trade_at: DateTime<Utc>,
}

/// A member's trades, newest first; the others by pseudonym.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/trades", operation_id = "listMemberTrades", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        OwnTradesQuery,
    ),
    responses(
        (status = 200, description = "A page of trades.", body = OwnTrades),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn of_member(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    query: web::Query<OwnTradesQuery>,
) -> Result<Json<OwnTrades>, ApiError> {
    let query = query.into_inner();
    let (limit, _) = Page::new(query.limit, None).bounds(DEFAULT_LIMIT)?;
    let before = query.cursor.as_deref().map(parse_cursor).transpose()?;
    let community = routes::community(&state, &path.0).await?;
    let id = &community.community_id;
    let slot = query.slot.as_deref().map(|text| parse_start(&community, text)).transpose()?;
    let member = routes::existing_member(&state, id, &path.1).await?;
    let rows = orders::trades_of_member(&state.pool, id, &member, slot, before, limit).await?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
    let next_cursor = rows.last().filter(|_| full).map(|row| row.trade_id.to_string());
    Ok(Json(OwnTrades { trades: rows.into_iter().map(MemberTrade::from).collect(), next_cursor }))
}

/// A community's trades, summed up a slot, newest first.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/trades", operation_id = "listTrades", tag = "slots",
    params(("community_id" = String, Path, description = "The community.", example = "demo"), Page),
    responses(
        (status = 200, description = "A page of slots in which anything traded.", body = TradedSlots),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn of_community(
    state: web::Data<AppState>,
    id: web::Path<String>,
    page: web::Query<Page>,
) -> Result<Json<TradedSlots>, ApiError> {
    let (limit, before) = page.bounds(DEFAULT_LIMIT)?;
    let community = routes::community(&state, &id).await?;
    let rows = orders::traded_slots(&state.pool, &community.community_id, before, limit).await?;
    let next_before = next_before(rows.len(), limit, rows.last().map(|row| row.slot_start));
    Ok(Json(TradedSlots { slots: rows.into_iter().map(SlotTrades::from).collect(), next_before }))
}

fn parse_cursor(text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::invalid(format!("the query: cursor {text:?} is not a next_cursor")))
}

impl From<OwnTrade> for MemberTrade {
    fn from(row: OwnTrade) -> Self {
        Self {
            trade_id: row.trade_id,
            slot_start: row.slot_start,
            order_id: row.order_id,
            side: row.side,
            counterpart: row.counterpart,
            energy_wh: row.energy_wh,
            price_micro_per_kwh: PriceMicro(row.price_micro_per_kwh),
            traded_at: row.traded_at,
        }
    }
}

impl From<TradedSlot> for SlotTrades {
    fn from(row: TradedSlot) -> Self {
        Self {
            slot_start: row.slot_start,
            trades: row.trades,
            energy_wh: row.energy_wh,
            mean_price_micro_per_kwh: PriceMicro(row.mean_price_micro_per_kwh),
            lowest_price_micro_per_kwh: PriceMicro(row.lowest_price_micro_per_kwh),
            highest_price_micro_per_kwh: PriceMicro(row.highest_price_micro_per_kwh),
            last_trade_at: row.last_trade_at,
        }
    }
}
