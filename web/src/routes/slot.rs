//! One slot in full, down to the transaction that settled it.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use domain::grid::GridLimits;
use domain::slot::Slot;
use domain::units::{Energy, Money};
use serde::Serialize;
use store::communities::Community;
use store::grid_limits;
use store::views::statements::{self, StatementRow};
use store::views::{slot, slots};
use utoipa::ToSchema;

use super::slots::SlotSummary;
use super::statements::AccountStatement;
use crate::app::AppState;
use crate::error::{ApiError, Problem};
use crate::wire::{MoneyNano, PriceMicro};
use crate::{problems, routes};

/// A slot in full. Members appear by pseudonym.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlotDetail {
    /// The slot at a glance.
    slot: SlotSummary,
    /// The trades of the continuous auction, in the order they were made; at most 10 000.
    trades: Vec<Trade>,
    /// What the closing auction gave each site.
    closing_fills: Vec<ClosingFill>,
    /// Who took from whom in the closing auction; at most 10 000.
    closing_pairs: Vec<ClosingPair>,
    /// The grid limits, and what was beyond them.
    grid: Grid,
    /// Every account's statement at the latest revision: members, then the community's own accounts.
    statements: Vec<AccountStatement>,
    /// The sum of all statements: zero, or money was made or lost.
    money_sum_nano: MoneyNano,
    /// The transaction that carries the batch, once one is signed.
    transaction: Option<Transaction>,
    /// What the batch moves, an account.
    positions: Vec<Position>,
}

/// A trade of the continuous auction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trade {
    /// Its number in the community.
    trade_id: i64,
    /// The buyer's pseudonym.
    #[schema(example = "Blue Heron")]
    buyer: String,
    /// The seller's pseudonym.
    #[schema(example = "Amber Kite")]
    seller: String,
    /// How much.
    energy_wh: i64,
    /// The price: the resting order's.
    price_micro_per_kwh: PriceMicro,
    /// When.
    traded_at: DateTime<Utc>,
}

/// What the closing auction gave a site.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClosingFill {
    /// The member's pseudonym.
    #[schema(example = "Amber Kite")]
    account: String,
    /// `bid` (bought) or `offer` (sold).
    #[schema(example = "offer")]
    side: String,
    /// How much.
    energy_wh: i64,
    /// The auction's one price.
    price_micro_per_kwh: PriceMicro,
}

/// Who took from whom in the closing auction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClosingPair {
    /// The buyer's pseudonym.
    #[schema(example = "Blue Heron")]
    buyer: String,
    /// The seller's pseudonym.
    #[schema(example = "Amber Kite")]
    seller: String,
    /// How much.
    energy_wh: i64,
    /// What the buyer pays the network: the fee of the two zones.
    network_fee_micro_per_kwh: PriceMicro,
    /// The part that met the buyer's preference.
    preferred_wh: i64,
    /// What the buyer pays the seller for that part, on top of the price.
    premium_micro_per_kwh: PriceMicro,
}

/// How much may flow over the community's connection point, and what was beyond that.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Grid {
    /// The most that may be drawn from the grid; null is not limited.
    import_limit_wh: Option<i64>,
    /// The most that may be fed into it; null is not limited.
    export_limit_wh: Option<i64>,
    /// What members exported beyond the limit; it earns nothing.
    curtailed_wh: i64,
    /// What members imported beyond the limit; it is paid at the retail tariff.
    over_limit_wh: i64,
}

/// A transaction on the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Transaction {
    /// Its hash.
    tx_hash: String,
    /// `signed`, `broadcast`, `final`, `reverted` or `replaced`.
    #[schema(example = "final")]
    status: String,
    /// The block that holds it, once it is mined.
    block_number: Option<i64>,
    /// The gas it used, once it is mined.
    gas_used: Option<i64>,
    /// The sender's nonce.
    nonce: i64,
}

/// An account's part of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Position {
    /// The member's pseudonym, or the community's account.
    #[schema(example = "Amber Kite")]
    account: String,
    /// Where the account lives on the chain.
    chain_address: String,
    /// What its statements say.
    owed_nano: MoneyNano,
    /// What the chain moves, after shortfalls; null until the batch is signed.
    settled_nano: Option<MoneyNano>,
}

/// One slot: its trades, its closing auction, every account's statement, and its settlement.
#[utoipa::path(
    get, path = "/api/v1/communities/{community_id}/slots/{slot_start}", operation_id = "showSlot", tag = "slots",
    params(
        ("community_id" = String, Path, description = "The community.", example = "demo"),
        ("slot_start" = DateTime<Utc>, Path, description = "When the slot starts.", example = "2026-03-01T12:00:00Z"),
    ),
    responses(
        (status = 200, description = "The slot.", body = SlotDetail),
        (status = 400, description = "Not the start of a slot.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such community or slot.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<Json<SlotDetail>, ApiError> {
    let (id, start) = path.into_inner();
    let community = routes::community(&state, &id).await?;
    let start = parse_start(&community, &start)?;
    let (pool, id) = (&state.pool, &community.community_id);
    let summary = slots::summaries(pool, id, &[start]).await?.pop().ok_or_else(|| {
        ApiError::new(problems::UNKNOWN_SLOT, format!("the market of {id} has no slot at {start:?}"))
    })?;
    let trades = slot::trades(pool, id, start).await?;
    let fills = slot::closing_fills(pool, id, start).await?;
    let pairs = slot::closing_pairs(pool, id, start).await?;
    let limits = grid_limits::of_slot(pool, id, start).await?;
    let statements = statements::of_slot(pool, id, start).await?;
    let (transaction, positions) = match &summary.batch {
        Some(batch) => (
            slot::transaction(pool, id, &batch.batch_id).await?,
            slot::positions(pool, id, &batch.batch_id).await?,
        ),
        None => (None, Vec::new()),
    };
    let sum = Money::checked_sum(statements.iter().map(|row| Money::from_nano(row.net_nano)))
        .map_err(|error| ApiError::new(problems::INTERNAL, error.to_string()))?;
    Ok(Json(SlotDetail {
        slot: SlotSummary::new(summary, &community),
        trades: trades.into_iter().map(Trade::from).collect(),
        closing_fills: fills.into_iter().map(ClosingFill::from).collect(),
        closing_pairs: pairs.into_iter().map(ClosingPair::from).collect(),
        grid: Grid::new(limits, &statements),
        statements: statements.into_iter().map(AccountStatement::from).collect(),
        money_sum_nano: MoneyNano(sum.nano()),
        transaction: transaction.map(Transaction::from),
        positions: positions.into_iter().map(Position::from).collect(),
    }))
}

/// Reads the start of a slot of a community.
///
/// # Errors
/// A problem if it is not a time, or no slot starts then.
pub(crate) fn parse_start(community: &Community, text: &str) -> Result<DateTime<Utc>, ApiError> {
    let invalid = |detail: String| ApiError::new(problems::INVALID_SLOT, detail);
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|_| invalid(format!("{text:?} is not a time such as 2026-03-01T12:00:00Z")))?;
    Slot::starting_at(time.to_utc(), community.slot_length)
        .map(Slot::start)
        .map_err(|error| invalid(error.to_string()))
}

impl From<slot::TradeRow> for Trade {
    fn from(row: slot::TradeRow) -> Self {
        Self {
            trade_id: row.trade_id,
            buyer: row.buyer,
            seller: row.seller,
            energy_wh: row.energy_wh,
            price_micro_per_kwh: PriceMicro(row.price_micro_per_kwh),
            traded_at: row.traded_at,
        }
    }
}

impl From<slot::FillRow> for ClosingFill {
    fn from(row: slot::FillRow) -> Self {
        Self {
            account: row.account,
            side: row.side,
            energy_wh: row.energy_wh,
            price_micro_per_kwh: PriceMicro(row.price_micro_per_kwh),
        }
    }
}

impl From<slot::PairRow> for ClosingPair {
    fn from(row: slot::PairRow) -> Self {
        Self {
            buyer: row.buyer,
            seller: row.seller,
            energy_wh: row.energy_wh,
            network_fee_micro_per_kwh: PriceMicro(row.network_fee_micro_per_kwh),
            preferred_wh: row.preferred_wh,
            premium_micro_per_kwh: PriceMicro(row.premium_micro_per_kwh),
        }
    }
}

impl Grid {
    fn new(limits: GridLimits, statements: &[StatementRow]) -> Self {
        Self {
            import_limit_wh: limits.import.map(Energy::wh),
            export_limit_wh: limits.export.map(Energy::wh),
            curtailed_wh: statements.iter().map(|row| row.curtailed_wh).sum(),
            over_limit_wh: statements.iter().map(|row| row.over_limit_wh).sum(),
        }
    }
}

impl From<slot::TransactionRow> for Transaction {
    fn from(row: slot::TransactionRow) -> Self {
        Self {
            tx_hash: row.tx_hash,
            status: row.status,
            block_number: row.block_number,
            gas_used: row.gas_used,
            nonce: row.nonce,
        }
    }
}

impl From<slot::PositionRow> for Position {
    fn from(row: slot::PositionRow) -> Self {
        Self {
            account: row.account,
            chain_address: row.chain_address,
            owed_nano: MoneyNano(row.owed_nano),
            settled_nano: row.settled_nano.map(MoneyNano),
        }
    }
}
