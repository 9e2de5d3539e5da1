//! Sending orders to the market, changing and cancelling them.

pub(crate) mod batch;
pub(crate) mod inbox;
pub(crate) mod key;
pub(crate) mod limit;
pub(crate) mod new_order;
pub(crate) mod own;
pub(crate) mod reason;

use actix_web::{HttpRequest, HttpResponse, web};
use domain::ids::{CommunityId, MemberId, OrderId};
use domain::units::{Energy, Price};
use serde::Deserialize;
use store::views::commands::{self, CommandRow, NewCommand, Request, Sent};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::commands::Command;
use crate::app::AppState;
use crate::auth::member;
use crate::error::{ApiError, Problem};
use crate::wire::PriceMicro;
use crate::{problems, routes};
use key::IdempotencyKey;
use new_order::NewOrder;

/// What is to change about an order that is still open; at least one of energy and limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replacement {
    /// Whose order it is.
    #[schema(example = "ben")]
    member_id: String,
    /// An id made before the first try, unique a member; the header Idempotency-Key may stand for it.
    #[schema(example = "replace-2026-03-01-1")]
    client_id: Option<String>,
    /// The whole order's energy, what has traded included; left as it is if it is left out.
    #[schema(example = 250, minimum = 1)]
    energy_wh: Option<i64>,
    /// The worst price accepted; left as it is if it is left out.
    limit_micro_per_kwh: Option<PriceMicro>,
}

/// Who cancels.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Canceller {
    /// Whose order it is.
    #[param(example = "ben")]
    member_id: String,
    /// An id made before the first try, unique a member; the header Idempotency-Key may stand for it.
    #[param(example = "cancel-2026-03-01-1")]
    client_id: Option<String>,
}

/// Send an order to the market.
///
/// The answer waits up to two seconds for the market's decision. An order that the market refuses is a problem whose
/// type is the reason, and nothing has changed; `submitted` means that the decision is still to come, and the
/// command's own address tells it later. Sending the same order again with the same client id is harmless and gives
/// the answer of the first one.
#[utoipa::path(
    post, path = "/api/v1/communities/{community_id}/orders", operation_id = "placeOrder", tag = "orders",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("Idempotency-Key" = Option<String>, Header, description = "May stand for client_id."),
    ),
    request_body = NewOrder,
    security(("bearer" = [])),
    responses(
        (status = 202, description = "The market has it.", body = Command),
        (status = 400, description = "The order is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is another member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community, member or slot.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The client id was used for another command.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The market has refused it.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The credential sends too many commands.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many orders wait.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn place(
    request: HttpRequest,
    key: IdempotencyKey,
    state: web::Data<AppState>,
    id: web::Path<String>,
    order: web::Json<NewOrder>,
) -> Result<HttpResponse, ApiError> {
    let (community, command) = (routes::community_id(&id)?, order.into_inner().command(&key)?);
    may_act(&request, &state, &community, &command.member_id).await?;
    send(&state, community, command).await
}

/// Change the energy or the limit of an order that is still open.
///
/// It keeps its place in the book only if the limit stays and the energy falls; otherwise it trades as if it had just
/// arrived.
#[utoipa::path(
    patch, path = "/api/v1/communities/{community_id}/orders/{order_id}", operation_id = "replaceOrder", tag = "orders",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("order_id" = i64, Path, description = "The order's number.", example = 17),
        ("Idempotency-Key" = Option<String>, Header, description = "May stand for client_id."),
    ),
    request_body = Replacement,
    security(("bearer" = [])),
    responses(
        (status = 202, description = "The market has it.", body = Command),
        (status = 400, description = "The change is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is another member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community, member or open order.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The client id was used for another command.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The market has refused it.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The credential sends too many commands.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many orders wait.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn replace(
    request: HttpRequest,
    key: IdempotencyKey,
    state: web::Data<AppState>,
    path: web::Path<(String, i64)>,
    change: web::Json<Replacement>,
) -> Result<HttpResponse, ApiError> {
    may_act(&request, &state, &routes::community_id(&path.0)?, &routes::member_id(&change.member_id)?)
        .await?;
    let energy = change.energy_wh.map(Energy::from_wh);
    let limit = change.limit_micro_per_kwh.map(|limit| Price::from_micro_per_kwh(limit.0));
    if energy.is_none() && limit.is_none() {
        return Err(ApiError::invalid("the body: give energy_wh or limit_micro_per_kwh, or both"));
    }
    let client_id = key.or_body(change.client_id.as_deref())?;
    let request = |order_id| Request::Replace { order_id, energy, limit };
    about_an_order(&state, &path, &change.member_id, client_id, request).await
}

/// Cancel an order that is still open.
#[utoipa::path(
    delete, path = "/api/v1/communities/{community_id}/orders/{order_id}", operation_id = "cancelOrder", tag = "orders",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("order_id" = i64, Path, description = "The order's number.", example = 17),
        ("Idempotency-Key" = Option<String>, Header, description = "May stand for client_id."),
        Canceller,
    ),
    security(("bearer" = [])),
    responses(
        (status = 202, description = "The market has it.", body = Command),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is another member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community, member or open order.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The client id was used for another command.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The market has refused it.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The credential sends too many commands.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many orders wait.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cancel(
    request: HttpRequest,
    key: IdempotencyKey,
    state: web::Data<AppState>,
    path: web::Path<(String, i64)>,
    canceller: web::Query<Canceller>,
) -> Result<HttpResponse, ApiError> {
    may_act(&request, &state, &routes::community_id(&path.0)?, &routes::member_id(&canceller.member_id)?)
        .await?;
    let client_id = key.or_body(canceller.client_id.as_deref())?;
    let request = |order_id| Request::Cancel { order_id };
    about_an_order(&state, &path, &canceller.member_id, client_id, request).await
}

/// Whether the request may send a command for a member: see [`may_send`].
async fn may_act(
    request: &HttpRequest,
    state: &AppState,
    community: &CommunityId,
    member: &MemberId,
) -> Result<(), ApiError> {
    may_send(request, state, community, &[member], 1).await
}

/// Whether the request may act for these members, and does not send too many commands a second.
async fn may_send(
    request: &HttpRequest,
    state: &AppState,
    community: &CommunityId,
    members: &[&MemberId],
    commands: usize,
) -> Result<(), ApiError> {
    member::may_act(request, state, community, members).await?;
    state.command_limit.take(request, commands)
}

/// Sends a command about an order that the member placed.
async fn about_an_order(
    state: &AppState,
    (community, order): &(String, i64),
    member: &str,
    client_id: domain::ids::ClientId,
    request: impl FnOnce(OrderId) -> Request,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(state, community).await?.community_id;
    let (member_id, order_id) = (routes::member_id(member)?, OrderId(*order));
    let slot_start =
        commands::slot_of_order(&state.pool, &community, &member_id, order_id).await?.ok_or_else(|| {
            let detail = format!("member {member_id} has placed no order {order_id}");
            ApiError::new(problems::UNKNOWN_ORDER, detail)
        })?;
    send(state, community, NewCommand { member_id, client_id, slot_start, request: request(order_id) }).await
}

/// Stores one command, and waits a moment for the market's decision.
async fn send(
    state: &AppState,
    community: CommunityId,
    command: NewCommand,
) -> Result<HttpResponse, ApiError> {
    let deadline = Instant::now() + state.decision_wait;
    let stored = state.inbox.store(community.clone(), vec![command.clone()], None).await?;
    let sent = stored.into_iter().next().unwrap_or(Ok(Sent::UnknownMember))?;
    let mut rows = [stored_row(sent, &command)?];
    state.decisions.wait(&community, &mut rows, deadline).await;
    let [row] = rows;
    Ok(HttpResponse::Accepted().json(Command::undecided_or_accepted(row)?))
}

/// The row of a command that was stored, now or before.
fn stored_row(sent: Sent, command: &NewCommand) -> Result<CommandRow, ApiError> {
    let NewCommand { member_id, client_id, .. } = command;
    match sent {
        Sent::New(row) | Sent::Repeated(row) => Ok(row),
        Sent::UnknownMember => Err(routes::unknown_member(member_id.as_str())),
        Sent::Reused => {
            let detail = format!("{member_id} used the client id {client_id} for another command");
            Err(ApiError::new(problems::CLIENT_ID_REUSED, detail))
        }
    }
}
