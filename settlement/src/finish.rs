//! The end of a transaction: what it changes in the ledger, in one step of the database.

use store::StoreError;
use store::batches::{self, BatchStatus, chunks};
use store::notify::{self, Event, Kind};
use store::slots::{self, SlotStatus};
use store::transactions::{self, Purpose, TransactionRow, TxState};
use store::{PgConnection, ledger};

use chrono::{DateTime, Utc};
use domain::ids::BatchId;

use crate::batch::{Step, after};
use crate::chain::TxStatus;
use crate::context::Context;
use crate::error::{SettleError, out_of_range};

/// How a transaction ended. Nothing of it can change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Mined deep enough, and succeeded.
    Succeeded(TxStatus),
    /// Mined deep enough, and changed nothing but the nonce.
    Reverted(TxStatus),
    /// Another transaction of the same key took its nonce.
    NonceTaken,
}

/// Ends a transaction and whatever it was for.
///
/// A settlement that reverted because the contract knows the batch id already was settled before,
/// and is booked as such; any other failure sends its batch or deposit back to be signed again.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails; then nothing has changed.
pub async fn end(context: &Context, row: &TransactionRow, outcome: &Outcome) -> Result<(), SettleError> {
    let succeeded = matches!(outcome, Outcome::Succeeded(_));
    // Asked before the database's transaction begins, which must not wait for the network.
    let settled = match row.signed.purpose {
        Purpose::Settle(batch_id) if !succeeded => knows_batch(context, &batch_id).await?,
        Purpose::Move(move_id) if !succeeded => crate::moves::is_done(context, move_id).await?,
        _ => succeeded,
    };
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    mark(&mut tx, context, row, outcome).await?;
    match row.signed.purpose {
        Purpose::Settle(batch_id) => {
            end_batch(&mut tx, context, &batch_id, &row.signed.tx_hash, settled).await?
        }
        Purpose::Deposit(deposit_id) => {
            if settled {
                ledger::finish_deposit(&mut tx, &context.community_id, deposit_id, &row.signed.tx_hash)
                    .await?;
            } else {
                ledger::reset_deposit(&mut *tx, &context.community_id, deposit_id).await?;
            }
            notify::send(&mut *tx, &Event::new(Kind::Deposit, &context.community_id, None)).await?;
        }
        Purpose::Move(move_id) => crate::moves::end(&mut tx, context, move_id, settled).await?,
        Purpose::Step(batch_id, step) => {
            if succeeded {
                chunks::done(&mut *tx, &context.community_id, &batch_id, step).await?;
            }
        }
        // Whatever became of it, the chain is asked again before the next step.
        Purpose::Recover | Purpose::Deploy => {}
    }
    tx.commit().await.map_err(StoreError::from)?;
    // That used nonces are passed over was said when that was signed.
    let is_said = matches!((row.signed.purpose, outcome), (Purpose::Recover, Outcome::NonceTaken));
    if !succeeded && !is_said {
        let (purpose, hash) = (row.signed.purpose, &row.signed.tx_hash);
        tracing::warn!(?purpose, hash, ?outcome, settled, "a transaction did not succeed");
    }
    Ok(())
}

/// Whether the contract has settled a batch, as deep as finality asks: what is booked stays.
pub(crate) async fn knows_batch(context: &Context, batch_id: &BatchId) -> Result<bool, SettleError> {
    let settling = crate::context::Settling::of(context.clone()).await?;
    let depth = context.policy.watch.confirmations;
    Ok(context.chain.batch_state(&settling.domain.credit, batch_id, depth).await?.settled_root.is_some())
}

async fn mark(
    tx: &mut PgConnection,
    context: &Context,
    row: &TransactionRow,
    outcome: &Outcome,
) -> Result<(), SettleError> {
    let (state, status) = match outcome {
        Outcome::Succeeded(status) => (TxState::Final, status),
        Outcome::Reverted(status) => (TxState::Reverted, status),
        Outcome::NonceTaken => {
            let (sender, nonce) = (&row.signed.sender, row.signed.nonce);
            return Ok(transactions::replace(tx, &context.community_id, sender, nonce).await?);
        }
    };
    let TxStatus::Mined { block_number, gas_used, .. } = status else {
        return Err(SettleError::Inconsistent("a transaction ended that is not mined".to_owned()));
    };
    let block_number = i64::try_from(*block_number).map_err(|_| out_of_range("a block number"))?;
    let gas_used = i64::try_from(*gas_used).map_err(|_| out_of_range("the gas used"))?;
    Ok(transactions::finish(tx, &context.community_id, row, state, block_number, gas_used).await?)
}

/// Ends a batch that is `settled`, or sends it back to be signed again. One in chunks is not sent back
/// here: what was pushed must be given back first, which the next look at the chain decides.
pub(crate) async fn end_batch(
    tx: &mut PgConnection,
    context: &Context,
    batch_id: &BatchId,
    tx_hash: &str,
    settled: bool,
) -> Result<(), SettleError> {
    let community = &context.community_id;
    let batch = batches::find(&mut *tx, community, batch_id).await?.ok_or_else(|| {
        SettleError::Inconsistent(format!("transaction {tx_hash} settles a batch that is not stored"))
    })?;
    let is_chunked = !chunks::find(&mut *tx, community, batch_id).await?.is_empty();
    if is_chunked && !settled {
        return Ok(());
    }
    let now = context.clock.now();
    let next = after(batch.status, if settled { Step::Finish } else { Step::Fail })?;
    advance(batches::advance(&mut *tx, community, batch_id, batch.status, next, now).await?, "batch")?;
    if next == BatchStatus::Final {
        ledger::book_batch(&mut *tx, community, batch_id, tx_hash).await?;
        if is_chunked {
            chunks::all_released(&mut *tx, community, batch_id).await?;
        }
        slot_settled(&mut *tx, context, batch.slot_start, batch.revision).await?;
    } else {
        batches::clear_settled(&mut *tx, community, batch_id).await?;
    }
    notify::send(&mut *tx, &Event::new(Kind::Batch, community, Some(batch.slot_start))).await?;
    Ok(())
}

/// Moves a priced slot to `settled`, or to `corrected` at a later revision, and says so.
///
/// # Errors
/// [`SettleError::Inconsistent`] if the slot is not priced.
pub async fn slot_settled(
    tx: &mut PgConnection,
    context: &Context,
    slot_start: DateTime<Utc>,
    revision: i32,
) -> Result<(), SettleError> {
    let community = &context.community_id;
    let to = if revision == 0 { SlotStatus::Settled } else { SlotStatus::Corrected };
    let now = context.clock.now();
    let moved = slots::advance(&mut *tx, community, slot_start, SlotStatus::Priced, to, now).await?;
    advance(moved, "slot")?;
    Ok(notify::send(tx, &Event::new(Kind::Slot, community, Some(slot_start))).await?)
}

/// Refuses to go on if a row was not in the status that this step starts from.
pub(crate) fn advance(moved: bool, what: &str) -> Result<(), SettleError> {
    if moved {
        return Ok(());
    }
    Err(SettleError::Inconsistent(format!(
        "a {what} has changed meanwhile: does a second settler run for it?"
    )))
}
