//! The events of deposits and withdrawals.

use ethers::types::{Address as EthAddress, Filter, H160, H256, Log, U256};
use receipt::merkle::keccak256;

use super::{TooLarge, as_u64, as_u128};
use crate::chain::{Address, Movement, MovementKind, TxHash};

const TRANSFER: &str = "Transfer(address,address,uint256)";
const WITHDRAWAL_PAID: &str = "WithdrawalPaid(address,uint256,uint256)";

/// A log is not what the contract writes.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidLog {
    /// It lacks something.
    #[error("a log of the credit contract has no {0}")]
    Lacks(&'static str),
    /// An absurd amount.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

fn topic(signature: &str) -> H256 {
    H256(keccak256(&[signature.as_bytes()]))
}

/// Credits that were made: transfers from nobody. Credits that were paid out: the contract's event.
/// What settlement moves is neither.
pub(super) fn filters(credit: &Address, from: u64, to: u64) -> [Filter; 2] {
    let within = || Filter::new().address(EthAddress::from(credit.0)).from_block(from).to_block(to);
    [within().topic0(topic(TRANSFER)).topic1(H256::zero()), within().topic0(topic(WITHDRAWAL_PAID))]
}

/// What a log says; `None` if it moved nothing, or was taken back.
pub(super) fn movement(log: &Log) -> Result<Option<Movement>, InvalidLog> {
    if log.removed == Some(true) {
        return Ok(None);
    }
    let signature = log.topics.first().ok_or(InvalidLog::Lacks("topics"))?;
    // Transfer(from, to, amount) has the account in its third topic; WithdrawalPaid(account, requested,
    // paid) in its second, and the amount in the second word.
    let (kind, account, word) = if *signature == topic(WITHDRAWAL_PAID) {
        (MovementKind::Withdrawal, log.topics.get(1), log.data.get(32..64))
    } else {
        (MovementKind::Deposit, log.topics.get(2), log.data.get(..32))
    };
    let account = H160::from(*account.ok_or(InvalidLog::Lacks("account"))?);
    let base_units = as_u128(U256::from_big_endian(word.ok_or(InvalidLog::Lacks("amount"))?))?;
    let block_number = log.block_number.ok_or(InvalidLog::Lacks("block"))?.as_u64();
    let log_index = as_u64(log.log_index.ok_or(InvalidLog::Lacks("index"))?)?;
    let stored = |number: u64| i64::try_from(number).map_err(|_| TooLarge(U256::from(number)));
    Ok((base_units > 0).then_some(Movement {
        block_number: stored(block_number)?,
        log_index: stored(log_index)?,
        kind,
        address: Address(account.0),
        base_units,
        tx_hash: TxHash(log.transaction_hash.ok_or(InvalidLog::Lacks("transaction"))?.0),
    }))
}
