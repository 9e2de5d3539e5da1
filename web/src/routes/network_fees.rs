//! The network fees of a community's zones, as the operator sets them.

use std::collections::{BTreeSet, HashSet};

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use domain::ids::ZoneId;
use domain::units::Price;
use serde::{Deserialize, Serialize};
use store::communities::{self, Community};
use store::network_fees::{self, FeeRow, SetFees};
use store::{StoreError, zones};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::Authorized;
use crate::error::{ApiError, Problem};
use crate::wire::{PriceMicro, YEARS_ONLY, is_keepable};
use crate::{problems, routes};

/// The most fees of one request: one for each pair of the most zones.
const MAX_FEES: usize = domain::fees::MAX_ZONES * domain::fees::MAX_ZONES;

/// The network fees of a community.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fees {
    /// The zones that its sites are in.
    #[schema(example = json!(["main"]))]
    zones: Vec<String>,
    /// By pair and time; a pair without a fee pays the tariff's network fee. At most 10 000, the newest.
    fees: Vec<Fee>,
}

/// What a kWh from one zone to another pays from a time on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fee {
    /// The seller's zone.
    #[schema(example = "main")]
    from_zone: String,
    /// The buyer's zone.
    #[schema(example = "main")]
    to_zone: String,
    /// Slots that start then or later pay it, until a later fee of the pair.
    valid_from: DateTime<Utc>,
    /// The fee, paid by the buyer.
    fee_micro_per_kwh: PriceMicro,
}

/// Fees to set, all or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFees {
    /// At most 256, each pair and time once.
    #[schema(max_items = 256)]
    fees: Vec<Fee>,
}

/// The network fees of a community's zones.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/network-fees", operation_id = "listNetworkFees", tag = "grid",
    params(("community_id" = String, Path, description = "The community.", example = "demo")),
    responses(
        (status = 200, description = "The zones and fees.", body = Fees),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(state: web::Data<AppState>, id: web::Path<String>) -> Result<Json<Fees>, ApiError> {
    let community = routes::community(&state, &id).await?;
    Ok(Json(shown(&state, &community).await?))
}

/// Set network fees that hold from slots on that take no orders yet, all or none. The same fees again change nothing.
#[utoipa::path(
    put, path = "/api/v1/communities/{community_id}/network-fees", operation_id = "setNetworkFees", tag = "grid",
    params(("community_id" = String, Path, description = "The community.", example = "demo")),
    request_body = NewFees,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "All fees, these among them.", body = Fees),
        (status = 400, description = "The fees are not valid, or leave no room between the tariffs.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A slot that would pay one of them takes orders already.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    _: Authorized,
    state: web::Data<AppState>,
    id: web::Path<String>,
    body: Json<NewFees>,
) -> Result<Json<Fees>, ApiError> {
    let community = routes::community(&state, &id).await?;
    let rows = rows(body.into_inner())?;
    let known: HashSet<ZoneId> = zones::of_sites(&state.pool, &community.community_id)
        .await?
        .into_iter()
        .map(|site| site.zone_id)
        .collect();
    for row in &rows {
        if let Some(zone) = [&row.from_zone, &row.to_zone].into_iter().find(|zone| !known.contains(zone)) {
            return Err(ApiError::invalid(format!(
                "no site of the community is in the zone {:?}",
                zone.as_str()
            )));
        }
        check_room(&state, &community, row).await?;
    }
    let mut tx = state.pool.begin().await.map_err(StoreError::from)?;
    let now = state.clock.now();
    if let SetFees::TooLate { latest_open } =
        network_fees::set(&mut tx, &community.community_id, &rows, now).await?
    {
        let detail =
            format!("the slot {latest_open} takes orders already, at its fees: let the new ones hold later");
        return Err(ApiError::new(problems::SLOT_BEGUN, detail));
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Json(shown(&state, &community).await?))
}

fn rows(new: NewFees) -> Result<Vec<FeeRow>, ApiError> {
    if new.fees.is_empty() || new.fees.len() > MAX_FEES {
        return Err(ApiError::invalid(format!("the body: fees holds 1 to {MAX_FEES} fees")));
    }
    let mut seen = HashSet::new();
    new.fees
        .into_iter()
        .map(|fee| {
            let zone = |id: &str| ZoneId::new(id).map_err(ApiError::invalid);
            let (from_zone, to_zone) = (zone(&fee.from_zone)?, zone(&fee.to_zone)?);
            if !is_keepable(fee.valid_from) {
                return Err(ApiError::invalid(format!("the body: valid_from: {YEARS_ONLY}")));
            }
            if !seen.insert((from_zone.clone(), to_zone.clone(), fee.valid_from)) {
                let what =
                    format!("the body: {from_zone} to {to_zone} from {} on is there twice", fee.valid_from);
                return Err(ApiError::invalid(what));
            }
            let (valid_from, fee) = (fee.valid_from, Price::from_micro_per_kwh(fee.fee_micro_per_kwh.0));
            Ok(FeeRow { from_zone, to_zone, valid_from, fee })
        })
        .collect()
}

/// A fee lies between zero and what the tariff leaves, or the zone could not buy locally at all.
async fn check_room(state: &AppState, community: &Community, row: &FeeRow) -> Result<(), ApiError> {
    let tariff = communities::tariff_at(&state.pool, &community.community_id, row.valid_from).await.map_err(
        |error| match error {
            StoreError::NotFound { .. } => {
                ApiError::invalid(format!("no tariff holds at {}", row.valid_from))
            }
            other => other.into(),
        },
    )?;
    let room = tariff
        .retail()
        .checked_sub(tariff.platform_fee())
        .and_then(|rest| rest.checked_sub(tariff.feed_in()));
    let room = room.map_err(|error| ApiError::new(problems::INTERNAL, error.to_string()))?;
    if row.fee.is_negative() || row.fee > room {
        let (fee, room) = (row.fee.micro_per_kwh(), room.micro_per_kwh());
        let detail = format!(
            "a fee of {fee} is not between 0 and the {room} that the tariff leaves (micro-currency per kWh)"
        );
        return Err(ApiError::new(problems::INVALID_LIMIT, detail));
    }
    Ok(())
}

async fn shown(state: &AppState, community: &Community) -> Result<Fees, ApiError> {
    let id = &community.community_id;
    let sites = zones::of_sites(&state.pool, id).await?;
    let zones: BTreeSet<String> = sites.iter().map(|site| site.zone_id.to_string()).collect();
    let fees = network_fees::list(&state.pool, id).await?.into_iter().map(|row| Fee {
        from_zone: row.from_zone.to_string(),
        to_zone: row.to_zone.to_string(),
        valid_from: row.valid_from,
        fee_micro_per_kwh: PriceMicro(row.fee.micro_per_kwh()),
    });
    Ok(Fees { zones: zones.into_iter().collect(), fees: fees.collect() })
}
