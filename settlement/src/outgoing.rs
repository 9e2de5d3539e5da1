//! Signing: each transaction gets the sender's next nonce and is stored before anything is sent.

use chrono::{DateTime, Utc};
use domain::ids::CommunityId;
use store::PgConnection;
use store::StoreError;
use store::transactions::{self, NewTransaction, Purpose, TransactionRow};

use crate::chain::{Call, Chain, Fees, SignedTx, UnsignedTx};
use crate::context::Context;
use crate::error::{SettleError, out_of_range};

/// A transaction to sign next.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What it is for.
    pub purpose: Purpose,
    /// What it does.
    pub call: Call,
    /// The most gas it may use.
    pub gas_limit: u64,
}

/// Signs and stores transactions with the sender's next nonces, in this order. Returns the first
/// nonce. Call it inside a transaction of the database; nothing here waits for the network.
///
/// `first_nonce` is used when the database knows no transaction of the sender yet.
///
/// # Errors
/// [`SettleError`] if signing or storing fails; then none is stored.
pub async fn sign_all(
    tx: &mut PgConnection,
    context: &Context,
    first_nonce: u64,
    fees: Fees,
    outgoing: &[Outgoing],
) -> Result<u64, SettleError> {
    let sender = context.chain.sender().to_string();
    transactions::lock_sender(&mut *tx, &sender).await?;
    let first = match transactions::last_nonce(&mut *tx, &sender).await? {
        Some(last) => u64::try_from(last).map_err(|_| out_of_range("a nonce"))? + 1,
        None => first_nonce,
    };
    let now = context.clock.now();
    for (nonce, out) in (first..).zip(outgoing) {
        let unsigned = UnsignedTx { nonce, gas_limit: out.gas_limit, fees, call: out.call.clone() };
        let signed = context.chain.sign(&unsigned)?;
        store_attempt(&mut *tx, context.chain.as_ref(), &context.community_id, out.purpose, 1, signed, now)
            .await?;
    }
    Ok(first)
}

/// Signs a stored transaction again with a higher fee, and stores that as its next attempt.
///
/// # Errors
/// [`SettleError`] if signing or storing fails.
pub async fn sign_replacement(
    context: &Context,
    row: &TransactionRow,
    fees: Fees,
) -> Result<bool, SettleError> {
    let signed = context.chain.sign_replacement(&row.signed.raw, fees)?;
    if signed.max_fee_per_gas_wei > context.policy.fee_cap_wei {
        return Ok(false);
    }
    let mut connection = context.pool.acquire().await.map_err(StoreError::from)?;
    let (purpose, attempt) = (row.signed.purpose, row.signed.attempt + 1);
    let (chain, now) = (context.chain.as_ref(), context.clock.now());
    store_attempt(&mut connection, chain, &context.community_id, purpose, attempt, signed, now).await?;
    Ok(true)
}

async fn store_attempt(
    tx: &mut PgConnection,
    chain: &dyn Chain,
    community: &CommunityId,
    purpose: Purpose,
    attempt: i32,
    signed: SignedTx,
    now: DateTime<Utc>,
) -> Result<(), SettleError> {
    let row = NewTransaction {
        purpose,
        sender: chain.sender().to_string(),
        nonce: i64::try_from(signed.nonce).map_err(|_| out_of_range("a nonce"))?,
        attempt,
        tx_hash: signed.hash.to_string(),
        raw: signed.raw,
        max_fee_per_gas_wei: signed.max_fee_per_gas_wei,
    };
    Ok(transactions::insert(tx, community, &row, now).await?)
}
