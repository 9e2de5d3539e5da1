//! The events of deposits and withdrawals.

use ethers::types::{Address as EthAddress, Filter, H160, H256, Log, U256};
use receipt::merkle::keccak256;

use super::{TooLarge, as_u64, as_u128};
use crate::chain::{Address, Movement, MovementKind, TxHash};

const TRANSFER: &str = "Transfer(address,address,uint256)";
const WITHDRAWAL_PAID: &str = "WithdrawalPaid(address,uint256,uint256)";
const WITHDRAWAL_REQUESTED: &str = "WithdrawalRequested(address,uint256,uint64)";
const WITHDRAWAL_CANCELLED: &str = "WithdrawalCancelled(address,uint256)";

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

/// Credits that were made: transfers from nobody. What became of requests to be paid out: the
/// contract's events. What settlement moves is neither.
pub(super) fn filters(credit: &Address, from: u64, to: u64) -> [Filter; 2] {
    let within = || Filter::new().address(EthAddress::from(credit.0)).from_block(from).to_block(to);
    let withdrawals = [WITHDRAWAL_PAID, WITHDRAWAL_REQUESTED, WITHDRAWAL_CANCELLED].map(topic).to_vec();
    [within().topic0(topic(TRANSFER)).topic1(H256::zero()), within().topic0(withdrawals)]
}

/// What a log says; `None` if it was taken back, or made no credits.
pub(super) fn movement(log: &Log) -> Result<Option<Movement>, InvalidLog> {
    if log.removed == Some(true) {
        return Ok(None);
    }
    let signature = log.topics.first().ok_or(InvalidLog::Lacks("topics"))?;
    let word = |at: usize, what| log.data.get(32 * at..32 * at + 32).ok_or(InvalidLog::Lacks(what));
    // Transfer(from, to, amount) has the account in its third topic, the others in their second;
    // WithdrawalPaid(account, requested, paid) has what was paid in its second word.
    let (kind, account, amount_at) = if *signature == topic(WITHDRAWAL_PAID) {
        (MovementKind::Withdrawal, log.topics.get(1), 1)
    } else if *signature == topic(WITHDRAWAL_CANCELLED) {
        (MovementKind::WithdrawalCancelled, log.topics.get(1), 0)
    } else if *signature == topic(WITHDRAWAL_REQUESTED) {
        let claimable_at = as_u64(U256::from_big_endian(word(1, "time")?))?;
        let claimable_at_s = i64::try_from(claimable_at).map_err(|_| TooLarge(U256::from(claimable_at)))?;
        (MovementKind::WithdrawalRequested { claimable_at_s }, log.topics.get(1), 0)
    } else {
        (MovementKind::Deposit, log.topics.get(2), 0)
    };
    let account = H160::from(*account.ok_or(InvalidLog::Lacks("account"))?);
    let base_units = as_u128(U256::from_big_endian(word(amount_at, "amount")?))?;
    let block_number = log.block_number.ok_or(InvalidLog::Lacks("block"))?.as_u64();
    let log_index = as_u64(log.log_index.ok_or(InvalidLog::Lacks("index"))?)?;
    let stored = |number: u64| i64::try_from(number).map_err(|_| TooLarge(U256::from(number)));
    // A payment of nothing closes its request all the same.
    let says_something = base_units > 0 || kind != MovementKind::Deposit;
    Ok(says_something.then_some(Movement {
        block_number: stored(block_number)?,
        log_index: stored(log_index)?,
        kind,
        address: Address(account.0),
        base_units,
        tx_hash: TxHash(log.transaction_hash.ok_or(InvalidLog::Lacks("transaction"))?.0),
    }))
}
