//! What settlement's transactions do.

use domain::ids::BatchId;
use domain::units::Money;

use super::Address;

/// What the credit contract is made with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreditSettings {
    /// The currency token it wraps.
    pub currency: Address,
    /// The contract that holds the roles.
    pub authority: Address,
    /// From the request of a withdrawal to its payment, in seconds; longer than the settlement horizon.
    pub withdrawal_delay_s: u64,
    /// The credits' name.
    pub name: String,
    /// The credits' symbol.
    pub symbol: String,
}

/// A net position: what one account gains (positive) or loses in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Whose.
    pub account: Address,
    /// How much.
    pub amount: Money,
}

/// A transaction's effect. Amounts of the currency and of credits are money, in whole base units.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// Deploys the demonstration currency.
    DeployCurrency {
        /// Who may mint.
        owner: Address,
    },
    /// Deploys the contract that holds the roles.
    DeployAuthority {
        /// Its first administrator.
        administrator: Address,
    },
    /// Deploys the credit contract.
    DeployCredit(CreditSettings),
    /// Names a role.
    LabelRole {
        /// The contract that holds the roles.
        authority: Address,
        /// The role.
        role: u64,
        /// Its name.
        label: &'static str,
    },
    /// Lets a role call functions of the credit contract.
    AllowFunctions {
        /// The contract that holds the roles.
        authority: Address,
        /// The credit contract.
        credit: Address,
        /// The functions' names, such as `settle` or `pause`.
        functions: &'static [&'static str],
        /// The role.
        role: u64,
    },
    /// Grants a role, at once.
    GrantRole {
        /// The contract that holds the roles.
        authority: Address,
        /// The role; 0 is the administrator.
        role: u64,
        /// Who gets it.
        holder: Address,
    },
    /// Gives up a role of the sender.
    RenounceRole {
        /// The contract that holds the roles.
        authority: Address,
        /// The role.
        role: u64,
        /// The sender.
        holder: Address,
    },
    /// Hands the demonstration currency, and with it the right to make it, to a new owner.
    HandOver {
        /// The currency.
        currency: Address,
        /// The new owner.
        owner: Address,
    },
    /// Makes demonstration currency.
    Mint {
        /// The currency.
        currency: Address,
        /// Who gets it.
        to: Address,
        /// How much.
        amount: Money,
    },
    /// Lets the credit contract take any amount of the sender's currency.
    ApproveAll {
        /// The currency.
        currency: Address,
        /// The credit contract.
        spender: Address,
    },
    /// Wraps the sender's currency into credits of an account.
    DepositFor {
        /// The credit contract.
        credit: Address,
        /// Who gets the credits.
        account: Address,
        /// How much.
        amount: Money,
    },
    /// Settles a batch.
    Settle {
        /// The credit contract.
        credit: Address,
        /// The batch; the contract takes it once.
        batch_id: BatchId,
        /// Start of the slot, Unix seconds.
        slot_from_s: u64,
        /// End of the slot, Unix seconds.
        slot_to_s: u64,
        /// Merkle root of the statements.
        statement_root: [u8; 32],
        /// Net positions, strictly ascending by account, summing to zero.
        positions: Vec<Position>,
    },
    /// Opens a batch in chunks: from here on the contract takes these chunks and no others.
    OpenBatch {
        /// The credit contract.
        credit: Address,
        /// The batch; the contract settles it once.
        batch_id: BatchId,
        /// Start of the slot, Unix seconds.
        slot_from_s: u64,
        /// End of the slot, Unix seconds.
        slot_to_s: u64,
        /// Merkle root of the statements.
        statement_root: [u8; 32],
        /// The chunks: accounts strictly ascend across all of them, amounts sum to zero over all.
        chunks: Vec<Vec<Position>>,
    },
    /// Lets the debtors of a chunk pay to the contract.
    PushChunk(ChunkCall),
    /// Decides a batch whose chunks are all pushed.
    FinaliseBatch {
        /// The credit contract.
        credit: Address,
        /// The batch in progress.
        batch_id: BatchId,
    },
    /// Pays a chunk's creditors, or, the batch abandoned, gives its debtors back what they paid.
    ReleaseChunk(ChunkCall),
    /// Gives a batch up that is not finalised.
    AbandonBatch {
        /// The credit contract.
        credit: Address,
        /// The batch in progress.
        batch_id: BatchId,
    },
    /// Sends nothing to the sender itself: it takes a nonce and does nothing else.
    Nothing {
        /// The sender.
        sender: Address,
    },
}

impl Call {
    /// Whether it is a step of settling a batch.
    #[must_use]
    pub const fn is_settlement(&self) -> bool {
        matches!(
            self,
            Self::Settle { .. }
                | Self::OpenBatch { .. }
                | Self::PushChunk(_)
                | Self::FinaliseBatch { .. }
                | Self::ReleaseChunk(_)
                | Self::AbandonBatch { .. }
        )
    }
}

/// A chunk of a batch, as it is pushed and released.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChunkCall {
    /// The credit contract.
    pub credit: Address,
    /// The batch in progress.
    pub batch_id: BatchId,
    /// The chunk, from zero.
    pub index: u32,
    /// What it holds.
    pub positions: Vec<Position>,
}
