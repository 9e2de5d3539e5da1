//! Signed transactions, stored before they are broadcast.

mod forgotten;

use chrono::{DateTime, Utc};
use domain::ids::{BatchId, CommunityId};
use sqlx::{PgConnection, PgExecutor};

use crate::StoreError;
use crate::batches::chunks::ChunkStep;
use crate::error::corrupt;

pub use forgotten::{attempts, is_known, last_block, was_free};

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A step of deploying the contracts.
    Deploy,
    /// Wraps currency for the account of this deposit.
    Deposit(i64),
    /// Settles this batch.
    Settle(BatchId),
    /// Is one step of settling this batch in chunks.
    Step(BatchId, ChunkStep),
    /// Moves credits between two addresses of an account, by this row of `account_moves`.
    Move(i64),
    /// Puts right what the rows have forgotten: is one step of ending a batch in chunks that the contract has in
    /// progress and the rows do not know, or does nothing but take a nonce that the chain says is used.
    Recover,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Deposit(_) => "deposit",
            Self::Settle(_) | Self::Step(..) => "settle",
            Self::Move(_) => "move",
            Self::Recover => "recover",
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
    move_id: Option<i64>,
    step_batch_id: Option<Vec<u8>>,
    step: Option<String>,
    step_chunk: Option<i32>,
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
        let purpose = purpose(&row)?;
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

fn purpose(row: &Row) -> Result<Purpose, StoreError> {
    let id = |bytes: &Option<Vec<u8>>| -> Result<Option<BatchId>, StoreError> {
        let id = bytes.as_deref().map(<[u8; 32]>::try_from).transpose().map_err(corrupt)?;
        Ok(id.map(BatchId))
    };
    let step = row.step.as_deref().and_then(|step| ChunkStep::parse(step, row.step_chunk));
    let step = id(&row.step_batch_id)?.zip(step);
    match (row.purpose.as_str(), id(&row.batch_id)?, step, row.deposit_id, row.move_id) {
        ("deploy", None, None, None, None) => Ok(Purpose::Deploy),
        ("deposit", None, None, Some(deposit_id), None) => Ok(Purpose::Deposit(deposit_id)),
        ("settle", Some(batch_id), None, None, None) => Ok(Purpose::Settle(batch_id)),
        ("settle", None, Some((batch_id, step)), None, None) => Ok(Purpose::Step(batch_id, step)),
        ("move", None, None, None, Some(move_id)) => Ok(Purpose::Move(move_id)),
        ("recover", None, None, None, None) => Ok(Purpose::Recover),
        _ => Err(corrupt(format!("the purpose of transaction {}", row.tx_id))),
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
    let (mut batch_id, mut step_batch_id, mut deposit_id, mut move_id) = (None, None, None, None);
    let (mut step, mut step_chunk) = (None, None);
    match signed.purpose {
        Purpose::Deploy | Purpose::Recover => {}
        Purpose::Deposit(id) => deposit_id = Some(id),
        Purpose::Move(id) => move_id = Some(id),
        Purpose::Settle(id) => batch_id = Some(id.0.to_vec()),
        Purpose::Step(id, chunk_step) => {
            let (name, chunk) = chunk_step.columns();
            (step_batch_id, step, step_chunk) = (Some(id.0.to_vec()), Some(name), chunk);
        }
    }
    sqlx::query!(
        "INSERT INTO transactions (community_id, purpose, batch_id, deposit_id, sender, nonce, attempt, tx_hash, raw,
             max_fee_per_gas_wei, status, created_at, move_id, step_batch_id, step, step_chunk)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::numeric, 'signed', $11, $12, $13, $14, $15)",
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
        move_id,
        step_batch_id,
        step,
        step_chunk,
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
        r#"SELECT tx_id, purpose, batch_id, deposit_id, move_id, step_batch_id, step, step_chunk,
             sender, nonce, attempt, tx_hash, raw, max_fee_per_gas_wei::text AS "max_fee!", status, created_at
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

/// Whether a transaction that puts right what the rows have forgotten is signed or broadcast and has not ended.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn is_recovering(db: impl PgExecutor<'_>, community: &CommunityId) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM transactions WHERE community_id = $1 AND purpose = 'recover'
               AND status IN ('signed', 'broadcast')) AS "recovering!""#,
        community.as_str()
    )
    .fetch_one(db)
    .await?)
}

/// The latest attempt of each step of deploying that `sender` has signed, by nonce.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn deploy_steps(
    db: impl PgExecutor<'_>,
    community: &CommunityId,
    sender: &str,
) -> Result<Vec<TransactionRow>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT DISTINCT ON (nonce) tx_id, purpose, batch_id, deposit_id, move_id, step_batch_id, step, step_chunk,
             sender, nonce, attempt, tx_hash, raw, max_fee_per_gas_wei::text AS "max_fee!", status, created_at
         FROM transactions WHERE community_id = $1 AND sender = $2 AND purpose = 'deploy'
         ORDER BY nonce, status IN ('final', 'reverted') DESC, attempt DESC"#,
        community.as_str(),
        sender
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
               (SELECT coalesce(batch_id, step_batch_id) FROM transactions
                WHERE community_id = $1 AND tx_id = ANY($2))",
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

/// A stored transaction as a chain is told it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The sender's nonce.
    pub nonce: i64,
    /// Its hash, `0x` and 64 lower-case hex digits.
    pub tx_hash: String,
    /// The bytes to broadcast.
    pub raw: Vec<u8>,
}

/// `sender`'s transactions from `from_nonce` on, one a nonce (the one that was mined, or
/// else the latest attempt), by nonce; at most `limit`. For a chain that has forgotten them.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn replay(
    db: impl PgExecutor<'_>,
    sender: &str,
    from_nonce: i64,
    limit: i64,
) -> Result<Vec<Replayed>, StoreError> {
    Ok(sqlx::query_as!(
        Replayed,
        "SELECT DISTINCT ON (nonce) nonce, tx_hash, raw FROM transactions WHERE sender = $1 AND nonce >= $2
         ORDER BY nonce, status IN ('final', 'reverted') DESC, attempt DESC LIMIT $3",
        sender,
        from_nonce,
        limit
    )
    .fetch_all(db)
    .await?)
}
