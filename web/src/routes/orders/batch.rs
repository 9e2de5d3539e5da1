//! Many orders in one request.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::views::commands::{CommandRow, NewCommand, RequestKey};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::key::IdempotencyKey;
use super::new_order::NewOrder;
use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::routes::commands::Command;

/// The largest body, in bytes: 500 orders have some 120,000.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1_024;
/// The most orders of one request.
const MAX_ORDERS: usize = 500;
/// How long a request's key is kept at least.
const KEYS_KEPT: TimeDelta = TimeDelta::days(7);

/// Orders to be placed together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrders {
    /// 1 to 500 orders, each with a client id of its own. They reach the market in this order.
    #[schema(min_items = 1, max_items = 500)]
    orders: Vec<NewOrder>,
}

/// What became of the orders of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Results<'a> {
    /// One an order, in the order in which they were sent.
    results: Vec<Placed<'a>>,
}

/// What became of one order: either a command or a problem.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Placed<'a> {
    /// The id that the client gave it.
    client_id: Option<String>,
    /// The command, unless there is a problem.
    command: Option<Command>,
    /// Why the order was refused; nothing has changed then.
    problem: Option<Problem<'a>>,
}

/// Send up to 500 orders to the market in one request.
///
/// Each order is accepted or refused by itself. Sending the same request again with the same key is harmless and gives
/// what became of the first one.
#[utoipa::path(
    post, path = "/api/v1/communities/{community_id}/orders:batch", operation_id = "placeOrders", tag = "orders",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("Idempotency-Key" = String, Header, description = "An id of the request, made before its first try."),
    ),
    request_body = NewOrders,
    security(("bearer" = [])),
    responses(
        (status = 202, description = "What became of each order.", body = Results),
        (status = 400, description = "The request is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is another member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The key was used for another request.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The credential sends too many commands.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many orders wait.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn place(
    request: HttpRequest,
    key: IdempotencyKey,
    state: web::Data<AppState>,
    id: web::Path<String>,
    body: web::Bytes,
) -> Result<HttpResponse, ApiError> {
    let deadline = Instant::now() + state.decision_wait;
    let community = routes::community_id(&id)?;
    let request_key = RequestKey {
        key: key.clone().required()?.to_string(),
        sha256: Sha256::digest(&body).into(),
        forget_before: state.clock.now() - KEYS_KEPT,
    };
    let orders = parse(&request, &body)?;
    let ids: Vec<Option<String>> = orders.iter().map(|o| o.client_id().map(str::to_owned)).collect();
    let none = IdempotencyKey::default();
    let parsed: Vec<Result<NewCommand, ApiError>> =
        orders.into_iter().map(|order| order.command(&none)).collect();
    let commands: Vec<NewCommand> = parsed.iter().filter_map(|order| order.as_ref().ok().cloned()).collect();
    // A request without any good order is nobody's, but takes from the credential all the same.
    let mut members: Vec<_> = commands.iter().map(|command| &command.member_id).collect();
    members.sort_unstable();
    members.dedup();
    super::may_send(&request, &state, &community, &members, parsed.len()).await?;
    let stored = state.inbox.store(community.clone(), commands.clone(), Some(request_key)).await?;
    let mut stored = stored.into_iter().zip(commands);
    let placed: Vec<Result<CommandRow, ApiError>> = parsed
        .into_iter()
        .map(|order| {
            order?;
            let (sent, command) = stored.next().ok_or_else(|| ApiError::invalid("no answer"))?;
            super::stored_row(sent?, &command)
        })
        .collect();
    let mut rows: Vec<CommandRow> =
        placed.iter().filter_map(|placed| placed.as_ref().ok().cloned()).collect();
    state.decisions.wait(&community, &mut rows, deadline).await;
    let mut rows = rows.into_iter();
    let decided: Vec<Result<Command, ApiError>> = placed
        .into_iter()
        .map(|placed| placed.and_then(|row| Command::undecided_or_accepted(rows.next().unwrap_or(row))))
        .collect();
    let results = ids.into_iter().zip(&decided).map(|(client_id, decided)| Placed {
        client_id,
        command: decided.as_ref().ok().cloned(),
        problem: decided.as_ref().err().map(ApiError::document),
    });
    Ok(HttpResponse::Accepted().json(Results { results: results.collect() }))
}

/// Reads the body by hand, since its bytes are what the key is compared by.
fn parse(request: &HttpRequest, body: &[u8]) -> Result<Vec<NewOrder>, ApiError> {
    if request
        .headers()
        .get("content-type")
        .is_none_or(|kind| !kind.as_bytes().starts_with(b"application/json"))
    {
        return Err(ApiError::from_status(actix_web::http::StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let NewOrders { orders } =
        serde_json::from_slice(body).map_err(|cause| ApiError::invalid(format!("the body: {cause}")))?;
    if !(1..=MAX_ORDERS).contains(&orders.len()) {
        let detail = format!("the body: {} orders, but a request has 1 to {MAX_ORDERS}", orders.len());
        return Err(ApiError::invalid(detail));
    }
    Ok(orders)
}
