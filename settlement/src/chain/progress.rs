//! What the credit contract says of itself and of a batch.

use domain::ids::BatchId;

/// How far a batch in chunks has come on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchPhase {
    /// Chunks are pushed; nothing is decided.
    Collecting,
    /// Finalised: creditors are being paid and nobody can undo it.
    Paying,
    /// Abandoned: debtors get back what they paid.
    Returning,
}

/// The batch that the contract has in progress; one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchProgress {
    /// Its id.
    pub batch_id: BatchId,
    /// How far it has come.
    pub phase: BatchPhase,
    /// Number of its chunks.
    pub chunks: u32,
    /// Number of chunks pushed: the next is this one.
    pub pushed: u32,
    /// Number of chunks released: the next is this one.
    pub released: u32,
}

/// What the contract says of one batch, all at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchState {
    /// Its statement root, if it is settled.
    pub settled_root: Option<[u8; 32]>,
    /// The batch in progress in chunks, be it this one or another.
    pub in_progress: Option<BatchProgress>,
}

/// What stands at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeMatch {
    /// The credit contract, byte for byte but for what its constructor was given.
    Same,
    /// Nothing.
    None,
    /// Something else.
    Other {
        /// The keccak256 of what is there, those values left out where they would stand.
        actual: [u8; 32],
        /// The keccak256 of what should be.
        expected: [u8; 32],
    },
}
