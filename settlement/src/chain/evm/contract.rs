//! What the credit contract is, and what it says of its batches.

use domain::ids::BatchId;
use ethers::abi::AbiDecode;
use ethers::providers::Middleware;
use ethers::types::{Address as EthAddress, BlockId, BlockNumber, U64, U256};

use super::{EvmChain, as_u64};
use crate::chain::{Address, BatchPhase, BatchProgress, BatchState, ChainError, CodeMatch};

/// What `batchInProgress` returns: id, phase, number of chunks, pushed, released, end of its time.
type InProgress = ([u8; 32], u8, U256, U256, U256, u64);

impl EvmChain {
    /// The newest block that has `confirmations` blocks on it, its own included.
    pub(super) async fn deep_block(&self, confirmations: u64) -> Result<BlockNumber, ChainError> {
        if confirmations <= 1 {
            return Ok(BlockNumber::Latest);
        }
        self.deep_number(confirmations).await.map(BlockNumber::Number)
    }

    /// The number of that block, for several questions about one block.
    pub(super) async fn deep_number(&self, confirmations: u64) -> Result<U64, ChainError> {
        Ok(U64::from(self.head_number().await?.saturating_sub(confirmations.saturating_sub(1))))
    }

    pub(super) async fn read_batch_state(
        &self,
        credit: &Address,
        batch_id: &BatchId,
        confirmations: u64,
    ) -> Result<BatchState, ChainError> {
        let block = BlockId::Number(self.deep_number(confirmations).await?.into());
        let absurd = |error| self.unavailable(error);
        let root = self.view(credit, self.contracts.settled_root(&batch_id.0)?, block).await?;
        let root = <[u8; 32]>::decode(root).map_err(|e| self.unavailable(e))?;
        let answer = self.view(credit, self.contracts.batch_in_progress()?, block).await?;
        let (id, phase, chunks, pushed, released, _) =
            InProgress::decode(answer).map_err(|e| self.unavailable(e))?;
        let count = |value: U256| {
            u32::try_from(as_u64(value).map_err(absurd)?)
                .map_err(|_| self.unavailable("it names a number of chunks that is out of range"))
        };
        let phase = match phase {
            0 => None,
            1 => Some(BatchPhase::Collecting),
            2 => Some(BatchPhase::Paying),
            3 => Some(BatchPhase::Returning),
            other => return Err(self.unavailable(format!("it names {other} as the phase of a batch"))),
        };
        let in_progress = match phase {
            None => None,
            Some(phase) => Some(BatchProgress {
                batch_id: BatchId(id),
                phase,
                chunks: count(chunks)?,
                pushed: count(pushed)?,
                released: count(released)?,
            }),
        };
        Ok(BatchState { settled_root: (root != [0; 32]).then_some(root), in_progress })
    }

    pub(super) async fn read_withdrawal_delay_s(&self, credit: &Address) -> Result<u64, ChainError> {
        let latest = BlockId::Number(BlockNumber::Latest);
        let answer = self.view(credit, self.contracts.withdrawal_delay()?, latest).await?;
        u64::decode(answer).map_err(|e| self.unavailable(e))
    }

    pub(super) async fn read_credit_code(&self, address: &Address) -> Result<CodeMatch, ChainError> {
        let code = self.provider.get_code(EthAddress::from(address.0), None).await;
        Ok(self.contracts.compare_credit(&code.map_err(|e| self.unavailable(e))?))
    }
}
