//! What is left to do for a batch in chunks, from what the contract says of it: pure decisions.
//!
//! Nothing here is remembered: after a crash, a failed step, or somebody else's doing, the chain says
//! where the batch stands, and the steps from there on are signed.

use domain::ids::BatchId;
use store::batches::chunks::ChunkStep;

use crate::chain::{BatchPhase, BatchState};

/// Where a batch in chunks stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The contract does not have it: it was never opened, or given up and given back.
    Absent,
    /// Opened; the next chunk to push is this one.
    Collecting(u32),
    /// Decided; the next chunk to release is this one.
    Paying(u32),
    /// Given up; these chunks, from the first number up to below the second, are to be given back.
    Returning(u32, u32),
    /// Settled.
    Settled,
    /// Another batch is in progress, which must end first.
    Behind(BatchId),
}

/// Where a batch stands by what the contract says.
#[must_use]
pub fn stage(state: &BatchState, batch_id: &BatchId) -> Stage {
    if state.settled_root.is_some() {
        return Stage::Settled;
    }
    match &state.in_progress {
        None => Stage::Absent,
        Some(other) if other.batch_id != *batch_id => Stage::Behind(other.batch_id),
        Some(own) => match own.phase {
            BatchPhase::Collecting => Stage::Collecting(own.pushed),
            BatchPhase::Paying => Stage::Paying(own.released),
            BatchPhase::Returning => Stage::Returning(own.released, own.pushed),
        },
    }
}

/// The steps from a stage to the batch's end, if none fails, for a batch of so many chunks.
#[must_use]
pub fn steps(stage: Stage, chunks: u32) -> Vec<ChunkStep> {
    let each = |step: fn(i32) -> ChunkStep, from: u32, to: u32| {
        (from..to).filter_map(|index| i32::try_from(index).ok()).map(step).collect::<Vec<_>>()
    };
    let to_the_end = |from| {
        let mut steps = each(ChunkStep::Push, from, chunks);
        steps.push(ChunkStep::Finalise);
        steps.extend(each(ChunkStep::Release, 0, chunks));
        steps
    };
    match stage {
        Stage::Absent => {
            let mut steps = to_the_end(0);
            steps.insert(0, ChunkStep::Open);
            steps
        }
        Stage::Collecting(pushed) => to_the_end(pushed),
        Stage::Paying(released) => each(ChunkStep::Release, released, chunks),
        Stage::Returning(released, pushed) => each(ChunkStep::Return, released, pushed),
        Stage::Settled | Stage::Behind(_) => Vec::new(),
    }
}

/// The steps that give a batch up after so many chunks were pushed.
#[must_use]
pub fn giving_up(pushed: u32) -> Vec<ChunkStep> {
    let mut steps = steps(Stage::Returning(0, pushed), pushed);
    steps.insert(0, ChunkStep::Abandon);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::BatchProgress;
    use ChunkStep::{Abandon, Finalise, Open, Push, Release, Return};

    const OWN: BatchId = BatchId([1; 32]);

    fn state(batch_id: BatchId, phase: BatchPhase, pushed: u32, released: u32) -> BatchState {
        let in_progress = Some(BatchProgress { batch_id, phase, chunks: 2, pushed, released });
        BatchState { settled_root: None, in_progress }
    }

    #[test]
    fn the_chain_says_where_a_batch_stands() {
        let nothing = BatchState { settled_root: None, in_progress: None };
        assert_eq!(stage(&nothing, &OWN), Stage::Absent);
        assert_eq!(stage(&BatchState { settled_root: Some([1; 32]), ..nothing }, &OWN), Stage::Settled);
        let other = BatchId([2; 32]);
        assert_eq!(stage(&state(other, BatchPhase::Paying, 2, 1), &OWN), Stage::Behind(other));
        assert_eq!(stage(&state(OWN, BatchPhase::Collecting, 1, 0), &OWN), Stage::Collecting(1));
        assert_eq!(stage(&state(OWN, BatchPhase::Paying, 2, 1), &OWN), Stage::Paying(1));
        assert_eq!(stage(&state(OWN, BatchPhase::Returning, 2, 1), &OWN), Stage::Returning(1, 2));
    }

    #[test]
    fn the_steps_lead_from_each_stage_to_the_end() {
        let whole = [Open, Push(0), Push(1), Finalise, Release(0), Release(1)];
        assert_eq!(steps(Stage::Absent, 2), whole);
        assert_eq!(steps(Stage::Collecting(1), 2), whole[2..]);
        assert_eq!(steps(Stage::Collecting(2), 2), whole[3..]);
        assert_eq!(steps(Stage::Paying(1), 2), whole[5..]);
        assert_eq!(steps(Stage::Returning(1, 2), 2), [Return(1)]);
        assert_eq!(steps(Stage::Settled, 2), []);
        assert_eq!(giving_up(1), [Abandon, Return(0)]);
        assert_eq!(giving_up(0), [Abandon]);
    }
}
