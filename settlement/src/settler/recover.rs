//! Ending a batch in chunks that the contract has in progress and the rows do not have in flight: the
//! database was set back to an older backup, or another holder of the settler's role opened it.
//!
//! What was decided is paid out, what was not is given up and given back. Both need only what the chain
//! keeps of the chunks, so that it does not matter what the rows have forgotten; a slot whose batch was
//! given back is settled anew, one whose batch was paid is booked when the contract refuses its id.

use domain::ids::BatchId;
use store::StoreError;
use store::batches::{self, BatchStatus, chunks};
use store::transactions::{self, Purpose};

use super::chunks::MAX_STEPS;
use super::forgotten;
use crate::chain::{BatchPhase, BatchProgress, Call, ChunkCall, Position};
use crate::context::Settling;
use crate::error::{SettleError, out_of_range};
use crate::gas;
use crate::outgoing::{Outgoing, sign_all};

/// What the chain has that the rows do not know: nonces that are used, a batch beside the one in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nothing.
    None,
    /// Used nonces or a batch; what ends that was just signed.
    Ending,
    /// The same; something that is on its way has to end first.
    Waits,
}

/// Looks for used nonces and passes them over; then for such a batch, and signs the steps that end it, as many as the pipeline takes.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails, or the contract would refuse the first step.
pub(super) async fn next(settling: &Settling) -> Result<Unknown, SettleError> {
    let Settling { context, domain, .. } = settling;
    let (pool, community) = (&context.pool, &context.community_id);
    if transactions::is_recovering(pool, community).await? {
        return Ok(Unknown::Waits);
    }
    if forgotten::take_nonces(settling).await? {
        return Ok(Unknown::Ending);
    }
    let own = batches::in_flight(pool, community).await?.map(|batch| batch.batch_id);
    let (asked, depth) = (own.unwrap_or(BatchId([0; 32])), context.policy.watch.confirmations);
    let state = context.chain.batch_state(&domain.credit, &asked, depth).await?;
    let Some(open) = state.in_progress.filter(|open| own != Some(open.batch_id)) else {
        return Ok(Unknown::None);
    };
    if let Some(own) = own
        && chunks::is_moving(pool, community, &own).await?
    {
        return Ok(Unknown::Waits);
    }
    // A chain that starts over, or a node that lags, comes by batches that have ended long since.
    let stored = batches::find(pool, community, &open.batch_id).await?;
    if stored.is_some_and(|batch| batch.status == BatchStatus::Final) {
        return Ok(Unknown::Waits);
    }
    end(settling, &open).await
}

async fn end(settling: &Settling, open: &BatchProgress) -> Result<Unknown, SettleError> {
    let Settling { context, domain, .. } = settling;
    let pushed = context.chain.pushed_chunks(&domain.credit, &open.batch_id).await?;
    let outgoing: Vec<Outgoing> =
        steps(settling, open, &pushed)?.into_iter().take(MAX_STEPS).map(outgoing).collect();
    // A pause ends, and a step that somebody else takes first is seen once it is deep enough: until then
    // nothing is spent on calls that fail.
    if let Some(first) = outgoing.first() {
        context.chain.estimate_gas(&first.call).await?;
    }
    let (first_nonce, fees) = (context.chain.mined_nonce(1).await?, context.fees().await?);
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    // Whoever holds this lock is the only one to sign; what it signed before is seen below.
    transactions::lock_sender(&mut tx, &context.chain.sender().to_string()).await?;
    if transactions::is_recovering(&mut *tx, &context.community_id).await? {
        return Ok(Unknown::Waits);
    }
    sign_all(&mut tx, context, first_nonce, fees, &outgoing).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::warn!(
        batch = hex::encode(open.batch_id.0), phase = ?open.phase, pushed = open.pushed, steps = outgoing.len(),
        "the contract has a batch in progress that the database does not know: was it set back? The batch is ended"
    );
    Ok(Unknown::Ending)
}

/// The calls from where the batch stands to its end.
fn steps(
    settling: &Settling,
    open: &BatchProgress,
    pushed: &[Vec<Position>],
) -> Result<Vec<Call>, SettleError> {
    let (credit, batch_id) = (settling.domain.credit, open.batch_id);
    let mut calls = Vec::new();
    if open.phase == BatchPhase::Collecting {
        calls.push(Call::AbandonBatch { credit, batch_id });
    }
    for index in open.released..open.pushed {
        let chunk = usize::try_from(index).ok().and_then(|index| pushed.get(index));
        let positions = chunk.ok_or_else(|| out_of_range("the number of a pushed chunk"))?.clone();
        calls.push(Call::ReleaseChunk(ChunkCall { credit, batch_id, index, positions }));
    }
    Ok(calls)
}

/// Whoever is paid may hold nothing, so that the limit is the dearest's.
fn outgoing(call: Call) -> Outgoing {
    let gas_limit = match &call {
        Call::ReleaseChunk(chunk) => gas::of_release(chunk.positions.len(), chunk.positions.len()),
        _ => gas::SET_UP_CALL,
    };
    Outgoing { purpose: Purpose::Recover, call, gas_limit }
}
