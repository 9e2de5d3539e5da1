//! What the chain has of the settlement account and no row knows: the database was set back to an older
//! backup. (What the contract has open of a forgotten batch is ended in `recover`.)
//!
//! The nonces of forgotten transactions are used, so nothing that carries one is ever mined. They are taken by
//! transactions that do nothing, which the node refuses one and all: the rows know then that the nonces are gone,
//! and a node that named too high a number has these mined and nothing else, so that no nonce is left out.
//!
//! A batch and a move have ids that the contract takes once. A deposit has none: before one is signed, the events
//! since the last transaction that the rows know are looked through, and one that was made is taken over.

use std::collections::{HashMap, VecDeque};

use store::ledger::{self, Deposit};
use store::transactions::{self, NewTransaction, Purpose};
use store::{PgConnection, StoreError};

use crate::chain::{Address, Call, MovementKind, SignedTx};
use crate::context::Settling;
use crate::error::{SettleError, out_of_range};
use crate::outgoing::{Outgoing, sign_all};
use crate::{follow, gas};

/// The most nonces taken at once, so that a turn that looks after them stays short on a slow node.
const MAX_NONCES: u64 = 64;

/// Takes nonces that the chain says are used and no row has. Returns whether there were any.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails; nothing is half done.
pub(super) async fn take_nonces(settling: &Settling) -> Result<bool, SettleError> {
    let context = &settling.context;
    let account = context.chain.sender();
    let sender = account.to_string();
    // In this order: a row is stored before it is sent, so that whatever is mined by now is found below.
    let mined = context.chain.mined_nonce(1).await?;
    let mut connection = context.pool.acquire().await.map_err(StoreError::from)?;
    let Some(first) = first_unknown(&mut connection, &sender, mined).await? else { return Ok(false) };
    drop(connection);
    let fees = context.fees().await?;

    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    transactions::lock_sender(&mut tx, &sender).await?;
    if first_unknown(&mut tx, &sender, mined).await? != Some(first) {
        return Ok(true);
    }
    let count = usize::try_from((mined - first).min(MAX_NONCES)).map_err(|_| out_of_range("a nonce"))?;
    let nothing = Outgoing {
        purpose: Purpose::Recover,
        call: Call::Nothing { sender: account },
        gas_limit: gas::PLAIN_TRANSFER,
    };
    sign_all(&mut tx, context, first, fees, &vec![nothing; count]).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::warn!(
        first,
        mined,
        "the chain has transactions of the settlement account that the database does not know: was it set back, or does \
         anybody else use the key? Their nonces are passed over"
    );
    Ok(true)
}

/// The first nonce that the rows do not have and `mined` says is used; `None` too if the node was wrong about the
/// one below, which costs gas each time.
async fn first_unknown(db: &mut PgConnection, sender: &str, mined: u64) -> Result<Option<u64>, SettleError> {
    let Some(last) = transactions::last_nonce(&mut *db, sender).await? else { return Ok(None) };
    let next = u64::try_from(last).map_err(|_| out_of_range("a nonce"))? + 1;
    let is_unknown = next < mined && !transactions::was_free(db, sender, last).await?;
    Ok(is_unknown.then_some(next))
}

/// Takes over those of `requested` that the chain has already, made by this key and forgotten by the rows, with the
/// transactions that made them. Returns whether there were any.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails; nothing is half done.
pub(crate) async fn take_over_deposits(
    settling: &Settling,
    requested: &[Deposit],
) -> Result<bool, SettleError> {
    let context = &settling.context;
    let made = made(settling, requested).await?;
    if made.is_empty() {
        return Ok(false);
    }
    let (community, sender) = (&context.community_id, context.chain.sender().to_string());
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    transactions::lock_sender(&mut tx, &sender).await?;
    let ids: Vec<i64> = made.iter().map(|(deposit_id, _)| *deposit_id).collect();
    let marked = ledger::mark_deposits_signed(&mut *tx, community, &ids).await?;
    crate::finish::advance(usize::try_from(marked) == Ok(ids.len()), "deposit")?;
    for (deposit_id, signed) in made {
        let nonce = i64::try_from(signed.nonce).map_err(|_| out_of_range("a nonce"))?;
        let row = NewTransaction {
            purpose: Purpose::Deposit(deposit_id),
            sender: sender.clone(),
            nonce,
            attempt: transactions::attempts(&mut *tx, community, &sender, nonce).await? + 1,
            tx_hash: signed.hash.to_string(),
            raw: signed.raw,
            max_fee_per_gas_wei: signed.max_fee_per_gas_wei,
        };
        store::movements::own(&mut tx, community, &row.tx_hash).await?;
        transactions::insert(&mut *tx, community, &row, context.clock.now()).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    tracing::warn!(
        deposits = ids.len(),
        "the chain has made deposits that the database only knows as requested: was it set back? They are not made again"
    );
    Ok(true)
}

/// Which deposits were made, by which transactions.
async fn made(settling: &Settling, requested: &[Deposit]) -> Result<Vec<(i64, SignedTx)>, SettleError> {
    let Settling { context, domain, .. } = settling;
    let (pool, chain) = (&context.pool, &context.chain);
    let mut waiting: HashMap<(Address, u128), VecDeque<i64>> = HashMap::new();
    for deposit in requested {
        let amount = chain.scale().to_base_units(deposit.amount);
        let amount = amount.map_err(|e| SettleError::Inconsistent(e.to_string()))?.unsigned_abs();
        let key = (deposit.chain_address.parse()?, amount);
        waiting.entry(key).or_default().push_back(deposit.deposit_id);
    }
    let sender = chain.sender().to_string();
    let from = transactions::last_block(pool, &context.community_id, &sender).await?;
    let head = i64::try_from(chain.head().await?.number).map_err(|_| out_of_range("a block number"))?;
    let (mut next, mut found) = (from.unwrap_or(0), Vec::new());
    while next <= head {
        let Some((end, movements)) = follow::read(context, &domain.credit, next, head).await? else {
            return Err(SettleError::Inconsistent("the chain changed while it was read".to_owned()));
        };
        for movement in movements.iter().filter(|m| m.kind == MovementKind::Deposit) {
            let Some(ids) = waiting.get_mut(&(movement.address, movement.base_units)) else { continue };
            let hash = movement.tx_hash.to_string();
            if ids.is_empty() || transactions::is_known(pool, &context.community_id, &hash).await? {
                continue;
            }
            if let Some(signed) = chain.own_transaction(&movement.tx_hash).await? {
                found.extend(ids.pop_front().map(|deposit_id| (deposit_id, signed)));
            }
        }
        next = end.block_number + 1;
    }
    Ok(found)
}
