//! What the credit contract of a fake chain does and refuses about a batch in chunks.

use domain::ids::BatchId;
use domain::units::Money;

use super::state::{State, add, require_ascending};
use crate::chain::{BatchPhase, BatchProgress, Call, ChunkCall, Position};

/// The batch in progress.
#[derive(Debug, Clone)]
pub(super) struct OpenBatch {
    pub(super) progress: BatchProgress,
    chunks: Vec<Vec<Position>>,
    root: [u8; 32],
}

impl OpenBatch {
    /// The chunks that were pushed.
    pub(super) fn pushed(&self) -> Vec<Vec<Position>> {
        let pushed = usize::try_from(self.progress.pushed).unwrap_or(usize::MAX);
        self.chunks.iter().take(pushed).cloned().collect()
    }
}

impl State {
    /// What the settler alone may do.
    pub(super) fn chunked(&mut self, call: &Call) -> Result<(), String> {
        match call {
            Call::OpenBatch { credit, batch_id, statement_root, chunks, .. } => {
                self.require_new(credit, batch_id)?;
                let count = u32::try_from(chunks.len()).map_err(|_| "InvalidChunkCount")?;
                let progress = BatchProgress {
                    batch_id: *batch_id,
                    phase: BatchPhase::Collecting,
                    chunks: count,
                    pushed: 0,
                    released: 0,
                };
                self.open = Some(OpenBatch { progress, chunks: chunks.clone(), root: *statement_root });
                Ok(())
            }
            Call::PushChunk(chunk) => self.push(chunk),
            Call::FinaliseBatch { batch_id, .. } => {
                let open = self.in_phase(batch_id, BatchPhase::Collecting)?;
                if open.progress.pushed != open.progress.chunks {
                    return Err("BatchIncomplete".into());
                }
                require_ascending(&open.chunks.concat())?;
                let sum = Money::checked_sum(open.chunks.concat().iter().map(|p| p.amount));
                if !sum.map_err(|error| error.to_string())?.is_zero() {
                    return Err("PositionsNotBalanced".into());
                }
                open.progress.phase = BatchPhase::Paying;
                Ok(())
            }
            Call::AbandonBatch { batch_id, .. } => {
                let open = self.in_phase(batch_id, BatchPhase::Collecting)?;
                open.progress.phase = BatchPhase::Returning;
                if open.progress.pushed == 0 {
                    self.open = None;
                }
                Ok(())
            }
            other => Err(format!("not a call of a batch in chunks: {other:?}")),
        }
    }

    fn in_phase(&mut self, batch_id: &BatchId, phase: BatchPhase) -> Result<&mut OpenBatch, String> {
        let open = self.open.as_mut().filter(|open| open.progress.batch_id == *batch_id);
        let open = open.ok_or("NotTheBatchInProgress")?;
        if open.progress.phase == phase { Ok(open) } else { Err("WrongBatchPhase".into()) }
    }

    fn push(&mut self, chunk: &ChunkCall) -> Result<(), String> {
        let mut credits = self.credits.clone();
        let open = self.in_phase(&chunk.batch_id, BatchPhase::Collecting)?;
        require_next(open, chunk, open.progress.pushed)?;
        for position in chunk.positions.iter().filter(|p| p.amount.is_negative()) {
            add(&mut credits, &position.account, position.amount)?;
        }
        open.progress.pushed += 1;
        self.credits = credits;
        Ok(())
    }

    /// What anyone may do.
    pub(super) fn release(&mut self, chunk: &ChunkCall) -> Result<(), String> {
        let mut credits = self.credits.clone();
        let open = self.open.as_mut().filter(|open| open.progress.batch_id == chunk.batch_id);
        let open = open.ok_or("NotTheBatchInProgress")?;
        require_next(open, chunk, open.progress.released)?;
        let pays = match open.progress.phase {
            BatchPhase::Collecting => return Err("WrongBatchPhase".into()),
            BatchPhase::Paying => true,
            BatchPhase::Returning => false,
        };
        for position in chunk.positions.iter().filter(|p| p.amount.is_positive() == pays) {
            let amount = if pays { Ok(position.amount) } else { position.amount.checked_neg() };
            add(&mut credits, &position.account, amount.map_err(|error| error.to_string())?)?;
        }
        open.progress.released += 1;
        let (progress, root) = (open.progress, open.root);
        self.credits = credits;
        if progress.released == progress.pushed {
            self.open = None;
            if pays {
                self.settled.insert((chunk.credit, progress.batch_id), root);
            }
        }
        Ok(())
    }
}

fn require_next(open: &OpenBatch, chunk: &ChunkCall, expected: u32) -> Result<(), String> {
    let next = usize::try_from(expected).ok().and_then(|index| open.chunks.get(index));
    if chunk.index != expected {
        return Err(format!("UnexpectedChunk({}, {expected})", chunk.index));
    }
    if next != Some(&chunk.positions) {
        return Err("WrongChunk".into());
    }
    Ok(())
}
