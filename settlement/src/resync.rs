//! Telling a chain again what it has forgotten: a development chain that was restarted empty, a deep
//! reorganisation, a node that dropped its pool.

use store::transactions;

use crate::chain::{ChainError, TxStatus};
use crate::context::Context;
use crate::error::{SettleError, out_of_range};

/// How many transactions are sent before the chain has mined the first of them; nodes bound what they queue for
/// one sender.
pub const WINDOW: i64 = 256;

/// How far a chain knows what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resynced {
    /// It has mined everything, or the node was handed all that is left.
    Whole,
    /// There is more than a node queues at once: call again when it has mined some.
    Partly,
}

/// Broadcasts the stored bytes of the sender's transactions that the chain has not mined, in the order of nonces, as
/// many as a node queues. Never waits for them to be mined. Harmless when nothing was forgotten: what a node has
/// already it ignores.
///
/// # Errors
/// [`SettleError::Chain`] if the node is away or refuses a transaction; call it again.
pub async fn resync(context: &Context) -> Result<Resynced, SettleError> {
    let sender = context.chain.sender().to_string();
    let mined = i64::try_from(context.chain.mined_nonce(1).await?).map_err(|_| out_of_range("a nonce"))?;
    let Some(last) = transactions::last_nonce(&context.pool, &sender).await? else {
        return Ok(Resynced::Whole);
    };
    let window = transactions::replay(&context.pool, &sender, mined, WINDOW).await?;
    let mut sent = 0_u64;
    for stored in &window {
        match context.chain.broadcast(&stored.raw).await {
            Ok(()) => sent += 1,
            // It was mined meanwhile, or its nonce was: what became of it is asked by its hash.
            Err(ChainError::NonceTooLow) => {}
            // No later one is mined before it; it is offered a higher fee when it has waited long enough.
            Err(ChainError::Underpriced { reason }) => {
                tracing::warn!(reason, "the chain has become too dear for a stored transaction");
                return Ok(Resynced::Whole);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if sent > 0 {
        tracing::info!(
            sent,
            from_nonce = mined,
            last_nonce = last,
            "sent stored transactions that the chain had not mined"
        );
    }
    let is_whole = window.last().is_none_or(|stored| stored.nonce >= last);
    Ok(if is_whole { Resynced::Whole } else { Resynced::Partly })
}

/// Whether a nonce waits for one below it that is stored and not mined: then its own fee is not what keeps it. If the
/// node has forgotten that one, which a reorganisation below finality does to what is long `final`, it is told again.
///
/// # Errors
/// As [`resync`].
pub async fn fill_gap_below(context: &Context, nonce: i64) -> Result<bool, SettleError> {
    let mined = i64::try_from(context.chain.mined_nonce(1).await?).map_err(|_| out_of_range("a nonce"))?;
    if mined >= nonce {
        return Ok(false);
    }
    let sender = context.chain.sender().to_string();
    let first = transactions::replay(&context.pool, &sender, mined, 1).await?.into_iter().next();
    let Some(first) = first.filter(|first| first.nonce < nonce) else { return Ok(false) };
    match context.chain.status(&first.tx_hash.parse()?).await? {
        TxStatus::Unknown => resync(context).await.map(|_| true),
        TxStatus::Pending => Ok(true),
        // The node was behind when it named the nonce.
        TxStatus::Mined { .. } => Ok(false),
    }
}
