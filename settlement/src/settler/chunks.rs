//! A batch in chunks, from its opening to its end: all steps to the end are signed and stored at once,
//! as far as the pipeline has room, and when those have ended the chain says what is left to do.

use std::collections::HashSet;

use store::batches::chunks::{self, ChunkPosition, ChunkStep};
use store::batches::{self, BatchRow};
use store::ledger::Balance;
use store::notify::{self, Event, Kind};
use store::transactions::{self, Purpose};
use store::{PgConnection, StoreError};

use super::recover::{self, Unknown};
use super::way::open_call;
use crate::batch::chunks::{Stage, giving_up, stage, steps};
use crate::batch::{Step, after};
use crate::chain::{Call, ChainError, ChunkCall, Position};
use crate::context::Settling;
use crate::error::{SettleError, out_of_range};
use crate::finish::{advance, end_batch};
use crate::gas;
use crate::outgoing::{Outgoing, sign_all};

/// How many steps may be on their way at once; nodes bound what they queue for a sender.
pub(super) const MAX_STEPS: usize = 32;

/// Which accounts of a chunk that is released may be paid their first credit, which takes more gas.
pub(super) enum Empty {
    /// All but these, which hold credits.
    AllBut(HashSet<String>),
    /// Any.
    Any,
}

impl Empty {
    /// By the ledger: who holds credits in it holds them on the chain.
    pub(super) fn by_ledger(balances: &[Balance]) -> Self {
        let holding = balances.iter().filter(|b| b.balance.is_positive());
        Self::AllBut(holding.map(|b| b.chain_address.clone()).collect())
    }

    fn count(&self, chunk: &[Position]) -> usize {
        let may_be_empty = |p: &&Position| match self {
            Self::AllBut(holding) => !holding.contains(&p.account.to_string()),
            Self::Any => true,
        };
        chunk.iter().filter(may_be_empty).count()
    }
}

/// The first transactions of a batch: from its opening on.
pub(super) fn beginning(
    settling: &Settling,
    batch: &BatchRow,
    chunks: &[Vec<Position>],
    empty: &Empty,
) -> Result<Vec<Outgoing>, SettleError> {
    outgoing(settling, batch, chunks, &steps(Stage::Absent, count(chunks)?), empty)
}

/// Fixes the chunks of a batch that is being signed.
pub(super) async fn store_chunks(
    tx: &mut PgConnection,
    settling: &Settling,
    batch: &BatchRow,
    chunks: &[Vec<Position>],
) -> Result<(), SettleError> {
    let row = |p: &Position| ChunkPosition { chain_address: p.account.to_string(), amount: p.amount };
    let rows: Vec<Vec<ChunkPosition>> = chunks.iter().map(|chunk| chunk.iter().map(row).collect()).collect();
    Ok(chunks::insert(tx, &settling.context.community_id, &batch.batch_id, &rows).await?)
}

/// Takes the batch in flight on, if it is one in chunks and all of its transactions have ended.
/// Returns whether anything changed.
pub(super) async fn go_on(settling: &Settling, batch: &BatchRow) -> Result<bool, SettleError> {
    let (pool, community) = (&settling.context.pool, &settling.context.community_id);
    if chunks::is_moving(pool, community, &batch.batch_id).await? {
        return Ok(false);
    }
    let stored = chunks::find(pool, community, &batch.batch_id).await?;
    if stored.is_empty() {
        return Ok(false);
    }
    let chunks = stored.iter().map(|chunk| parsed(chunk)).collect::<Result<Vec<_>, _>>()?;
    let Settling { context, domain, .. } = settling;
    let depth = context.policy.watch.confirmations;
    let state = context.chain.batch_state(&domain.credit, &batch.batch_id, depth).await?;
    let stage = stage(&state, &batch.batch_id);
    tracing::info!(slot = %batch.slot_start, ?stage, "a batch in chunks goes on from what the chain says");
    match stage {
        Stage::Settled => settled(settling, batch).await,
        Stage::Absent => begin_again(settling, batch).await,
        Stage::Behind(_) => Ok(recover::next(settling).await? == Unknown::Ending),
        Stage::Collecting(pushed) if must_give_up(settling, batch, &chunks, pushed).await? => {
            sign(settling, batch, &chunks, &giving_up(pushed)).await
        }
        other => sign(settling, batch, &chunks, &steps(other, count(&chunks)?)).await,
    }
}

/// Whether the contract would refuse the next chunk for good: then the debtors get back what they paid,
/// and the batch is cut anew. A pause ends, so it is waited for.
async fn must_give_up(
    settling: &Settling,
    batch: &BatchRow,
    chunks: &[Vec<Position>],
    pushed: u32,
) -> Result<bool, SettleError> {
    if usize::try_from(pushed) == Ok(chunks.len()) {
        return Ok(false);
    }
    let index = i32::try_from(pushed).map_err(|_| out_of_range("a chunk's number"))?;
    let next = call(settling, batch, chunks, ChunkStep::Push(index))?;
    match settling.context.chain.estimate_gas(&next).await {
        Ok(_) => Ok(false),
        Err(error) if error.is_refused_as("EnforcedPause") => Err(error.into()),
        Err(ChainError::WouldRevert { reason }) => {
            tracing::warn!(slot = %batch.slot_start, reason, "a chunk is refused: its batch is given up and begun again");
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

async fn sign(
    settling: &Settling,
    batch: &BatchRow,
    chunks: &[Vec<Position>],
    steps: &[ChunkStep],
) -> Result<bool, SettleError> {
    let context = &settling.context;
    let outgoing = outgoing(settling, batch, chunks, steps, &Empty::Any)?;
    require_no_pause(settling, &outgoing).await?;
    let (first_nonce, fees) = (context.chain.mined_nonce(1).await?, context.fees().await?);
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    // Whoever holds this lock is the only one to sign; what it signed before is seen below.
    transactions::lock_sender(&mut tx, &context.chain.sender().to_string()).await?;
    if chunks::is_moving(&mut *tx, &context.community_id, &batch.batch_id).await? {
        return Ok(false);
    }
    sign_all(&mut tx, context, first_nonce, fees, &outgoing).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(slot = %batch.slot_start, steps = outgoing.len(), "signed steps of a batch in chunks");
    Ok(true)
}

/// A pause ends; until then nothing is spent on steps that fail by it.
async fn require_no_pause(settling: &Settling, outgoing: &[Outgoing]) -> Result<(), SettleError> {
    let Some(first) = outgoing.first() else { return Ok(()) };
    match settling.context.chain.estimate_gas(&first.call).await {
        Err(error) if error.is_refused_as("EnforcedPause") => Err(error.into()),
        // Whatever else would fail is seen, and answered, by what the chain says after it.
        _ => Ok(()),
    }
}

/// The contract has settled it, whoever sent the last step.
async fn settled(settling: &Settling, batch: &BatchRow) -> Result<bool, SettleError> {
    let context = &settling.context;
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    let hash = chunks::last_ended(&mut *tx, &context.community_id, &batch.batch_id).await?;
    let hash = hash.ok_or_else(|| {
        SettleError::Inconsistent(format!("slot {} is settled by nobody's transaction", batch.slot_start))
    })?;
    end_batch(&mut tx, context, &batch.batch_id, &hash, true).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(true)
}

/// The contract does not have it: it is prepared again, with what its accounts hold now.
async fn begin_again(settling: &Settling, batch: &BatchRow) -> Result<bool, SettleError> {
    let context = &settling.context;
    let (community, now) = (&context.community_id, context.clock.now());
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    let next = after(batch.status, Step::Fail)?;
    let moved = batches::advance(&mut *tx, community, &batch.batch_id, batch.status, next, now).await?;
    advance(moved, "batch")?;
    batches::clear_settled(&mut *tx, community, &batch.batch_id).await?;
    chunks::clear(&mut *tx, community, &batch.batch_id).await?;
    notify::send(&mut *tx, &Event::new(Kind::Batch, community, Some(batch.slot_start))).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(true)
}

fn outgoing(
    settling: &Settling,
    batch: &BatchRow,
    chunks: &[Vec<Position>],
    steps: &[ChunkStep],
    empty: &Empty,
) -> Result<Vec<Outgoing>, SettleError> {
    let last = i32::try_from(chunks.len()).map_err(|_| out_of_range("a number of chunks"))? - 1;
    let one = |step: &ChunkStep| {
        let purpose = match step {
            // This one settles the batch, so it stands for it wherever one transaction is shown.
            ChunkStep::Release(index) if *index == last => Purpose::Settle(batch.batch_id),
            step => Purpose::Step(batch.batch_id, *step),
        };
        let gas_limit = match step {
            ChunkStep::Open => gas::of_opening(chunks.len()),
            ChunkStep::Push(index) => gas::of_push(chunk(chunks, *index)?.len()),
            ChunkStep::Release(index) => {
                let released = chunk(chunks, *index)?;
                gas::of_release(released.len(), empty.count(released))
            }
            // Who was emptied is paid back as if it had never held anything.
            ChunkStep::Return(index) => {
                let returned = chunk(chunks, *index)?.len();
                gas::of_release(returned, returned)
            }
            ChunkStep::Finalise | ChunkStep::Abandon => gas::SET_UP_CALL,
        };
        Ok(Outgoing { purpose, call: call(settling, batch, chunks, *step)?, gas_limit })
    };
    steps.iter().take(MAX_STEPS).map(one).collect()
}

fn call(
    settling: &Settling,
    batch: &BatchRow,
    chunks: &[Vec<Position>],
    step: ChunkStep,
) -> Result<Call, SettleError> {
    let (credit, batch_id) = (settling.domain.credit, batch.batch_id);
    let of_chunk = |index: i32| -> Result<ChunkCall, SettleError> {
        let positions = chunk(chunks, index)?.to_vec();
        let index = u32::try_from(index).map_err(|_| out_of_range("a chunk's number"))?;
        Ok(ChunkCall { credit, batch_id, index, positions })
    };
    Ok(match step {
        ChunkStep::Open => open_call(settling, batch, chunks)?,
        ChunkStep::Push(index) => Call::PushChunk(of_chunk(index)?),
        ChunkStep::Finalise => Call::FinaliseBatch { credit, batch_id },
        ChunkStep::Release(index) | ChunkStep::Return(index) => Call::ReleaseChunk(of_chunk(index)?),
        ChunkStep::Abandon => Call::AbandonBatch { credit, batch_id },
    })
}

fn chunk(chunks: &[Vec<Position>], index: i32) -> Result<&[Position], SettleError> {
    let found = usize::try_from(index).ok().and_then(|index| chunks.get(index));
    found.map(Vec::as_slice).ok_or_else(|| out_of_range("a chunk's number"))
}

fn count(chunks: &[Vec<Position>]) -> Result<u32, SettleError> {
    u32::try_from(chunks.len()).map_err(|_| out_of_range("a number of chunks"))
}

fn parsed(chunk: &[ChunkPosition]) -> Result<Vec<Position>, SettleError> {
    chunk.iter().map(|row| Ok(Position { account: row.chain_address.parse()?, amount: row.amount })).collect()
}
