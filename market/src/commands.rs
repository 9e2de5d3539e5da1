//! The commands that do one thing and end: `clear`, `simulate` and `replay`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use domain::ids::CommunityId;
use domain::tariff::Tariff;
use domain::units::Price;
use market::clear::{self, Cleared, Mechanism};
use market::dataset::DataSet;
use market::runner::check_slot;
use market::simulate::{self, Settings, SimulateError, simulate};
use store::{PgPool, communities};

/// `market clear`.
#[derive(Args)]
pub(crate) struct ClearArgs {
    /// Orders with the columns `side,id,member,energy_wh,price_micro_per_kwh`.
    #[arg(long)]
    csv: PathBuf,
    /// How they are matched.
    #[arg(long, value_enum, default_value = "call")]
    mechanism: MechanismArg,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// `market simulate`.
#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// A folder with `sites.csv` and `profiles.csv`.
    #[arg(long)]
    data: PathBuf,
    /// How energy is traded.
    #[arg(long, value_enum, default_value = "cda+call")]
    mechanism: MechanismArg,
    /// Play only the first days of the profile.
    #[arg(long)]
    days: Option<u32>,
    /// How much of what it expects a site sends to the continuous auction, in per cent.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u8).range(0..=100))]
    forecast_share_percent: u8,
    /// The retail tariff, in micro-currency per kWh.
    #[arg(long, default_value_t = 320_000)]
    retail_micro_per_kwh: i64,
    /// The feed-in tariff, in micro-currency per kWh.
    #[arg(long, default_value_t = 80_000)]
    feed_in_micro_per_kwh: i64,
    /// The network fee on local energy, in micro-currency per kWh.
    #[arg(long, default_value_t = 30_000)]
    network_fee_micro_per_kwh: i64,
    /// The platform fee on local energy, in micro-currency per kWh.
    #[arg(long, default_value_t = 2_000)]
    platform_fee_micro_per_kwh: i64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Write a line a slot to this file.
    #[arg(long)]
    csv: Option<PathBuf>,
}

/// `market replay`.
#[derive(Args)]
pub(crate) struct ReplayArgs {
    /// The start of the slot, for example 2026-03-01T12:00:00Z.
    #[arg(long)]
    slot: DateTime<Utc>,
    /// The community; may be left out where there is only one.
    #[arg(long)]
    community: Option<CommunityId>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum MechanismArg {
    /// The continuous double auction, in the order of arrival.
    Cda,
    /// One call auction at a uniform price.
    Call,
    /// The continuous double auction, then one call auction of what is left.
    #[value(name = "cda+call")]
    CdaThenCall,
}

impl From<MechanismArg> for Mechanism {
    fn from(arg: MechanismArg) -> Self {
        match arg {
            MechanismArg::Cda => Self::ContinuousDoubleAuction,
            MechanismArg::Call => Self::CallAuction,
            MechanismArg::CdaThenCall => Self::ContinuousThenCall,
        }
    }
}

pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

pub(crate) fn clear_file(args: &ClearArgs) -> anyhow::Result<()> {
    let orders = clear::read(&args.csv)?;
    let started = Instant::now();
    let cleared = clear::clear(&orders, args.mechanism.into())?;
    let wall_ns = started.elapsed().as_nanos();
    let Cleared { volume_wh, welfare_nano, price_micro_per_kwh, trades } = cleared;
    let price = |none: &str| price_micro_per_kwh.map_or(none.to_owned(), |price| price.to_string());
    print(&if args.json {
        format!(
            "{{\"volume_wh\":{volume_wh},\"welfare_nano\":{welfare_nano},\"price_micro_per_kwh\":{},\
             \"trades\":{trades},\"wall_ns\":{wall_ns}}}\n",
            price("null")
        )
    } else {
        format!(
            "{} orders, {trades} trades, {volume_wh} Wh at {} micro-currency per kWh, \
             gains {welfare_nano} nano-currency, in {wall_ns} ns\n",
            orders.len(),
            price("none")
        )
    })
}

pub(crate) fn simulate_folder(args: &SimulateArgs) -> anyhow::Result<()> {
    let data = DataSet::read(&args.data).map_err(SimulateError::from)?;
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(
        price(args.retail_micro_per_kwh),
        price(args.feed_in_micro_per_kwh),
        price(args.network_fee_micro_per_kwh),
        price(args.platform_fee_micro_per_kwh),
    )?;
    let settings = Settings {
        mechanism: args.mechanism.into(),
        tariff,
        days: args.days,
        forecast_share_percent: args.forecast_share_percent,
    };
    let simulated = simulate(&data, &settings, progress())?;
    if let Some(path) = &args.csv {
        let unwritable = |source| SimulateError::Unwritable { path: path.clone(), source };
        std::fs::write(path, simulate::csv(&simulated)).map_err(unwritable)?;
    }
    print(&if args.json { simulate::json(&simulated) } else { simulate::text(&simulated) })
}

/// A bar on standard error while that is a terminal, and nothing otherwise.
fn progress() -> impl FnMut(usize, usize) {
    const WIDTH: usize = 40;
    let shown = std::io::stderr().is_terminal();
    let mut last = usize::MAX;
    move |done, of| {
        let filled = done * WIDTH / of.max(1);
        if shown && filled != last {
            last = filled;
            let end = if done == of { "\n" } else { "" };
            eprint!("\r[{}{}] {done}/{of} slots{end}", "#".repeat(filled), " ".repeat(WIDTH - filled));
        }
    }
}

pub(crate) async fn replay(args: ReplayArgs, pool: &PgPool) -> anyhow::Result<()> {
    let community = match args.community {
        Some(community) => community,
        None => only_community(pool).await?,
    };
    let replayed = check_slot(pool, &community, args.slot).await?;
    let slot = args.slot.format("%Y-%m-%dT%H:%M:%SZ");
    let (commands, trades) = (replayed.commands, replayed.trades);
    print(&if args.json {
        format!(
            "{{\"community_id\":\"{community}\",\"slot_start\":\"{slot}\",\"commands\":{commands},\
             \"trades\":{trades},\"identical\":true}}\n"
        )
    } else {
        format!(
            "slot {slot} of {community}: {commands} commands lead to the {trades} stored trades, byte for byte\n"
        )
    })
}

async fn only_community(pool: &PgPool) -> anyhow::Result<CommunityId> {
    let all = communities::all(pool).await?;
    match all.as_slice() {
        [one] => Ok(one.community_id.clone()),
        [] => anyhow::bail!("the database holds no community"),
        several => {
            let ids: Vec<&str> = several.iter().map(|community| community.community_id.as_str()).collect();
            anyhow::bail!("name one with --community: {}", ids.join(", "))
        }
    }
}
