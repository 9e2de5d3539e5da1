//! The book of a slot, aggregated: how much waits at each price, and never whose it is.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use domain::ids::ZoneId;
use domain::order::Side;
use domain::units::{Overflow, Price};
use serde::{Deserialize, Serialize};
use store::orders::{self, Level};
use store::slots::{self, SlotStatus};
use utoipa::{IntoParams, ToSchema};

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes::bounds;
use crate::routes::slot::parse_start;
use crate::wire::PriceMicro;
use crate::{problems, routes};

const DEFAULT_LEVELS: i64 = 20;
const MAX_LEVELS: i64 = 100;

/// How many prices of each side.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Levels {
    /// 1 to 100; 20 if it is left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    levels: Option<String>,
}

/// The book of a slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Depth {
    /// The slot.
    slot_start: DateTime<Utc>,
    /// Its status; orders are taken while it is `open`.
    #[schema(example = "open")]
    status: String,
    /// Until when orders are taken. The header Date is the server's time.
    gate_closes_at: DateTime<Utc>,
    /// The lowest limit that an order may have: the feed-in tariff.
    lowest_limit_micro_per_kwh: PriceMicro,
    /// The highest limit that an offer may have: what the zone with the lowest fees can pay, its retail tariff less them.
    highest_limit_micro_per_kwh: PriceMicro,
    /// The highest limit that a bid may have, by the buyer's zone; a zone that joined too late for the slot is left out.
    bid_limits: Vec<BidLimit>,
    /// The largest energy of an order.
    max_order_wh: i64,
    /// What waits to buy, the highest limit first.
    bids: Vec<BookLevel>,
    /// What waits to sell, the lowest limit first.
    offers: Vec<BookLevel>,
    /// What all bids want, those included that are not listed.
    bids_wh: i64,
    /// What all offers hold, those included that are not listed.
    offers_wh: i64,
    /// The slot's last trade; null if there is none.
    last_trade: Option<LastTrade>,
}

/// The highest limit of a zone's bids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BidLimit {
    /// The zone, as a member's sites name theirs.
    #[schema(example = "main")]
    zone_id: String,
    /// The retail tariff less the platform fee and the highest network fee that the zone may pay. Below the lowest limit
    /// the zone cannot buy locally.
    highest_limit_micro_per_kwh: PriceMicro,
}

/// What waits at one limit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BookLevel {
    /// The limit.
    limit_micro_per_kwh: PriceMicro,
    /// What has not traded of all its orders.
    energy_wh: i64,
    /// How many orders these are.
    orders: i64,
}

/// A trade without its members.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastTrade {
    /// The price.
    price_micro_per_kwh: PriceMicro,
    /// How much.
    energy_wh: i64,
    /// When.
    traded_at: DateTime<Utc>,
}

/// How much waits in a slot's book at each price.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/slots/{slot_start}/depth", operation_id = "showDepth", tag = "slots",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("slot_start" = DateTime<Utc>, Path, description = "When the slot starts.", example = "2026-03-01T12:00:00Z"),
        Levels,
    ),
    responses(
        (status = 200, description = "The book.", body = Depth),
        (status = 400, description = "Not the start of a slot, or the query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or slot.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    query: web::Query<Levels>,
) -> Result<Json<Depth>, ApiError> {
    let levels = query.count()?;
    let community = routes::community(&state, &path.0).await?;
    let start = parse_start(&community, &path.1)?;
    let (pool, id) = (&state.pool, &community.community_id);
    let slot = slots::find(pool, id, start).await?.ok_or_else(|| {
        ApiError::new(problems::UNKNOWN_SLOT, format!("the market of {id} has no slot at {start:?}"))
    })?;
    let tariff = store::communities::tariff_at(pool, id, start).await?;
    let by_zone = bounds::of_bids(&state, &community, start, &tariff).await?;
    let highest = match by_zone.iter().map(|(_, highest)| *highest).max() {
        Some(highest) => highest,
        None => tariff.highest_limit().map_err(|overflow: Overflow| {
            ApiError::new(problems::INTERNAL, format!("the slot's tariff: {overflow}"))
        })?,
    };
    let bid_limit = |(zone, highest): (ZoneId, Price)| BidLimit {
        zone_id: zone.to_string(),
        highest_limit_micro_per_kwh: PriceMicro(highest.micro_per_kwh()),
    };
    // An order that is still open after gate closure expires with it: nobody can trade with it.
    let takes_orders = slot.status == SlotStatus::Open;
    let rows = if takes_orders { orders::depth(pool, id, start, levels).await? } else { vec![] };
    let last_trade = orders::last_trade(pool, id, start).await?;
    let side = |side| rows.iter().filter(move |level| level.side == side);
    let total = |of| side(of).next().map_or(0, |level| level.side_wh);
    Ok(Json(Depth {
        slot_start: start,
        status: slot.status.as_str().to_owned(),
        gate_closes_at: start - community.gate_closure_lead,
        lowest_limit_micro_per_kwh: PriceMicro(tariff.lowest_limit().micro_per_kwh()),
        highest_limit_micro_per_kwh: PriceMicro(highest.micro_per_kwh()),
        bid_limits: by_zone.into_iter().map(bid_limit).collect(),
        max_order_wh: community.max_order.wh(),
        bids: side(Side::Bid).map(BookLevel::from).collect(),
        offers: side(Side::Offer).map(BookLevel::from).collect(),
        bids_wh: total(Side::Bid),
        offers_wh: total(Side::Offer),
        last_trade: last_trade.map(|trade| LastTrade {
            price_micro_per_kwh: PriceMicro(trade.price_micro_per_kwh),
            energy_wh: trade.energy_wh,
            traded_at: trade.traded_at,
        }),
    }))
}

impl Levels {
    fn count(&self) -> Result<i64, ApiError> {
        let Some(text) = &self.levels else { return Ok(DEFAULT_LEVELS) };
        text.parse().ok().filter(|levels| (1..=MAX_LEVELS).contains(levels)).ok_or_else(|| {
            ApiError::invalid(format!("the query: levels must be 1 to {MAX_LEVELS}, but is {text:?}"))
        })
    }
}

impl From<&Level> for BookLevel {
    fn from(level: &Level) -> Self {
        Self {
            limit_micro_per_kwh: PriceMicro(level.limit_micro_per_kwh),
            energy_wh: level.energy_wh,
            orders: level.orders,
        }
    }
}
