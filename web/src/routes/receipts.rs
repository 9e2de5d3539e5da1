//! Receipts: what a member can check against the chain without trusting this server.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web;
use domain::ids::AccountId;
use receipt::Receipt;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes::slot::parse_start;
use crate::{problems, routes};

/// Which revision of the slot.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Revision {
    /// Which correction of the slot; without it the latest that is final on the chain.
    #[param(value_type = Option<i32>, minimum = 0)]
    revision: Option<String>,
}

/// A member's receipt of a slot, as a file: its statement, and the proof that leads to the root that
/// the contract keeps. Check it with `settlement verify --receipt FILE --rpc URL`.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/receipts/{slot_start}",
    operation_id = "showReceipt", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("slot_start" = DateTime<Utc>, Path, description = "When the slot starts.", example = "2026-03-01T12:00:00Z"),
        Revision,
    ),
    responses(
        (status = 200, description = "The receipt.", body = Receipt),
        (status = 400, description = "Not the start of a slot, or no revision.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member, or no receipt yet.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
    query: web::Query<Revision>,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(&state, &path.0).await?;
    let id = routes::existing_member(&state, &community.community_id, &path.1).await?;
    let start = parse_start(&community, &path.2)?;
    let revision = query.revision.as_deref().map(parse_revision).transpose()?;
    let account = AccountId::of_member(&id).map_err(|_| routes::unknown_member(&path.1))?;
    let receipt = state.trees.receipt(&state.pool, &community, &account, start, revision).await?;
    let receipt = receipt.ok_or_else(|| {
        let detail = format!("no batch of the slot {} that covers {:?} is final", path.2, path.1);
        ApiError::new(problems::UNKNOWN_RECEIPT, detail)
    })?;
    let name = format!("receipt-{}-{}-r{}.json", path.1, start.format("%Y%m%dT%H%M%SZ"), receipt.revision);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .json(receipt))
}

fn parse_revision(text: &str) -> Result<i32, ApiError> {
    text.parse().ok().filter(|revision| *revision >= 0).ok_or_else(|| {
        ApiError::invalid(format!("the query: revision must be a number from 0 up, but is {text:?}"))
    })
}
