//! Commits that need not wait for the disk.

use sqlx::{Postgres, Transaction};

use crate::StoreError;

/// Commits without waiting until the disk has it; others see it at once, as after any commit.
///
/// For what a new start would do again, the same, from rows that are on disk: a slot that opens or closes as time
/// goes on, the energies of a slot, a forecast. Should the database server fall over within about half a second, such
/// a commit may be gone, together with all that came after it, so nothing that is there ever rests on something that
/// is not; whoever waits for the disk later, like settlement before it sends anything, waits for this one too.
///
/// Not for what was promised to somebody: an accepted order, a trade, a reading, money.
///
/// # Errors
/// [`StoreError`] if the database refuses it; nothing is stored then.
pub async fn commit_without_waiting(mut tx: Transaction<'_, Postgres>) -> Result<(), StoreError> {
    sqlx::query!("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn others_see_it_and_the_next_transaction_waits_again(pool: PgPool) {
        let waits = || sqlx::query_scalar::<_, String>("SELECT current_setting('synchronous_commit')");
        let mut only = pool.acquire().await.unwrap();
        let before = waits().fetch_one(&mut *only).await.unwrap();
        let mut tx = sqlx::Connection::begin(&mut *only).await.unwrap();
        sqlx::query("CREATE TABLE seen (number int)").execute(&mut *tx).await.unwrap();
        commit_without_waiting(tx).await.unwrap();
        assert_eq!(waits().fetch_one(&mut *only).await.unwrap(), before);
        drop(only);
        sqlx::query("INSERT INTO seen VALUES (1)").execute(&pool).await.unwrap();
    }
}
