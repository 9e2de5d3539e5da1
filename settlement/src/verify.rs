//! Checking a receipt with nothing but the file and a node.

use receipt::{Checked, InvalidReceipt, Receipt};

use crate::chain::evm::Reader;
use crate::chain::{Address, ChainError};

/// A receipt is not what the chain keeps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It contradicts itself.
    #[error(transparent)]
    Receipt(#[from] InvalidReceipt),
    /// It is for another chain.
    #[error("the receipt is for chain {receipt}, the node serves chain {node}")]
    Chain {
        /// What the receipt says.
        receipt: u64,
        /// What the node says.
        node: u64,
    },
    /// It names another contract than the community's, which may say whatever its owner likes.
    #[error("the receipt is for the contract {receipt}, not for {expected}")]
    OtherContract {
        /// What the receipt says.
        receipt: Address,
        /// What whoever checks knows to be the community's.
        expected: Address,
    },
    /// Nothing is at the contract's address.
    #[error("there is no contract at {0} on this chain")]
    NoContract(Address),
    /// The contract does not know the batch.
    #[error("the contract has not settled the batch of this receipt")]
    NotSettled,
    /// The proof leads elsewhere.
    #[error("the proof does not lead from the statement to the root that the contract keeps for the batch")]
    Root,
    /// The contract itself says no.
    #[error("the contract's verifyReceipt refuses the receipt")]
    Contract,
}

/// A receipt could not be checked, or is refused.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is refused.
    #[error("the receipt is not valid: {0}")]
    Invalid(#[from] Refusal),
    /// The node did not answer, so nothing is known.
    #[error("the receipt could not be checked: {0}")]
    Chain(#[from] ChainError),
}

/// Checks a receipt: its leaf is computed from its statement and the root from its proof; the node
/// must serve its chain, and the contract must keep that root for its batch and say so itself.
///
/// The contract is the one that the receipt names, and anybody can deploy one that keeps any root. So whoever
/// checks must know the community's: with `community_contract`, a receipt for another one is refused; without,
/// the caller compares [`Checked::contract`].
///
/// # Errors
/// [`VerifyError::Invalid`] with the reason, [`VerifyError::Chain`] if the node does not answer.
pub async fn verify(
    text: &str,
    community_contract: Option<&Address>,
    node: &Reader,
) -> Result<(Receipt, Checked), VerifyError> {
    let receipt = Receipt::parse(text).map_err(Refusal::from)?;
    let checked = receipt.check().map_err(Refusal::from)?;
    let Checked { contract, chain_id, batch_id, leaf, proof, root } = &checked;
    if let Some(expected) = community_contract.filter(|expected| *expected != contract) {
        return Err(Refusal::OtherContract { receipt: *contract, expected: *expected }.into());
    }
    let serves = node.chain_id().await?;
    if serves != *chain_id {
        return Err(Refusal::Chain { receipt: *chain_id, node: serves }.into());
    }
    if !node.has_code(contract).await? {
        return Err(Refusal::NoContract(*contract).into());
    }
    // Another contract at the address reverts or answers nonsense: it has not settled the batch.
    let kept = not_a_refusal(node.settled_root(contract, batch_id).await)?.flatten();
    let Some(kept) = kept else { return Err(Refusal::NotSettled.into()) };
    if kept != *root {
        return Err(Refusal::Root.into());
    }
    if not_a_refusal(node.verify_receipt(contract, batch_id, leaf, proof).await)? != Some(true) {
        return Err(Refusal::Contract.into());
    }
    Ok((receipt, checked))
}

fn not_a_refusal<T>(answer: Result<T, ChainError>) -> Result<Option<T>, ChainError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ChainError::WouldRevert { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
