//! Where a statement comes from: every reading, trade and fill behind it, and where the chain keeps it.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use domain::fees::NetworkFees;
use domain::units::Price;
use serde::Serialize;
use store::statements::trace::{self, FillRow, PairRow, ReadingRow, TradeRow};
use store::views::slots;
use store::zones::{self, SiteZone};
use store::{StoreError, communities, network_fees};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::routes::slot::parse_start;
use crate::wire::{Batch, Hex, PriceMicro};
use crate::{problems, routes};

/// What a member's statement of a slot goes back to, line by line: `traded_*` to the trades, `closing_*` to
/// the fills, `preferred_*` to the pairs, `network_fee_nano` to what was bought in trades and pairs, the registers'
/// differences to the readings, the rest to the tariff.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementTrace {
    /// The slot.
    slot_start: DateTime<Utc>,
    /// Which correction of it: the latest.
    revision: i32,
    /// The signed readings of its meters at the slot's start and end.
    readings: Vec<TracedReading>,
    /// Its trades of the continuous auction.
    trades: Vec<TracedTrade>,
    /// What the closing auction gave its sites.
    closing_fills: Vec<TracedFill>,
    /// Whom its sites met there.
    closing_pairs: Vec<TracedPair>,
    /// What the residual was charged at.
    tariff: TracedTariff,
    /// The batch that settles it, and the transaction that carries it.
    batch: Option<Batch>,
    /// The root over all statements of the slot, which the contract keeps for the batch.
    statement_root: Option<String>,
    /// Where the account lived on the chain when the slot was priced.
    chain_address: String,
    /// Where the receipt is, once the batch is final.
    #[schema(example = "/api/v1/communities/demo/members/anna/receipts/2026-03-01T12:00:00Z")]
    receipt: Option<String>,
}

/// A signed reading.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TracedReading {
    meter_id: String,
    /// Counts the times the meter started anew.
    epoch: i32,
    /// Counts its readings in the epoch.
    seq: i64,
    /// The boundary of slots that it is for.
    slot_end: DateTime<Utc>,
    /// The import register.
    import_mwh: i64,
    /// The export register.
    export_mwh: i64,
    /// The production register; null where it is not known.
    production_mwh: Option<i64>,
    /// The signed record (OCMF), byte for byte: anybody can verify it with the meter agent's key.
    record: String,
}

/// A trade of the member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TracedTrade {
    trade_id: i64,
    /// `bought` or `sold`.
    #[schema(example = "bought")]
    side: &'static str,
    energy_wh: i64,
    price_micro_per_kwh: PriceMicro,
    /// What the buyer pays beside it for the network, between the zones of the two.
    network_fee_micro_per_kwh: PriceMicro,
    traded_at: DateTime<Utc>,
}

/// What the closing auction gave a site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TracedFill {
    site_id: String,
    /// `bid` or `offer`.
    #[schema(example = "bid")]
    side: String,
    energy_wh: i64,
    price_micro_per_kwh: PriceMicro,
}

/// Whom a site met in the closing auction, and for how much.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TracedPair {
    site_id: String,
    /// `bought` or `sold`.
    #[schema(example = "bought")]
    side: &'static str,
    /// The other side's pseudonym.
    counterparty: String,
    energy_wh: i64,
    /// What the buyer pays for the network, between the zones of the two.
    network_fee_micro_per_kwh: PriceMicro,
    /// How much of it met the buyer's preference.
    preferred_wh: i64,
    /// What the buyer adds for each kWh of that; the seller gets it.
    premium_micro_per_kwh: PriceMicro,
}

/// The tariff of the slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TracedTariff {
    retail_micro_per_kwh: PriceMicro,
    feed_in_micro_per_kwh: PriceMicro,
    network_fee_micro_per_kwh: PriceMicro,
    platform_fee_micro_per_kwh: PriceMicro,
}

/// What a member's statement of a slot goes back to: readings, trades, fills, tariff, batch, transaction.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/members/{member_id}/statements/{slot_start}/trace",
    operation_id = "traceStatement", tag = "members",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("member_id" = String, Path, description = "The member.", example = "anna"),
        ("slot_start" = DateTime<Utc>, Path, description = "When the slot starts.", example = "2026-03-01T12:00:00Z"),
    ),
    responses(
        (status = 200, description = "Where it comes from.", body = StatementTrace),
        (status = 400, description = "Not the start of a slot.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or member, or no statement of the slot.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let community = routes::community(&state, &path.0).await?;
    let id = routes::existing_member(&state, &community.community_id, &path.1).await?;
    let start = parse_start(&community, &path.2)?;
    let (pool, community) = (&state.pool, &community.community_id);
    let found = trace::origins(pool, community, &id, start).await?.ok_or_else(|| {
        let detail = format!("{id} has no statement of the slot {}: it is not priced yet", path.2);
        ApiError::new(problems::UNKNOWN_STATEMENT, detail)
    })?;
    let tariff = communities::tariff_at(pool, community, start).await?;
    let sites = zones::of_sites(pool, community).await?;
    let fees = network_fees::of_slot(pool, community, start, &tariff, &sites).await?;
    let trades =
        found.trades.into_iter().map(|trade| traced(trade, &fees, &sites)).collect::<Result<_, _>>()?;
    let price = |price: Price| PriceMicro(price.micro_per_kwh());
    let of_revision = |(_, revision, batch)| (revision == found.revision).then(|| Batch::from(batch));
    let batch = slots::batches(pool, community, &[start]).await?.into_iter().find_map(of_revision);
    let is_final = batch.as_ref().is_some_and(|batch| batch.status == "final");
    let receipt = is_final.then(|| {
        format!(
            "/api/v1/communities/{community}/members/{id}/receipts/{}?revision={}",
            path.2, found.revision
        )
    });
    Ok(HttpResponse::Ok().json(StatementTrace {
        slot_start: start,
        revision: found.revision,
        readings: found.readings.into_iter().map(TracedReading::from).collect(),
        trades,
        closing_fills: found.fills.into_iter().map(TracedFill::from).collect(),
        closing_pairs: found.pairs.into_iter().map(TracedPair::from).collect(),
        tariff: TracedTariff {
            retail_micro_per_kwh: price(tariff.retail()),
            feed_in_micro_per_kwh: price(tariff.feed_in()),
            network_fee_micro_per_kwh: price(tariff.network_fee()),
            platform_fee_micro_per_kwh: price(tariff.platform_fee()),
        },
        batch,
        statement_root: found.statement_root.map(|root| Hex(&root).to_string()),
        chain_address: found.chain_address,
        receipt,
    }))
}

impl From<ReadingRow> for TracedReading {
    fn from(row: ReadingRow) -> Self {
        let ReadingRow { meter_id, epoch, seq, slot_end, import_mwh, export_mwh, production_mwh, record } =
            row;
        Self { meter_id, epoch, seq, slot_end, import_mwh, export_mwh, production_mwh, record }
    }
}

/// A trade with its fee: the zones of sites that have traded do not change any more.
fn traced(row: TradeRow, fees: &NetworkFees, sites: &[SiteZone]) -> Result<TracedTrade, StoreError> {
    let zone = |site: &str| {
        let found = sites.iter().find(|known| known.site_id.as_str() == site);
        let number = found.and_then(|known| fees.number(&known.zone_id));
        number
            .ok_or_else(|| StoreError::Corrupt(format!("site {site} of trade {} has no zone", row.trade_id)))
    };
    let fee = fees.fee(zone(&row.seller_site_id)?, zone(&row.buyer_site_id)?);
    Ok(TracedTrade {
        trade_id: row.trade_id,
        side: side(row.is_purchase),
        energy_wh: row.energy_wh,
        price_micro_per_kwh: PriceMicro(row.price_micro_per_kwh),
        network_fee_micro_per_kwh: PriceMicro(fee.micro_per_kwh()),
        traded_at: row.traded_at,
    })
}

const fn side(is_purchase: bool) -> &'static str {
    if is_purchase { "bought" } else { "sold" }
}

impl From<PairRow> for TracedPair {
    fn from(row: PairRow) -> Self {
        Self {
            site_id: row.site_id,
            side: side(row.is_purchase),
            counterparty: row.counterparty,
            energy_wh: row.energy_wh,
            network_fee_micro_per_kwh: PriceMicro(row.network_fee_micro_per_kwh),
            preferred_wh: row.preferred_wh,
            premium_micro_per_kwh: PriceMicro(row.premium_micro_per_kwh),
        }
    }
}

impl From<FillRow> for TracedFill {
    fn from(row: FillRow) -> Self {
        let FillRow { site_id, side, energy_wh, price_micro_per_kwh } = row;
        Self { site_id, side, energy_wh, price_micro_per_kwh: PriceMicro(price_micro_per_kwh) }
    }
}
