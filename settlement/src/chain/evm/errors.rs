//! What a node's errors mean. Nodes agree on few codes, so their words are read too.

use ethers::abi::AbiDecode;
use ethers::providers::{JsonRpcError, ProviderError, RpcError};
use ethers::types::Bytes;

use super::abi::Contracts;
use crate::chain::{Address, ChainError};

/// What providers answer beyond a rate limit (EIP-1474).
const LIMIT_EXCEEDED: i64 = -32_005;
/// What nodes answer when they fail, and some of them for a revert.
const INTERNAL_ERROR: i64 = -32_603;

/// An error of a call or an estimate.
pub(super) fn of_call(contracts: &Contracts, node: &str, error: &ProviderError) -> ChainError {
    match error.as_error_response() {
        Some(answer) if is_too_much(answer) => ChainError::TooMuchGas { reason: answer.message.clone() },
        Some(answer) if is_revert(answer) => {
            ChainError::WouldRevert { reason: revert_reason(contracts, answer) }
        }
        Some(answer) => unavailable(node, answer),
        None => unavailable(node, error),
    }
}

/// An error of handing over a transaction; `None` if the node has it already.
pub(super) fn of_broadcast(node: &str, sender: Address, error: &ProviderError) -> Option<ChainError> {
    let Some(answer) = error.as_error_response() else { return Some(unavailable(node, error)) };
    let reason = answer.message.clone();
    Some(match refusal(answer) {
        Some(Refusal::Known) => return None,
        Some(Refusal::NonceTooLow) => ChainError::NonceTooLow,
        Some(Refusal::Underpriced) => ChainError::Underpriced { reason },
        Some(Refusal::OutOfGasMoney) => ChainError::OutOfGasMoney { sender },
        None if is_of_the_node(answer) => unavailable(node, answer),
        None => ChainError::Rejected { reason },
    })
}

/// What a node says of a transaction that it does not take.
enum Refusal {
    Known,
    NonceTooLow,
    Underpriced,
    OutOfGasMoney,
}

fn refusal(answer: &JsonRpcError) -> Option<Refusal> {
    let text = answer.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["already known", "alreadyknown", "already imported", "known transaction", "already in mempool"])
    {
        Some(Refusal::Known)
    } else if says(&[
        "nonce too low",
        "nonce is too low",
        "invalid nonce; got",
        "nonce has already been used",
    ]) {
        Some(Refusal::NonceTooLow)
    } else if says(&[
        "underpriced",
        "less than block base fee",
        "fee too low",
        "lower than the minimum",
        "fee cap",
    ]) {
        Some(Refusal::Underpriced)
    } else if says(&["insufficient funds"]) {
        Some(Refusal::OutOfGasMoney)
    } else {
        None
    }
}

/// Whether an error is about what was asked, so that any node would answer the same.
pub(super) fn is_about_the_call(answer: &JsonRpcError) -> bool {
    is_revert(answer) || is_too_much(answer) || refusal(answer).is_some()
}

/// Whether an error is about the node itself, so that another one may do better.
pub(super) fn is_of_the_node(answer: &JsonRpcError) -> bool {
    answer.code == LIMIT_EXCEEDED || (answer.code == INTERNAL_ERROR && !is_about_the_call(answer))
}

/// The node does not answer, or not with what was asked for.
pub(super) fn unavailable(node: &str, error: impl std::fmt::Display) -> ChainError {
    ChainError::Unavailable { node: node.to_owned(), reason: error.to_string() }
}

/// An estimate ends so when no gas limit that a block allows is enough.
fn is_too_much(answer: &JsonRpcError) -> bool {
    let text = answer.message.to_ascii_lowercase();
    ["gas required exceeds", "out of gas", "outofgas", "exceeds block gas limit", "intrinsic gas too high"]
        .iter()
        .any(|words| text.contains(words))
}

fn is_revert(answer: &JsonRpcError) -> bool {
    // 3 is what go-ethereum, anvil and others answer for a revert with data.
    answer.code == 3 || answer.is_revert()
}

/// The contract's own error by its name, or the text of `require`, or what the node says.
fn revert_reason(contracts: &Contracts, answer: &JsonRpcError) -> String {
    let data: Bytes = answer.as_revert_data().unwrap_or_default();
    if let Some(words) = contracts.error_in_words(&data) {
        return words;
    }
    let text = data.get(4..).and_then(|text| String::decode(text).ok());
    text.unwrap_or_else(|| answer.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ethers::providers::HttpClientError;

    fn answer(message: &str) -> ProviderError {
        let error = JsonRpcError { code: -32_000, message: message.to_owned(), data: None };
        ProviderError::JsonRpcClientError(Box::new(HttpClientError::JsonRpcError(error)))
    }

    #[test]
    fn broadcast_errors_are_told_apart() {
        let class = |message: &str| of_broadcast("node", Address([0; 20]), &answer(message));
        for known in ["already known", "AlreadyKnown", "transaction already imported"] {
            assert_eq!(class(known), None, "{known}");
        }
        assert_eq!(class("nonce too low: next nonce 5, tx nonce 4"), Some(ChainError::NonceTooLow));
        for cheap in ["replacement transaction underpriced", "max fee per gas less than block base fee"] {
            assert!(matches!(class(cheap), Some(ChainError::Underpriced { .. })), "{cheap}");
        }
        let poor = class("Insufficient funds for gas * price + value");
        assert!(matches!(poor, Some(ChainError::OutOfGasMoney { .. })));
        assert!(matches!(class("invalid sender"), Some(ChainError::Rejected { .. })));
    }

    #[test]
    fn a_revert_is_named_by_the_contract() {
        let contracts = Contracts::load(crate::chain::TokenScale::ETHER).unwrap();
        let selector = hex::encode(&receipt::merkle::keccak256(&[b"BatchAlreadySettled(bytes32)"])[..4]);
        let data = serde_json::json!(format!("0x{selector}{}", "00".repeat(32)));
        let error = JsonRpcError { code: 3, message: "execution reverted".to_owned(), data: Some(data) };
        let error = ProviderError::JsonRpcClientError(Box::new(HttpClientError::JsonRpcError(error)));
        let refused = of_call(&contracts, "node", &error);
        assert!(refused.is_refused_as("BatchAlreadySettled") && !refused.is_refused_as("Batch"));
        assert!(
            refused.to_string().contains("(batchId: 0x00") && refused.to_string().contains("not taken twice")
        );
    }
}
