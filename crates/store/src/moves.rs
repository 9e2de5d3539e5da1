//! Credits on their way from one address of an account to another, after its member linked an address.
//!
//! `requested -> signed -> final`; or `void` if there was nothing to move, `refused` if the address had
//! become somebody else's. The account lives at the new address from the moment the first move is
//! signed; what still comes to the old one is moved on in the same way, but not at once each time.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{AccountId, CommunityId};
use domain::units::Money;
use receipt::Address;
use sqlx::{PgConnection, PgExecutor};

use crate::error::corrupt;
use crate::{StoreError, withdrawals};

/// How often what came to an address that its account has left is moved on.
const LEFTOVERS_EVERY: TimeDelta = TimeDelta::hours(1);

/// How a move ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveEnd {
    /// Its transaction is final.
    Final,
    /// There was nothing to move.
    Void,
    /// The address belongs to another account by now, or a withdrawal is requested there.
    Refused,
}

impl MoveEnd {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Void => "void",
            Self::Refused => "refused",
        }
    }
}

/// A move that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountMove {
    /// Its number in the community.
    pub move_id: i64,
    /// Whose credits.
    pub account_id: AccountId,
    /// Where they are.
    pub from: Address,
    /// Where they go: the account's address, or what it becomes with this move.
    pub to: Address,
    /// Whether the account has left `from` already.
    pub has_left: bool,
    /// Whether it is what came to `from` after the account had moved on, and not the move itself.
    pub is_leftover: bool,
}

struct Row {
    move_id: i64,
    account_id: String,
    from_address: String,
    to_address: String,
    has_left: bool,
    is_leftover: bool,
}

impl TryFrom<Row> for AccountMove {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            move_id: row.move_id,
            account_id: AccountId::new(&row.account_id)?,
            from: row.from_address.parse().map_err(corrupt)?,
            to: row.to_address.parse().map_err(corrupt)?,
            has_left: row.has_left,
            is_leftover: row.is_leftover,
        })
    }
}

/// The move to take up next: first what an account has left behind, then new addresses, oldest first. What was left
/// behind at an address is moved on once an hour at most: anybody can send something there, and the settler pays.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn next(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    now: DateTime<Utc>,
) -> Result<Option<AccountMove>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT m.move_id, m.account_id, m.from_address, a.chain_address <> m.from_address AS "has_left!",
             CASE WHEN a.chain_address = m.from_address THEN m.to_address ELSE a.chain_address END AS "to_address!",
             m.link_id IS NULL AS "is_leftover!"
           FROM account_moves m JOIN accounts a USING (community_id, account_id)
           WHERE m.community_id = $1 AND m.status = 'requested' AND (m.link_id IS NOT NULL OR NOT EXISTS (
               SELECT FROM account_moves d WHERE d.community_id = $1 AND d.from_address = m.from_address
                 AND d.link_id IS NULL AND d.status = 'final' AND d.ended_at > $2))
           ORDER BY 4 DESC, m.move_id LIMIT 1"#,
        community.as_str(),
        now - LEFTOVERS_EVERY
    )
    .fetch_optional(db)
    .await?
    .map(AccountMove::try_from)
    .transpose()
}

/// A move that is signed, if it is this one.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn signed(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    move_id: i64,
) -> Result<Option<AccountMove>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT move_id, account_id, from_address, to_address, true AS "has_left!", link_id IS NULL AS "is_leftover!"
           FROM account_moves
           WHERE community_id = $1 AND move_id = $2 AND status = 'signed'"#,
        community.as_str(),
        move_id
    )
    .fetch_optional(db)
    .await?
    .map(AccountMove::try_from)
    .transpose()
}

/// Whether a batch has to wait: credits of an account that has left its address are not yet where the
/// batch would look for them. It does not wait for what came to an address later: anybody can send that.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn hold_batches(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM account_moves m JOIN accounts a USING (community_id, account_id)
               WHERE m.community_id = $1 AND m.link_id IS NOT NULL AND (m.status = 'signed'
                   OR (m.status = 'requested' AND a.chain_address <> m.from_address))) AS "held!""#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// Asks for what came to former addresses of `accounts` from a block on to be moved on, once an address.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn request_from_former(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    accounts: &[String],
    first_block: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO account_moves (community_id, account_id, from_address, to_address)
         SELECT DISTINCT $1::text, f.account_id, f.chain_address, a.chain_address
         FROM former_addresses f JOIN accounts a USING (community_id, account_id)
         JOIN chain_movements m ON m.community_id = $1 AND m.chain_address = f.chain_address
         WHERE f.community_id = $1 AND f.account_id = ANY($2) AND m.block_number >= $3 AND m.kind = 'deposit'
         ON CONFLICT (community_id, from_address) WHERE status IN ('requested', 'signed') DO NOTHING",
        community.as_str(),
        accounts,
        first_block
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Lets an account live at the address that a move leads to, from now on. `false`, and nothing changed,
/// if another account has it or had it, a withdrawal is requested there, or the account is elsewhere already.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn change_address(
    tx: &mut PgConnection,
    community: &CommunityId,
    moved: &AccountMove,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    if withdrawals::is_requested_at(&mut *tx, community, &moved.to).await? {
        return Ok(false);
    }
    let (account, from, to) = (moved.account_id.as_str(), moved.from.to_string(), moved.to.to_string());
    let done = sqlx::query!(
        "UPDATE accounts SET chain_address = $4, linked_at = $5
         WHERE community_id = $1 AND account_id = $2 AND chain_address = $3
           AND NOT EXISTS (SELECT FROM accounts o WHERE o.community_id = $1 AND o.chain_address = $4)
           AND NOT EXISTS (SELECT FROM former_addresses f
                           WHERE f.community_id = $1 AND f.chain_address = $4 AND f.account_id <> $2)",
        community.as_str(),
        account,
        from,
        to,
        now
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query!(
        "DELETE FROM former_addresses WHERE community_id = $1 AND chain_address = $2",
        community.as_str(),
        to
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "INSERT INTO former_addresses (community_id, chain_address, account_id, left_at) VALUES ($1, $2, $3, $4)",
        community.as_str(),
        from,
        account,
        now
    )
    .execute(&mut *tx)
    .await?;
    // Back at an address it had left: what was to be moved away from there stays.
    sqlx::query!(
        "UPDATE account_moves SET status = 'void', ended_at = $3
         WHERE community_id = $1 AND from_address = $2 AND status = 'requested'",
        community.as_str(),
        to,
        now
    )
    .execute(tx)
    .await?;
    Ok(true)
}

/// Notes that the transaction of a move is stored, and how much it moves. `false` if it was not
/// requested any more.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn mark_signed(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    moved: &AccountMove,
    amount: Money,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE account_moves SET status = 'signed', to_address = $3, amount_nano = $4
         WHERE community_id = $1 AND move_id = $2 AND status = 'requested'",
        community.as_str(),
        moved.move_id,
        moved.to.to_string(),
        amount.nano()
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a move. After one that was final, the address it left is looked at once more: what came there
/// while the transaction was on its way is not in it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn end(
    tx: &mut PgConnection,
    community: &CommunityId,
    move_id: i64,
    end: MoveEnd,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_moves SET status = $3, ended_at = $4
         WHERE community_id = $1 AND move_id = $2 AND status IN ('requested', 'signed')",
        community.as_str(),
        move_id,
        end.as_str(),
        now
    )
    .execute(&mut *tx)
    .await?;
    if end == MoveEnd::Final {
        sqlx::query!(
            "INSERT INTO account_moves (community_id, account_id, from_address, to_address, created_at)
             SELECT m.community_id, m.account_id, m.from_address, a.chain_address, $3
             FROM account_moves m JOIN accounts a USING (community_id, account_id)
             WHERE m.community_id = $1 AND m.move_id = $2 AND a.chain_address <> m.from_address
             ON CONFLICT (community_id, from_address) WHERE status IN ('requested', 'signed') DO NOTHING",
            community.as_str(),
            move_id,
            now
        )
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// Asks again for a move whose transaction failed for good.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn reset(db: impl PgExecutor<'_>, community: &CommunityId, move_id: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account_moves SET status = 'requested', amount_nano = NULL
         WHERE community_id = $1 AND move_id = $2 AND status = 'signed'",
        community.as_str(),
        move_id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Every address that an account of the community has left, with the account, by address.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn former_addresses(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Vec<(Address, AccountId)>, StoreError> {
    sqlx::query!(
        "SELECT chain_address, account_id FROM former_addresses WHERE community_id = $1 ORDER BY chain_address",
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| Ok((row.chain_address.parse().map_err(corrupt)?, AccountId::new(&row.account_id)?)))
    .collect()
}
