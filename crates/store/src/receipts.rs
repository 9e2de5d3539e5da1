//! Receipts: a member's statement with the proof that its batch's root on the chain covers it.

mod trees;

use chrono::{DateTime, Utc};
use domain::ids::AccountId;
use receipt::merkle::Hash;
use receipt::{Domain, Receipt, SlotRevision};
use sqlx::PgPool;

use crate::StoreError;
use crate::communities::Community;
use crate::error::corrupt;
use crate::statements::StatementRow;

pub use trees::Trees;

/// The leaf of each statement of a slot, in their order.
#[must_use]
pub fn leaves(domain: &Domain, slot: &SlotRevision, rows: &[StatementRow]) -> Vec<Hash> {
    rows.iter()
        .map(|row| domain.leaf(slot, &row.account_id, &row.chain_address, &row.into(), &row.salt))
        .collect()
}

/// What the receipts of a community's slot start with; `None` until it has its contract.
///
/// # Errors
/// [`StoreError::Corrupt`] if the contract's address or chain id is none.
pub fn domain(community: &Community) -> Result<Option<Domain>, StoreError> {
    let Some(contract) = &community.contract else { return Ok(None) };
    Ok(Some(Domain {
        chain_id: u64::try_from(contract.chain_id).map_err(corrupt)?,
        credit: contract.credit_address.parse().map_err(corrupt)?,
        community_id: community.community_id.clone(),
    }))
}

/// An account's receipt of a slot, by a tree that is built for it alone; see [`Trees::receipt`].
///
/// # Errors
/// As [`Trees::receipt`].
pub async fn find(
    pool: &PgPool,
    community: &Community,
    account: &AccountId,
    slot_start: DateTime<Utc>,
    revision: Option<i32>,
) -> Result<Option<Receipt>, StoreError> {
    Trees::default().receipt(pool, community, account, slot_start, revision).await
}
