//! Members as a list.

use actix_web::web::{self, Json};
use serde::Serialize;
use store::views::members::{self, MemberSummary};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::wire::MoneyNano;

/// The members of a community.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Members {
    /// By id; at most 10 000.
    members: Vec<MemberEntry>,
}

/// A member in the list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberEntry {
    /// The member's id.
    #[schema(example = "anna")]
    member_id: String,
    /// The name the member and the operator see.
    #[schema(example = "Anna Ahorn")]
    display_name: String,
    /// The name other members see.
    #[schema(example = "Amber Kite")]
    pseudonym: String,
    /// How many connection points it has.
    sites: i64,
    /// The peak power of its generators.
    pv_peak_w: i64,
    /// The autopilot's preset: `greenest`, `cheapest`, `hands-off` or `paused`.
    #[schema(example = "greenest")]
    preset: String,
    /// What its account holds on the chain.
    balance_nano: MoneyNano,
    /// What it saved against the tariffs alone.
    savings_nano: MoneyNano,
}

/// The members of a community, by id.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members", operation_id = "listMembers", tag = "members",
    params(("community_id" = String, Path, description = "The community.", example = "demo")),
    responses(
        (status = 200, description = "The members.", body = Members),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<Json<Members>, ApiError> {
    let community = routes::community(&state, &id).await?;
    let rows = members::list(&state.pool, &community.community_id).await?;
    Ok(Json(Members { members: rows.into_iter().map(MemberEntry::from).collect() }))
}

impl From<MemberSummary> for MemberEntry {
    fn from(row: MemberSummary) -> Self {
        Self {
            member_id: row.member_id,
            display_name: row.display_name,
            pseudonym: row.pseudonym,
            sites: row.sites,
            pv_peak_w: row.pv_peak_w,
            preset: row.preset,
            balance_nano: MoneyNano(row.balance_nano),
            savings_nano: MoneyNano(row.savings_nano),
        }
    }
}
