//! Receipts: a member's statement with the proof that its batch's root on the chain covers it.

use chrono::{DateTime, Utc};
use domain::ids::AccountId;
use receipt::merkle::{Hash, Tree};
use receipt::{Domain, Receipt, SlotRevision};
use sqlx::PgPool;

use crate::StoreError;
use crate::communities::Community;
use crate::error::corrupt;
use crate::statements::{self, StatementRow};

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

/// An account's receipt of a slot at `revision`, or at the latest whose batch is final. `None` if no
/// such batch is final (one that moved nothing is not on the chain) or the account has no statement.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or if its statements do not lead to the root that
/// the batch was settled with.
pub async fn find(
    pool: &PgPool,
    community: &Community,
    account: &AccountId,
    slot_start: DateTime<Utc>,
    revision: Option<i32>,
) -> Result<Option<Receipt>, StoreError> {
    let Some(domain) = domain(community)? else { return Ok(None) };
    let batch = sqlx::query!(
        "SELECT revision, statement_root FROM batches
         WHERE community_id = $1 AND slot_start = $2 AND status = 'final' AND revision = coalesce($3, revision)
         ORDER BY revision DESC LIMIT 1",
        community.community_id.as_str(),
        slot_start,
        revision
    )
    .fetch_optional(pool)
    .await?;
    let Some(batch) = batch else { return Ok(None) };
    let rows = statements::of_slot(pool, &community.community_id, slot_start, batch.revision).await?;
    let end = slot_start + community.slot_length.delta();
    let slot = SlotRevision { start: slot_start, end, revision: batch.revision };
    let made = made(&domain, &slot, account, &rows, &batch.statement_root);
    made.ok_or_else(|| {
        corrupt(format!("the statements of slot {slot_start} do not lead to its batch's root"))
    })
}

/// The receipt of an account (the inner `None` if it has no statement), or `None` if the statements do
/// not lead to the root.
fn made(
    domain: &Domain,
    slot: &SlotRevision,
    account: &AccountId,
    rows: &[StatementRow],
    root: &[u8],
) -> Option<Option<Receipt>> {
    let tree = Tree::new(leaves(domain, slot, rows)).filter(|tree| tree.root() == root)?;
    let own = rows.iter().find(|row| row.account_id == *account);
    Some(own.and_then(|row| {
        let whose = (&row.account_id, &row.chain_address);
        Receipt::new(domain, slot, whose, (row.into(), &row.salt), &tree)
    }))
}
