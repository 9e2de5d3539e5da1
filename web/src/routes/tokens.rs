//! Members' tokens: issued and revoked by whoever runs the platform.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use store::StoreError;
use store::members::tokens;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::{Authorized, member};
use crate::error::{ApiError, Problem};
use crate::routes;

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberToken {
    /// Whose it is.
    #[schema(example = "anna")]
    member_id: String,
    /// The token; it is shown this once, and only its hash is kept.
    token: String,
}

/// Makes a token with which a member acts for itself. A member has at most 8; the oldest goes.
#[utoipa::path(
    post, path = "/api/v1/communities/{community_id}/members/{member_id}/tokens", operation_id = "issueMemberToken", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
    ),
    security(("bearer" = [])),
    responses(
        (status = 201, description = "The token.", body = MemberToken),
        (status = 401, description = "The server's token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn issue(
    _: Authorized,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(&state, &path.0).await?;
    let id = routes::existing_member(&state, &community.community_id, &path.1).await?;
    let mut tx = state.pool.begin().await.map_err(StoreError::from)?;
    let token = tokens::random_text(&mut *tx).await?;
    tokens::insert(&mut tx, &community.community_id, &id, &member::hash(&token), state.clock.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(HttpResponse::Created().json(MemberToken { member_id: id.to_string(), token }))
}

/// Revokes every token of a member.
#[utoipa::path(
    delete, path = "/api/v1/communities/{community_id}/members/{member_id}/tokens", operation_id = "revokeMemberTokens", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
    ),
    security(("bearer" = [])),
    responses(
        (status = 204, description = "It has none now."),
        (status = 401, description = "The server's token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn revoke(
    _: Authorized,
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(&state, &path.0).await?;
    let id = routes::existing_member(&state, &community.community_id, &path.1).await?;
    tokens::revoke_all(&state.pool, &community.community_id, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}
