//! Refusing to settle on anything but what the configuration and the database say: the chain, the
//! contract's code, its token, and the community whose batches it holds. Nothing is sent before.

use chrono::TimeDelta;
use store::communities::Community;
use store::{batches, communities, transactions};

use super::{Context, Settling};
use crate::chain::{Address, CodeMatch};
use crate::error::SettleError;
use crate::token;

/// Checks everything that can be checked without sending anything.
///
/// # Errors
/// [`SettleError`] with what to correct; [`SettleError::is_mismatch`] if trying again does not help.
pub async fn contract(settling: &Settling) -> Result<(), SettleError> {
    let Settling { context, domain, .. } = settling;
    context.chain.check().await?;
    code(context, &domain.credit).await?;
    token::check(context, &domain.credit).await?;
    own_contract(settling).await?;
    own_batches(settling).await
}

/// Makes sure that the credit contract of this program stands at an address.
///
/// # Errors
/// [`SettleError::NoContract`] if nothing does, [`SettleError::WrongContract`] if something else does.
pub async fn code(context: &Context, credit: &Address) -> Result<(), SettleError> {
    match context.chain.credit_code(credit).await? {
        CodeMatch::Same => Ok(()),
        CodeMatch::None => {
            Err(SettleError::NoContract { address: credit.to_string(), chain_id: context.chain.chain_id() })
        }
        CodeMatch::Other { actual, expected } => Err(SettleError::WrongContract(format!(
            "the code at {credit} hashes to 0x{}, that of the credit contract of this version to 0x{}: run the \
             version that deployed it, or deploy a contract for a new community; nothing is sent until then",
            hex::encode(actual),
            hex::encode(expected)
        ))),
    }
}

/// Makes sure that nobody can be paid out and owe for a trade made before: a withdrawal takes longer than what comes
/// between the first order for a slot and its settlement.
///
/// # Errors
/// [`SettleError::ShortDelay`] with what to set.
pub fn delay(community: &Community, delay_s: u64) -> Result<(), SettleError> {
    let slot = TimeDelta::seconds(i64::from(community.slot_length.seconds()));
    let horizon_s = (community.open_lead + slot + community.metering_deadline).num_seconds();
    if i64::try_from(delay_s).is_ok_and(|delay_s| delay_s <= horizon_s) {
        let community = community.community_id.to_string();
        return Err(SettleError::ShortDelay { community, delay_s, horizon_s });
    }
    Ok(())
}

/// The same for the contract that is there: its delay cannot be changed, but the community's times could have been.
///
/// # Errors
/// [`SettleError::ShortDelay`], or what keeps the delay from being read.
pub async fn deployed_delay(settling: &Settling) -> Result<(), SettleError> {
    let Settling { context, domain, .. } = settling;
    let delay_s = context.chain.withdrawal_delay_s(&domain.credit).await?;
    delay(&context.community().await?, delay_s)
}

/// Two communities on one contract would each find the other's credits missing.
async fn own_contract(settling: &Settling) -> Result<(), SettleError> {
    let Settling { context, domain, .. } = settling;
    let is_here = |contract: &communities::Contract| {
        i64::try_from(domain.chain_id) == Ok(contract.chain_id)
            && contract.credit_address.parse() == Ok(domain.credit)
    };
    let others = communities::all(&context.pool).await?.into_iter();
    let mut others = others.filter(|other| other.community_id != context.community_id);
    match others.find(|other| other.contract.as_ref().is_some_and(is_here)) {
        None => Ok(()),
        Some(other) => Err(SettleError::WrongContract(format!(
            "communities {} and {} both name the contract {}: deploy one for each",
            context.community_id, other.community_id, domain.credit
        ))),
    }
}

/// A batch's id is made from the community's, so the contract knows it only if it is this community's.
async fn own_batches(settling: &Settling) -> Result<(), SettleError> {
    let Settling { context, domain, .. } = settling;
    let Some(batch) = batches::latest_final(&context.pool, &context.community_id).await? else {
        return Ok(());
    };
    // A chain that still lacks stored transactions (it started over, or lags) cannot be asked yet.
    let last = transactions::last_nonce(&context.pool, &context.chain.sender().to_string()).await?;
    let mined = context.chain.mined_nonce(1).await?;
    if last.is_none_or(|last| i64::try_from(mined).is_ok_and(|mined| mined <= last)) {
        return Ok(());
    }
    match context.chain.settled_root(&domain.credit, &batch.batch_id).await? {
        Some(_) => Ok(()),
        None => Err(SettleError::WrongContract(format!(
            "the contract {} does not know batch {} (slot {}), which community {} settled: it is another community's, \
             or on another chain; correct the community's contract in the database, or [chain] rpc_url",
            domain.credit,
            hex::encode(batch.batch_id.0),
            batch.slot_start,
            context.community_id
        ))),
    }
}
