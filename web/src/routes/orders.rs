//! Sending orders to the market, and cancelling them.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use domain::ids::{ClientId, OrderId, SiteId};
use domain::order::{Side, TimeInForce};
use domain::units::{Energy, Price};
use serde::Deserialize;
use store::communities::Community;
use store::views::commands::{self, NewCommand, Request, Sent};
use store::views::member;
use utoipa::{IntoParams, ToSchema};

use super::commands::{Command, decided};
use crate::app::AppState;
use crate::auth::Authorized;
use crate::error::{ApiError, Problem};
use crate::wire::PriceMicro;
use crate::{problems, routes};

/// An order for one slot.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    /// Who places it.
    #[schema(example = "ben")]
    member_id: String,
    /// The connection point whose energy it trades.
    #[schema(example = "site-001")]
    site_id: String,
    /// An id made before the first try, unique a member: sending the same order again returns the
    /// first one.
    #[schema(example = "order-2026-03-01-1")]
    client_id: String,
    /// The slot, by its start.
    slot_start: DateTime<Utc>,
    /// Buys or sells.
    side: WireSide,
    /// How much.
    #[schema(example = 300, minimum = 1)]
    energy_wh: i64,
    /// The worst price accepted.
    limit_micro_per_kwh: PriceMicro,
    /// How long it may wait for a counterparty.
    time_in_force: WireTimeInForce,
}

/// Which way an order trades.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WireSide {
    /// Buys energy.
    Bid,
    /// Sells energy.
    Offer,
}

/// How long an order may wait for a counterparty.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WireTimeInForce {
    /// Rests until gate closure.
    GoodTillGate,
    /// Trades what it can at once, the rest is cancelled.
    ImmediateOrCancel,
    /// Trades all of it at once, or nothing.
    FillOrKill,
}

/// Who cancels.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Canceller {
    /// Whose order it is.
    #[param(example = "ben")]
    member_id: String,
    /// An id made before the first try, unique a member.
    #[param(example = "cancel-2026-03-01-1")]
    client_id: String,
}

/// Send an order to the market.
///
/// The answer waits up to two seconds for the market's decision; `submitted` means that it is still
/// to come, and the command's own address tells it later. Sending the same order again with the same
/// client id is harmless and returns the first one.
#[utoipa::path(
    post, path = "/api/v1/communities/{community_id}/orders", operation_id = "placeOrder", tag = "orders",
    params(("community_id" = String, Path, description = "The community.", example = "demo")),
    request_body = NewOrder,
    security(("bearer" = [])),
    responses(
        (status = 202, description = "The market has it.", body = Command),
        (status = 400, description = "The order is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The client id was used for another command.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn place(
    _: Authorized,
    state: web::Data<AppState>,
    id: web::Path<String>,
    order: web::Json<NewOrder>,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(&state, &id).await?;
    let command = NewCommand::try_from(order.into_inner())?;
    // Refused here, not by the market: such a slot can never exist.
    domain::slot::Slot::starting_at(command.slot_start, community.slot_length)
        .map_err(|error| ApiError::new(problems::INVALID_SLOT, error.to_string()))?;
    send(&state, &community, &command).await
}

/// Cancel an order that is still open.
#[utoipa::path(
    delete, path = "/api/v1/communities/{community_id}/orders/{order_id}", operation_id = "cancelOrder", tag = "orders",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("order_id" = i64, Path, description = "The order's number.", example = 17),
        Canceller,
    ),
    security(("bearer" = [])),
    responses(
        (status = 202, description = "The market has it.", body = Command),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community, member or order.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The client id was used for another command.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cancel(
    _: Authorized,
    state: web::Data<AppState>,
    path: web::Path<(String, i64)>,
    canceller: web::Query<Canceller>,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(&state, &path.0).await?;
    let member_id = routes::member_id(&canceller.member_id)?;
    let order_id = OrderId(path.1);
    let slot_start = commands::slot_of_order(&state.pool, &community.community_id, &member_id, order_id)
        .await?
        .ok_or_else(|| {
            let detail = format!("member {member_id} has placed no order {order_id}");
            ApiError::new(problems::UNKNOWN_ORDER, detail)
        })?;
    let client_id = ClientId::new(&canceller.client_id).map_err(ApiError::invalid)?;
    let command = NewCommand { member_id, client_id, slot_start, request: Request::Cancel { order_id } };
    send(&state, &community, &command).await
}

async fn send(
    state: &AppState,
    community: &Community,
    command: &NewCommand,
) -> Result<HttpResponse, ApiError> {
    let (id, member_id) = (&community.community_id, &command.member_id);
    if member::find(&state.pool, id, member_id).await?.is_none() {
        return Err(routes::unknown_member(member_id.as_str()));
    }
    let hints = state.hints.subscribe();
    let row = match commands::send(&state.pool, id, command).await? {
        Sent::New(row) | Sent::Repeated(row) => row,
        Sent::Reused => {
            let detail = format!("{member_id} used the client id {} for another command", command.client_id);
            return Err(ApiError::new(problems::CLIENT_ID_REUSED, detail));
        }
    };
    let row = decided(state, id, row, hints).await?;
    Ok(HttpResponse::Accepted().json(Command::from(row)))
}

impl TryFrom<NewOrder> for NewCommand {
    type Error = ApiError;

    fn try_from(order: NewOrder) -> Result<Self, ApiError> {
        Ok(Self {
            member_id: routes::member_id(&order.member_id)?,
            client_id: ClientId::new(&order.client_id).map_err(ApiError::invalid)?,
            slot_start: order.slot_start,
            request: Request::Submit {
                site_id: SiteId::new(&order.site_id).map_err(ApiError::invalid)?,
                side: order.side.into(),
                energy: Energy::from_wh(order.energy_wh),
                limit: Price::from_micro_per_kwh(order.limit_micro_per_kwh.0),
                time_in_force: order.time_in_force.into(),
            },
        })
    }
}

impl From<WireSide> for Side {
    fn from(side: WireSide) -> Self {
        match side {
            WireSide::Bid => Self::Bid,
            WireSide::Offer => Self::Offer,
        }
    }
}

impl From<WireTimeInForce> for TimeInForce {
    fn from(time_in_force: WireTimeInForce) -> Self {
        match time_in_force {
            WireTimeInForce::GoodTillGate => Self::GoodTillGate,
            WireTimeInForce::ImmediateOrCancel => Self::ImmediateOrCancel,
            WireTimeInForce::FillOrKill => Self::FillOrKill,
        }
    }
}
