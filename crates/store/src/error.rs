//! What can go wrong with the database, in words that say what to do.

use domain::ids::InvalidId;

/// An error of the database or of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The server refused or did not answer.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The server cannot be reached or refuses the login.
    #[error(
        "cannot reach PostgreSQL at {server}: {reason}; check that it runs and that [database] url is right"
    )]
    Unreachable {
        /// Host, port and database, without the password.
        server: String,
        /// What the driver said.
        reason: String,
    },
    /// The schema is not the one this build expects.
    #[error("migrations: {0}; run `web migrate` with this build against the database")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row holds what no version of the platform writes.
    #[error("the database holds a row that cannot be right: {0}")]
    Corrupt(String),
    /// A row that must exist does not.
    #[error("no such {what}: {id}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
}

impl From<InvalidId> for StoreError {
    fn from(error: InvalidId) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// Marks a value that a constraint should have kept out.
pub(crate) fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
