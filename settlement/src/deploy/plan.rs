//! The steps of a deployment, in order. Pure: the addresses follow from the sender and its nonces.

use domain::units::Money;

use crate::chain::{Address, Call, Chain, CreditSettings};
use crate::gas::{DEPLOY_CONTRACT, SET_UP_CALL};

/// What `DemoEuro` has.
pub(super) const DEMONSTRATION_DECIMALS: u8 = 18;
const ADMINISTRATOR: u64 = 0;
const SETTLER: u64 = 1;
const PAUSER: u64 = 2;

/// What a community's contracts are made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploySettings {
    /// The currency token; `None` deploys a demonstration currency.
    pub currency: Option<Address>,
    /// Who administers and may pause the contracts, and owns a demonstration currency; `None` leaves that to the
    /// deployer.
    pub administrator: Option<Address>,
    /// From the request of a withdrawal to its payment, in seconds.
    pub withdrawal_delay_s: u64,
    /// How much demonstration currency the settlement account gets to wrap.
    pub demonstration_currency: Money,
    /// The credits' name.
    pub name: String,
    /// The credits' symbol.
    pub symbol: String,
}

/// Where the contracts go if the first step has nonce `first`: currency, authority, credit.
fn addresses(chain: &dyn Chain, first: u64, settings: &DeploySettings) -> (Address, Address, Address) {
    let (currency, next) = match settings.currency {
        Some(currency) => (currency, first),
        None => (chain.contract_address(first), first + 1),
    };
    (currency, chain.contract_address(next), chain.contract_address(next + 1))
}

/// Where the credit contract goes if the first step has nonce `first`.
pub(super) fn credit_address(chain: &dyn Chain, first: u64, settings: &DeploySettings) -> Address {
    addresses(chain, first, settings).2
}

/// Each step of the deployer with the most gas it may use, if the first has nonce `first`. With an administrator it ends
/// without a role, but for settling if it is the `settler` itself.
pub(super) fn steps(
    chain: &dyn Chain,
    first: u64,
    settler: Address,
    settings: &DeploySettings,
) -> Vec<(Call, u64)> {
    let sender = chain.sender();
    let (currency, authority, credit) = addresses(chain, first, settings);
    let administrator = settings.administrator.unwrap_or(sender);
    let mut steps = Vec::new();
    if settings.currency.is_none() {
        steps.push((Call::DeployCurrency { owner: sender }, DEPLOY_CONTRACT));
    }
    steps.push((Call::DeployAuthority { administrator: sender }, DEPLOY_CONTRACT));
    let (name, symbol) = (settings.name.clone(), settings.symbol.clone());
    let withdrawal_delay_s = settings.withdrawal_delay_s;
    let credit_settings = CreditSettings { currency, authority, withdrawal_delay_s, name, symbol };
    steps.push((Call::DeployCredit(credit_settings), DEPLOY_CONTRACT));
    let mut calls = Vec::new();
    let settling: &[&str] = &["settle", "openBatch", "pushChunk", "finaliseBatch", "abandonBatch"];
    for (role, label, functions, holder) in
        [(SETTLER, "settler", settling, settler), (PAUSER, "pauser", &["pause"], administrator)]
    {
        calls.push(Call::LabelRole { authority, role, label });
        calls.push(Call::AllowFunctions { authority, credit, functions, role });
        calls.push(Call::GrantRole { authority, role, holder });
    }
    if settings.currency.is_none() {
        let amount = settings.demonstration_currency;
        calls.push(Call::Mint { currency, to: settler, amount });
    }
    if settler == sender {
        calls.push(Call::ApproveAll { currency, spender: credit });
    }
    if administrator != sender {
        if settings.currency.is_none() {
            calls.push(Call::HandOver { currency, owner: administrator });
        }
        calls.push(Call::GrantRole { authority, role: ADMINISTRATOR, holder: administrator });
        calls.push(Call::RenounceRole { authority, role: ADMINISTRATOR, holder: sender });
    }
    steps.extend(calls.into_iter().map(|call| (call, SET_UP_CALL)));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fake::FakeChain;

    fn settings() -> DeploySettings {
        DeploySettings {
            currency: None,
            administrator: None,
            withdrawal_delay_s: 60,
            demonstration_currency: Money::from_nano(1),
            name: "Energy Credit".to_owned(),
            symbol: "ECR".to_owned(),
        }
    }

    #[test]
    fn the_credit_contract_wraps_the_currency_deployed_before_it() {
        let chain = FakeChain::new(Address([1; 20]));
        let steps = steps(&chain, 5, chain.sender(), &settings());
        let Call::DeployCredit(credit) = &steps[2].0 else { panic!("{:?}", steps[2]) };
        assert_eq!(credit.currency, chain.contract_address(5));
        assert_eq!(credit.authority, chain.contract_address(6));
        assert_eq!(credit_address(&chain, 5, &settings()), chain.contract_address(7));
    }

    #[test]
    fn a_deployer_of_its_own_keeps_nothing() {
        let chain = FakeChain::new(Address([1; 20]));
        let (administrator, settler) = (Address([2; 20]), Address([4; 20]));
        let settings = DeploySettings { administrator: Some(administrator), ..settings() };
        let steps: Vec<Call> =
            steps(&chain, 0, settler, &settings).into_iter().map(|(call, _)| call).collect();
        let holders: Vec<(u64, Address)> = steps
            .iter()
            .filter_map(|call| match call {
                Call::GrantRole { role, holder, .. } => Some((*role, *holder)),
                _ => None,
            })
            .collect();
        assert_eq!(holders, [(1, settler), (2, administrator), (0, administrator)]);
        let currency = chain.contract_address(0);
        assert!(steps.contains(&Call::HandOver { currency, owner: administrator }));
        assert!(steps.iter().any(|call| matches!(call, Call::Mint { to, .. } if *to == settler)));
        assert!(!steps.iter().any(|call| matches!(call, Call::ApproveAll { .. })), "the settler approves");
        assert!(
            matches!(steps.last(), Some(Call::RenounceRole { role: 0, holder, .. }) if *holder == chain.sender())
        );
    }

    #[test]
    fn with_an_administrator_the_deployer_keeps_no_role_but_settling() {
        let chain = FakeChain::new(Address([1; 20]));
        let administrator = Address([2; 20]);
        let currency = Some(Address([3; 20]));
        let settings = DeploySettings { administrator: Some(administrator), currency, ..settings() };
        let steps = steps(&chain, 0, chain.sender(), &settings);
        let (last, _) = steps.last().unwrap();
        assert!(matches!(last, Call::RenounceRole { role: 0, holder, .. } if *holder == chain.sender()));
        assert!(
            !steps.iter().any(|(call, _)| matches!(call, Call::Mint { .. } | Call::DeployCurrency { .. }))
        );
        assert_eq!(credit_address(&chain, 0, &settings), chain.contract_address(1));
    }
}
