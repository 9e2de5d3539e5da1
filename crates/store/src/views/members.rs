//! The members of a community as a list.

use domain::ids::CommunityId;
use sqlx::PgExecutor;

use crate::StoreError;

/// The most members listed.
pub const MAX_MEMBERS: i64 = 10_000;

/// A member at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSummary {
    /// The member's id.
    pub member_id: String,
    /// The name the member and the operator see.
    pub display_name: String,
    /// The name other members see.
    pub pseudonym: String,
    /// How many connection points it has.
    pub sites: i64,
    /// The peak power of its generators, in W.
    pub pv_peak_w: i64,
    /// The autopilot's preset.
    pub preset: String,
    /// What its account holds: the sum of its ledger entries, in nano-currency.
    pub balance_nano: i64,
    /// What it saved against the tariffs alone, in nano-currency, at the latest revisions.
    pub savings_nano: i64,
}

/// A community's members by id, at most [`MAX_MEMBERS`].
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Vec<MemberSummary>, StoreError> {
    Ok(sqlx::query_as!(
        MemberSummary,
        r#"WITH owned AS (
             SELECT member_id, count(*) AS sites, sum(pv_peak_w)::bigint AS pv_peak_w FROM sites
             WHERE community_id = $1 GROUP BY member_id)
           SELECT m.member_id, m.display_name, m.pseudonym, m.preset,
                  coalesce(o.sites, 0) AS "sites!", coalesce(o.pv_peak_w, 0) AS "pv_peak_w!",
                  coalesce(t.balance_nano, 0) AS "balance_nano!",
                  coalesce(t.net_nano - t.base_nano, 0) AS "savings_nano!"
           FROM members m
           LEFT JOIN owned o USING (member_id)
           LEFT JOIN account_totals t ON t.community_id = m.community_id AND t.account_id = m.member_id
           WHERE m.community_id = $1 ORDER BY m.member_id LIMIT $2"#,
        community.as_str(),
        MAX_MEMBERS
    )
    .fetch_all(db)
    .await?)
}
