//! Signed transactions, stored before they are broadcast.

use chrono::{DateTime, Utc};
use domain::ids::{BatchId, CommunityId};
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;
use crate::error::corrupt;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A step of deploying the contracts.
    Deploy,
    /// Wraps currency for the account of this deposit.
    Deposit(i64),
    /// Settles this batch.
    Settle(BatchId),
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Deposit(_) => "deposit",
            Self::Settle(_) => "settle",
        }
    }
}

/// How far a transaction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TxState {
    /// Stored, not yet handed to a node.
    Signed,
    /// Handed to a node at least once.
    Broadcast,
    /// Mined deep enough, and succeeded.
    Final,
    /// Mined deep enough, and changed nothing but the nonce.
    Reverted,
    /// Another attempt, or another transaction, took its nonce.
    Replaced,
}

impl TxState {
    const ALL: [Self; 5] = [Self::Signed, Self::Broadcast, Self::Final, Self::Reverted, Self::Replaced];

    /// The name the database and the API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Broadcast => "broadcast",
            Self::Final => "final",
            Self::Reverted => "reverted",
            Self::Replaced => "replaced",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| corrupt(format!("the transaction status {text:?}")))
    }
}

/// A transaction that was just signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransaction {
    /// What it is for.
    pub purpose: Purpose,
    /// The account that signed, `0x` and 40 lower-case hex digits.
    pub sender: String,
    /// The sender's nonce.
    pub nonce: i64,
    /// Counts the transactions signed for the nonce from 1.
    pub attempt: i32,
    /// Its hash, `0x` and 64 lower-case hex digits.
    pub tx_hash: String,
    /// The bytes to broadcast.
    pub raw: Vec<u8>,
    /// The most it pays a unit of gas, in wei.
    pub max_fee_per_gas_wei: u128,
}

/// A transaction as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRow {
    /// Its number in the community.
    pub tx_id: i64,
    /// What was signed.
    pub signed: NewTransaction,
    /// How far it has come.
    pub state: TxState,
    /// When it was signed.
    pub created_at: DateTime<Utc>,
}

struct Row {
    tx_id: i64,
    purpose: String,
    batch_id: Option<Vec<u8>>,
    deposit_id: Option<i64>,
    sender: String,
    nonce: i64,
    attempt: i32,
    tx_hash: String,
    raw: Vec<u8>,
    max_fee: String,
    status: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for TransactionRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let batch = row.batch_id.as_deref().map(<[u8; 32]>::try_from).transpose().map_err(corrupt)?;
        let purpose = match (row.purpose.as_str(), batch, row.deposit_id) {
            ("deploy", None, None) => Purpose::Deploy,
            ("deposit", None, Some(deposit_id)) => Purpose::Deposit(deposit_id),
            ("settle", Some(batch_id), None) => Purpose::Settle(BatchId(batch_id)),
            _ => return Err(corrupt(format!("the purpose of transaction {}", row.tx_id))),
        };
        Ok(Self {
            tx_id: row.tx_id,
            signed: NewTransaction {
                purpose,
                sender: row.sender,
                nonce: row.nonce,
                attempt: row.attempt,
                tx_hash: row.tx_hash,
                raw: row.raw,
                max_fee_per_gas_wei: row.max_fee.parse().map_err(corrupt)?,
            },
            state: TxState::parse(&row.status)?,
            created_at: row.created_at,
        })
    }
}

/// Waits until no other transaction of the database hands out nonces of `sender`, in any community;
/// held until this one ends.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn lock_sender(tx: &mut PgConnection, sender: &str) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('sender/' || $1, 0))", sender)
        .execute(tx)
        .await?;
    Ok(())
}

/// The highest nonce stored for `sender`, in any community: the chain counts nonces by sender.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn last_nonce(db: impl PgExecutor<'_>, sender: &str) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT max(nonce) FROM transactions WHERE sender = $1", sender)
        .fetch_one(db)
        .await?)
}

/// Stores a transaction that is about to be broadcast.
///
/// # Errors
/// [`StoreError`] if the database refuses it, such as for a nonce and attempt that exist already.
pub async fn insert(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    signed: &NewTransaction,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (batch_id, deposit_id) = match signed.purpose {
        Purpose::Deploy => (None, None),
        Purpose::Deposit(deposit_id) => (None, Some(deposit_id)),
        Purpose::Settle(batch_id) => (Some(batch_id.0.to_vec()), None),
    };
    sqlx::query!(
        "INSERT INTO transactions (community_id, purpose, batch_id, deposit_id, sender, nonce, attempt, tx_hash, raw,
             max_fee_per_gas_wei, status, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::numeric, 'signed', $11)",
        community.as_str(),
        signed.purpose.as_str(),
        batch_id,
        deposit_id,
        signed.sender,
        signed.nonce,
        signed.attempt,
        signed.tx_hash,
        signed.raw,
        signed.max_fee_per_gas_wei.to_string(),
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The transactions of `sender` that are signed or broadcast and not yet final, by nonce and
/// attempt; at most `limit`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn in_flight(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    sender: &str,
    limit: i64,
) -> Result<Vec<TransactionRow>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT tx_id, purpose, batch_id, deposit_id, sender, nonce, attempt, tx_hash, raw,
             max_fee_per_gas_wei::text AS "max_fee!", status, created_at
         FROM transactions WHERE community_id = $1 AND sender = $2 AND status IN ('signed', 'broadcast')
         ORDER BY nonce, attempt LIMIT $3"#,
        community.as_str(),
        sender,
        limit
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(TransactionRow::try_from)
    .collect()
}

/// The latest attempt of each step of deploying, by nonce.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn deploy_steps(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
) -> Result<Vec<TransactionRow>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT DISTINCT ON (nonce) tx_id, purpose, batch_id, deposit_id, sender, nonce, attempt, tx_hash, raw,
             max_fee_per_gas_wei::text AS "max_fee!", status, created_at
         FROM transactions WHERE community_id = $1 AND purpose = 'deploy'
         ORDER BY nonce, status IN ('final', 'reverted') DESC, attempt DESC"#,
        community.as_str()
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(TransactionRow::try_from)
    .collect()
}

/// Notes that transactions were handed to a node, and with each the batch it carries.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn mark_broadcast(
    tx: &mut PgConnection,
    community: &CommunityId,
    tx_ids: &[i64],
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE transactions SET status = 'broadcast'
         WHERE community_id = $1 AND tx_id = ANY($2) AND status = 'signed'",
        community.as_str(),
        tx_ids
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE batches SET status = 'broadcast'
         WHERE community_id = $1 AND status = 'signed' AND batch_id IN
               (SELECT batch_id FROM transactions WHERE community_id = $1 AND tx_id = ANY($2))",
        community.as_str(),
        tx_ids
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends a transaction as `final` or `reverted`, and every other attempt of its nonce as `replaced`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn finish(
    tx: &mut PgConnection,
    community: &CommunityId,
    row: &TransactionRow,
    state: TxState,
    block_number: i64,
    gas_used: i64,
) -> Result<(), StoreError> {
    replace(&mut *tx, community, &row.signed.sender, row.signed.nonce).await?;
    sqlx::query!(
        "UPDATE transactions SET status = $3, block_number = $4, gas_used = $5
         WHERE community_id = $1 AND tx_id = $2",
        community.as_str(),
        row.tx_id,
        state.as_str(),
        block_number,
        gas_used
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends all attempts of a nonce as `replaced`: another transaction took it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn replace(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    sender: &str,
    nonce: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE transactions SET status = 'replaced'
         WHERE community_id = $1 AND sender = $2 AND nonce = $3 AND status IN ('signed', 'broadcast')",
        community.as_str(),
        sender,
        nonce
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The bytes of `sender`'s transactions from `from_nonce` on, one a nonce (the one that was mined, or
/// else the latest attempt), by nonce; at most `limit`. For a chain that has forgotten them.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn replay(
    db: impl PgExecutor<'_>,
    sender: &str,
    from_nonce: i64,
    limit: i64,
) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (nonce) nonce, raw FROM transactions WHERE sender = $1 AND nonce >= $2
         ORDER BY nonce, status IN ('final', 'reverted') DESC, attempt DESC LIMIT $3",
        sender,
        from_nonce,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.nonce, row.raw)).collect())
}
