//! One member in full: its account, its sums, its sites, its latest orders and its neighbours.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId};
use sqlx::PgExecutor;

use crate::StoreError;

/// The most neighbours listed.
const MAX_NEIGHBOURS: i64 = 500;
/// The most sites of a member listed.
const MAX_SITES: i64 = 500;

/// A member and its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// The member's id.
    pub member_id: String,
    /// The name the member and the operator see.
    pub display_name: String,
    /// The name other members see.
    pub pseudonym: String,
    /// The autopilot's preset.
    pub preset: String,
    /// Where its account lives on the chain; `None` until it has one.
    pub chain_address: Option<String>,
    /// The sum of its ledger entries, in nano-currency.
    pub balance_nano: i64,
    /// What it still owes from settled batches, in nano-currency; negative if it is still owed.
    pub open_receivable_nano: i64,
}

/// A member's sums over all priced slots, at their latest revisions. Energy in Wh, money signed in
/// nano-currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberTotals {
    /// Metered import.
    pub import_wh: i64,
    /// Metered export.
    pub export_wh: i64,
    /// Production; `None` if it is unknown for any slot and the member has a generator.
    pub production_wh: Option<i64>,
    /// Bought in the continuous auction.
    pub traded_bought_wh: i64,
    /// Sold in the continuous auction.
    pub traded_sold_wh: i64,
    /// Bought in the closing auction.
    pub closing_bought_wh: i64,
    /// Sold in the closing auction.
    pub closing_sold_wh: i64,
    /// What all of it came to.
    pub net_nano: i64,
    /// What the same registers would have cost without the market.
    pub base_nano: i64,
}

/// A site, its meter and the meter's last reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRow {
    /// The site's id.
    pub site_id: String,
    /// Its zone in the network.
    pub zone_id: String,
    /// The generator's peak power in W; zero for none.
    pub pv_peak_w: i64,
    /// What the battery holds in Wh; zero for none.
    pub battery_wh: i64,
    /// The meter, if one is enrolled.
    pub meter_id: Option<String>,
    /// The template it is read with.
    pub template_id: Option<String>,
    /// The slot boundary of the last reading; `None` if there is none yet.
    pub last_slot_end: Option<DateTime<Utc>>,
    /// When the last reading was taken.
    pub last_read_at: Option<DateTime<Utc>>,
    /// The power in W at that time, positive on import; `None` if not known.
    pub last_power_w: Option<i64>,
    /// The import register in whole Wh, rounded down.
    pub import_wh: Option<i64>,
    /// The export register in whole Wh, rounded down.
    pub export_wh: Option<i64>,
}

/// An order as its member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// Its number in the community.
    pub order_id: i64,
    /// The slot it trades.
    pub slot_start: DateTime<Utc>,
    /// `bid` or `offer`.
    pub side: String,
    /// How much was ordered, in Wh.
    pub energy_wh: i64,
    /// How much is not traded yet, in Wh.
    pub remaining_wh: i64,
    /// The worst price it accepts, in micro-currency per kWh.
    pub limit_micro_per_kwh: i64,
    /// `open`, `filled`, `cancelled` or `expired`.
    pub status: String,
    /// `member` or `autopilot`.
    pub placed_by: String,
    /// Why the autopilot placed it, in plain words.
    pub reason: String,
}

/// With whom a member traded, in the continuous auction and the closing one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourRow {
    /// The neighbour's pseudonym.
    pub pseudonym: String,
    /// Bought from it, in Wh.
    pub bought_wh: i64,
    /// Sold to it, in Wh.
    pub sold_wh: i64,
}

/// A member and its account, if there is such a member.
///
/// What is open is what its batches moved less what they owed by themselves: an amount carried from
/// an earlier batch is part of what a later one moves, not of what that one owes.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
) -> Result<Option<MemberRow>, StoreError> {
    Ok(sqlx::query_as!(
        MemberRow,
        r#"WITH open AS (
             SELECT coalesce(sum(settled_nano - owed_nano), 0)::bigint AS nano FROM batch_positions
             WHERE community_id = $1 AND account_id = $2 AND settled_nano <> owed_nano)
           SELECT m.member_id, m.display_name, m.pseudonym, m.preset,
                  a.chain_address AS "chain_address?", coalesce(t.balance_nano, 0) AS "balance_nano!",
                  open.nano AS "open_receivable_nano!"
           FROM members m CROSS JOIN open
           LEFT JOIN accounts a ON a.community_id = m.community_id AND a.account_id = m.member_id
           LEFT JOIN account_totals t ON t.community_id = m.community_id AND t.account_id = m.member_id
           WHERE m.community_id = $1 AND m.member_id = $2"#,
        community.as_str(),
        member.as_str()
    )
    .fetch_optional(db)
    .await?)
}

/// Sums up a member.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or a sum leaves the 64-bit range.
pub async fn totals(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
) -> Result<MemberTotals, StoreError> {
    Ok(sqlx::query_as!(
        MemberTotals,
        r#"SELECT coalesce(t.import_wh, 0) AS "import_wh!", coalesce(t.export_wh, 0) AS "export_wh!",
                  CASE WHEN t.slots > 0 AND (t.unknown_slots = 0 OR pv.peak_w = 0) THEN t.production_wh END
                      AS production_wh,
                  coalesce(t.traded_bought_wh, 0) AS "traded_bought_wh!",
                  coalesce(t.traded_sold_wh, 0) AS "traded_sold_wh!",
                  coalesce(t.closing_bought_wh, 0) AS "closing_bought_wh!",
                  coalesce(t.closing_sold_wh, 0) AS "closing_sold_wh!",
                  coalesce(t.net_nano, 0) AS "net_nano!", coalesce(t.base_nano, 0) AS "base_nano!"
           FROM (SELECT coalesce(sum(pv_peak_w), 0) AS peak_w FROM sites
                 WHERE community_id = $1 AND member_id = $2) pv
           LEFT JOIN account_totals t ON t.community_id = $1 AND t.account_id = $2"#,
        community.as_str(),
        member.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// A member's sites, by id, each with its meter and that meter's last reading.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn sites(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
) -> Result<Vec<SiteRow>, StoreError> {
    Ok(sqlx::query_as!(
        SiteRow,
        r#"SELECT s.site_id, s.zone_id, s.pv_peak_w, s.battery_wh, m.meter_id AS "meter_id?", m.template_id AS "template_id?",
                  r.slot_end AS "last_slot_end?", r.read_at AS "last_read_at?", r.power_w AS "last_power_w?",
                  r.import_mwh / 1000 AS "import_wh?", r.export_mwh / 1000 AS "export_wh?"
           FROM sites s
           LEFT JOIN meters m USING (community_id, site_id)
           LEFT JOIN LATERAL (
             SELECT slot_end, read_at, power_w, import_mwh, export_mwh FROM readings
             WHERE community_id = m.community_id AND meter_id = m.meter_id
             ORDER BY epoch DESC, seq DESC LIMIT 1) r ON true
           WHERE s.community_id = $1 AND s.member_id = $2 ORDER BY s.site_id LIMIT $3"#,
        community.as_str(),
        member.as_str(),
        MAX_SITES
    )
    .fetch_all(db)
    .await?)
}

/// A member's newest orders, at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn orders(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    limit: i64,
) -> Result<Vec<OrderRow>, StoreError> {
    Ok(sqlx::query_as!(
        OrderRow,
        "SELECT order_id, slot_start, side, energy_wh, remaining_wh, limit_micro_per_kwh, status, placed_by, reason
         FROM orders WHERE community_id = $1 AND member_id = $2
         ORDER BY slot_start DESC, order_id DESC LIMIT $3",
        community.as_str(),
        member.as_str(),
        limit
    )
    .fetch_all(db)
    .await?)
}

/// With whom a member traded, most energy first: what was agreed ahead, and what the closing auction gave at each slot's
/// latest revision. Between its own sites nobody is a neighbour.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn neighbours(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
) -> Result<Vec<NeighbourRow>, StoreError> {
    Ok(sqlx::query_as!(
        NeighbourRow,
        r#"WITH both_ways AS (
             SELECT seller_id AS other_id, energy_wh AS bought_wh, 0 AS sold_wh FROM trades
             WHERE community_id = $1 AND buyer_id = $2
             UNION ALL
             SELECT buyer_id, 0, energy_wh FROM trades WHERE community_id = $1 AND seller_id = $2
             UNION ALL
             SELECT other.member_id, p.energy_wh, 0 FROM sites own
             JOIN closing_pairs p ON p.community_id = own.community_id AND p.buyer_site_id = own.site_id
             JOIN slots s ON s.community_id = p.community_id AND s.slot_start = p.slot_start AND s.revision = p.revision
             JOIN sites other ON other.community_id = p.community_id AND other.site_id = p.seller_site_id
             WHERE own.community_id = $1 AND own.member_id = $2
             UNION ALL
             SELECT other.member_id, 0, p.energy_wh FROM sites own
             JOIN closing_pairs p ON p.community_id = own.community_id AND p.seller_site_id = own.site_id
             JOIN slots s ON s.community_id = p.community_id AND s.slot_start = p.slot_start AND s.revision = p.revision
             JOIN sites other ON other.community_id = p.community_id AND other.site_id = p.buyer_site_id
             WHERE own.community_id = $1 AND own.member_id = $2)
           SELECT m.pseudonym, sum(bought_wh)::bigint AS "bought_wh!", sum(sold_wh)::bigint AS "sold_wh!"
           FROM both_ways JOIN members m ON m.community_id = $1 AND m.member_id = other_id
           WHERE other_id <> $2
           GROUP BY m.pseudonym ORDER BY sum(bought_wh + sold_wh) DESC, m.pseudonym LIMIT $3"#,
        community.as_str(),
        member.as_str(),
        MAX_NEIGHBOURS
    )
    .fetch_all(db)
    .await?)
}
