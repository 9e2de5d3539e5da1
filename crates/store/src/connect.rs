//! Opening the pool, and bringing the schema up to date.

use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::StoreError;

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const STATEMENT_TIMEOUT: &str = "30s";

/// Opens a pool of at most `max_connections` and makes sure that the server answers.
///
/// Statements end after 30 s and transactions left idle after 60 s, so that nothing holds a lock for
/// ever.
///
/// # Errors
/// [`StoreError::Unreachable`] with the server's address, never its password.
pub async fn connect(
    url: &str,
    password: Option<&str>,
    max_connections: u32,
    application: &str,
) -> Result<PgPool, StoreError> {
    let mut options = PgConnectOptions::from_str(url)
        .map_err(|error| StoreError::Unreachable {
            server: "the configured url".to_owned(),
            reason: error.to_string(),
        })?
        .application_name(application)
        .options([("statement_timeout", STATEMENT_TIMEOUT), ("idle_in_transaction_session_timeout", "60s")]);
    if let Some(password) = password {
        options = options.password(password);
    }
    let server = format!(
        "{}:{}/{}",
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    );
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(|error| StoreError::Unreachable { server, reason: error.to_string() })
}

/// Applies the migrations that are missing. Safe to call from several processes: sqlx takes a lock.
///
/// # Errors
/// [`StoreError::Migrate`] if the database was migrated by another, newer build.
pub async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    crate::MIGRATOR.run(pool).await.map_err(StoreError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unreachable_server_is_named_without_its_password() {
        let url = "postgres://busbar:hidden@127.0.0.1:1/busbar";
        let error = connect(url, None, 1, "test").await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:1/busbar"), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}
