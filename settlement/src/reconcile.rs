//! Comparing the ledger with the chain, account by account.

use std::collections::HashMap;

use domain::ids::AccountId;
use domain::units::Money;
use store::ledger::{self, Balance};
use store::{movements, moves};

use crate::chain::Address;
use crate::context::Settling;
use crate::error::SettleError;

/// An account whose ledger and chain differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The account.
    pub account_id: AccountId,
    /// Where it lives on the chain.
    pub address: Address,
    /// How many addresses it has left, whose credits count too.
    pub former_addresses: usize,
    /// What the ledger says.
    pub ledger: Money,
    /// What the ledger comes to on the chain, with what deposits of others left below its unit.
    pub expected_base_units: i128,
    /// What the contract says, in base units.
    pub chain_base_units: u128,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account_id, address, former_addresses, ledger, expected_base_units, chain_base_units } =
            self;
        let former = if *former_addresses == 0 {
            String::new()
        } else {
            format!(" and {former_addresses} former addresses")
        };
        write!(
            f,
            "account {account_id} ({address}{former}): the ledger says {ledger} ({expected_base_units} base units), \
             the chain {chain_base_units} base units"
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
    /// Credits that others deposited for addresses that are no account's, in base units: the ledger
    /// books them nowhere.
    pub unclaimed: Vec<(Address, i128)>,
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
    let mut addresses =
        balances.iter().map(|b| b.chain_address.parse()).collect::<Result<Vec<Address>, _>>()?;
    let (former, left_by): (Vec<Address>, Vec<AccountId>) =
        moves::former_addresses(pool, community).await?.into_iter().unzip();
    addresses.extend(former);
    // All in one question, so that credits on their way between two addresses of an account count once.
    let mut on_chain = context.chain.balances(&domain.credit, &addresses).await?;
    let mut left_behind: HashMap<AccountId, Vec<u128>> = HashMap::new();
    for (account, held) in left_by.into_iter().zip(on_chain.split_off(balances.len().min(on_chain.len()))) {
        left_behind.entry(account).or_default().push(held);
    }
    let in_flight = store::batches::in_flight(pool, community).await?.is_some()
        || ledger::deposits_signed(pool, community).await? > 0;
    let scale = context.chain.scale();
    let dust: HashMap<AccountId, i128> =
        movements::dust(pool, community, scale.base_units_per_unit()).await?.into_iter().collect();
    let unclaimed = movements::unclaimed(pool, community).await?;
    let accounts = balances.len();
    let differences = balances
        .into_iter()
        .zip(addresses)
        .zip(on_chain)
        .map(|((Balance { account_id, balance, .. }, address), chain_base_units)| {
            let dust = dust.get(&account_id).copied().unwrap_or_default();
            let booked = scale.to_base_units(balance);
            let expected_base_units = booked
                .map_err(|error| SettleError::Inconsistent(format!("account {account_id}: {error}")))?
                + dust;
            let former = left_behind.remove(&account_id).unwrap_or_default();
            let chain_base_units =
                former.iter().fold(chain_base_units, |sum, held| sum.saturating_add(*held));
            let former_addresses = former.len();
            let ledger = balance;
            Ok(Difference {
                account_id,
                address,
                former_addresses,
                ledger,
                expected_base_units,
                chain_base_units,
            })
        })
        .filter(|found| {
            found.as_ref().map_or(true, |d| i128::try_from(d.chain_base_units) != Ok(d.expected_base_units))
        })
        .collect::<Result<_, SettleError>>()?;
    Ok(Report { accounts, differences, unclaimed, in_flight })
}
