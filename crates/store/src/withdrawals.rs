//! What members have asked the contract to pay out, as the chain's events tell it.
//!
//! Nothing is kept besides the events: the open request of an address is its newest event, if that is
//! a request. So a reorganisation takes back exactly what it took back, and following can begin again
//! at any block.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{AccountId, CommunityId};
use domain::units::Money;
use receipt::Address;
use sqlx::PgExecutor;

use crate::StoreError;
use crate::error::corrupt;
use crate::movements::{Movement, MovementKind};

/// A request to be paid out that is neither paid nor taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingWithdrawal {
    /// Whose account has the address now.
    pub account_id: AccountId,
    /// What was asked for; settlement may since have taken some of it.
    pub amount: Money,
    /// From then on the member can have it paid.
    pub claimable_at: DateTime<Utc>,
}

/// Stores the requests, cancellations and payments among `movements`. Amounts are rounded up to a whole
/// nano-currency: a member never has more free than the contract says. `base_units_per_unit` is 10 to
/// the token's decimals.
pub(crate) async fn insert(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    movements: &[Movement],
    base_units_per_unit: u64,
) -> Result<(), StoreError> {
    let mut rows = Rows::default();
    for movement in movements {
        rows.push(movement)?;
    }
    if rows.kinds.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO withdrawal_events (community_id, block_number, log_index, kind, chain_address, amount_nano,
             claimable_at, tx_hash)
         SELECT $1, t.block_number, t.log_index, t.kind, t.chain_address,
             ceil(t.base_units::numeric * 1000000000 / $9::text::numeric)::bigint, t.claimable_at, t.tx_hash
         FROM UNNEST($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
             AS t(block_number, log_index, kind, chain_address, base_units, claimable_at, tx_hash)",
        community.as_str(),
        &rows.blocks,
        &rows.indexes,
        &rows.kinds,
        &rows.addresses,
        &rows.amounts,
        &rows.claimable as &[Option<DateTime<Utc>>],
        &rows.hashes,
        base_units_per_unit.to_string()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The columns of what is to be stored.
#[derive(Default)]
struct Rows {
    blocks: Vec<i64>,
    indexes: Vec<i64>,
    kinds: Vec<String>,
    addresses: Vec<String>,
    amounts: Vec<String>,
    claimable: Vec<Option<DateTime<Utc>>>,
    hashes: Vec<String>,
}

impl Rows {
    fn push(&mut self, movement: &Movement) -> Result<(), StoreError> {
        let (kind, claimable_at) = match movement.kind {
            MovementKind::Deposit => return Ok(()),
            MovementKind::Withdrawal => ("paid", None),
            MovementKind::WithdrawalCancelled => ("cancelled", None),
            MovementKind::WithdrawalRequested { claimable_at_s } => {
                let at = DateTime::from_timestamp(claimable_at_s, 0);
                ("requested", Some(at.ok_or_else(|| corrupt(format!("the time {claimable_at_s}")))?))
            }
        };
        self.blocks.push(movement.block_number);
        self.indexes.push(movement.log_index);
        self.kinds.push(kind.to_owned());
        self.addresses.push(movement.address.to_string());
        self.amounts.push(movement.base_units.to_string());
        self.claimable.push(claimable_at);
        self.hashes.push(movement.tx_hash.to_string());
        Ok(())
    }
}

/// Whether a withdrawal is requested at an address and neither paid nor taken back.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn is_requested_at(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    address: &Address,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce((SELECT w.kind = 'requested' FROM withdrawal_events w
                          WHERE w.community_id = $1 AND w.chain_address = $2
                          ORDER BY w.block_number DESC, w.log_index DESC LIMIT 1), false) AS "open!""#,
        community.as_str(),
        address.to_string()
    )
    .fetch_one(db)
    .await?)
}

/// The open requests of a community, by account. Those at addresses that an account has left
/// since are left out: its credits are moved on.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn pending(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Vec<PendingWithdrawal>, StoreError> {
    sqlx::query!(
        r#"SELECT a.account_id, e.amount_nano, e.claimable_at AS "claimable_at!"
           FROM (SELECT DISTINCT ON (chain_address) chain_address, kind, amount_nano, claimable_at
                 FROM withdrawal_events WHERE community_id = $1
                 ORDER BY chain_address, block_number DESC, log_index DESC) AS e
           JOIN accounts a ON a.community_id = $1 AND a.chain_address = e.chain_address
           WHERE e.kind = 'requested' ORDER BY a.account_id"#,
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| {
        Ok(PendingWithdrawal {
            account_id: AccountId::new(&row.account_id)?,
            amount: Money::from_nano(row.amount_nano),
            claimable_at: row.claimable_at,
        })
    })
    .collect()
}

/// What each account has asked to be paid out and may not spend, in nano-currency; accounts without
/// an open request are not in it. At most one request an account is open: the contract sees to it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn pending_nano(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<HashMap<AccountId, Money>, StoreError> {
    Ok(pending(db, community).await?.into_iter().map(|open| (open.account_id, open.amount)).collect())
}
