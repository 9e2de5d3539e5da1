//! The routes of the API, one file a resource.

pub(crate) mod autopilot;
pub(crate) mod bounds;
pub(crate) mod commands;
pub(crate) mod communities;
pub(crate) mod depth;
pub(crate) mod devices;
pub(crate) mod forecasts;
pub(crate) mod grid_limits;
pub(crate) mod links;
pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod network_fees;
pub(crate) mod operations;
pub(crate) mod orders;
pub(crate) mod receipts;
pub(crate) mod slot;
pub(crate) mod slots;
pub(crate) mod standing_orders;
pub(crate) mod statements;
pub(crate) mod tokens;
pub(crate) mod trades;

use actix_web::{Resource, web};
use domain::ids::{CommunityId, MemberId, SiteId};
use store::autopilot::Piloted;
use store::communities::Community;

use crate::app::AppState;
use crate::error::ApiError;
use crate::{metrics, problems};

/// An address below a community's.
fn at(path: &str) -> Resource {
    web::resource(format!("/api/v1/communities/{{community_id}}{path}"))
}

/// Registers every route.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .configure(configure_market)
        .service(web::resource("/healthz").route(web::get().to(operations::alive)))
        .service(web::resource("/readyz").route(web::get().to(operations::ready)))
        .service(web::resource("/metrics").route(web::get().to(metrics::scrape)))
        .service(web::resource("/api/v1/stack").route(web::get().to(operations::stack)))
        .service(web::resource("/api/v1/communities").route(web::get().to(communities::list)))
        .service(at("").route(web::get().to(communities::show)))
        .service(at("/slots").route(web::get().to(slots::list)))
        .service(at("/slots/{slot_start}").route(web::get().to(slot::show)))
        .service(
            at("/grid-limits").route(web::get().to(grid_limits::list)).route(web::put().to(grid_limits::set)),
        )
        .service(
            at("/network-fees")
                .route(web::get().to(network_fees::list))
                .route(web::put().to(network_fees::set)),
        )
        .service(
            at("/members/{member_id}/sites/{site_id}/standing-order")
                .route(web::get().to(standing_orders::show))
                .route(web::put().to(standing_orders::set)),
        )
        .service(at("/devices").route(web::get().to(devices::list)))
        .service(at("/devices/events").route(web::get().to(devices::events)))
        .service(at("/members").route(web::get().to(members::list)))
        .service(at("/members/{member_id}").route(web::get().to(member::show)))
        .service(
            at("/members/{member_id}/sites/{site_id}/autopilot")
                .route(web::get().to(autopilot::show))
                .route(web::put().to(autopilot::set)),
        )
        .service(
            at("/members/{member_id}/sites/{site_id}/autopilot/preview")
                .route(web::get().to(autopilot::preview::show)),
        )
        .service(
            at("/members/{member_id}/sites/{site_id}/autopilot/what-if")
                .route(web::get().to(autopilot::what_if::show)),
        )
        .service(at("/members/{member_id}/sites/{site_id}/forecast").route(web::get().to(forecasts::show)))
        .service(
            at("/members/{member_id}/link")
                .route(web::get().to(links::show))
                .route(web::post().to(links::link)),
        )
        .service(at("/members/{member_id}/link/challenge").route(web::post().to(links::challenge)))
        .service(
            at("/members/{member_id}/tokens")
                .route(web::post().to(tokens::issue))
                .route(web::delete().to(tokens::revoke)),
        )
        .service(at("/members/{member_id}/statements").route(web::get().to(statements::list)))
        .service(
            at("/members/{member_id}/statements/{slot_start}/trace")
                .route(web::get().to(statements::trace::show)),
        )
        .service(at("/members/{member_id}/receipts/{slot_start}").route(web::get().to(receipts::show)));
}

/// Orders, the book and trades.
fn configure_market(config: &mut web::ServiceConfig) {
    config
        .service(at("/slots/{slot_start}/depth").route(web::get().to(depth::show)))
        .service(at("/trades").route(web::get().to(trades::of_community)))
        .service(at("/members/{member_id}/orders").route(web::get().to(orders::own::list)))
        .service(at("/members/{member_id}/trades").route(web::get().to(trades::of_member)))
        .service(at("/orders").route(web::post().to(orders::place)))
        .service(
            at("/orders:batch")
                .app_data(web::PayloadConfig::new(orders::batch::MAX_BODY_BYTES))
                .route(web::post().to(orders::batch::place)),
        )
        .service(
            at("/orders/{order_id}")
                .route(web::patch().to(orders::replace))
                .route(web::delete().to(orders::cancel)),
        )
        .service(at("/commands/{command_id}").route(web::get().to(commands::show)));
}

/// The community that an address names.
///
/// # Errors
/// A problem if there is none.
pub(crate) async fn community(state: &AppState, id: &str) -> Result<Community, ApiError> {
    let found = store::communities::find(&state.pool, &community_id(id)?).await?;
    found.ok_or_else(|| unknown_community(id))
}

/// The id of a community that an address names, whether or not it exists.
///
/// # Errors
/// A problem if none can have it.
pub(crate) fn community_id(id: &str) -> Result<CommunityId, ApiError> {
    CommunityId::new(id).map_err(|_| unknown_community(id))
}

/// No community has an id.
pub(crate) fn unknown_community(id: &str) -> ApiError {
    ApiError::new(problems::UNKNOWN_COMMUNITY, format!("no community has the id {id:?}"))
}

/// The id of a member that an address or a body names.
///
/// # Errors
/// A problem if nobody can have it.
pub(crate) fn member_id(id: &str) -> Result<MemberId, ApiError> {
    MemberId::new(id).map_err(|_| unknown_member(id))
}

/// The member of a community that an address, a query or a body names.
///
/// # Errors
/// A problem if there is no such member.
pub(crate) async fn existing_member(
    state: &AppState,
    community: &CommunityId,
    id: &str,
) -> Result<MemberId, ApiError> {
    let member = member_id(id)?;
    let exists = store::members::exists(&state.pool, community, &member).await?;
    if exists { Ok(member) } else { Err(unknown_member(id)) }
}

/// The community and the site that an address names by community, member and site.
///
/// # Errors
/// A problem if there is no such community or member, or the member has no such site.
pub(crate) async fn existing_site(
    state: &AppState,
    (community_id, member_id, site_id): &(String, String, String),
) -> Result<(Community, Piloted), ApiError> {
    let community = community(state, community_id).await?;
    let member = existing_member(state, &community.community_id, member_id).await?;
    let unknown = || {
        let detail = format!("the member {member} has no site with the id {site_id:?}");
        ApiError::new(problems::UNKNOWN_SITE, detail)
    };
    let id = SiteId::new(site_id).map_err(|_| unknown())?;
    let found = store::autopilot::piloted(&state.pool, &community.community_id, Some(&id)).await?;
    let site = found.into_iter().find(|site| site.member_id == member).ok_or_else(unknown)?;
    Ok((community, site))
}

/// No member has an id.
pub(crate) fn unknown_member(id: &str) -> ApiError {
    ApiError::new(problems::UNKNOWN_MEMBER, format!("the community has no member with the id {id:?}"))
}
