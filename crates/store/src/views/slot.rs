//! One slot in full: its trades, its closing auction, and the transaction that settled it.

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// The most trades shown of one slot.
pub const MAX_TRADES: i64 = 10_000;

/// A trade of the continuous auction, its members by pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeRow {
    /// Its number in the community.
    pub trade_id: i64,
    /// The buyer's pseudonym.
    pub buyer: String,
    /// The seller's pseudonym.
    pub seller: String,
    /// How much, in Wh.
    pub energy_wh: i64,
    /// At which price, in micro-currency per kWh.
    pub price_micro_per_kwh: i64,
    /// When.
    pub traded_at: DateTime<Utc>,
}

/// What the closing auction gave one site, its member by pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillRow {
    /// The member's pseudonym.
    pub account: String,
    /// `bid` (bought) or `offer` (sold).
    pub side: String,
    /// How much, in Wh.
    pub energy_wh: i64,
    /// At which price, in micro-currency per kWh.
    pub price_micro_per_kwh: i64,
}

/// Who took from whom in the closing auction, the members by pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRow {
    /// The buyer's pseudonym.
    pub buyer: String,
    /// The seller's pseudonym.
    pub seller: String,
    /// How much, in Wh.
    pub energy_wh: i64,
    /// What the buyer pays the network, in micro-currency per kWh.
    pub network_fee_micro_per_kwh: i64,
    /// The part that met the buyer's preference, in Wh.
    pub preferred_wh: i64,
    /// What the buyer pays the seller for that part on top of the price, in micro-currency per kWh.
    pub premium_micro_per_kwh: i64,
}

/// The transaction that carries a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRow {
    /// Its hash.
    pub tx_hash: String,
    /// `signed`, `broadcast`, `final`, `reverted` or `replaced`.
    pub status: String,
    /// The block that holds it, once mined.
    pub block_number: Option<i64>,
    /// The gas it used, once mined.
    pub gas_used: Option<i64>,
    /// The sender's nonce.
    pub nonce: i64,
}

/// An account's part of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionRow {
    /// The member's pseudonym, or the community's account.
    pub account: String,
    /// Where it lives on the chain.
    pub chain_address: String,
    /// What the statements say, in nano-currency.
    pub owed_nano: i64,
    /// What the chain moves, in nano-currency; `None` until the batch is signed.
    pub settled_nano: Option<i64>,
}

/// The slot's trades in the order they were made, at most [`MAX_TRADES`].
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn trades(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<TradeRow>, StoreError> {
    Ok(sqlx::query_as!(
        TradeRow,
        "SELECT t.trade_id, b.pseudonym AS buyer, s.pseudonym AS seller, t.energy_wh, t.price_micro_per_kwh,
             t.traded_at
         FROM trades t
         JOIN members b ON b.community_id = t.community_id AND b.member_id = t.buyer_id
         JOIN members s ON s.community_id = t.community_id AND s.member_id = t.seller_id
         WHERE t.community_id = $1 AND t.slot_start = $2 ORDER BY t.trade_id LIMIT $3",
        community.as_str(),
        slot_start,
        MAX_TRADES
    )
    .fetch_all(db)
    .await?)
}

/// What the closing auction of the latest metered revision gave each site, by pseudonym.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn closing_fills(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<FillRow>, StoreError> {
    Ok(sqlx::query_as!(
        FillRow,
        "SELECT m.pseudonym AS account, f.side, f.energy_wh, f.price_micro_per_kwh
         FROM closing_fills f
         JOIN sites s USING (community_id, site_id)
         JOIN members m USING (community_id, member_id)
         WHERE f.community_id = $1 AND f.slot_start = $2
           AND f.revision = (SELECT max(revision) FROM metered_sites WHERE community_id = $1 AND slot_start = $2)
         ORDER BY f.side, m.pseudonym, f.site_id",
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?)
}

/// Who took from whom in the closing auction of the latest metered revision, by pseudonym, at most
/// [`MAX_TRADES`].
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn closing_pairs(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<PairRow>, StoreError> {
    Ok(sqlx::query_as!(
        PairRow,
        "SELECT mb.pseudonym AS buyer, ms.pseudonym AS seller, p.energy_wh, p.network_fee_micro_per_kwh,
             p.preferred_wh, p.premium_micro_per_kwh
         FROM closing_pairs p
         JOIN sites b ON b.community_id = p.community_id AND b.site_id = p.buyer_site_id
         JOIN sites s ON s.community_id = p.community_id AND s.site_id = p.seller_site_id
         JOIN members mb ON mb.community_id = p.community_id AND mb.member_id = b.member_id
         JOIN members ms ON ms.community_id = p.community_id AND ms.member_id = s.member_id
         WHERE p.community_id = $1 AND p.slot_start = $2
           AND p.revision = (SELECT max(revision) FROM metered_sites WHERE community_id = $1 AND slot_start = $2)
         ORDER BY mb.pseudonym, ms.pseudonym, p.buyer_site_id, p.seller_site_id LIMIT $3",
        community.as_str(),
        slot_start,
        MAX_TRADES
    )
    .fetch_all(db)
    .await?)
}

/// The transaction that carries a batch: the final one, otherwise the latest attempt.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn transaction(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &[u8],
) -> Result<Option<TransactionRow>, StoreError> {
    Ok(sqlx::query_as!(
        TransactionRow,
        "SELECT tx_hash, status, block_number, gas_used, nonce FROM transactions
         WHERE community_id = $1 AND batch_id = $2 ORDER BY (status = 'final') DESC, attempt DESC LIMIT 1",
        community.as_str(),
        batch_id
    )
    .fetch_optional(db)
    .await?)
}

/// The positions of a batch: members by pseudonym, then the community's own accounts.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn positions(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    batch_id: &[u8],
) -> Result<Vec<PositionRow>, StoreError> {
    Ok(sqlx::query_as!(
        PositionRow,
        r#"SELECT coalesce(m.pseudonym, p.account_id) AS "account!", a.chain_address, p.owed_nano, p.settled_nano
           FROM batch_positions p
           JOIN accounts a USING (community_id, account_id)
           LEFT JOIN members m ON m.community_id = p.community_id AND m.member_id = p.account_id
           WHERE p.community_id = $1 AND p.batch_id = $2 ORDER BY m.pseudonym NULLS LAST, p.account_id"#,
        community.as_str(),
        batch_id
    )
    .fetch_all(db)
    .await?)
}
