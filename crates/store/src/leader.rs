//! Leadership of a community for one duty, by an advisory lock on a connection of its own.

use domain::ids::CommunityId;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

use crate::StoreError;

/// Held while this process leads; the lock ends with the connection, so a killed leader is replaced
/// at once and never needs cleaning up.
#[derive(Debug)]
pub struct Leadership {
    connection: PoolConnection<Postgres>,
}

/// Tries to become the leader of `community` for `duty` (such as `market`). `None`: another process is.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn try_lead(
    pool: &PgPool,
    duty: &str,
    community: &CommunityId,
) -> Result<Option<Leadership>, StoreError> {
    let mut connection = pool.acquire().await?;
    let name = format!("{duty}/{community}");
    let leads =
        sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "leads!""#, name)
            .fetch_one(&mut *connection)
            .await?;
    if !leads {
        return Ok(None);
    }
    // A pooled connection must not go back to the pool with the lock held.
    connection.close_on_drop();
    Ok(Some(Leadership { connection }))
}

impl Leadership {
    /// Whether the connection that holds the lock still answers. When it does not, the lock may be
    /// another's already, and whoever held it must stop deciding.
    ///
    /// # Errors
    /// [`StoreError`] if the connection is gone: leadership is lost.
    pub async fn still_leads(&mut self) -> Result<(), StoreError> {
        sqlx::query!("SELECT 1 AS alive").fetch_one(&mut *self.connection).await?;
        Ok(())
    }

    /// Gives leadership up by closing the connection.
    ///
    /// # Errors
    /// [`StoreError`] if the connection cannot be closed in order; the lock ends all the same.
    pub async fn resign(self) -> Result<(), StoreError> {
        self.connection.close().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn one_process_leads_and_hands_over(pool: PgPool) {
        let community = CommunityId::new("demo").unwrap();
        let mut first = try_lead(&pool, "market", &community).await.unwrap().unwrap();
        assert!(first.still_leads().await.is_ok());
        assert!(try_lead(&pool, "market", &community).await.unwrap().is_none());
        assert!(try_lead(&pool, "settlement", &community).await.unwrap().is_some());
        first.resign().await.unwrap();
        assert!(try_lead(&pool, "market", &community).await.unwrap().is_some());
    }
}
