//! A site's standing order: at which limits it takes part in the closing auction, and what it asks for.

use actix_web::HttpRequest;
use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use domain::ids::{MemberId, SiteId};
use domain::standing::{Preference, StandingOrder, Wish};
use domain::units::{Overflow, Price};
use serde::{Deserialize, Serialize};
use store::communities::Community;
use store::standing_orders;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::member;
use crate::error::{ApiError, Problem};
use crate::routes::bounds::{Place, place};
use crate::wire::PriceMicro;
use crate::{problems, routes};

/// A site's standing order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StandingOrderView {
    /// The site.
    #[schema(example = "site-001")]
    site_id: String,
    /// Its zone; the network fee depends on it.
    #[schema(example = "main")]
    zone_id: String,
    /// The least it takes for what it has left over; null for the feed-in tariff.
    offer_limit_micro_per_kwh: Option<PriceMicro>,
    /// The most it pays for what it lacks, fees apart; null for the bound of its zone.
    bid_limit_micro_per_kwh: Option<PriceMicro>,
    /// `any`, `local`, `green` or `partners`.
    #[schema(example = "local")]
    prefers: &'static str,
    /// The members it would rather buy from, the first of them first.
    partners: Vec<String>,
    /// The most it pays on top of the price for what it prefers.
    premium_micro_per_kwh: PriceMicro,
    /// It holds for slots that start then or later; null if it was never set.
    valid_from: Option<DateTime<Utc>>,
    /// Between what its limits may lie, by the tariff and the fees that hold now.
    bounds: StandingBounds,
}

/// Between what the limits of a standing order may lie.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StandingBounds {
    /// The feed-in tariff.
    lowest_limit_micro_per_kwh: PriceMicro,
    /// The retail tariff less the platform fee and the highest network fee of its zone.
    highest_limit_micro_per_kwh: PriceMicro,
    /// What lies between the two.
    highest_premium_micro_per_kwh: PriceMicro,
}

/// A new standing order of a site. What is left out is at its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStandingOrder {
    /// The least it takes; the feed-in tariff if left out.
    offer_limit_micro_per_kwh: Option<PriceMicro>,
    /// The most it pays, fees apart; the bound of its zone if left out.
    bid_limit_micro_per_kwh: Option<PriceMicro>,
    /// `any`, `local`, `green` or `partners`.
    #[serde(default = "any")]
    #[schema(example = "local")]
    prefers: String,
    /// For `partners`: 1 to 16 members, the first of them first.
    #[serde(default)]
    #[schema(max_items = 16)]
    partners: Vec<String>,
    /// The most it pays on top of the price for what it prefers.
    premium_micro_per_kwh: Option<PriceMicro>,
}

fn any() -> String {
    Preference::Any.as_str().to_owned()
}

/// A site's standing order in the closing auction.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/sites/{site_id}/standing-order",
    operation_id = "showStandingOrder", tag = "orders",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("site_id" = String, Path, description = "The site.", example = "a1"),
    ),
    responses(
        (status = 200, description = "The standing order.", body = StandingOrderView),
        (status = 404, description = "No such community, member or site.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
) -> Result<Json<StandingOrderView>, ApiError> {
    let (community, site) = routes::existing_site(&state, &path).await?;
    let place = place(&state, &community, &site.site_id).await?;
    Ok(Json(document(&state, &community, &site.site_id, place).await?))
}

/// Set a site's standing order for every slot that starts from now on. The same order again changes nothing.
#[utoipa::path(
    put, path = "/api/v1/communities/{community_id}/members/{member_id}/sites/{site_id}/standing-order",
    operation_id = "setStandingOrder", tag = "orders",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("site_id" = String, Path, description = "The site.", example = "a1"),
    ),
    request_body = NewStandingOrder,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The standing order that holds now.", body = StandingOrderView),
        (status = 400, description = "The order is not valid, or a limit is outside the tariffs.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is another member's.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community, member or site.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    request: HttpRequest,
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
    body: Json<NewStandingOrder>,
) -> Result<Json<StandingOrderView>, ApiError> {
    let (community, site) = routes::existing_site(&state, &path).await?;
    let id = &community.community_id;
    member::may_act(&request, &state, id, &[&site.member_id]).await?;
    let order = StandingOrder::try_from(body.into_inner())?;
    for partner in order.wish.preference().partners() {
        if *partner == site.member_id {
            return Err(ApiError::invalid("a member cannot be its own partner"));
        }
        routes::existing_member(&state, id, partner.as_str()).await?;
    }
    let place = place(&state, &community, &site.site_id).await?;
    let (lowest, highest) = (place.bounds.lowest, place.bounds.highest_bid);
    order
        .check(lowest, highest)
        .map_err(|refusal| ApiError::new(problems::INVALID_LIMIT, refusal.to_string()))?;
    let before = standing_orders::newest(&state.pool, id, &site.site_id).await?;
    if before.map(|(order, _)| order).unwrap_or_default() != order {
        standing_orders::set(&state.pool, id, &site.site_id, &order, state.clock.now()).await?;
    }
    Ok(Json(document(&state, &community, &site.site_id, place).await?))
}

async fn document(
    state: &AppState,
    community: &Community,
    site: &SiteId,
    place: Place,
) -> Result<StandingOrderView, ApiError> {
    let newest = standing_orders::newest(&state.pool, &community.community_id, site).await?;
    let valid_from = newest.as_ref().map(|(_, valid_from)| *valid_from);
    let order = newest.map(|(order, _)| order).unwrap_or_default();
    let price = |price: Price| PriceMicro(price.micro_per_kwh());
    let (lowest, highest) = (place.bounds.lowest, place.bounds.highest_bid);
    let most = highest.checked_sub(lowest).map_err(absurd)?.max(Price::ZERO);
    Ok(StandingOrderView {
        site_id: site.to_string(),
        zone_id: place.zone_id.to_string(),
        offer_limit_micro_per_kwh: order.offer_limit.map(price),
        bid_limit_micro_per_kwh: order.bid_limit.map(price),
        prefers: order.wish.preference().as_str(),
        partners: order.wish.preference().partners().iter().map(ToString::to_string).collect(),
        premium_micro_per_kwh: price(order.wish.premium()),
        valid_from,
        bounds: StandingBounds {
            lowest_limit_micro_per_kwh: price(lowest),
            highest_limit_micro_per_kwh: price(highest),
            highest_premium_micro_per_kwh: price(most),
        },
    })
}

fn absurd(overflow: Overflow) -> ApiError {
    ApiError::new(problems::INTERNAL, overflow.to_string())
}

impl TryFrom<NewStandingOrder> for StandingOrder {
    type Error = ApiError;

    fn try_from(new: NewStandingOrder) -> Result<Self, ApiError> {
        let price = |price: PriceMicro| Price::from_micro_per_kwh(price.0);
        let partners =
            new.partners.iter().map(|id| routes::member_id(id)).collect::<Result<Vec<MemberId>, _>>()?;
        let preference = Preference::new(&new.prefers, partners).map_err(ApiError::invalid)?;
        let premium = new.premium_micro_per_kwh.map(price).unwrap_or_default();
        Ok(Self {
            offer_limit: new.offer_limit_micro_per_kwh.map(price),
            bid_limit: new.bid_limit_micro_per_kwh.map(price),
            wish: Wish::new(preference, premium).map_err(ApiError::invalid)?,
        })
    }
}
