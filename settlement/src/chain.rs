//! What settlement needs of a chain, as a trait and plain types: no library of any chain shows here.

mod call;
pub mod evm;
pub mod fake;
mod progress;
mod scale;

use async_trait::async_trait;
use domain::ids::BatchId;

pub use call::{Call, ChunkCall, CreditSettings, Position};
pub use progress::{BatchPhase, BatchProgress, BatchState, CodeMatch};
pub use receipt::{Address, InvalidHex, TxHash};
pub use scale::{InvalidAmount, NotWhole, TokenScale, TooManyDecimals};
pub use store::movements::{Movement, MovementKind};

/// What a transaction may cost, in wei a unit of gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fees {
    /// The most that is paid in all.
    pub max_fee_per_gas_wei: u128,
    /// The part of it that goes to the block's proposer.
    pub priority_fee_per_gas_wei: u128,
}

impl Fees {
    /// The lowest fees that replace these: 12.5 % more of each, rounded up, as nodes demand.
    #[must_use]
    pub fn bumped(self) -> Self {
        let bump = |wei: u128| wei.saturating_add(wei.div_ceil(8)).saturating_add(1);
        Self {
            max_fee_per_gas_wei: bump(self.max_fee_per_gas_wei),
            priority_fee_per_gas_wei: bump(self.priority_fee_per_gas_wei),
        }
    }

    /// The higher of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            max_fee_per_gas_wei: self.max_fee_per_gas_wei.max(other.max_fee_per_gas_wei),
            priority_fee_per_gas_wei: self.priority_fee_per_gas_wei.max(other.priority_fee_per_gas_wei),
        }
    }
}

/// A transaction to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedTx {
    /// The sender's nonce.
    pub nonce: u64,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// What the gas may cost.
    pub fees: Fees,
    /// What it does.
    pub call: Call,
}

/// A signed transaction: the bytes are what is stored, and what is sent however often it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTx {
    /// Its hash, by which its fate is asked.
    pub hash: TxHash,
    /// The bytes to broadcast.
    pub raw: Vec<u8>,
    /// The sender's nonce.
    pub nonce: u64,
    /// The most it pays a unit of gas, in wei.
    pub max_fee_per_gas_wei: u128,
}

/// The newest block a node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// What a node says about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxStatus {
    /// It does not know it: never received, dropped, or taken back by a reorganisation.
    Unknown,
    /// It waits to be mined.
    Pending,
    /// It is in a block.
    Mined {
        /// The block's number.
        block_number: u64,
        /// Blocks that stand on it, its own included.
        confirmations: u64,
        /// Whether it succeeded; otherwise it reverted and changed nothing but the nonce.
        succeeded: bool,
        /// What it used.
        gas_used: u64,
    },
}

/// What can go wrong with a chain, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The node is away, slow, or answers nonsense: try again later.
    #[error(
        "the chain node at {node} does not answer: {reason}; check that it runs and that [chain] rpc_url is right"
    )]
    Unavailable {
        /// Host and port, without credentials.
        node: String,
        /// What happened.
        reason: String,
    },
    /// The call would fail: nothing was sent.
    #[error("the contract would refuse the call: {reason}")]
    WouldRevert {
        /// The contract's error, by name where it is known.
        reason: String,
    },
    /// The call uses more than fits into a block.
    #[error("the call does not fit into a block: {reason}")]
    TooMuchGas {
        /// What the node said.
        reason: String,
    },
    /// The nonce was used already: the transaction, or another one with its nonce, is mined.
    #[error("the nonce of the transaction was used already")]
    NonceTooLow,
    /// The fee is too low for the node to take the transaction now.
    #[error("the node finds the transaction's fee too low: {reason}")]
    Underpriced {
        /// What the node said.
        reason: String,
    },
    /// The sender cannot pay for gas.
    #[error("the settlement account {sender} cannot pay for gas: send it some of the chain's own currency")]
    OutOfGasMoney {
        /// The account.
        sender: Address,
    },
    /// The node refused the transaction for another reason.
    #[error("the node refused the transaction: {reason}")]
    Rejected {
        /// What the node said.
        reason: String,
    },
    /// The node serves another chain than the one configured.
    #[error("the node serves chain {actual}, but [chain] chain_id says {expected}: correct one of the two")]
    WrongChain {
        /// The configured chain id.
        expected: u64,
        /// What the node says.
        actual: u64,
    },
    /// The key, an artifact or an address cannot be used.
    #[error("{0}")]
    Setup(String),
}

impl ChainError {
    /// Whether the contract would refuse the call by this error of its own.
    #[must_use]
    pub fn is_refused_as(&self, name: &str) -> bool {
        let Self::WouldRevert { reason } = self else { return false };
        reason.split(['(', ':']).next() == Some(name)
    }

    /// Whether trying again later can help without anybody's doing.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Underpriced { .. })
    }
}

/// A chain with one sending account. Implementations keep no state that a crash could lose.
#[async_trait]
pub trait Chain: Send + Sync {
    /// The EIP-155 chain id this was set up for.
    fn chain_id(&self) -> u64;

    /// How fine the currency token is, as configured.
    fn scale(&self) -> TokenScale;

    /// The account that signs.
    fn sender(&self) -> Address;

    /// Makes sure that the node answers and serves [`Self::chain_id`].
    async fn check(&self) -> Result<(), ChainError>;

    /// The newest block.
    async fn head(&self) -> Result<BlockRef, ChainError>;

    /// How many of the sender's transactions are mined with at least `confirmations` blocks on them,
    /// their own included. With 1 that is its next nonce if none is pending.
    async fn mined_nonce(&self, confirmations: u64) -> Result<u64, ChainError>;

    /// What every transaction of the newest block pays at least, in wei a unit of gas (EIP-1559).
    async fn base_fee_wei(&self) -> Result<u128, ChainError>;

    /// How much gas the transactions of a block may use together.
    async fn block_gas_limit(&self) -> Result<u64, ChainError>;

    /// The fees to offer now.
    async fn fees(&self) -> Result<Fees, ChainError>;

    /// What a call would use, or why it would fail.
    async fn estimate_gas(&self, call: &Call) -> Result<u64, ChainError>;

    /// Signs; nothing is sent. The same input gives the same bytes.
    fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, ChainError>;

    /// Signs a stored transaction again with other fees: same nonce, same effect.
    fn sign_replacement(&self, raw: &[u8], fees: Fees) -> Result<SignedTx, ChainError>;

    /// Where a contract goes that the sender deploys with `nonce`.
    fn contract_address(&self, nonce: u64) -> Address;

    /// Hands a signed transaction to the node; one that it has already is no error.
    async fn broadcast(&self, raw: &[u8]) -> Result<(), ChainError>;

    /// What became of a transaction.
    async fn status(&self, hash: &TxHash) -> Result<TxStatus, ChainError>;

    /// A transaction of the sender's as the chain has it; `None` if the node does not know it, or another
    /// account signed it. The bytes are the signed ones, whoever kept or lost them.
    async fn own_transaction(&self, hash: &TxHash) -> Result<Option<SignedTx>, ChainError>;

    /// Whether there is a contract at an address.
    async fn has_code(&self, address: &Address) -> Result<bool, ChainError>;

    /// The statement root of a batch that the credit contract knows as settled.
    async fn settled_root(
        &self,
        credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Option<[u8; 32]>, ChainError>;

    /// Whether a batch is settled, and which one is in progress in chunks, at the newest block that has
    /// `confirmations` blocks on it, its own included.
    async fn batch_state(
        &self,
        credit: &Address,
        batch_id: &BatchId,
        confirmations: u64,
    ) -> Result<BatchState, ChainError>;

    /// What was pushed of the batch in progress since it was opened, chunk by chunk, at the newest block.
    async fn pushed_chunks(
        &self,
        credit: &Address,
        batch_id: &BatchId,
    ) -> Result<Vec<Vec<Position>>, ChainError>;

    /// Whether the code at an address is that of the credit contract which this program deploys.
    async fn credit_code(&self, address: &Address) -> Result<CodeMatch, ChainError>;

    /// The decimals of a token, be it the currency or the credits.
    async fn decimals(&self, token: &Address) -> Result<u8, ChainError>;

    /// The currency token that a credit contract wraps.
    async fn currency_of(&self, credit: &Address) -> Result<Address, ChainError>;

    /// How long a withdrawal from a credit contract takes, in seconds.
    async fn withdrawal_delay_s(&self, credit: &Address) -> Result<u64, ChainError>;

    /// The hash of a block; `None` if the node has no such block (yet).
    async fn block_hash(&self, number: u64) -> Result<Option<[u8; 32]>, ChainError>;

    /// The deposits and withdrawals in a stretch of blocks, both ends included.
    async fn movements(&self, credit: &Address, from: u64, to: u64) -> Result<Vec<Movement>, ChainError>;

    /// The credits of each account, in base units, all at the newest block.
    async fn balances(&self, credit: &Address, accounts: &[Address]) -> Result<Vec<u128>, ChainError> {
        self.deep_balances(credit, accounts, 1).await
    }

    /// The credits of each account, in base units, all at the newest block that has `confirmations` blocks on it, its
    /// own included.
    async fn deep_balances(
        &self,
        credit: &Address,
        accounts: &[Address],
        confirmations: u64,
    ) -> Result<Vec<u128>, ChainError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_pays_at_least_an_eighth_more() {
        let fees = Fees { max_fee_per_gas_wei: 1_000_000_001, priority_fee_per_gas_wei: 3 };
        let bumped = fees.bumped();
        assert!(bumped.max_fee_per_gas_wei * 8 >= fees.max_fee_per_gas_wei * 9);
        assert!(bumped.priority_fee_per_gas_wei * 8 >= fees.priority_fee_per_gas_wei * 9);
        assert_eq!(fees.max(bumped), bumped);
    }
}
