//! A small community with known figures, for the tests of whoever reads through these views.

use chrono::{DateTime, TimeDelta, Utc};
use receipt::SlotRevision;
use receipt::merkle::Tree;
use sqlx::PgPool;

use crate::{StoreError, communities, receipts, statements};

/// When the fixture's story stops: five minutes into its second slot, in seconds since 1970.
const NOW_UNIX_S: i64 = 1_772_367_600;

/// The time at which the fixture's community is to be looked at: 2026-03-01 12:20 UTC.
#[must_use]
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW_UNIX_S, 0).unwrap_or_default()
}

/// Inserts the communities `demo` (four members, one settled slot of 12:00 UTC) and `empty` (none).
///
/// # Errors
/// [`StoreError`] if they are there already.
pub async fn insert(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::raw_sql(include_str!("fixtures.sql")).execute(pool).await?;
    commit_to_the_statements(pool).await
}

/// Gives the settled batch the root of its statements, so that receipts can be made of them.
async fn commit_to_the_statements(pool: &PgPool) -> Result<(), StoreError> {
    for community in communities::all(pool).await? {
        let Some(domain) = receipts::domain(&community)? else { continue };
        let (id, start) = (&community.community_id, now() - TimeDelta::minutes(20));
        let slot = SlotRevision { start, end: start + community.slot_length.delta(), revision: 0 };
        let rows = statements::of_slot(pool, id, start, 0).await?;
        let root = Tree::new(receipts::leaves(&domain, &slot, &rows)).map(|tree| tree.root());
        let root = root.unwrap_or_default();
        sqlx::query!(
            "UPDATE batches SET statement_root = $2 WHERE community_id = $1 AND slot_start = $3",
            id.as_str(),
            &root[..],
            start
        )
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// Refuses every waiting command of `demo`, as a market would that never has an open slot.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn refuse_waiting_commands(pool: &PgPool) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "UPDATE commands SET status = 'refused', refusal_code = 'gate_closed',
             refusal_detail = 'gate closure of the slot has passed: choose a later slot', decided_at = now()
         WHERE community_id = 'demo' AND status = 'submitted'"
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Makes the settled slot of 12:00 UTC look corrected: its readings gave the same energy again, but
/// Anna's production is not known any more.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn correct_the_settled_slot(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::raw_sql(include_str!("fixtures_corrected.sql")).execute(pool).await?;
    Ok(())
}
