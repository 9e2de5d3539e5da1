//! A member's own orders as a list.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::communities::Community;
use store::orders::{self, OrderStatus, OwnOrder, Wanted};
use utoipa::{IntoParams, ToSchema};

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::routes::orders::reason::ReasonParts;
use crate::routes::slot::parse_start;
use crate::wire::{Page, PriceMicro};

const DEFAULT_LIMIT: i64 = 50;

/// Which of a member's orders.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OwnOrdersQuery {
    /// Of this slot only, by its start.
    #[param(value_type = Option<DateTime<Utc>>)]
    slot: Option<String>,
    /// `open`, `filled`, `cancelled` or `expired` only.
    #[param(example = "open")]
    status: Option<String>,
    /// How many, 1 to 500.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of a member's orders.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnOrders {
    /// The latest slot first, and within a slot the newest order first.
    orders: Vec<MemberOrder>,
    /// Give this as `cursor` to get the next page; null on the last one.
    next_cursor: Option<String>,
}

/// An order as its member sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberOrder {
    /// Its number in the community.
    order_id: i64,
    /// The slot it trades.
    slot_start: DateTime<Utc>,
    /// Until when it can be changed or cancelled.
    gate_closes_at: DateTime<Utc>,
    /// The connection point whose energy it trades.
    site_id: String,
    /// The id that the client gave it.
    client_id: String,
    /// `bid` or `offer`.
    #[schema(example = "bid")]
    side: String,
    /// How much was ordered.
    energy_wh: i64,
    /// How much has traded.
    traded_wh: i64,
    /// How much has not traded.
    remaining_wh: i64,
    /// The worst price it accepts.
    limit_micro_per_kwh: PriceMicro,
    /// `good-till-gate`, `immediate-or-cancel` or `fill-or-kill`.
    time_in_force: String,
    /// `open`, `filled`, `cancelled` or `expired`.
    #[schema(example = "open")]
    status: String,
    /// Why it ended: `member`, `self_trade`, `immediate_or_cancel` or `gate_closure`; null if it is open or filled.
    end_reason: Option<String>,
    /// `member` or `autopilot`.
    #[schema(example = "member")]
    placed_by: String,
    /// Why the autopilot placed it, in plain words.
    reason: String,
    #[serde(flatten)]
    parts: ReasonParts,
}

/// A member's orders, the latest slot first.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/orders", operation_id = "listMemberOrders", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        OwnOrdersQuery,
    ),
    responses(
        (status = 200, description = "A page of orders.", body = OwnOrders),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    query: web::Query<OwnOrdersQuery>,
) -> Result<Json<OwnOrders>, ApiError> {
    let query = query.into_inner();
    let (limit, _) = Page::new(query.limit, None).bounds(DEFAULT_LIMIT)?;
    let status = query.status.as_deref().map(parse_status).transpose()?;
    let after = query.cursor.as_deref().map(parse_cursor).transpose()?;
    let community = routes::community(&state, &path.0).await?;
    let slot_start = query.slot.as_deref().map(|text| parse_start(&community, text)).transpose()?;
    let id = &community.community_id;
    let member = routes::existing_member(&state, id, &path.1).await?;
    let wanted = Wanted { slot_start, status, after, limit };
    let rows = orders::of_member(&state.pool, id, &member, &wanted).await?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit);
    let next_cursor = rows.last().filter(|_| full).map(|row| cursor(row.slot_start, row.order_id));
    let orders = rows.into_iter().map(|row| MemberOrder::new(row, &community)).collect();
    Ok(Json(OwnOrders { orders, next_cursor }))
}

fn parse_status(text: &str) -> Result<OrderStatus, ApiError> {
    OrderStatus::parse(text).ok_or_else(|| {
        let detail = format!("the query: status must be open, filled, cancelled or expired, but is {text:?}");
        ApiError::invalid(detail)
    })
}

fn cursor(slot_start: DateTime<Utc>, order_id: i64) -> String {
    format!("{}.{order_id}", slot_start.timestamp())
}

fn parse_cursor(text: &str) -> Result<(DateTime<Utc>, i64), ApiError> {
    let parse = || {
        let (slot, order) = text.split_once('.')?;
        Some((DateTime::from_timestamp(slot.parse().ok()?, 0)?, order.parse().ok()?))
    };
    parse().ok_or_else(|| ApiError::invalid(format!("the query: cursor {text:?} is not a next_cursor")))
}

impl MemberOrder {
    fn new(row: OwnOrder, community: &Community) -> Self {
        Self {
            order_id: row.order_id,
            slot_start: row.slot_start,
            gate_closes_at: row.slot_start - community.gate_closure_lead,
            site_id: row.site_id,
            client_id: row.client_id,
            side: row.side,
            energy_wh: row.energy_wh,
            traded_wh: row.energy_wh - row.remaining_wh,
            remaining_wh: row.remaining_wh,
            limit_micro_per_kwh: PriceMicro(row.limit_micro_per_kwh),
            time_in_force: row.time_in_force,
            status: row.status,
            end_reason: row.end_reason,
            placed_by: row.placed_by,
            parts: ReasonParts::of(&row.reason),
            reason: row.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_a_slot_and_an_order() {
        let place = (DateTime::from_timestamp(1_772_366_400, 0).unwrap(), 17);
        assert_eq!(parse_cursor(&cursor(place.0, place.1)).unwrap(), place);
        for bad in ["", "17", "x.1", "1.x", "99999999999999999999.1"] {
            assert!(parse_cursor(bad).is_err(), "{bad}");
        }
    }
}
