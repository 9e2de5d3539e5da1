//! `settlement account`: which addresses the keystores stand for. Keys are never shown.

use settlement::config::ChainConfig;

/// The most addresses one call shows.
const MAX_SHOWN: u32 = 10_000;

/// Shows addresses. No command shows a key.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AccountCommand {
    /// The settlement account's: fund it for its fees.
    Signer,
    /// Those of the custodial accounts, by index along m/44'/60'/0'/0: for the roster of a community.
    /// An index is given to one account and never to another.
    Custodial {
        /// The first index.
        #[arg(long, default_value_t = 0)]
        first: u32,
        /// How many.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SHOWN)))]
        count: u32,
    },
}

/// Prints the addresses, one a line.
pub(crate) fn run(command: &AccountCommand, chain: &ChainConfig) -> anyhow::Result<()> {
    match *command {
        AccountCommand::Signer => crate::print(&format!("{}\n", chain.signer_key()?.address())),
        AccountCommand::Custodial { first, count } => {
            let accounts = chain.custodial_accounts()?;
            let mut lines = String::new();
            for index in first..first.saturating_add(count) {
                lines.push_str(&format!("{index} {}\n", accounts.address(index)?));
            }
            crate::print(&lines)
        }
    }
}
