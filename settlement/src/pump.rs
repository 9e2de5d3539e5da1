//! Moving signed transactions on: broadcast, watch, resend, replace, until each is final.

use chrono::TimeDelta;
use store::StoreError;
use store::transactions::{self, Purpose, TransactionRow, TxState};

use crate::batch::{Action, decide};
use crate::chain::{ChainError, TxStatus};
use crate::context::Context;
use crate::error::SettleError;
use crate::finish::{self, Outcome};
use crate::settler::ceiling::Ceiling;
use crate::{outgoing, resync};

/// The most transactions looked at in one turn.
const MAX_IN_FLIGHT: i64 = 256;
/// How many transactions may be signed and not yet final; nodes bound what they queue for a sender.
pub const MAX_PIPELINED: i64 = 64;

/// What one turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pumped {
    /// Nothing is on its way.
    Idle,
    /// Something moved on; look again at once.
    Moved,
    /// Something is on its way; look again after a while.
    Waiting,
}

/// Does what there is to do for the transactions on their way, in the order of nonces.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails; the next turn goes on from the rows.
pub async fn turn(context: &Context, ceiling: &mut Ceiling) -> Result<Pumped, SettleError> {
    let sender = context.chain.sender().to_string();
    let rows = transactions::in_flight(&context.pool, &context.community_id, &sender, MAX_IN_FLIGHT).await?;
    if rows.is_empty() {
        return Ok(Pumped::Idle);
    }
    if broadcast_signed(context, &rows).await? {
        return Ok(Pumped::Moved);
    }
    let mut moved = false;
    // A nonce is not mined before the one below it: the first that waits ends the turn.
    for attempts in rows.chunk_by(|a, b| a.signed.nonce == b.signed.nonce) {
        match watch(context, attempts, ceiling).await? {
            Watched::Resolved => moved = true,
            Watched::Replaced => return Ok(Pumped::Moved),
            Watched::Waits => return Ok(if moved { Pumped::Moved } else { Pumped::Waiting }),
        }
    }
    Ok(Pumped::Moved)
}

/// Hands the signed transactions to the node, and notes that. Returns whether there were any.
async fn broadcast_signed(context: &Context, rows: &[TransactionRow]) -> Result<bool, SettleError> {
    let mut sent = Vec::new();
    let mut failed = None;
    for row in rows.iter().filter(|row| row.state == TxState::Signed) {
        match context.chain.broadcast(&row.signed.raw).await {
            // With the nonce used, this or another transaction is mined: its hash will tell. Too cheap now, it is
            // watched as one that was dropped: sent again, and raised when it has waited long enough.
            Ok(()) | Err(ChainError::NonceTooLow | ChainError::Underpriced { .. }) => sent.push(row.tx_id),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if !sent.is_empty() {
        let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
        transactions::mark_broadcast(&mut tx, &context.community_id, &sent).await?;
        tx.commit().await.map_err(StoreError::from)?;
    }
    failed.map_or(Ok(!sent.is_empty()), |error| Err(error.into()))
}

enum Watched {
    Resolved,
    Replaced,
    Waits,
}

/// Looks after all attempts of one nonce: whichever is mined decides.
async fn watch(
    context: &Context,
    attempts: &[TransactionRow],
    ceiling: &mut Ceiling,
) -> Result<Watched, SettleError> {
    let Some(latest) = attempts.last() else { return Ok(Watched::Resolved) };
    let waited = context.clock.now() - latest.created_at;
    let (row, status) = observe(context, attempts).await?;
    match decide(&status, waited, &context.policy.watch) {
        Action::Wait => Ok(Watched::Waits),
        Action::Finish => end(context, row, &Outcome::Succeeded(status)).await,
        Action::Fail => end(context, row, &Outcome::Reverted(status)).await,
        Action::Replace => replace(context, latest, ceiling).await,
        Action::Resend => resend(context, latest, waited, ceiling).await,
    }
}

async fn end(context: &Context, row: &TransactionRow, outcome: &Outcome) -> Result<Watched, SettleError> {
    finish::end(context, row, outcome).await?;
    Ok(Watched::Resolved)
}

/// The mined attempt, or else one that waits, or else the latest, which the node does not know.
async fn observe<'a>(
    context: &Context,
    attempts: &'a [TransactionRow],
) -> Result<(&'a TransactionRow, TxStatus), SettleError> {
    let mut best = None;
    for row in attempts.iter().rev() {
        let status = context.chain.status(&row.signed.tx_hash.parse()?).await?;
        match status {
            TxStatus::Mined { .. } => return Ok((row, status)),
            TxStatus::Pending => best = Some((row, status)),
            TxStatus::Unknown => best = best.or(Some((row, status))),
        }
    }
    best.ok_or_else(|| SettleError::Inconsistent("a nonce without a transaction".to_owned()))
}

/// Offers more, up to the configured most; a node wants at least 12.5 % more than before. What waits for a nonce
/// below it would not be mined for any fee.
async fn replace(
    context: &Context,
    latest: &TransactionRow,
    ceiling: &mut Ceiling,
) -> Result<Watched, SettleError> {
    if !ceiling.may_try(context.clock.now()) {
        return Ok(Watched::Waits);
    }
    let (nonce, cap_wei) = (latest.signed.nonce, context.policy.fee_cap_wei);
    if resync::fill_gap_below(context, nonce).await? {
        return Ok(Watched::Waits);
    }
    match context.fees().await {
        Ok(fees) => {
            if outgoing::sign_replacement(context, latest, fees).await? {
                ceiling.affordable(context).await?;
                tracing::info!(nonce, "replaced a transaction that was not mined in time");
                return Ok(Watched::Replaced);
            }
            let reason = format!(
                "the transaction with nonce {nonce} is stuck, and a higher fee would be above [chain] \
                 highest_max_fee_gwei ({cap_wei} wei): it waits; raise it if this lasts"
            );
            ceiling.too_dear(context, &reason).await?;
        }
        Err(error @ SettleError::TooDear { .. }) => ceiling.too_dear(context, &error.to_string()).await?,
        Err(error) => return Err(error),
    }
    Ok(Watched::Waits)
}

/// The node knows no attempt: either it forgot them, or another transaction took the nonce for good.
///
/// The latter is believed only when it is as deep as finality asks, the transaction has been unknown for as
/// long as a stuck one waits, and the node refuses its bytes for the nonce: one that lags behind, or is
/// wrong about the nonce, shows the same but for that. Believed wrongly, a deposit would be made twice.
async fn resend(
    context: &Context,
    latest: &TransactionRow,
    waited: TimeDelta,
    ceiling: &mut Ceiling,
) -> Result<Watched, SettleError> {
    let watch = &context.policy.watch;
    let taken = context.chain.mined_nonce(watch.confirmations).await?;
    if i64::try_from(taken).is_ok_and(|taken| taken > latest.signed.nonce) {
        let status = context.chain.status(&latest.signed.tx_hash.parse()?).await?;
        // What puts right what the rows forgot does no harm if it is believed gone and is mined after all.
        let is_harmless = latest.signed.purpose == Purpose::Recover;
        let is_too_soon = waited < watch.replace_after && !is_harmless;
        if is_too_soon || !matches!(status, TxStatus::Unknown) {
            return Ok(Watched::Waits);
        }
        // A node that is wrong about the nonce still takes the bytes; one that is right refuses them.
        match context.chain.broadcast(&latest.signed.raw).await {
            Err(ChainError::NonceTooLow) if is_harmless => {
                return end(context, latest, &Outcome::NonceTaken).await;
            }
            Err(ChainError::NonceTooLow) => {}
            Err(ChainError::Underpriced { .. }) if waited >= watch.replace_after => {
                return replace(context, latest, ceiling).await;
            }
            Ok(()) => {
                tracing::warn!(nonce = latest.signed.nonce, taken, "the node named a nonce too high");
                return Ok(Watched::Waits);
            }
            Err(error) => return Err(error.into()),
        }
        tracing::error!(
            nonce = latest.signed.nonce,
            "another transaction took a nonce: does anybody else use the settlement key?"
        );
        return end(context, latest, &Outcome::NonceTaken).await;
    }
    match context.chain.broadcast(&latest.signed.raw).await {
        Err(ChainError::Underpriced { .. }) if waited >= watch.replace_after => {
            return replace(context, latest, ceiling).await;
        }
        Ok(()) | Err(ChainError::NonceTooLow | ChainError::Underpriced { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    resync::resync(context).await?;
    Ok(Watched::Waits)
}
