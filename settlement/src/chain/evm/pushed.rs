//! What was pushed of a batch in chunks, from the calls that are on the chain: `ChunkPushed` names each
//! call, and the call holds the positions.

use domain::ids::BatchId;
use ethers::providers::Middleware;
use ethers::types::{Address as EthAddress, Filter, H256, Log};
use receipt::merkle::keccak256;

use super::EvmChain;
use crate::chain::{Address, ChainError, Position};

const BATCH_OPENED: &str = "BatchOpened(bytes32,uint64,uint64,bytes32,uint256,uint64)";
const CHUNK_PUSHED: &str = "ChunkPushed(bytes32,uint256,uint256)";
/// How many blocks are asked for at once; many nodes refuse more than some thousands.
const STRETCH: u64 = 1_000;
/// How many stretches are looked through: a day of blocks every tenth of a second.
const MAX_STRETCHES: usize = 1_000;

impl EvmChain {
    /// The chunks pushed since the batch was last opened, by index.
    pub(super) async fn read_pushed_chunks(
        &self,
        credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Vec<Vec<Position>>, ChainError> {
        let topic = |signature: &str| H256(keccak256(&[signature.as_bytes()]));
        let (opened, pushed) = (topic(BATCH_OPENED), topic(CHUNK_PUSHED));
        let filter = Filter::new()
            .address(EthAddress::from(credit.0))
            .topic0(vec![opened, pushed])
            .topic1(H256(batch_id.0));
        let mut newest_first: Vec<Log> = Vec::new();
        let mut to = self.head_number().await?;
        for _ in 0..MAX_STRETCHES {
            let from = to.saturating_sub(STRETCH - 1);
            let stretch = filter.clone().from_block(from).to_block(to);
            let mut logs = self.provider.get_logs(&stretch).await.map_err(|e| self.unavailable(e))?;
            logs.sort_unstable_by_key(|log| std::cmp::Reverse((log.block_number, log.log_index)));
            newest_first.extend(logs);
            let opening = newest_first.iter().position(|log| log.topics.first() == Some(&opened));
            if let Some(opening) = opening {
                newest_first.truncate(opening);
                return self.positions_of(newest_first.iter().rev()).await;
            }
            let Some(before) = from.checked_sub(1) else { break };
            to = before;
        }
        Err(self
            .unavailable(format!("it has no record of the opening of batch 0x{}", hex::encode(batch_id.0))))
    }

    /// The positions in the calls that logged these events.
    async fn positions_of(
        &self,
        pushed: impl Iterator<Item = &Log>,
    ) -> Result<Vec<Vec<Position>>, ChainError> {
        let mut chunks = Vec::new();
        for log in pushed {
            let hash = log.transaction_hash.ok_or_else(|| self.unavailable("a log names no transaction"))?;
            let found = self.provider.get_transaction(hash).await.map_err(|e| self.unavailable(e))?;
            let call =
                found.ok_or_else(|| self.unavailable(format!("it does not have transaction {hash:?}")))?;
            chunks.push(self.contracts.pushed_positions(&call.input).ok_or_else(|| {
                ChainError::Setup(format!(
                    "transaction {hash:?} did not push its chunk by a call of this program's: release the batch's \
                     chunks by hand (releaseChunk, which anyone may call)"
                ))
            })?);
        }
        Ok(chunks)
    }
}
