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
/// bought, and once a slot is priced what its statement comes to; less what a correction asks for on top, and what earlier
/// batches could not take. Bids and purchases count with the platform fee and the
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

    async fn free_of(pool: &PgPool, member: &str) -> i64 {
        let (demo, member) = (CommunityId::new("demo").unwrap(), MemberId::new(member).unwrap());
        let members = [member.clone()];
        free_credits(pool, &demo, &members, &[ZoneId::default()]).await.unwrap()[&member].nano()
    }

    async fn run(pool: &PgPool, sql: &'static str) {
        assert!(sqlx::query(sql).execute(pool).await.unwrap().rows_affected() > 0, "{sql}");
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn what_a_batch_could_not_take_is_no_cover_until_it_is_topped_up(pool: PgPool) {
        views::fixtures::insert(&pool).await.unwrap();
        // Her whole 0.1 was taken of 0.130256 owed.
        assert_eq!(free_of(&pool, "cara").await, -30_256_000);
        let deposit = "INSERT INTO ledger_entries (community_id, account_id, kind, amount_nano, tx_hash)
             VALUES ('demo', 'cara', 'deposit', 50000000, '0x' || repeat('44', 32))";
        run(&pool, deposit).await;
        assert_eq!(free_of(&pool, "cara").await, 19_744_000);
        // While the batch is on its way, its slot counts whole and the rest not besides it.
        run(&pool, "DELETE FROM ledger_entries WHERE account_id = 'cara' AND kind = 'settlement'").await;
        run(&pool, "UPDATE slots SET status = 'priced' WHERE slot_start = '2026-03-01T12:00Z'").await;
        run(&pool, "UPDATE batches SET status = 'broadcast', final_at = NULL").await;
        assert_eq!(free_of(&pool, "cara").await, 19_744_000);
    }

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn what_a_correction_asks_for_counts_until_it_is_settled(pool: PgPool) {
        views::fixtures::insert(&pool).await.unwrap();
        let (before, demo) = (free_of(&pool, "ben").await, CommunityId::new("demo").unwrap());
        let stamp = credit_stamp(&pool, &demo).await.unwrap();
        let batch = "INSERT INTO batches (community_id, batch_id, slot_start, revision, statement_root, status)
             VALUES ('demo', decode(repeat('ac', 32), 'hex'), '2026-03-01T12:00Z', 1, decode(repeat('cd', 32), 'hex'),
                 'prepared')";
        run(&pool, batch).await;
        let positions = "INSERT INTO batch_positions (community_id, batch_id, account_id, owed_nano)
             VALUES ('demo', decode(repeat('ac', 32), 'hex'), 'ben', -7), ('demo', decode(repeat('ac', 32), 'hex'),
                 'anna', 7)";
        let anna = free_of(&pool, "anna").await;
        run(&pool, positions).await;
        run(&pool, "UPDATE slots SET revision = 1, status = 'priced' WHERE slot_start = '2026-03-01T12:00Z'")
            .await;
        assert_eq!(free_of(&pool, "ben").await, before - 7);
        assert_eq!(free_of(&pool, "anna").await, anna, "what is due is no cover");
        assert!(credit_stamp(&pool, &demo).await.unwrap() > stamp, "the market reads again");
    }
}
