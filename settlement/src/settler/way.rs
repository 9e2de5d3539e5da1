//! How a batch reaches the chain: in one call, or in chunks if that would take too much of a block.

use store::batches::BatchRow;

use crate::chain::{Call, ChainError, Position};
use crate::context::Settling;
use crate::error::{SettleError, out_of_range};
use crate::gas;

/// How a batch is to be sent.
pub(super) enum Way {
    /// By one transaction.
    OneCall {
        /// What it does.
        call: Call,
        /// The most gas it may use.
        gas_limit: u64,
    },
    /// By several, each within its share of a block.
    Chunks(Vec<Vec<Position>>),
}

/// Chooses by what the call is estimated to use against the configured share of a block. The inner
/// error is the contract's refusal.
pub(super) async fn choose(
    settling: &Settling,
    batch: &BatchRow,
    positions: Vec<Position>,
) -> Result<Result<Way, ChainError>, SettleError> {
    let chain = &settling.context.chain;
    let budget = gas::budget(chain.block_gas_limit().await?, settling.context.policy.batch_gas_share_percent);
    if gas::least_of_settlement(positions.len()) <= budget {
        let refused = gas::of_refused_settlement(positions.len());
        let call = settle_call(settling, batch, positions.clone())?;
        match chain.estimate_gas(&call).await {
            Ok(estimate) if gas::with_margin(estimate) <= budget => {
                return Ok(Ok(Way::OneCall { call, gas_limit: gas::with_margin(estimate) }));
            }
            Ok(_) | Err(ChainError::TooMuchGas { .. }) => {}
            Err(error) => return refusal(settling, batch, error, call, refused).await,
        }
    }
    in_chunks(settling, batch, &positions, budget).await
}

async fn in_chunks(
    settling: &Settling,
    batch: &BatchRow,
    positions: &[Position],
    budget: u64,
) -> Result<Result<Way, ChainError>, SettleError> {
    let size = gas::positions_of_a_chunk(budget);
    let chunks: Vec<Vec<Position>> = positions.chunks(size).map(<[Position]>::to_vec).collect();
    if chunks.len() > gas::MAX_CHUNKS {
        return Err(SettleError::Inconsistent(format!(
            "slot {} has {} positions, more than {} chunks of {size}: raise [settlement] batch_gas_share_percent",
            batch.slot_start,
            positions.len(),
            gas::MAX_CHUNKS
        )));
    }
    let call = open_call(settling, batch, &chunks)?;
    match settling.context.chain.estimate_gas(&call).await {
        Ok(_) => Ok(Ok(Way::Chunks(chunks))),
        Err(error) => refusal(settling, batch, error, call, gas::of_refused_settlement(chunks.len())).await,
    }
}

/// A contract that would refuse a call is not sent anything, with one exception: if it knows the batch
/// already (the database was set back), the transaction that is refused for it is what the ledger's
/// entries point to.
async fn refusal(
    settling: &Settling,
    batch: &BatchRow,
    error: ChainError,
    call: Call,
    gas_limit: u64,
) -> Result<Result<Way, ChainError>, SettleError> {
    let ChainError::WouldRevert { .. } = &error else { return Err(error.into()) };
    let known = settling.context.chain.settled_root(&settling.domain.credit, &batch.batch_id).await?;
    let Some(root) = known else { return Ok(Err(error)) };
    if root != batch.statement_root {
        tracing::warn!(
            slot = %batch.slot_start, revision = batch.revision, root = hex::encode(root),
            "the contract has settled the batch with another statement root: was the database set back? Receipts of this \
             slot do not verify, and what is booked may be other than what was moved: run `settlement reconcile`"
        );
    }
    Ok(Ok(Way::OneCall { call, gas_limit }))
}

fn settle_call(settling: &Settling, batch: &BatchRow, positions: Vec<Position>) -> Result<Call, SettleError> {
    let (slot_from_s, slot_to_s) = slot_range(settling, batch)?;
    let (batch_id, statement_root) = (batch.batch_id, batch.statement_root);
    let credit = settling.domain.credit;
    Ok(Call::Settle { credit, batch_id, slot_from_s, slot_to_s, statement_root, positions })
}

/// The call that opens a batch in chunks.
pub(super) fn open_call(
    settling: &Settling,
    batch: &BatchRow,
    chunks: &[Vec<Position>],
) -> Result<Call, SettleError> {
    let (slot_from_s, slot_to_s) = slot_range(settling, batch)?;
    let (batch_id, statement_root) = (batch.batch_id, batch.statement_root);
    let (credit, chunks) = (settling.domain.credit, chunks.to_vec());
    Ok(Call::OpenBatch { credit, batch_id, slot_from_s, slot_to_s, statement_root, chunks })
}

fn slot_range(settling: &Settling, batch: &BatchRow) -> Result<(u64, u64), SettleError> {
    let seconds = |s: i64| u64::try_from(s).map_err(|_| out_of_range("a slot's time"));
    let from = batch.slot_start.timestamp();
    Ok((seconds(from)?, seconds(from + i64::from(settling.slot_length.seconds()))?))
}
