//! What an operator asks: is the database ready, and how much lies where.

use sqlx::{PgExecutor, PgPool};

use crate::StoreError;

/// How many slots of a community are in a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotCount {
    /// The community.
    pub community_id: String,
    /// The status.
    pub status: String,
    /// How many.
    pub slots: i64,
}

/// How many readings of a community are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingCount {
    /// The community.
    pub community_id: String,
    /// How many.
    pub readings: i64,
}

/// Counts slots by community and status.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn slot_counts(db: impl PgExecutor<'_>) -> Result<Vec<SlotCount>, StoreError> {
    Ok(sqlx::query_as!(
        SlotCount,
        r#"SELECT community_id, status, count(*) AS "slots!" FROM slots GROUP BY community_id, status"#
    )
    .fetch_all(db)
    .await?)
}

/// Counts readings by community; one without any has a count of zero.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn reading_counts(db: impl PgExecutor<'_>) -> Result<Vec<ReadingCount>, StoreError> {
    Ok(sqlx::query_as!(
        ReadingCount,
        r#"SELECT c.community_id, count(r.meter_id) AS "readings!"
           FROM communities c LEFT JOIN readings r USING (community_id) GROUP BY c.community_id"#
    )
    .fetch_all(db)
    .await?)
}

/// How many of this build's migrations the database lacks; 0 means it is ready.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or was never migrated.
pub async fn missing_migrations(pool: &PgPool) -> Result<usize, StoreError> {
    // Checked at run time: the migrator makes this table, not a migration.
    let applied: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(pool).await?;
    Ok(crate::MIGRATOR.iter().filter(|migration| !applied.contains(&migration.version)).count())
}

/// Whether trying again later may help: the database cannot be reached, or is too busy to answer.
#[must_use]
pub fn is_unavailable(error: &StoreError) -> bool {
    match error {
        StoreError::Unreachable { .. } => true,
        StoreError::Database(cause) => matches!(
            cause,
            sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_migrated_database_is_ready(pool: PgPool) {
        assert_eq!(missing_migrations(&pool).await.unwrap(), 0);
        assert!(slot_counts(&pool).await.unwrap().is_empty());
        assert!(reading_counts(&pool).await.unwrap().is_empty());
    }

    #[sqlx::test(migrations = false)]
    async fn an_empty_database_is_not(pool: PgPool) {
        assert!(missing_migrations(&pool).await.is_err());
    }
}
