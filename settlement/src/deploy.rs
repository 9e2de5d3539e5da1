//! Deploying a community's contracts, as `docs/contracts.md` lists it. Restartable at any point:
//! all steps of a sender are signed and stored at once, and addresses follow from the deployer and its nonces.

mod plan;

use std::time::Duration;

use store::StoreError;
use store::communities::{self, Contract};
use store::transactions::{self, Purpose, TransactionRow, TxState};

use crate::chain::{Address, Call, Chain};
use crate::context::{Context, check};
use crate::error::{SettleError, out_of_range};
use crate::gas::SET_UP_CALL;
use crate::outgoing::{Outgoing, sign_all};
use crate::pump::{self, Pumped};
use crate::resync::{self, Resynced};
use crate::settler::ceiling::Ceiling;
use crate::token;

pub use plan::DeploySettings;

const POLL: Duration = Duration::from_millis(250);
/// Five minutes without anything moving.
const MAX_IDLE_POLLS: u32 = 1_200;

/// Deploys the contracts, or goes on with a deployment that was begun, and records the credit
/// contract in the community's row. Returns it. A community that has its contract is checked only.
///
/// # Errors
/// [`SettleError`] if the node is away, serves another chain, refuses a step, or the sender cannot
/// pay; calling it again goes on from what is stored.
pub async fn deploy(context: &Context, settings: &DeploySettings) -> Result<Contract, SettleError> {
    deploy_from(context, context, settings).await
}

/// As [`deploy`], with the key of `deployer` instead of the settlement account's, which is `context`'s: with an
/// administrator, the deployer is left without any role.
///
/// # Errors
/// As [`deploy`].
pub async fn deploy_from(
    deployer: &Context,
    context: &Context,
    settings: &DeploySettings,
) -> Result<Contract, SettleError> {
    context.chain.check().await?;
    let chain_id = i64::try_from(context.chain.chain_id()).map_err(|_| out_of_range("the chain id"))?;
    let community = context.community().await?;
    if let Some(contract) = &community.contract
        && contract.chain_id != chain_id
    {
        return Err(SettleError::Inconsistent(format!(
            "community {} settles on chain {} already, not on {chain_id}",
            context.community_id, contract.chain_id
        )));
    }
    if community.contract.is_none() {
        check::delay(&community, settings.withdrawal_delay_s)?;
        require_usable_currency(context, settings).await?;
        sign_steps(deployer, context.chain.sender(), settings).await?;
    }
    let is_apart = deployer.chain.sender() != context.chain.sender();
    if is_apart {
        until_told(deployer).await?;
        // A chain that started over may order two senders as it likes: the contracts come first.
        until_mined(deployer).await?;
    }
    until_told(context).await?;
    let credit = match &community.contract {
        Some(contract) => contract.credit_address.parse()?,
        None => {
            let first = until_final(deployer).await?;
            let credit = plan::credit_address(deployer.chain.as_ref(), first, settings);
            if is_apart {
                approve(context, &credit).await?;
            }
            credit
        }
    };
    until_code(context, &credit).await?;
    check::code(context, &credit).await?;
    token::check(context, &credit).await?;
    let contract = Contract { chain_id, credit_address: credit.to_string() };
    communities::set_contract(&context.pool, &context.community_id, &contract).await?;
    tracing::info!(credit = %credit, chain_id, "the credit contract is in place");
    Ok(contract)
}

/// Refuses a currency that is no token, or not as fine as configured, before anything is signed.
async fn require_usable_currency(context: &Context, settings: &DeploySettings) -> Result<(), SettleError> {
    let expected = context.chain.scale().decimals();
    match &settings.currency {
        Some(currency) => token::decimals(context, currency).await,
        None if expected == plan::DEMONSTRATION_DECIMALS => Ok(()),
        None => Err(SettleError::WrongToken(format!(
            "the demonstration currency has {} decimals, but [chain] currency_decimals says {expected}: correct it, \
             or name a token in [settlement] currency_address",
            plan::DEMONSTRATION_DECIMALS
        ))),
    }
}

/// The steps that the context's account has signed.
async fn signed_steps(context: &Context) -> Result<Vec<TransactionRow>, SettleError> {
    let sender = context.chain.sender().to_string();
    Ok(transactions::deploy_steps(&context.pool, &context.community_id, &sender).await?)
}

/// Signs and stores every step of the deployer, unless that was done before.
async fn sign_steps(
    context: &Context,
    settler: Address,
    settings: &DeploySettings,
) -> Result<(), SettleError> {
    if !signed_steps(context).await?.is_empty() {
        return Ok(());
    }
    let first_nonce = context.chain.mined_nonce(1).await?;
    let fees = context.fees().await?;
    let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
    // The addresses follow from the nonces, so these must be known before the calls are made.
    let sender = context.chain.sender().to_string();
    transactions::lock_sender(&mut tx, &sender).await?;
    let first = match transactions::last_nonce(&mut *tx, &sender).await? {
        Some(last) => u64::try_from(last).map_err(|_| out_of_range("a nonce"))? + 1,
        None => first_nonce,
    };
    let steps: Vec<Outgoing> = plan::steps(context.chain.as_ref(), first, settler, settings)
        .into_iter()
        .map(|(call, gas_limit)| Outgoing { purpose: Purpose::Deploy, call, gas_limit })
        .collect();
    sign_all(&mut tx, context, first, fees, &steps).await?;
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(steps = steps.len(), first_nonce = first, "signed the deployment");
    Ok(())
}

/// Waits until the node has been handed all that is stored.
async fn until_told(context: &Context) -> Result<(), SettleError> {
    let is_told = async || Ok(resync::resync(context).await? == Resynced::Whole);
    if comes_true(is_told).await? {
        return Ok(());
    }
    Err(SettleError::Inconsistent("the chain does not mine the stored transactions".to_owned()))
}

/// Lets the credit contract take the settlement account's currency, unless that was signed before.
async fn approve(context: &Context, credit: &Address) -> Result<(), SettleError> {
    if signed_steps(context).await?.is_empty() {
        let call = Call::ApproveAll { currency: context.chain.currency_of(credit).await?, spender: *credit };
        let (first_nonce, fees) = (context.chain.mined_nonce(1).await?, context.fees().await?);
        let step = [Outgoing { purpose: Purpose::Deploy, call, gas_limit: SET_UP_CALL }];
        let mut tx = context.pool.begin().await.map_err(StoreError::from)?;
        sign_all(&mut tx, context, first_nonce, fees, &step).await?;
        tx.commit().await.map_err(StoreError::from)?;
    }
    until_final(context).await.map(drop)
}

/// Waits until the chain has mined everything that is stored of the context's account.
async fn until_mined(context: &Context) -> Result<(), SettleError> {
    let sender = context.chain.sender().to_string();
    let Some(last) = transactions::last_nonce(&context.pool, &sender).await? else { return Ok(()) };
    let is_mined = async || {
        let mined = context.chain.mined_nonce(1).await?;
        Ok(i64::try_from(mined).is_ok_and(|mined| mined > last))
    };
    if comes_true(is_mined).await? {
        return Ok(());
    }
    Err(SettleError::Inconsistent("the chain does not mine the deployment".to_owned()))
}

/// Waits until every step of the context's account is final; returns the first one's nonce.
async fn until_final(context: &Context) -> Result<u64, SettleError> {
    let (mut idle, mut ceiling) = (0, Ceiling::default());
    loop {
        let pumped = pump::turn(context, &mut ceiling).await?;
        let steps = signed_steps(context).await?;
        if let Some(step) = steps.iter().find(|s| matches!(s.state, TxState::Reverted | TxState::Replaced)) {
            return Err(SettleError::Inconsistent(format!(
                "step {} of the deployment failed (transaction {}): use a new key and a new community",
                step.signed.nonce, step.signed.tx_hash
            )));
        }
        if steps.iter().all(|step| step.state == TxState::Final) {
            let first = steps.first().map(|step| u64::try_from(step.signed.nonce));
            return first.and_then(Result::ok).ok_or_else(|| out_of_range("a nonce"));
        }
        if pumped != Pumped::Moved {
            idle += 1;
            if idle > MAX_IDLE_POLLS {
                return Err(SettleError::Inconsistent("the chain does not mine the deployment".to_owned()));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Asks again and again; whether it came true before patience was out.
async fn comes_true(
    mut is_true: impl AsyncFnMut() -> Result<bool, SettleError>,
) -> Result<bool, SettleError> {
    for _ in 0..MAX_IDLE_POLLS {
        if is_true().await? {
            return Ok(true);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(false)
}

/// A chain that was told its transactions again needs a moment to mine them.
async fn until_code(context: &Context, credit: &Address) -> Result<(), SettleError> {
    if comes_true(async || Ok(context.chain.has_code(credit).await?)).await? {
        return Ok(());
    }
    let chain: &dyn Chain = context.chain.as_ref();
    Err(SettleError::NoContract { address: credit.to_string(), chain_id: chain.chain_id() })
}
