//! Comparing the ledger with the chain, account by account.

use std::collections::HashMap;
use std::time::Duration;

use domain::ids::AccountId;
use domain::units::Money;
use store::ledger::{self, Balance};
use store::{movements, moves};

use crate::chain::Address;
use crate::context::{Context, Settling};
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
    /// Whether a batch or deposit is on its way: final and not yet booked, it explains a difference.
    pub in_flight: bool,
    /// Whether the ledger has changed while the chain was asked: that explains any difference.
    pub has_moved: bool,
}

impl Report {
    /// Whether every account's balance on the chain is what the ledger says.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// What the ledger says of a community, as far as it is compared.
#[derive(PartialEq)]
struct Rows {
    balances: Vec<Balance>,
    /// Addresses that accounts have left, with these accounts.
    former: Vec<(Address, AccountId)>,
    /// What accounts hold below the ledger's unit, in base units.
    dust: HashMap<AccountId, i128>,
    in_flight: bool,
}

impl Rows {
    async fn read(settling: &Settling) -> Result<Self, SettleError> {
        let Context { pool, chain, community_id: community, .. } = &settling.context;
        let base_units_per_unit = chain.scale().base_units_per_unit();
        Ok(Self {
            balances: ledger::balances(pool, community).await?,
            former: moves::former_addresses(pool, community).await?,
            dust: movements::dust(pool, community, base_units_per_unit).await?.into_iter().collect(),
            in_flight: store::batches::in_flight(pool, community).await?.is_some()
                || ledger::deposits_signed(pool, community).await? > 0,
        })
    }
}

/// Compares until nothing differs, at most `looks` times, and keeps the differences of accounts that differed at every
/// look: what has become final and is booked a moment later is none.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails.
pub async fn reconcile_until_still(
    settling: &Settling,
    looks: u32,
    every: Duration,
) -> Result<Report, SettleError> {
    let mut report = reconcile(settling).await?;
    for _ in 1..looks {
        if report.is_equal() {
            break;
        }
        tokio::time::sleep(every).await;
        let mut next = reconcile(settling).await?;
        if next.has_moved {
            continue;
        }
        if !report.has_moved {
            let differed =
                |now: &Difference| report.differences.iter().any(|d| d.account_id == now.account_id);
            next.differences.retain(differed);
        }
        report = next;
    }
    Ok(report)
}

/// Compares every account of the community, all balances at the newest block that counts as final, which is as far as
/// the ledger is kept.
///
/// # Errors
/// [`SettleError`] if the chain or the database fails.
pub async fn reconcile(settling: &Settling) -> Result<Report, SettleError> {
    let Settling { context, domain, .. } = settling;
    let (pool, community) = (&context.pool, &context.community_id);
    let rows = Rows::read(settling).await?;
    let mut addresses =
        rows.balances.iter().map(|b| b.chain_address.parse()).collect::<Result<Vec<Address>, _>>()?;
    addresses.extend(rows.former.iter().map(|(address, _)| *address));
    // All in one question, so that credits on their way between two addresses of an account count once.
    let depth = context.policy.watch.confirmations;
    let mut on_chain = context.chain.deep_balances(&domain.credit, &addresses, depth).await?;
    let has_moved = Rows::read(settling).await? != rows;
    let Rows { balances, former, dust, in_flight } = rows;
    let mut left_behind: HashMap<AccountId, Vec<u128>> = HashMap::new();
    let left_by = former.into_iter().map(|(_, account)| account);
    for (account, held) in left_by.zip(on_chain.split_off(balances.len().min(on_chain.len()))) {
        left_behind.entry(account).or_default().push(held);
    }
    let scale = context.chain.scale();
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
    Ok(Report { accounts, differences, unclaimed, in_flight, has_moved })
}
