//! Refusing a configuration that names another currency token than the contract wraps.

use crate::chain::{Address, ChainError};
use crate::context::Context;
use crate::error::SettleError;

/// Makes sure that the contract wraps the configured currency, and that it has the configured decimals:
/// with others, every amount would be wrong by orders of magnitude.
///
/// # Errors
/// [`SettleError::WrongToken`] with what to correct, [`SettleError::Chain`] if the node does not answer.
pub async fn check(context: &Context, credit: &Address) -> Result<(), SettleError> {
    decimals(context, credit).await?;
    let Some(expected) = context.policy.currency else { return Ok(()) };
    let wraps = context.chain.currency_of(credit).await?;
    if wraps == expected {
        return Ok(());
    }
    Err(SettleError::WrongToken(format!(
        "the contract {credit} wraps the currency {wraps}, but [settlement] currency_address says {expected}: correct \
         it, or deploy a contract for it"
    )))
}

/// Makes sure that a token has the configured decimals.
///
/// # Errors
/// As [`check`].
pub async fn decimals(context: &Context, token: &Address) -> Result<(), SettleError> {
    let expected = context.chain.scale().decimals();
    let actual = match context.chain.decimals(token).await {
        Err(ChainError::WouldRevert { .. }) => {
            return Err(SettleError::WrongToken(format!(
                "the contract {token} is no token: it names no decimals"
            )));
        }
        answer => answer?,
    };
    if actual == expected {
        return Ok(());
    }
    Err(SettleError::WrongToken(format!(
        "the token {token} has {actual} decimals, but [chain] currency_decimals says {expected}: correct it, nothing is \
         sent until then"
    )))
}
