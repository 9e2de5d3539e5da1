//! `settlement deposit`: currency of the settlement account becomes an account's credits.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use domain::ids::{AccountId, ClientId, CommunityId};
use domain::units::Money;
use settlement::chain::Chain;
use settlement::context::Context;
use settlement::deposits;

use crate::Loaded;

/// A whole unit of the currency has so many decimals in nano-currency.
const DECIMALS: usize = 9;

/// What to deposit, and for whom.
#[derive(Debug, clap::Args)]
pub(crate) struct DepositArgs {
    /// The account: a member's id, or `grid` or `reserve`.
    #[arg(long)]
    account: String,
    /// How much, in whole units of the currency, such as 250 or 99.50.
    #[arg(long)]
    amount: String,
    /// What the deposit is for, such as the reference of a bank transfer. Used again, nothing more is deposited.
    #[arg(long)]
    reference: String,
    /// The community; may be left out where there is only one.
    #[arg(long)]
    community: Option<CommunityId>,
}

/// Asks for the deposit, which a running `settlement run` then makes.
pub(crate) async fn run(config: Loaded, args: DepositArgs) -> anyhow::Result<()> {
    let amount = money(&args.amount)?;
    let account = AccountId::new(&args.account)?;
    let reference = ClientId::new(&args.reference).context("--reference")?;
    let chain: Arc<dyn Chain> = Arc::new(config.evm()?);
    let context = only(config.contexts(chain).await?, args.community.as_ref())?;
    let community = &context.community_id;
    let accounts = store::members::accounts(&context.pool, community).await?;
    ensure!(
        accounts.iter().any(|known| known.account_id == account),
        "{community} has no account {account}: enrol it first, with `market enrol`"
    );
    let new = deposits::request(&context, &account, &reference, amount).await?;
    let said = if new { "is requested" } else { "was requested before, nothing changed" };
    crate::print(&format!("{community}: the deposit {reference} of {} for {account} {said}\n", args.amount))
}

fn only(contexts: Vec<Context>, wanted: Option<&CommunityId>) -> anyhow::Result<Context> {
    let ids: Vec<String> = contexts.iter().map(|context| context.community_id.to_string()).collect();
    let mut fitting = contexts.into_iter().filter(|one| wanted.is_none_or(|id| one.community_id == *id));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => bail!("name one with --community: {}", ids.join(", ")),
        (None, _) => bail!("there is no such community; there are: {}", ids.join(", ")),
    }
}

/// Decimal digits, exactly: no rounding and no float.
fn money(text: &str) -> anyhow::Result<Money> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = !whole.is_empty() && digits(whole) && digits(fraction) && fraction.len() <= DECIMALS;
    let nano = fits.then(|| format!("{whole}{fraction:0<DECIMALS$}").parse().ok()).flatten();
    match nano {
        Some(nano) if nano > 0 => Ok(Money::from_nano(nano)),
        _ => bail!("--amount {text:?}: write units of the currency above zero, such as 250 or 99.50"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_or_refused() {
        let nano = |text: &str| money(text).map(Money::nano).ok();
        assert_eq!((nano("250"), nano("99.50")), (Some(250_000_000_000), Some(99_500_000_000)));
        assert_eq!(nano("0.000000001"), Some(1));
        for bad in ["", "0", "-1", "1e3", "1,5", ".5", "1.0000000001", "9999999999999", "1.5.0"] {
            assert_eq!(nano(bad), None, "{bad}");
        }
    }
}
