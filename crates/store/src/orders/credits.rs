//! What a member may still spend.

use std::collections::HashMap;

use domain::ids::{CommunityId, MemberId};
use domain::units::Money;
use sqlx::PgExecutor;

use crate::StoreError;

/// The free credits of `members`: what they hold on the ledger, less what their open bids would cost
/// at their limits, less what they bought in slots whose money has not moved yet; fees included.
/// Negative when a settlement took more than was covered.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn free_credits(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    members: &[MemberId],
) -> Result<HashMap<MemberId, Money>, StoreError> {
    let ids: Vec<String> = members.iter().map(ToString::to_string).collect();
    // A slot whose first revision is settled no longer counts: its trades are in the ledger, and a
    // correction does not change them.
    let rows = sqlx::query!(
        r#"WITH unsettled AS (
               SELECT s.slot_start, fees.micro_per_kwh FROM slots s
               CROSS JOIN LATERAL (
                   SELECT t.network_fee_micro_per_kwh + t.platform_fee_micro_per_kwh AS micro_per_kwh
                   FROM tariffs t WHERE t.community_id = $1 AND t.valid_from <= s.slot_start
                   ORDER BY t.valid_from DESC LIMIT 1) fees
               WHERE s.community_id = $1 AND s.revision = 0
                 AND s.status IN ('scheduled', 'open', 'closed', 'metered', 'priced')
           ), exposure AS (
               SELECT o.member_id, sum(o.remaining_wh * (o.limit_micro_per_kwh + u.micro_per_kwh)) AS nano
               FROM unsettled u JOIN orders o ON o.community_id = $1 AND o.slot_start = u.slot_start
                   AND o.status = 'open' AND o.side = 'bid'
               WHERE o.member_id = ANY($2) GROUP BY o.member_id
           ), debits AS (
               SELECT t.buyer_id, sum(t.energy_wh * (t.price_micro_per_kwh + u.micro_per_kwh)) AS nano
               FROM unsettled u JOIN trades t ON t.community_id = $1 AND t.slot_start = u.slot_start
               WHERE t.buyer_id = ANY($2) GROUP BY t.buyer_id
           ), held AS (
               SELECT account_id, sum(amount_nano) AS nano FROM ledger_entries
               WHERE community_id = $1 AND account_id = ANY($2) GROUP BY account_id
           )
           SELECT m.member_id AS "member_id!",
               (COALESCE(held.nano, 0) - COALESCE(exposure.nano, 0) - COALESCE(debits.nano, 0))::bigint AS "free_nano!"
           FROM UNNEST($2::text[]) AS m(member_id)
           LEFT JOIN held ON held.account_id = m.member_id
           LEFT JOIN exposure ON exposure.member_id = m.member_id
           LEFT JOIN debits ON debits.buyer_id = m.member_id"#,
        community.as_str(),
        &ids
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| Ok((MemberId::new(&row.member_id)?, Money::from_nano(row.free_nano))))
        .collect()
}
