//! Slots as a list.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use serde::Serialize;
use store::communities::Community;
use store::views::slots;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::wire::{Batch, Page, PriceMicro, next_before};

const DEFAULT_LIMIT: i64 = 50;

/// A slot at a glance. Figures of meters and of the grid belong to the latest revision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotSummary {
    /// When the slot starts; names it.
    slot_start: DateTime<Utc>,
    /// When it ends; the first instant outside it.
    slot_end: DateTime<Utc>,
    /// From when on orders for it are taken.
    opens_at: DateTime<Utc>,
    /// Until when orders for it are taken.
    gate_closes_at: DateTime<Utc>,
    /// `scheduled`, `open`, `closed`, `metered`, `priced`, `settled` or `corrected`.
    #[schema(example = "settled")]
    status: String,
    /// Counts its corrections; 0 is the first pricing.
    revision: i32,
    /// What the continuous auction moved.
    traded_wh: i64,
    /// How many trades that were.
    trades: i64,
    /// What the closing auction moved.
    closing_auction_wh: i64,
    /// The one price of the closing auction; null if it moved nothing.
    closing_price_micro_per_kwh: Option<PriceMicro>,
    /// The mean price of the trades by energy, rounded down; null without trades.
    mean_trade_price_micro_per_kwh: Option<PriceMicro>,
    /// What members took from the grid at the retail tariff; 0 until the slot is priced.
    grid_import_wh: i64,
    /// What members gave to the grid at the feed-in tariff; 0 until the slot is priced.
    grid_export_wh: i64,
    /// What was produced behind the meters; null unless it is known for every site.
    production_wh: Option<i64>,
    /// What was consumed behind the meters; null unless production is known.
    consumption_wh: Option<i64>,
    /// What open bids still want.
    open_bids_wh: i64,
    /// What open offers still hold.
    open_offers_wh: i64,
    /// The batch that settles it, once the slot is priced.
    batch: Option<Batch>,
}

impl SlotSummary {
    /// The wire form of a slot.
    pub(crate) fn new(slot: slots::SlotSummary, community: &Community) -> Self {
        Self {
            slot_start: slot.slot_start,
            slot_end: slot.slot_start + community.slot_length.delta(),
            opens_at: slot.slot_start - community.open_lead,
            gate_closes_at: slot.slot_start - community.gate_closure_lead,
            status: slot.status,
            revision: slot.revision,
            traded_wh: slot.traded_wh,
            trades: slot.trades,
            closing_auction_wh: slot.closing_auction_wh,
            closing_price_micro_per_kwh: slot.closing_price_micro_per_kwh.map(PriceMicro),
            mean_trade_price_micro_per_kwh: slot.mean_trade_price_micro_per_kwh.map(PriceMicro),
            grid_import_wh: slot.grid_import_wh,
            grid_export_wh: slot.grid_export_wh,
            production_wh: slot.production_wh,
            consumption_wh: slot.consumption_wh,
            open_bids_wh: slot.open_bids_wh,
            open_offers_wh: slot.open_offers_wh,
            batch: slot.batch.map(Batch::from),
        }
    }
}

/// A page of slots.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Slots {
    /// Newest first.
    slots: Vec<SlotSummary>,
    /// Give this as `before` to get the next page; null on the last one.
    next_before: Option<DateTime<Utc>>,
}

/// The slots of a community, newest first.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/slots", operation_id = "listSlots", tag = "slots",
    params(("community_id" = String, Path, description = "The community.", example = "demo"), Page),
    responses(
        (status = 200, description = "A page of slots.", body = Slots),
        (status = 400, description = "The query is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    state: web::Data<AppState>,
    id: web::Path<String>,
    page: web::Query<Page>,
) -> Result<Json<Slots>, ApiError> {
    let (limit, before) = page.bounds(DEFAULT_LIMIT)?;
    let community = routes::community(&state, &id).await?;
    let starts = slots::page(&state.pool, &community.community_id, before, limit).await?;
    let summaries = slots::summaries(&state.pool, &community.community_id, &starts).await?;
    Ok(Json(Slots {
        slots: summaries.into_iter().map(|slot| SlotSummary::new(slot, &community)).collect(),
        next_before: next_before(starts.len(), limit, starts.last().copied()),
    }))
}
