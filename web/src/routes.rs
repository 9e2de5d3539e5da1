//! The routes of the API, one file a resource.

pub(crate) mod commands;
pub(crate) mod communities;
pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod operations;
pub(crate) mod orders;
pub(crate) mod receipts;
pub(crate) mod slot;
pub(crate) mod slots;
pub(crate) mod statements;

use actix_web::web;
use domain::ids::{CommunityId, MemberId};
use store::communities::Community;

use crate::app::AppState;
use crate::error::ApiError;
use crate::{metrics, problems};

/// Registers every route.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    const COMMUNITY: &str = "/api/v1/communities/{community_id}";
    let at = |path: &str| web::resource(format!("{COMMUNITY}{path}"));
    config
        .service(web::resource("/healthz").route(web::get().to(operations::alive)))
        .service(web::resource("/readyz").route(web::get().to(operations::ready)))
        .service(web::resource("/metrics").route(web::get().to(metrics::scrape)))
        .service(web::resource("/api/v1/stack").route(web::get().to(operations::stack)))
        .service(web::resource("/api/v1/communities").route(web::get().to(communities::list)))
        .service(at("").route(web::get().to(communities::show)))
        .service(at("/slots").route(web::get().to(slots::list)))
        .service(at("/slots/{slot_start}").route(web::get().to(slot::show)))
        .service(at("/members").route(web::get().to(members::list)))
        .service(at("/members/{member_id}").route(web::get().to(member::show)))
        .service(at("/members/{member_id}/statements").route(web::get().to(statements::list)))
        .service(at("/members/{member_id}/receipts/{slot_start}").route(web::get().to(receipts::show)))
        .service(at("/orders").route(web::post().to(orders::place)))
        .service(at("/orders/{order_id}").route(web::delete().to(orders::cancel)))
        .service(at("/commands/{command_id}").route(web::get().to(commands::show)));
}

/// The community that an address names.
///
/// # Errors
/// A problem if there is none.
pub(crate) async fn community(state: &AppState, id: &str) -> Result<Community, ApiError> {
    let found = match CommunityId::new(id) {
        Ok(id) => store::communities::find(&state.pool, &id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| ApiError::new(problems::UNKNOWN_COMMUNITY, format!("no community has the id {id:?}")))
}

/// The id of a member that an address or a body names.
///
/// # Errors
/// A problem if nobody can have it.
pub(crate) fn member_id(id: &str) -> Result<MemberId, ApiError> {
    MemberId::new(id).map_err(|_| unknown_member(id))
}

/// No member has an id.
pub(crate) fn unknown_member(id: &str) -> ApiError {
    ApiError::new(problems::UNKNOWN_MEMBER, format!("the community has no member with the id {id:?}"))
}
