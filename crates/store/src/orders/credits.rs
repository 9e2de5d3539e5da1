//! What a member may still spend.

use std::collections::HashMap;

use domain::ids::{CommunityId, MemberId, ZoneId};
use domain::units::Money;
use sqlx::PgExecutor;

use crate::StoreError;

/// A number that moves whenever something other than the market's decisions may have changed a member's
/// free credits: the ledger, a slot's status, a tariff. Whoever sees the change sees the number moved.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn credit_stamp(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<i64, StoreError> {
    let stamp =
        sqlx::query_scalar!("SELECT stamp FROM credit_stamps WHERE community_id = $1", community.as_str())
            .fetch_optional(db)
            .await?;
    Ok(stamp.unwrap_or(0))
}

/// The free credits of `members`: what they hold on the ledger, less what they have asked to be paid out, less what
/// their open bids would cost at their limits, less what they owe for slots whose money has not moved yet: what they
/// bought, and once a slot is priced what its statement comes to. Bids and purchases count with the platform fee and the
/// highest network fee that the zone of the buying site may pay. Negative when more was used than was covered.
///
/// `zones` are all zones in which the community has sites. Who asks knows them, and to find them among the sites of
/// a hundred thousand members takes longer than all the rest.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn free_credits(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    members: &[MemberId],
    zones: &[ZoneId],
) -> Result<HashMap<MemberId, Money>, StoreError> {
    let ids: Vec<String> = members.iter().map(ToString::to_string).collect();
    let zones: Vec<String> = zones.iter().map(ToString::to_string).collect();
    let rows = sqlx::query_file!("src/orders/free_credits.sql", community.as_str(), &ids, &zones)
        .fetch_all(db)
        .await?;
    rows.into_iter()
        .map(|row| Ok((MemberId::new(&row.member_id)?, Money::from_nano(row.free_nano))))
        .collect()
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{statements, views};

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn what_a_priced_slot_came_to_is_owed_until_it_is_settled(pool: PgPool) {
        views::fixtures::insert(&pool).await.unwrap();
        let demo = CommunityId::new("demo").unwrap();
        let start = views::fixtures::now() - chrono::TimeDelta::minutes(20);
        let statements = statements::of_slot(&pool, &demo, start, 0).await.unwrap();
        let owed = |member: &MemberId| -> i64 {
            let own = statements.iter().filter(|row| row.account_id.to_string() == member.to_string());
            own.map(|row| -row.net.nano()).filter(|nano| *nano > 0).sum()
        };
        let members: Vec<MemberId> =
            ["anna", "ben"].into_iter().map(|member| MemberId::new(member).unwrap()).collect();
        let settled = free_credits(&pool, &demo, &members, &[ZoneId::default()]).await.unwrap();
        sqlx::query("UPDATE slots SET status = 'priced' WHERE community_id = 'demo' AND slot_start = $1")
            .bind(start)
            .execute(&pool)
            .await
            .unwrap();
        let priced = free_credits(&pool, &demo, &members, &[ZoneId::default()]).await.unwrap();
        for member in &members {
            let used = settled[member].checked_sub(priced[member]).unwrap();
            assert_eq!(used.nano(), owed(member), "{member}");
        }
        assert!(members.iter().any(|member| owed(member) > 0));
    }
}
