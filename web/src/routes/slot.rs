//! One slot in full, down to the transaction that settled it.

use actix_web::web::{self, Json};
use chrono::{DateTime, Utc};
use domain::slot::Slot;
use domain::units::Money;
use serde::Serialize;
use store::communities::Community;
use store::views::{slot, slots, statements};
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
        slot: SlotSummary::new(summary, community.slot_length),
        trades: trades.into_iter().map(Trade::from).collect(),
        closing_fills: fills.into_iter().map(ClosingFill::from).collect(),
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
