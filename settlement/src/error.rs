//! What can keep settlement from going on.

use domain::ids::InvalidId;
use store::StoreError;

use crate::batch::IllegalStep;
use crate::chain::{ChainError, InvalidHex};
use crate::netting::NettingError;
use crate::pricing::PricingError;

/// An error of settlement. Nothing is half done: whatever was begun goes on from its rows.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A slot cannot be priced.
    #[error("slot {slot}: {source}")]
    Pricing {
        /// The slot's start.
        slot: String,
        /// Why.
        source: PricingError,
    },
    /// A batch's positions are corrupt.
    #[error("slot {slot}: {source}")]
    Netting {
        /// The slot's start.
        slot: String,
        /// Why.
        source: NettingError,
    },
    /// A batch was moved by somebody else.
    #[error(transparent)]
    Step(#[from] IllegalStep),
    /// An address in the database is none.
    #[error(transparent)]
    Address(#[from] InvalidHex),
    /// An id is none.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The community has no contract yet.
    #[error("community {community} has no credit contract yet: run `settlement deploy` first")]
    NotDeployed {
        /// The community.
        community: String,
    },
    /// The contract is not where the database says.
    #[error(
        "there is no contract at {address} on chain {chain_id}: the node serves another chain, or is still \
         catching up; check [chain] rpc_url"
    )]
    NoContract {
        /// Where it should be.
        address: String,
        /// On which chain.
        chain_id: u64,
    },
    /// The configuration names another currency token.
    #[error("{0}")]
    WrongToken(String),
    /// Something else stands where the contract should, or it is another community's or chain's.
    #[error("{0}")]
    WrongContract(String),
    /// Whoever is paid out could owe for a trade that is not settled yet.
    #[error(
        "community {community}: withdrawals are paid {delay_s} s after they are asked for, but a trade may be settled \
         {horizon_s} s after it was made (the slot's opening lead, its length and the metering deadline): deploy with \
         [settlement] withdrawal_delay_s above {horizon_s}, with days to spare for late corrections; it cannot be changed \
         afterwards"
    )]
    ShortDelay {
        /// The community.
        community: String,
        /// From the request of a withdrawal to its payment.
        delay_s: u64,
        /// From a trade to its settlement.
        horizon_s: i64,
    },
    /// The chain is dearer than the configuration allows; nothing was signed.
    #[error(
        "the chain asks {base_fee_wei} wei a unit of gas, more than [chain] highest_max_fee_gwei allows ({cap_wei} wei): \
         settlement waits; raise it if this lasts"
    )]
    TooDear {
        /// What every transaction pays at least.
        base_fee_wei: u128,
        /// The configured most.
        cap_wei: u128,
    },
    /// The database and the configuration disagree, or rows are missing.
    #[error("{0}")]
    Inconsistent(String),
}

impl SettleError {
    /// Whether the configuration names something else than what is there: trying again does not help.
    #[must_use]
    pub const fn is_mismatch(&self) -> bool {
        matches!(
            self,
            Self::WrongToken(_)
                | Self::WrongContract(_)
                | Self::ShortDelay { .. }
                | Self::Chain(ChainError::WrongChain { .. })
        )
    }
}

/// A number that does not fit its column, which no real quantity reaches.
pub(crate) fn out_of_range(what: &str) -> SettleError {
    SettleError::Inconsistent(format!("{what} is out of range"))
}
