//! The demonstration's chain side: accounts, contracts, and credits to start with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::ids::{AccountId, ClientId, CommunityId};
use domain::units::Money;
use rand::Rng;
use service::config::ConfigFile;
use settlement::chain::Address;
use settlement::chain::evm::{CustodialAccounts, EvmChain, SignerKey};
use settlement::config::{ChainConfig, SettlementConfig, send_policy};
use settlement::context::{Context, Settling};
use settlement::deploy::deploy_from;
use settlement::{deposits, reconcile};
use store::PgPool;
use store::members::{self, Account};

use crate::enrol::Enrolment;
use crate::parts::Parts;

const NANO_PER_UNIT: i64 = 1_000_000_000;
/// What the settlement account and the deployer get for their fees on a development chain.
const DEVELOPMENT_BALANCE_WEI: u128 = 1_000_000_000_000_000_000_000;
/// What a member holds at first: some hundred days of a household's bills.
const MEMBER_UNITS: i64 = 5_000;
/// What the community's own accounts hold at first: the grid account pays for what members export.
const GRID_UNITS: i64 = 1_000_000;
const RESERVE_UNITS: i64 = 100_000;

/// Everything that settles.
pub struct Chain {
    /// The settings of the chain.
    pub chain_config: ChainConfig,
    /// The settings of settlement.
    pub settlement_config: SettlementConfig,
    /// The adapter.
    pub evm: Arc<EvmChain>,
    context: Context,
    /// Deploys the contracts and keeps no role in them.
    deployer: Arc<EvmChain>,
    /// Administers the contracts.
    administrator: Address,
}

impl Chain {
    /// Connects to the chain with keys made at the first start, funded if the chain is ours: the settlement account's,
    /// the deployer's, and the administrator's, of which only the address is used.
    ///
    /// # Errors
    /// When the node does not answer or serves another chain than configured.
    pub async fn connect(
        config: &ConfigFile,
        parts: &Parts,
        pool: &PgPool,
        community: &CommunityId,
        state: &Path,
    ) -> anyhow::Result<Self> {
        let chain_config: ChainConfig = config.section("chain")?;
        chain_config.validate()?;
        let settlement_config: SettlementConfig = config.section("settlement")?;
        settlement_config.validate()?;
        let signer = key(state, "chain_signer")?;
        let deployer = Arc::new(EvmChain::new(chain_config.node()?, &key(state, "chain_deployer")?)?);
        let administrator = match settlement_config.administrator()? {
            Some(administrator) => administrator,
            None => key(state, "chain_admin")?.address(),
        };
        let evm = Arc::new(EvmChain::new(chain_config.node()?, &signer)?);
        let context = Context {
            pool: pool.clone(),
            chain: evm.clone(),
            clock: domain::time::Clock::System,
            community_id: community.clone(),
            policy: send_policy(&chain_config, &settlement_config),
        };
        settlement::chain::Chain::check(evm.as_ref()).await?;
        // Only a development chain gives for nothing; on any other the accounts have to be funded by their owner.
        for (account, chain) in [("settlement account", &evm), ("deployer", &deployer)] {
            let funded = chain.fund_on_development_chain(DEVELOPMENT_BALANCE_WEI).await;
            if let Err(error) = funded {
                anyhow::ensure!(!parts.owns_chain(), "cannot fund the {account}: {error}");
                let address = settlement::chain::Chain::sender(chain.as_ref());
                tracing::warn!(%address, account, "the chain does not fund accounts: fund this one for its fees");
            }
        }
        Ok(Self { chain_config, settlement_config, evm, context, deployer, administrator })
    }

    /// Deploys the contracts, or finds them; a development chain that starts empty is told its transactions again.
    ///
    /// # Errors
    /// When the chain refuses a step.
    pub async fn deploy(&self) -> anyhow::Result<store::communities::Contract> {
        let mut settings = self.settlement_config.deploy_settings()?;
        settings.administrator = Some(self.administrator);
        let deployer = Context { chain: self.deployer.clone(), ..self.context.clone() };
        Ok(deploy_from(&deployer, &self.context, &settings).await?)
    }

    /// Asks for the credits that each account starts with. Asking again changes nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn endow(&self) -> anyhow::Result<()> {
        for account in members::accounts(&self.context.pool, &self.context.community_id).await? {
            let amount = match account.kind.as_str() {
                "member" => units(MEMBER_UNITS),
                "grid" => units(GRID_UNITS),
                "reserve" => units(RESERVE_UNITS),
                _ => continue,
            };
            let id = ClientId::new(&format!("start-{}", account.account_id))?;
            deposits::request(&self.context, &account.account_id, &id, amount).await?;
        }
        Ok(())
    }

    /// What comparing the ledger with the chain takes.
    #[must_use]
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Compares the ledger with the chain, account by account; the differences, in words.
    ///
    /// # Errors
    /// When the database or the node does not answer.
    pub async fn differences(&self) -> anyhow::Result<Vec<String>> {
        let settling = Settling::of(self.context.clone()).await?;
        let report = reconcile::reconcile(&settling).await?;
        Ok(report.differences.iter().map(ToString::to_string).collect())
    }
}

/// Gives each member and each of the community's own accounts an address, derived from a seed made at the first
/// start: an account keeps the index it was given.
///
/// # Errors
/// When the seed cannot be stored or the database does not answer.
pub async fn enrol_accounts(
    pool: &PgPool,
    community: &CommunityId,
    state: &Path,
    enrolments: &[Enrolment],
) -> anyhow::Result<()> {
    let (keystore, password) = keystore(state, "chain_accounts");
    let seed = CustodialAccounts::open_or_create(&keystore, &password, entropy)?;
    let own = [AccountId::grid(), AccountId::network(), AccountId::platform(), AccountId::reserve()];
    let own = own.map(|id| (id.to_string(), id)).into_iter();
    let of_members = enrolments
        .iter()
        .map(|enrolment| Ok(("member".to_owned(), AccountId::of_member(&enrolment.member.member_id)?)));
    let all = own.map(Ok).chain(of_members).collect::<Result<Vec<_>, domain::ids::InvalidId>>()?;
    for (index, (kind, account_id)) in (0_u32..).zip(all) {
        let chain_address = seed.address(index)?.to_string();
        members::insert_account(pool, community, &Account { account_id, kind, chain_address }).await?;
    }
    Ok(())
}

/// A key of the state folder, made at its first use.
fn key(state: &Path, name: &str) -> anyhow::Result<SignerKey> {
    let (keystore, password) = keystore(state, name);
    Ok(SignerKey::open_or_create(&keystore, &password, entropy)?)
}

/// An encrypted keystore of the state folder, and the file with its password.
fn keystore(state: &Path, name: &str) -> (PathBuf, PathBuf) {
    let secrets = state.join("secrets");
    (secrets.join(format!("{name}.json")), secrets.join(format!("{name}_password")))
}

fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

const fn units(units: i64) -> Money {
    Money::from_nano(units * NANO_PER_UNIT)
}
