//! Communities: the list, and one with its totals.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use domain::slot::Slot;
use domain::tariff::Tariff;
use domain::units::Price;
use serde::Serialize;
use store::StoreError;
use store::communities::Community;
use store::totals::Totals;
use store::views::kpis::KpiSums;
use store::views::{community, kpis, slots};
use utoipa::ToSchema;

use super::slots::SlotSummary;
use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes;
use crate::wire::{MoneyNano, PriceMicro};

/// All communities.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Communities {
    /// By id.
    communities: Vec<CommunityEntry>,
}

/// A community in the list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommunityEntry {
    /// Its id.
    #[schema(example = "demo")]
    community_id: String,
    /// Its name.
    #[schema(example = "Lindenhof")]
    name: String,
    /// The code of its currency.
    #[schema(example = "EUR")]
    currency: String,
    /// The length of its slots, in seconds.
    #[schema(example = 900)]
    slot_length_s: u32,
}

/// A community in full.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommunityDetail {
    #[serde(flatten)]
    entry: CommunityEntry,
    /// The start of its first slot.
    market_opens_at: DateTime<Utc>,
    /// In a demonstration that runs faster than life: how many seconds of the profile a slot carries.
    profile_seconds_per_slot: Option<u32>,
    /// The tariff that holds now; null if none is valid yet.
    tariff: Option<TariffNow>,
    /// Where it settles, once the contract is deployed.
    chain: Option<Chain>,
    /// How many take part.
    counts: Counts,
    /// What it has done since its market opened.
    totals: CommunityTotals,
    /// The slot that contains the present moment, if the market has made it.
    current_slot: Option<SlotSummary>,
    /// The latest slot whose money has moved.
    latest_settled: Option<SlotSummary>,
}

/// Prices per kWh without the market, and the fees of the market.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TariffNow {
    /// What imported energy costs at the grid.
    retail_micro_per_kwh: PriceMicro,
    /// What exported energy earns at the grid.
    feed_in_micro_per_kwh: PriceMicro,
    /// What the network takes for local energy, paid by its buyer.
    network_fee_micro_per_kwh: PriceMicro,
    /// What the platform takes for local energy, paid by its buyer.
    platform_fee_micro_per_kwh: PriceMicro,
}

/// Where a community settles.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chain {
    /// The EIP-155 chain id.
    #[schema(example = 31337)]
    chain_id: i64,
    /// The address of the credit contract.
    #[schema(example = "0x5fbdb2315678afecb367f032d93f642f64180aa3")]
    credit_address: String,
}

/// How many take part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// Members.
    members: i64,
    /// Connection points.
    sites: i64,
    /// Revenue meters.
    meters: i64,
}

/// What a community has done, its energies and money at the latest revisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommunityTotals {
    /// Slots whose money has moved.
    slots_settled: i64,
    /// Signed readings stored.
    readings_stored: i64,
    /// Trades of the continuous auction.
    trades: i64,
    /// What they moved.
    traded_wh: i64,
    /// What the closing auctions moved.
    closing_auction_wh: i64,
    /// What members took from the grid at the retail tariff.
    grid_import_wh: i64,
    /// What members gave to the grid at the feed-in tariff.
    grid_export_wh: i64,
    /// Batches that are final on the chain, or had nothing to move.
    batches_final: i64,
    /// What members saved against the tariffs alone.
    savings_nano: MoneyNano,
    /// The part of the consumption met from own or local production, in thousandths; null if nothing
    /// was consumed in slots of known production.
    #[schema(minimum = 0, maximum = 1000)]
    self_sufficiency_permille: Option<i64>,
    /// The part of the production used behind its meter or by a neighbour, in thousandths; null if
    /// nothing was produced in slots of known production.
    #[schema(minimum = 0, maximum = 1000)]
    self_consumption_permille: Option<i64>,
    /// The part of the import that came from neighbours, in thousandths; null if nothing was imported.
    #[schema(minimum = 0, maximum = 1000)]
    local_share_permille: Option<i64>,
}

/// The communities of this server.
#[utoipa::path(
    get, path = "/api/v1/communities", operation_id = "listCommunities", tag = "communities",
    responses((status = 200, description = "All communities, by id.", body = Communities))
)]
pub(crate) async fn list(state: web::Data<AppState>) -> Result<Json<Communities>, ApiError> {
    let all = store::communities::all(&state.pool).await?;
    Ok(Json(Communities { communities: all.iter().map(entry).collect() }))
}

/// One community: its tariff, its totals, its current slot and the latest settled one.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}", operation_id = "showCommunity", tag = "communities",
    params(("community_id" = String, Path, description = "The community.", example = "demo")),
    responses(
        (status = 200, description = "The community.", body = CommunityDetail),
        (status = 404, description = "No such community.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<Json<CommunityDetail>, ApiError> {
    let found = routes::community(&state, &id).await?;
    let (pool, id) = (&state.pool, &found.community_id);
    let now = state.clock.now();
    let tariff = match store::communities::tariff_at(pool, id, now).await {
        Err(StoreError::NotFound { .. }) => None,
        other => Some(TariffNow::from(other?)),
    };
    let counts = community::counts(pool, id).await?;
    let totals = store::totals::of_community(pool, id).await?;
    let savings_nano = community::savings_nano(pool, id).await?;
    let sums = kpis::sums(pool, id).await?;
    let current = Slot::containing(now, found.slot_length).start();
    let settled = slots::latest_settled(pool, id).await?;
    let starts: Vec<_> = std::iter::once(current).chain(settled).collect();
    let summaries = slots::summaries(pool, id, &starts).await?;
    let summary = |start| {
        let found_slot = summaries.iter().find(|slot| Some(slot.slot_start) == start)?;
        Some(SlotSummary::new(found_slot.clone(), &found))
    };
    Ok(Json(CommunityDetail {
        entry: entry(&found),
        market_opens_at: found.market_opens_at,
        profile_seconds_per_slot: state.stack.profile_seconds_per_slot,
        tariff,
        chain: found
            .contract
            .clone()
            .map(|at| Chain { chain_id: at.chain_id, credit_address: at.credit_address }),
        counts: Counts { members: counts.members, sites: counts.sites, meters: counts.meters },
        totals: CommunityTotals::new(&totals, savings_nano, &sums),
        current_slot: summary(Some(current)),
        latest_settled: summary(settled),
    }))
}

fn entry(community: &Community) -> CommunityEntry {
    CommunityEntry {
        community_id: community.community_id.to_string(),
        name: community.name.clone(),
        currency: community.currency.clone(),
        slot_length_s: community.slot_length.seconds(),
    }
}

impl From<Tariff> for TariffNow {
    fn from(tariff: Tariff) -> Self {
        let price = |price: Price| PriceMicro(price.micro_per_kwh());
        Self {
            retail_micro_per_kwh: price(tariff.retail()),
            feed_in_micro_per_kwh: price(tariff.feed_in()),
            network_fee_micro_per_kwh: price(tariff.network_fee()),
            platform_fee_micro_per_kwh: price(tariff.platform_fee()),
        }
    }
}

impl CommunityTotals {
    fn new(totals: &Totals, savings_nano: i64, sums: &KpiSums) -> Self {
        Self {
            slots_settled: totals.slots_settled,
            readings_stored: totals.readings_stored,
            trades: totals.trades,
            traded_wh: totals.traded_wh,
            closing_auction_wh: totals.closing_auction_wh,
            grid_import_wh: totals.grid_import_wh,
            grid_export_wh: totals.grid_export_wh,
            batches_final: totals.batches_final,
            savings_nano: MoneyNano(savings_nano),
            self_sufficiency_permille: sums.self_sufficiency_permille(),
            self_consumption_permille: sums.self_consumption_permille(),
            local_share_permille: sums.local_share_permille(),
        }
    }
}
