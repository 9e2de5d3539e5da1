//! One member in full.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use serde::Serialize;
use store::views::member::{self, MemberTotals as TotalsRow, NeighbourRow, OrderRow, SiteRow};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::routes::orders::reason::ReasonParts;
use crate::wire::{MoneyNano, PriceMicro, age_s};

const NEWEST_ORDERS: i64 = 20;

/// A member in full.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberDetail {
    /// The member's id.
    #[schema(example = "anna")]
    member_id: String,
    /// The name the member and the operator see.
    #[schema(example = "Anna Ahorn")]
    display_name: String,
    /// The name other members see.
    #[schema(example = "Amber Kite")]
    pseudonym: String,
    /// The autopilot's preset: `greenest`, `cheapest`, `hands-off` or `paused`.
    #[schema(example = "greenest")]
    preset: String,
    /// Where its account lives on the chain; null until it has one.
    chain_address: Option<String>,
    /// What its account holds on the chain.
    balance_nano: MoneyNano,
    /// What it still owes from settled slots; negative if it is still owed.
    open_receivable_nano: MoneyNano,
    /// Its sums over all priced slots.
    totals: MemberTotals,
    /// Its connection points.
    sites: Vec<Site>,
    /// Its newest orders, at most 20.
    orders: Vec<Order>,
    /// With whom it traded in the continuous auction, most energy first.
    neighbours: Vec<Neighbour>,
}

/// A member's sums over all priced slots, at their latest revisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberTotals {
    /// Metered import.
    import_wh: i64,
    /// Metered export.
    export_wh: i64,
    /// Production; null unless it is known for every slot.
    production_wh: Option<i64>,
    /// Consumption: production and import less export; null unless production is known.
    consumption_wh: Option<i64>,
    /// Bought in the continuous auction.
    traded_bought_wh: i64,
    /// Sold in the continuous auction.
    traded_sold_wh: i64,
    /// Bought in the closing auction.
    closing_bought_wh: i64,
    /// Sold in the closing auction.
    closing_sold_wh: i64,
    /// What all of it came to.
    net_nano: MoneyNano,
    /// What the same registers would have cost without the market.
    base_nano: MoneyNano,
    /// What the market saved: net less base.
    savings_nano: MoneyNano,
}

/// A connection point.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Site {
    /// Its id.
    #[schema(example = "site-001")]
    site_id: String,
    /// Its zone; network fees, and so the bounds of its bids, depend on it.
    #[schema(example = "main")]
    zone_id: String,
    /// The generator's peak power; 0 for none.
    pv_peak_w: i64,
    /// What the battery holds; 0 for none.
    battery_wh: i64,
    /// Its revenue meter, if one is enrolled.
    meter: Option<Meter>,
}

/// A revenue meter and its last reading.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Meter {
    /// Its id.
    meter_id: String,
    /// The template it is read with.
    #[schema(example = "eastron_sdm630")]
    template_id: String,
    /// The slot boundary of its last reading; null if there is none yet.
    last_slot_end: Option<DateTime<Utc>>,
    /// The power at that time, positive on import; null if not known.
    last_power_w: Option<i64>,
    /// The import register.
    import_wh: Option<i64>,
    /// The export register.
    export_wh: Option<i64>,
    /// How long ago the last reading was taken.
    age_s: Option<i64>,
}

/// An order as its member sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Order {
    /// Its number in the community.
    order_id: i64,
    /// The slot it trades.
    slot_start: DateTime<Utc>,
    /// `bid` or `offer`.
    #[schema(example = "offer")]
    side: String,
    /// How much was ordered.
    energy_wh: i64,
    /// How much is not traded yet.
    remaining_wh: i64,
    /// The worst price it accepts.
    limit_micro_per_kwh: PriceMicro,
    /// `open`, `filled`, `cancelled` or `expired`.
    #[schema(example = "filled")]
    status: String,
    /// `member` or `autopilot`.
    #[schema(example = "autopilot")]
    placed_by: String,
    /// Why the autopilot placed it, in plain words.
    reason: String,
    #[serde(flatten)]
    parts: ReasonParts,
}

/// With whom a member traded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Neighbour {
    /// The neighbour's pseudonym.
    #[schema(example = "Blue Heron")]
    pseudonym: String,
    /// Bought from it, in both auctions.
    bought_wh: i64,
    /// Sold to it, in both auctions.
    sold_wh: i64,
}

/// One member: its account, its sums, its sites, its newest orders and its neighbours.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}", operation_id = "showMember", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
    ),
    responses(
        (status = 200, description = "The member.", body = MemberDetail),
        (status = 404, description = "No such community or member.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<Json<MemberDetail>, ApiError> {
    let community = routes::community(&state, &path.0).await?;
    let id = routes::member_id(&path.1)?;
    let (pool, within) = (&state.pool, &community.community_id);
    let row = member::find(pool, within, &id).await?.ok_or_else(|| routes::unknown_member(&path.1))?;
    let totals = member::totals(pool, within, &id).await?;
    let sites = member::sites(pool, within, &id).await?;
    let orders = member::orders(pool, within, &id, NEWEST_ORDERS).await?;
    let neighbours = member::neighbours(pool, within, &id).await?;
    let now = state.clock.now();
    Ok(Json(MemberDetail {
        member_id: row.member_id,
        display_name: row.display_name,
        pseudonym: row.pseudonym,
        preset: row.preset,
        chain_address: row.chain_address,
        balance_nano: MoneyNano(row.balance_nano),
        open_receivable_nano: MoneyNano(row.open_receivable_nano),
        totals: MemberTotals::from(totals),
        sites: sites.into_iter().map(|site| Site::new(site, now)).collect(),
        orders: orders.into_iter().map(Order::from).collect(),
        neighbours: neighbours.into_iter().map(Neighbour::from).collect(),
    }))
}

impl From<TotalsRow> for MemberTotals {
    fn from(row: TotalsRow) -> Self {
        Self {
            import_wh: row.import_wh,
            export_wh: row.export_wh,
            production_wh: row.production_wh,
            consumption_wh: row.production_wh.map(|production| production + row.import_wh - row.export_wh),
            traded_bought_wh: row.traded_bought_wh,
            traded_sold_wh: row.traded_sold_wh,
            closing_bought_wh: row.closing_bought_wh,
            closing_sold_wh: row.closing_sold_wh,
            net_nano: MoneyNano(row.net_nano),
            base_nano: MoneyNano(row.base_nano),
            savings_nano: MoneyNano(row.net_nano - row.base_nano),
        }
    }
}

impl Site {
    fn new(row: SiteRow, now: DateTime<Utc>) -> Self {
        let age = row.last_read_at.map(|read_at| age_s(now, read_at));
        let meter = row.meter_id.zip(row.template_id).map(|(meter_id, template_id)| Meter {
            meter_id,
            template_id,
            last_slot_end: row.last_slot_end,
            last_power_w: row.last_power_w,
            import_wh: row.import_wh,
            export_wh: row.export_wh,
            age_s: age,
        });
        let SiteRow { site_id, zone_id, pv_peak_w, battery_wh, .. } = row;
        Self { site_id, zone_id, pv_peak_w, battery_wh, meter }
    }
}

impl From<OrderRow> for Order {
    fn from(row: OrderRow) -> Self {
        Self {
            order_id: row.order_id,
            slot_start: row.slot_start,
            side: row.side,
            energy_wh: row.energy_wh,
            remaining_wh: row.remaining_wh,
            limit_micro_per_kwh: PriceMicro(row.limit_micro_per_kwh),
            status: row.status,
            placed_by: row.placed_by,
            parts: ReasonParts::of(&row.reason),
            reason: row.reason,
        }
    }
}

impl From<NeighbourRow> for Neighbour {
    fn from(row: NeighbourRow) -> Self {
        Self { pseudonym: row.pseudonym, bought_wh: row.bought_wh, sold_wh: row.sold_wh }
    }
}
