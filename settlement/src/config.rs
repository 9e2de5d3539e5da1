//! Sections `[chain]` and `[settlement]` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use domain::units::Money;
use serde::Deserialize;
use url::Url;

use crate::batch::Policy;
use crate::chain::evm::{CustodialAccounts, KeyError, NodeSettings, SignerKey};
use crate::chain::{Address, TokenScale};
use crate::context::SendPolicy;
use crate::deploy::DeploySettings;

const WEI_PER_GWEI: u128 = 1_000_000_000;
const NANO_PER_UNIT: i64 = 1_000_000_000;
const MAX_STAND_INS: usize = 7;

/// Section `[chain]`: the node, and the key that signs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainConfig {
    /// The node's JSON-RPC address, `http` or `https`.
    pub rpc_url: String,
    /// More nodes of the same chain, asked in this order when one fails.
    pub rpc_urls: Vec<String>,
    /// The EIP-155 chain id that the node must serve.
    pub chain_id: u64,
    /// The settlement account's key, in an encrypted keystore (Web3 secret storage, version 3).
    pub signer_keystore_file: PathBuf,
    /// Holds the keystore's password.
    pub signer_password_file: PathBuf,
    /// The master seed of the custodial accounts, in such a keystore.
    pub account_keystore_file: PathBuf,
    /// Holds that keystore's password.
    pub account_password_file: PathBuf,
    /// Blocks that must stand on a transaction, its own included, before it counts.
    pub confirmations: u64,
    /// The longest a request to the node may take.
    pub request_timeout_ms: u64,
    /// The least that is offered a unit of gas.
    pub lowest_max_fee_gwei: u64,
    /// The decimals of the currency token that credits wrap; the contract must say the same.
    pub currency_decimals: u8,
    /// The most that is offered a unit of gas.
    pub highest_max_fee_gwei: u64,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            rpc_url: "http://127.0.0.1:8545".to_owned(),
            rpc_urls: Vec::new(),
            chain_id: 31_337,
            signer_keystore_file: PathBuf::from("data/chain.signer.json"),
            signer_password_file: PathBuf::from("data/chain.signer.password"),
            account_keystore_file: PathBuf::from("data/chain.accounts.json"),
            account_password_file: PathBuf::from("data/chain.accounts.password"),
            confirmations: 12,
            request_timeout_ms: 10_000,
            lowest_max_fee_gwei: 3,
            currency_decimals: 18,
            highest_max_fee_gwei: 500,
        }
    }
}

/// Section `[settlement]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettlementConfig {
    /// How often to look when nothing is on its way and no hint comes.
    pub poll_interval_ms: u64,
    /// How often to look while a transaction is on its way.
    pub chain_poll_interval_ms: u64,
    /// How long a transaction may wait to be mined before it is replaced at a higher fee.
    pub replace_after_s: u32,
    /// How much of a block's gas one transaction of a batch may ask for, 1 to 100 %. A slot that needs more
    /// is settled in chunks.
    pub batch_gas_share_percent: u8,
    /// Touched by each turn of the loop, for health checks.
    pub heartbeat_file: Option<PathBuf>,
    /// Who administers the contracts after deployment. Without one the deployer does, which is for development.
    pub administrator: Option<String>,
    /// The currency token that credits wrap. Without one a demonstration currency is deployed.
    pub currency_address: Option<String>,
    /// From the request of a withdrawal to its payment; longer than the settlement horizon, which is
    /// the time from a trade to the end of the last correction of its slot.
    pub withdrawal_delay_s: u64,
    /// How much demonstration currency the settlement account is given to wrap, in whole units.
    pub demonstration_currency_units: u32,
    /// Whether the chain is a development chain such as anvil, which gives the settlement account its fees.
    pub development_chain: bool,
}

impl Default for SettlementConfig {
    fn default() -> Self {
        Self {
            poll_interval_ms: 2_000,
            chain_poll_interval_ms: 250,
            replace_after_s: 60,
            batch_gas_share_percent: 50,
            heartbeat_file: None,
            administrator: None,
            currency_address: None,
            withdrawal_delay_s: 7 * 24 * 3_600,
            demonstration_currency_units: 1_000_000_000,
            development_chain: false,
        }
    }
}

/// A setting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[{section}] {key} {problem}")]
pub struct InvalidConfig {
    section: &'static str,
    key: &'static str,
    problem: String,
}

fn in_range(
    section: &'static str,
    key: &'static str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<(), InvalidConfig> {
    if range.contains(&value) {
        return Ok(());
    }
    let problem = format!("must be {} to {}, but is {value}", range.start(), range.end());
    Err(InvalidConfig { section, key, problem })
}

impl ChainConfig {
    /// Checks what the types alone cannot.
    ///
    /// # Errors
    /// [`InvalidConfig`] with the setting to mend.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.urls()?;
        in_range("chain", "currency_decimals", u64::from(self.currency_decimals), 0..=18)?;
        in_range("chain", "chain_id", self.chain_id, 1..=i64::MAX.unsigned_abs())?;
        in_range("chain", "confirmations", self.confirmations, 1..=1_000)?;
        in_range("chain", "request_timeout_ms", self.request_timeout_ms, 100..=120_000)?;
        in_range("chain", "lowest_max_fee_gwei", self.lowest_max_fee_gwei, 1..=self.highest_max_fee_gwei)?;
        in_range("chain", "highest_max_fee_gwei", self.highest_max_fee_gwei, 1..=100_000)
    }

    /// Every node, the first one first.
    fn urls(&self) -> Result<Vec<Url>, InvalidConfig> {
        if self.rpc_urls.len() > MAX_STAND_INS {
            let problem = format!("must name at most {MAX_STAND_INS} nodes");
            return Err(InvalidConfig { section: "chain", key: "rpc_urls", problem });
        }
        let first = node_url("rpc_url", &self.rpc_url);
        std::iter::once(first).chain(self.rpc_urls.iter().map(|text| node_url("rpc_urls", text))).collect()
    }

    /// The settlement account's key.
    ///
    /// # Errors
    /// [`KeyError`] if a file cannot be used, or the password is wrong.
    pub fn signer_key(&self) -> Result<SignerKey, KeyError> {
        SignerKey::from_keystore(&self.signer_keystore_file, &self.signer_password_file)
    }

    /// The custodial accounts' master seed.
    ///
    /// # Errors
    /// [`KeyError`] if a file cannot be used, or the password is wrong.
    pub fn custodial_accounts(&self) -> Result<CustodialAccounts, KeyError> {
        CustodialAccounts::from_keystore(&self.account_keystore_file, &self.account_password_file)
    }

    /// How the node is reached.
    ///
    /// # Errors
    /// [`InvalidConfig`] if `rpc_url` is no address.
    pub fn node(&self) -> Result<NodeSettings, InvalidConfig> {
        Ok(NodeSettings {
            rpc_urls: self.urls()?,
            chain_id: self.chain_id,
            request_timeout: Duration::from_millis(self.request_timeout_ms),
            lowest_max_fee_wei: u128::from(self.lowest_max_fee_gwei) * WEI_PER_GWEI,
            scale: TokenScale::new(self.currency_decimals).map_err(|error| InvalidConfig {
                section: "chain",
                key: "currency_decimals",
                problem: error.to_string(),
            })?,
        })
    }
}

fn node_url(key: &'static str, text: &str) -> Result<Url, InvalidConfig> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.filter(Url::has_host).ok_or_else(|| InvalidConfig {
        section: "chain",
        key,
        // Not repeated here: it may hold a provider's access key.
        problem: "must be an http or https address such as http://127.0.0.1:8545".to_owned(),
    })
}

impl SettlementConfig {
    /// Checks what the types alone cannot.
    ///
    /// # Errors
    /// [`InvalidConfig`] with the setting to mend.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        in_range("settlement", "poll_interval_ms", self.poll_interval_ms, 50..=60_000)?;
        in_range("settlement", "chain_poll_interval_ms", self.chain_poll_interval_ms, 10..=60_000)?;
        in_range("settlement", "replace_after_s", u64::from(self.replace_after_s), 5..=86_400)?;
        let share = u64::from(self.batch_gas_share_percent);
        in_range("settlement", "batch_gas_share_percent", share, 1..=100)?;
        in_range("settlement", "withdrawal_delay_s", self.withdrawal_delay_s, 1..=31_536_000)?;
        for (key, text) in
            [("administrator", &self.administrator), ("currency_address", &self.currency_address)]
        {
            parsed(key, text.as_deref())?;
        }
        Ok(())
    }

    /// What a community's contracts are made with.
    ///
    /// # Errors
    /// [`InvalidConfig`] if an address is none.
    pub fn deploy_settings(&self) -> Result<DeploySettings, InvalidConfig> {
        Ok(DeploySettings {
            currency: self.currency()?,
            administrator: self.administrator()?,
            withdrawal_delay_s: self.withdrawal_delay_s,
            demonstration_currency: Money::from_nano(
                i64::from(self.demonstration_currency_units) * NANO_PER_UNIT,
            ),
            name: "Energy Credit".to_owned(),
            symbol: "ECR".to_owned(),
        })
    }

    /// Who administers the contracts after deployment, if not the settlement account.
    ///
    /// # Errors
    /// [`InvalidConfig`] if it is no address.
    pub fn administrator(&self) -> Result<Option<Address>, InvalidConfig> {
        parsed("administrator", self.administrator.as_deref())
    }

    /// The currency token, if not a demonstration currency.
    ///
    /// # Errors
    /// [`InvalidConfig`] if it is no address.
    pub fn currency(&self) -> Result<Option<Address>, InvalidConfig> {
        parsed("currency_address", self.currency_address.as_deref())
    }
}

fn parsed(key: &'static str, text: Option<&str>) -> Result<Option<Address>, InvalidConfig> {
    let parse = |text: &str| {
        text.parse().map_err(|error| InvalidConfig {
            section: "settlement",
            key,
            problem: format!("cannot be used: {error}"),
        })
    };
    text.map(parse).transpose()
}

/// How transactions are sent and watched, from both sections.
#[must_use]
pub fn send_policy(chain: &ChainConfig, settlement: &SettlementConfig) -> SendPolicy {
    let replace_after = TimeDelta::seconds(i64::from(settlement.replace_after_s));
    SendPolicy {
        watch: Policy { confirmations: chain.confirmations, replace_after },
        fee_cap_wei: u128::from(chain.highest_max_fee_gwei) * WEI_PER_GWEI,
        batch_gas_share_percent: settlement.batch_gas_share_percent,
        // What is no address was refused when the configuration was validated.
        currency: settlement.currency().ok().flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::config::ConfigFile;

    fn chain(text: &str) -> Result<(), String> {
        let file = ConfigFile::parse(&format!("[chain]\n{text}")).unwrap();
        let config: ChainConfig = file.section("chain").map_err(|e| e.to_string())?;
        config.validate().map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_can_be_used() {
        assert_eq!(chain(""), Ok(()));
        assert_eq!(SettlementConfig::default().validate(), Ok(()));
    }

    /// A section of the configuration file of the repository, with its commented keys as if they were set.
    fn with_comments(section: &str) -> ConfigFile {
        let text =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/busbar.toml")).unwrap();
        let is_key = |text: &str| {
            text.split_once(" = ")
                .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        };
        let lines = text.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
        let lines: String = lines
            .take_while(|line| !line.starts_with('['))
            .map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        ConfigFile::parse(&format!("[{section}]\n{lines}")).unwrap()
    }

    /// The keys that a section may have, as its refusal of another one lists them.
    fn keys<T: serde::de::DeserializeOwned>(section: &str) -> Vec<String> {
        let file = ConfigFile::parse(&format!("[{section}]\nno_such_key = 1")).unwrap();
        let refused = file.section::<T>(section).err().unwrap().to_string();
        let listed = refused.split("expected one of ").nth(1).unwrap();
        listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_configuration_file_shows_every_key_with_a_value_that_can_be_used() {
        let config: ChainConfig = with_comments("chain").section("chain").unwrap();
        assert_eq!(config.validate(), Ok(()));
        let config: SettlementConfig = with_comments("settlement").section("settlement").unwrap();
        assert_eq!(config.validate(), Ok(()));
        for (section, keys) in
            [("chain", keys::<ChainConfig>("chain")), ("settlement", keys::<SettlementConfig>("settlement"))]
        {
            assert!(keys.len() > 5, "{keys:?}");
            let shown: std::collections::BTreeMap<String, serde_json::Value> =
                with_comments(section).section(section).unwrap();
            for key in keys {
                assert!(shown.contains_key(&key), "[{section}] {key} is not in config/busbar.toml");
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, named) in [
            ("rpc_url = 'ipc:///x'", "rpc_url"),
            ("rpc_url = 'nowhere'", "rpc_url"),
            ("rpc_urls = ['http://a', 'ftp://b']", "rpc_urls"),
            ("signer_key_file = 'signer.key'", "signer_key_file"),
            ("account_seed_file = 'accounts.seed'", "account_seed_file"),
            ("currency_decimals = 19", "currency_decimals"),
            ("confirmations = 0", "confirmations"),
            ("lowest_max_fee_gwei = 600", "lowest_max_fee_gwei"),
            ("rpc = 'http://x'", "rpc"),
        ] {
            let error = chain(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
        let config = SettlementConfig { administrator: Some("0x12".into()), ..SettlementConfig::default() };
        assert!(config.validate().unwrap_err().to_string().contains("administrator"));
    }
}
