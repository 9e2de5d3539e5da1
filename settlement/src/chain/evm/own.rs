//! A transaction of the sender's, read back from the chain.

use ethers::providers::Middleware;
use ethers::types::{Address as EthAddress, H256};
use receipt::merkle::keccak256;

use super::{EvmChain, as_u64, as_u128};
use crate::chain::{ChainError, SignedTx, TxHash};

impl EvmChain {
    /// The transaction with its signed bytes, if it is mined and the sender signed it.
    pub(super) async fn read_own_transaction(&self, hash: &TxHash) -> Result<Option<SignedTx>, ChainError> {
        let found = self.provider.get_transaction(H256(hash.0)).await.map_err(|e| self.unavailable(e))?;
        let own = found.filter(|tx| tx.from == EthAddress::from(self.sender.0) && tx.block_number.is_some());
        let Some(tx) = own else { return Ok(None) };
        let raw = tx.rlp().to_vec();
        // Put together from the node's answer, which is believed only if it gives the hash that was asked for.
        if keccak256(&[&raw]) != hash.0 {
            return Err(self.unavailable(format!("its answer is not transaction {hash}")));
        }
        let max_fee = tx.max_fee_per_gas.or(tx.gas_price).unwrap_or_default();
        Ok(Some(SignedTx {
            hash: *hash,
            raw,
            nonce: as_u64(tx.nonce).map_err(|e| self.unavailable(e))?,
            max_fee_per_gas_wei: as_u128(max_fee).map_err(|e| self.unavailable(e))?,
        }))
    }
}
