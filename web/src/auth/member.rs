//! The bearer token of a member: what only the member itself, or it and the operator, may do asks for it.

use actix_web::{FromRequest, HttpRequest};
use domain::ids::{CommunityId, MemberId};
use sha2::{Digest, Sha256};
use store::members::tokens;

use super::{Authorized, is_same, sent_token};
use crate::app::AppState;
use crate::error::ApiError;
use crate::problems;

/// Who acts for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Whoever runs the platform, with the server's own token.
    Operator,
    /// The member itself.
    Member,
}

/// Makes sure that a request may act for each of `members`: with the server's token for anybody, with a
/// member's token for that member alone.
///
/// # Errors
/// A problem: no token, an unknown one, or one of somebody else. Without any member only the server's token will do.
pub(crate) async fn may_act(
    request: &HttpRequest,
    state: &AppState,
    community: &CommunityId,
    members: &[&MemberId],
) -> Result<Actor, ApiError> {
    let Err(refused) = Authorized::extract(request).await else { return Ok(Actor::Operator) };
    if members.is_empty() {
        return Err(refused);
    }
    for member in members {
        require(request, state, community, member).await?;
    }
    Ok(Actor::Member)
}

/// Makes sure that a request carries a token of this member. The server's own token is not enough:
/// whoever runs the platform must not act for a member here.
///
/// # Errors
/// A problem: no token, an unknown one, or one of somebody else.
pub(crate) async fn require(
    request: &HttpRequest,
    state: &AppState,
    community: &CommunityId,
    member: &MemberId,
) -> Result<(), ApiError> {
    let token = sent_token(request).ok_or_else(|| {
        ApiError::unauthorized("this route needs the header Authorization: Bearer <member's token>")
    })?;
    match tokens::member_of(&state.pool, community, &hash(token)).await? {
        Some(owner) if owner == *member => Ok(()),
        Some(_) => Err(forbidden("the token is another member's")),
        None if is_same(token, state.token.expose()) => {
            Err(forbidden("the server's token does not act for a member here: use the member's own"))
        }
        None => Err(ApiError::unauthorized("no member has this bearer token")),
    }
}

fn forbidden(detail: &'static str) -> ApiError {
    ApiError::new(problems::FORBIDDEN, detail)
}

/// What is stored of a token.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
