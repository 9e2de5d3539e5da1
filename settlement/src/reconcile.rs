//! Comparing the ledger with the chain, account by account.

use domain::ids::AccountId;
use domain::units::Money;
use store::ledger;

use crate::chain::{Address, to_base_units};
use crate::context::Settling;
use crate::error::SettleError;

/// An account whose ledger and chain differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The account.
    pub account_id: AccountId,
    /// Where it lives on the chain.
    pub address: Address,
    /// What the ledger says.
    pub ledger: Money,
    /// What the contract says, in base units of 10^-18.
    pub chain_base_units: u128,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account_id, address, ledger, chain_base_units } = self;
        let expected = to_base_units(*ledger);
        write!(
            f,
            "account {account_id} ({address}): the ledger says {ledger} ({expected} base units), the chain \
             {chain_base_units} base units"
        )
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many accounts were compared.
    pub accounts: usize,
    /// Those that differ.
    pub differences: Vec<Difference>,
    /// Whether a batch or deposit is on its way: mined but not yet final, it explains a difference.
    pub in_flight: bool,
}

impl Report {
    /// Whether every account's balance on the chain is what the ledger says.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares every account of the community, all balances at one block.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails.
pub async fn reconcile(settling: &Settling) -> Result<Report, SettleError> {
    let Settling { context, domain, .. } = settling;
    let (pool, community) = (&context.pool, &context.community_id);
    let balances = ledger::balances(pool, community).await?;
    let addresses = balances.iter().map(|b| b.chain_address.parse()).collect::<Result<Vec<Address>, _>>()?;
    let on_chain = context.chain.balances(&domain.credit, &addresses).await?;
    let in_flight = store::batches::in_flight(pool, community).await?.is_some()
        || ledger::deposits_signed(pool, community).await? > 0;
    let accounts = balances.len();
    let differences = balances
        .into_iter()
        .zip(addresses)
        .zip(on_chain)
        .filter(|((balance, _), base_units)| {
            i128::try_from(*base_units)
                .map_or(true, |base_units| to_base_units(balance.balance) != base_units)
        })
        .map(|((balance, address), chain_base_units)| Difference {
            account_id: balance.account_id,
            address,
            ledger: balance.balance,
            chain_base_units,
        })
        .collect();
    Ok(Report { accounts, differences, in_flight })
}
