//! Statements: what each account paid and earned in a slot.

use chrono::{DateTime, Utc};
use domain::ids::{CommunityId, MemberId};
use sqlx::PgExecutor;

use crate::StoreError;

/// One account's statement of one slot. Money is signed: positive is a credit to the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    /// The slot.
    pub slot_start: DateTime<Utc>,
    /// The revision of the slot.
    pub revision: i32,
    /// The account: a member's id, or `grid`, `network`, `platform`, `reserve`.
    pub account_id: String,
    /// `member`, or the name of the community's account.
    pub kind: String,
    /// The member's pseudonym; `None` for the community's accounts.
    pub pseudonym: Option<String>,
    /// Metered import, in Wh.
    pub import_wh: i64,
    /// Metered export, in Wh.
    pub export_wh: i64,
    /// Metered production, in Wh; 0 for a member without generators, `None` where it is not known.
    pub production_wh: Option<i64>,
    /// Whether a missing reading was substituted.
    pub substituted: bool,
    /// Bought in the continuous auction, in Wh.
    pub traded_bought_wh: i64,
    /// Paid for it, in nano-currency (zero or below).
    pub traded_bought_nano: i64,
    /// Sold in the continuous auction, in Wh.
    pub traded_sold_wh: i64,
    /// Earned by it, in nano-currency.
    pub traded_sold_nano: i64,
    /// Bought in the closing auction, in Wh.
    pub closing_bought_wh: i64,
    /// Paid for it, in nano-currency (zero or below).
    pub closing_bought_nano: i64,
    /// Sold in the closing auction, in Wh.
    pub closing_sold_wh: i64,
    /// Earned by it, in nano-currency.
    pub closing_sold_nano: i64,
    /// The part of what was bought in the closing auction that met its preference, in Wh.
    pub preferred_bought_wh: i64,
    /// The premium paid for it, in nano-currency (zero or below).
    pub preferred_bought_nano: i64,
    /// The part of what was sold in the closing auction that met its buyer's preference, in Wh.
    pub preferred_sold_wh: i64,
    /// The premium earned by it, in nano-currency.
    pub preferred_sold_nano: i64,
    /// Left to the retail tariff, in Wh.
    pub residual_import_wh: i64,
    /// Left to the feed-in tariff, in Wh.
    pub residual_export_wh: i64,
    /// Paid or earned at the tariffs, in nano-currency.
    pub residual_nano: i64,
    /// Exported beyond the grid limit, in Wh; earns nothing.
    pub curtailed_wh: i64,
    /// The share of the residual import beyond the grid limit, in Wh.
    pub over_limit_wh: i64,
    /// The network fee, in nano-currency.
    pub network_fee_nano: i64,
    /// The platform fee, in nano-currency.
    pub platform_fee_nano: i64,
    /// The sum of it all, in nano-currency.
    pub net_nano: i64,
    /// What the same registers would have cost without the market, in nano-currency.
    pub base_nano: i64,
}

/// All accounts' statements of a slot at its latest priced revision: members by pseudonym, then the
/// community's own accounts.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_slot(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    slot_start: DateTime<Utc>,
) -> Result<Vec<StatementRow>, StoreError> {
    Ok(sqlx::query_as!(
        StatementRow,
        r#"SELECT st.slot_start, st.revision, st.account_id, a.kind, m.pseudonym AS "pseudonym?",
             st.import_wh, st.export_wh,
             coalesce(st.production_wh, CASE WHEN a.kind <> 'member' OR pv.peak_w = 0 THEN 0 END) AS production_wh,
             st.substituted, st.traded_bought_wh, st.traded_bought_nano, st.traded_sold_wh, st.traded_sold_nano,
             st.closing_bought_wh, st.closing_bought_nano, st.closing_sold_wh, st.closing_sold_nano,
             st.preferred_bought_wh, st.preferred_bought_nano, st.preferred_sold_wh, st.preferred_sold_nano,
             st.residual_import_wh, st.residual_export_wh, st.residual_nano, st.curtailed_wh, st.over_limit_wh,
             st.network_fee_nano,
             st.platform_fee_nano, st.net_nano, st.base_nano
           FROM statements st
           JOIN accounts a USING (community_id, account_id)
           LEFT JOIN members m ON m.community_id = st.community_id AND m.member_id = st.account_id
           LEFT JOIN (SELECT member_id, sum(pv_peak_w) AS peak_w FROM sites WHERE community_id = $1
                      GROUP BY member_id) pv ON pv.member_id = st.account_id
           WHERE st.community_id = $1 AND st.slot_start = $2
             AND st.revision = (SELECT max(revision) FROM statements WHERE community_id = $1 AND slot_start = $2)
           ORDER BY m.pseudonym NULLS LAST, st.account_id"#,
        community.as_str(),
        slot_start
    )
    .fetch_all(db)
    .await?)
}

/// At most `limit` statements of a member before `before` (of all, if `None`), newest first, each at
/// its latest revision.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn of_member(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    member: &MemberId,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<StatementRow>, StoreError> {
    Ok(sqlx::query_as!(
        StatementRow,
        r#"SELECT st.slot_start, st.revision, st.account_id, 'member' AS "kind!", m.pseudonym AS "pseudonym?",
             st.import_wh, st.export_wh,
             coalesce(st.production_wh, CASE WHEN pv.peak_w = 0 THEN 0 END) AS production_wh,
             st.substituted, st.traded_bought_wh, st.traded_bought_nano, st.traded_sold_wh, st.traded_sold_nano,
             st.closing_bought_wh, st.closing_bought_nano, st.closing_sold_wh, st.closing_sold_nano,
             st.preferred_bought_wh, st.preferred_bought_nano, st.preferred_sold_wh, st.preferred_sold_nano,
             st.residual_import_wh, st.residual_export_wh, st.residual_nano, st.curtailed_wh, st.over_limit_wh,
             st.network_fee_nano,
             st.platform_fee_nano, st.net_nano, st.base_nano
           FROM statements st
           JOIN members m ON m.community_id = st.community_id AND m.member_id = st.account_id
           CROSS JOIN (SELECT coalesce(sum(pv_peak_w), 0) AS peak_w FROM sites
                       WHERE community_id = $1 AND member_id = $2) pv
           WHERE st.community_id = $1 AND st.account_id = $2
             AND st.slot_start < coalesce($3, 'infinity'::timestamptz)
             AND st.revision = (SELECT max(revision) FROM statements
                                WHERE community_id = $1 AND slot_start = st.slot_start)
           ORDER BY st.slot_start DESC LIMIT $4"#,
        community.as_str(),
        member.as_str(),
        before,
        limit
    )
    .fetch_all(db)
    .await?)
}
