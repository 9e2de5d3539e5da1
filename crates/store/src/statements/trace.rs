//! What a member's statement of a slot goes back to: readings, trades, what the closing auction gave, and the
//! root that the chain keeps.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId};
use sqlx::PgPool;

use crate::StoreError;

/// Everything that a statement follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// Which revision of the slot; the latest that the member has a statement of.
    pub revision: i32,
    /// The signed readings at the slot's start and end, by meter and time.
    pub readings: Vec<ReadingRow>,
    /// The member's trades in the slot, ascending.
    pub trades: Vec<TradeRow>,
    /// What the closing auction gave its sites.
    pub fills: Vec<FillRow>,
    /// Whom its sites met there, once for each side that is the member's.
    pub pairs: Vec<PairRow>,
    /// The root over all statements of the slot that the batch carries; 32 bytes.
    pub statement_root: Option<Vec<u8>>,
    /// Where the account lived on the chain when the slot was priced.
    pub chain_address: String,
}

/// A signed reading of a meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingRow {
    /// The meter.
    pub meter_id: String,
    /// Its epoch.
    pub epoch: i32,
    /// Its number in the epoch.
    pub seq: i64,
    /// The boundary of slots that it is for.
    pub slot_end: DateTime<Utc>,
    /// The import register, in mWh.
    pub import_mwh: i64,
    /// The export register, in mWh.
    pub export_mwh: i64,
    /// The production register, in mWh; `None` where it is not known.
    pub production_mwh: Option<i64>,
    /// The signed record, byte for byte.
    pub record: String,
}

/// A trade of the member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeRow {
    /// Its number in the community.
    pub trade_id: i64,
    /// Whether the member bought; otherwise it sold.
    pub is_purchase: bool,
    /// The site that bought.
    pub buyer_site_id: String,
    /// The site that sold.
    pub seller_site_id: String,
    /// How much, in Wh.
    pub energy_wh: i64,
    /// At which price.
    pub price_micro_per_kwh: i64,
    /// When.
    pub traded_at: DateTime<Utc>,
}

/// What the closing auction gave a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillRow {
    /// The site.
    pub site_id: String,
    /// `bid` or `offer`.
    pub side: String,
    /// How much, in Wh.
    pub energy_wh: i64,
    /// At the uniform price.
    pub price_micro_per_kwh: i64,
}

/// Whom a site met in the closing auction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRow {
    /// The member's site.
    pub site_id: String,
    /// Whether it bought; otherwise it sold.
    pub is_purchase: bool,
    /// The other side's pseudonym.
    pub counterparty: String,
    /// How much, in Wh.
    pub energy_wh: i64,
    /// What each kWh pays for the network; the buyer pays it.
    pub network_fee_micro_per_kwh: i64,
    /// How much of it met the buyer's preference, in Wh.
    pub preferred_wh: i64,
    /// What the buyer adds for each kWh of that, and the seller gets.
    pub premium_micro_per_kwh: i64,
}

/// What a member's latest statement of a slot goes back to; `None` if it has none.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn origins(
    pool: &PgPool,
    community: &CommunityId,
    member: &MemberId,
    slot_start: DateTime<Utc>,
) -> Result<Option<Origins>, StoreError> {
    let (id, member) = (community.as_str(), member.as_str());
    let statement = sqlx::query!(
        r#"SELECT s.revision, coalesce(s.chain_address, a.chain_address) AS "chain_address!",
             b.statement_root AS "statement_root?"
           FROM statements s JOIN accounts a USING (community_id, account_id)
           LEFT JOIN batches b USING (community_id, slot_start, revision)
           WHERE s.community_id = $1 AND s.slot_start = $2 AND s.account_id = $3 ORDER BY s.revision DESC LIMIT 1"#,
        id,
        slot_start,
        member
    )
    .fetch_optional(pool)
    .await?;
    let Some(statement) = statement else { return Ok(None) };
    let trades = sqlx::query_as!(
        TradeRow,
        r#"SELECT trade_id, buyer_id = $3 AS "is_purchase!", buyer_site_id, seller_site_id, energy_wh,
             price_micro_per_kwh, traded_at FROM trades
           WHERE community_id = $1 AND slot_start = $2 AND (buyer_id = $3 OR seller_id = $3) ORDER BY trade_id"#,
        id,
        slot_start,
        member
    )
    .fetch_all(pool)
    .await?;
    let fills = sqlx::query_as!(
        FillRow,
        "SELECT f.site_id, f.side, f.energy_wh, f.price_micro_per_kwh
         FROM closing_fills f JOIN sites USING (community_id, site_id)
         WHERE f.community_id = $1 AND f.slot_start = $2 AND f.revision = $3 AND member_id = $4 ORDER BY f.site_id",
        id,
        slot_start,
        statement.revision,
        member
    )
    .fetch_all(pool)
    .await?;
    Ok(Some(Origins {
        revision: statement.revision,
        readings: readings(pool, id, member, slot_start).await?,
        trades,
        fills,
        pairs: pairs(pool, id, member, slot_start, statement.revision).await?,
        statement_root: statement.statement_root,
        chain_address: statement.chain_address,
    }))
}

async fn pairs(
    pool: &PgPool,
    community: &str,
    member: &str,
    slot_start: DateTime<Utc>,
    revision: i32,
) -> Result<Vec<PairRow>, StoreError> {
    Ok(sqlx::query_as!(
        PairRow,
        r#"WITH sides AS (
             SELECT buyer_site_id AS site_id, true AS is_purchase, seller_site_id AS other_site_id, energy_wh,
               network_fee_micro_per_kwh, preferred_wh, premium_micro_per_kwh
             FROM closing_pairs WHERE community_id = $1 AND slot_start = $2 AND revision = $3
             UNION ALL
             SELECT seller_site_id, false, buyer_site_id, energy_wh, network_fee_micro_per_kwh, preferred_wh,
               premium_micro_per_kwh
             FROM closing_pairs WHERE community_id = $1 AND slot_start = $2 AND revision = $3)
           SELECT p.site_id AS "site_id!", p.is_purchase AS "is_purchase!", m.pseudonym AS counterparty,
             p.energy_wh AS "energy_wh!", p.network_fee_micro_per_kwh AS "network_fee_micro_per_kwh!",
             p.preferred_wh AS "preferred_wh!", p.premium_micro_per_kwh AS "premium_micro_per_kwh!"
           FROM sides p
           JOIN sites own ON own.community_id = $1 AND own.site_id = p.site_id AND own.member_id = $4
           JOIN sites other ON other.community_id = $1 AND other.site_id = p.other_site_id
           JOIN members m ON m.community_id = $1 AND m.member_id = other.member_id
           ORDER BY p.site_id, p.is_purchase, p.other_site_id"#,
        community,
        slot_start,
        revision,
        member
    )
    .fetch_all(pool)
    .await?)
}

async fn readings(
    pool: &PgPool,
    community: &str,
    member: &str,
    slot_start: DateTime<Utc>,
) -> Result<Vec<ReadingRow>, StoreError> {
    Ok(sqlx::query_as!(
        ReadingRow,
        "SELECT r.meter_id, r.epoch, r.seq, r.slot_end, r.import_mwh, r.export_mwh, r.production_mwh, r.record
         FROM sites x JOIN meters m USING (community_id, site_id) JOIN readings r USING (community_id, meter_id)
         JOIN communities c USING (community_id)
         WHERE x.community_id = $1 AND x.member_id = $2
           AND r.slot_end IN ($3::timestamptz, $3::timestamptz + make_interval(secs => c.slot_length_s))
         ORDER BY r.meter_id, r.slot_end, r.epoch, r.seq",
        community,
        member,
        slot_start
    )
    .fetch_all(pool)
    .await?)
}
