//! The fake chain as a node answers for it.

use async_trait::async_trait;
use domain::ids::BatchId;
use domain::units::Money;
use receipt::merkle::keccak256;

use super::chunked::OpenBatch;
use super::state::State;
use super::{CHAIN_ID, FakeChain, GAS_USED, hash_of, rejected};
use crate::chain::{
    Address, BatchState, BlockRef, Call, Chain, ChainError, CodeMatch, Fees, Movement, Position, SignedTx,
    TokenScale, TxHash, TxStatus, UnsignedTx,
};

const GAS_A_POSITION: u64 = 8_000;
const BLOCK_GAS_LIMIT: u64 = 30_000_000;

#[async_trait]
impl Chain for FakeChain {
    fn chain_id(&self) -> u64 {
        CHAIN_ID
    }

    fn scale(&self) -> TokenScale {
        self.world().state.scale
    }

    fn sender(&self) -> Address {
        self.sender
    }

    async fn check(&self) -> Result<(), ChainError> {
        self.node().map(drop)
    }

    async fn head(&self) -> Result<BlockRef, ChainError> {
        let world = self.node()?;
        let hash = world.blocks.last().map_or([0; 32], |block| block.hash);
        Ok(BlockRef { number: world.blocks.len() as u64, hash })
    }

    async fn mined_nonce(&self, confirmations: u64) -> Result<u64, ChainError> {
        let world = self.node()?;
        Ok(world.deep(confirmations).nonce.saturating_add_signed(world.faults.nonce_error))
    }

    async fn base_fee_wei(&self) -> Result<u128, ChainError> {
        Ok(self.node()?.faults.lowest_fee_wei)
    }

    async fn block_gas_limit(&self) -> Result<u64, ChainError> {
        let limit = self.node()?.faults.block_gas_limit;
        Ok(if limit == 0 { BLOCK_GAS_LIMIT } else { limit })
    }

    async fn fees(&self) -> Result<Fees, ChainError> {
        let base = self.node()?.faults.lowest_fee_wei;
        Ok(Fees { max_fee_per_gas_wei: 1_000.max(base * 2), priority_fee_per_gas_wei: 1_000 })
    }

    async fn estimate_gas(&self, call: &Call) -> Result<u64, ChainError> {
        let world = self.node()?;
        if world.faults.paused && call.is_settlement() {
            return Err(ChainError::WouldRevert { reason: "EnforcedPause".to_owned() });
        }
        let tried = world.state.clone().apply(self.sender, world.state.nonce, call);
        let used = match call {
            Call::Settle { positions, .. } => GAS_USED + GAS_A_POSITION * positions.len() as u64,
            _ => GAS_USED,
        };
        tried.map(|()| used).map_err(|reason| ChainError::WouldRevert { reason })
    }

    fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, ChainError> {
        let raw = keccak256(&[format!("{}{tx:?}", self.sender).as_bytes()]);
        self.world().signed.insert(TxHash(raw), tx.clone());
        Ok(SignedTx {
            hash: TxHash(raw),
            raw: raw.to_vec(),
            nonce: tx.nonce,
            max_fee_per_gas_wei: tx.fees.max_fee_per_gas_wei,
        })
    }

    fn sign_replacement(&self, raw: &[u8], fees: Fees) -> Result<SignedTx, ChainError> {
        let signed = self.world().signed.get(&hash_of(raw)?).cloned();
        let tx = signed.ok_or_else(|| rejected("these bytes are not signed"))?;
        self.sign(&UnsignedTx { fees: fees.max(tx.fees.bumped()), ..tx })
    }

    fn contract_address(&self, nonce: u64) -> Address {
        State::contract_address(&self.sender, nonce)
    }

    async fn broadcast(&self, raw: &[u8]) -> Result<(), ChainError> {
        let mut world = self.node()?;
        if world.faults.penniless {
            return Err(ChainError::OutOfGasMoney { sender: self.sender });
        }
        world.take(hash_of(raw)?)?;
        if world.faults.mine_at_once {
            world.mine(self.sender);
        }
        Ok(())
    }

    async fn status(&self, hash: &TxHash) -> Result<TxStatus, ChainError> {
        let world = self.node()?;
        if let Some((height, succeeded)) = world.find(hash) {
            let confirmations = (world.blocks.len() - height) as u64;
            let block_number = height as u64 + 1;
            return Ok(TxStatus::Mined { block_number, confirmations, succeeded, gas_used: GAS_USED });
        }
        let waits = world.mempool.values().any(|other| other == hash);
        Ok(if waits { TxStatus::Pending } else { TxStatus::Unknown })
    }

    async fn own_transaction(&self, hash: &TxHash) -> Result<Option<SignedTx>, ChainError> {
        let world = self.node()?;
        let tx = world.signed.get(hash).filter(|_| world.find(hash).is_some());
        Ok(tx.map(|tx| SignedTx {
            hash: *hash,
            raw: hash.0.to_vec(),
            nonce: tx.nonce,
            max_fee_per_gas_wei: tx.fees.max_fee_per_gas_wei,
        }))
    }

    async fn has_code(&self, address: &Address) -> Result<bool, ChainError> {
        Ok(self.node()?.state.contracts.contains(address))
    }

    async fn settled_root(
        &self,
        credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Option<[u8; 32]>, ChainError> {
        Ok(self.node()?.state.settled.get(&(*credit, *batch_id)).copied())
    }

    async fn batch_state(
        &self,
        credit: &Address,
        batch_id: &BatchId,
        confirmations: u64,
    ) -> Result<BatchState, ChainError> {
        let world = self.node()?;
        let state = world.deep(confirmations);
        let settled_root = state.settled.get(&(*credit, *batch_id)).copied();
        Ok(BatchState { settled_root, in_progress: state.open.as_ref().map(|open| open.progress) })
    }

    async fn pushed_chunks(
        &self,
        _credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Vec<Vec<Position>>, ChainError> {
        let world = self.node()?;
        let open = world.state.open.as_ref().filter(|open| open.progress.batch_id == *batch_id);
        Ok(open.map(OpenBatch::pushed).unwrap_or_default())
    }

    async fn credit_code(&self, address: &Address) -> Result<CodeMatch, ChainError> {
        let world = self.node()?;
        Ok(if world.faults.other_code {
            CodeMatch::Other { actual: [1; 32], expected: [2; 32] }
        } else if world.state.wrapped.contains_key(address) {
            CodeMatch::Same
        } else {
            CodeMatch::None
        })
    }

    async fn decimals(&self, _token: &Address) -> Result<u8, ChainError> {
        Ok(self.node()?.state.scale.decimals())
    }

    async fn currency_of(&self, credit: &Address) -> Result<Address, ChainError> {
        let found = self.node()?.state.wrapped.get(credit).copied();
        found.ok_or_else(|| ChainError::Setup(format!("{credit} is no credit contract")))
    }

    async fn withdrawal_delay_s(&self, credit: &Address) -> Result<u64, ChainError> {
        let found = self.node()?.state.delays.get(credit).copied();
        found.ok_or_else(|| ChainError::Setup(format!("{credit} is no credit contract")))
    }

    async fn block_hash(&self, number: u64) -> Result<Option<[u8; 32]>, ChainError> {
        let world = self.node()?;
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        if index == 0 {
            return Ok(Some([0; 32]));
        }
        Ok(world.blocks.get(index - 1).map(|block| block.hash))
    }

    async fn movements(&self, _credit: &Address, from: u64, to: u64) -> Result<Vec<Movement>, ChainError> {
        let world = self.node()?;
        let numbered = (1_u64..).zip(&world.blocks).filter(|(number, _)| (from..=to).contains(number));
        Ok(numbered.flat_map(|(_, block)| block.movements.iter().cloned()).collect())
    }

    async fn deep_balances(
        &self,
        _credit: &Address,
        accounts: &[Address],
        confirmations: u64,
    ) -> Result<Vec<u128>, ChainError> {
        let world = self.node()?;
        let state = world.deep(confirmations);
        let balance = |account| state.credits.get(account).copied().unwrap_or_default();
        let held: Vec<Money> = accounts.iter().map(balance).collect();
        let base_units = |money| self.scale().to_base_units(money).unwrap_or_default().unsigned_abs();
        drop(world);
        Ok(held.into_iter().map(base_units).collect())
    }
}
