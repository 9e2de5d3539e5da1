//! How foreign keys are checked.

use sqlx::PgConnection;

use crate::StoreError;

/// Makes what follows in the transaction find rows by index, the checks of foreign keys included.
///
/// A connection plans such a check once, when it first inserts, and a table of a few rows is then quicker to read
/// whole. Until statistics are next gathered that plan would read it whole for every row that comes, however far it
/// has grown: at a hundred members a slot's closing auction took up to 80 ms to store instead of 1.3 ms, and trades of
/// a slot with thousands of orders more than a second.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn check_by_index(tx: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("SET LOCAL enable_seqscan = off").execute(tx).await?;
    Ok(())
}
