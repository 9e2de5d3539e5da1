//! Deposits: currency of the settlement account, wrapped into credits of a member's account.

use domain::ids::{AccountId, ClientId};
use domain::units::Money;
use store::StoreError;
use store::ledger::{self, Deposit};
use store::notify::{self, Event, Kind};
use store::transactions::Purpose;

use crate::chain::{Call, ChainError};
use crate::context::{Context, Settling};
use crate::error::SettleError;
use crate::gas;
use crate::outgoing::{Outgoing, sign_all};
use crate::pump::MAX_PIPELINED;
use crate::settler::forgotten;

/// Asks for a deposit; the settler does the rest. `client_id` is made before the first try: used
/// again, nothing happens and the result is `false`.
///
/// # Errors
/// [`SettleError::Store`] if the account is unknown or the amount is not positive,
/// [`SettleError::Inconsistent`] if it is below what the currency token can move.
pub async fn request(
    context: &Context,
    account: &AccountId,
    client_id: &ClientId,
    amount: Money,
) -> Result<bool, SettleError> {
    let scale = context.chain.scale();
    scale.to_base_units(amount).map_err(|error| SettleError::Inconsistent(format!("a deposit: {error}")))?;
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    let new = ledger::request_deposit(&mut *tx, &context.community_id, account, client_id, amount).await?;
    notify::send(&mut *tx, &Event::new(Kind::Deposit, &context.community_id, None)).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(new)
}

/// Signs what was requested, as far as the pipeline has room. Returns whether anything was signed.
pub(crate) async fn sign_requested(settling: &Settling) -> Result<bool, SettleError> {
    let Settling { context, domain, .. } = settling;
    let (pool, community) = (&context.pool, &context.community_id);
    let room = MAX_PIPELINED - ledger::deposits_signed(pool, community).await?;
    if room <= 0 {
        return Ok(false);
    }
    let mut requested = ledger::requested_deposits(pool, community, MAX_LOOKED_AT).await?;
    let Some(first) = requested.first().cloned() else { return Ok(false) };
    // All of them, however few are signed now: later the look would begin behind what was made of the others.
    if forgotten::take_over_deposits(settling, &requested).await? {
        return Ok(true);
    }
    requested.truncate(usize::try_from(room).unwrap_or(0));
    let call = |deposit: &Deposit| -> Result<Call, SettleError> {
        let account = deposit.chain_address.parse()?;
        Ok(Call::DepositFor { credit: domain.credit, account, amount: deposit.amount })
    };
    // All calls of a kind use about the same; the largest asks once whether the currency is there.
    let largest = requested.iter().max_by_key(|deposit| deposit.amount).unwrap_or(&first);
    let estimate = match context.chain.estimate_gas(&call(largest)?).await {
        Ok(estimate) => estimate,
        Err(ChainError::WouldRevert { reason }) => {
            tracing::warn!(
                reason,
                "deposits wait: the contract would refuse them; does the settlement account hold enough approved currency?"
            );
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    // A first credit of an account takes more than the estimate of one that has some.
    let gas_limit = gas::with_margin(estimate + FIRST_CREDIT_GAS);
    let outgoing = requested
        .iter()
        .map(|d| Ok(Outgoing { purpose: Purpose::Deposit(d.deposit_id), call: call(d)?, gas_limit }))
        .collect::<Result<Vec<_>, SettleError>>()?;
    let (first_nonce, fees) = (context.chain.mined_nonce(1).await?, context.fees().await?);
    let ids: Vec<i64> = requested.iter().map(|deposit| deposit.deposit_id).collect();

    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    let marked = ledger::mark_deposits_signed(&mut *tx, community, &ids).await?;
    crate::finish::advance(usize::try_from(marked) == Ok(ids.len()), "deposit")?;
    sign_all(&mut tx, context, first_nonce, fees, &outgoing).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(deposits = ids.len(), "signed deposits");
    Ok(true)
}

const FIRST_CREDIT_GAS: u64 = 20_000;
/// How many requested deposits are compared with what the chain has made.
const MAX_LOOKED_AT: i64 = 10_000;
