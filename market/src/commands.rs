//! The commands that do one thing and end: `simulate` and `replay` here, `clear` and `what-if` beside.

pub(crate) mod clear;
pub(crate) mod what_if;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use domain::grid::GridLimits;
use domain::ids::CommunityId;
use domain::tariff::Tariff;
use domain::units::{Energy, Price};
use market::clear::Mechanism;
use market::dataset::{DataSet, Reading};
use market::runner::check_slot;
use market::simulate::{self, Batteries, ForecastBy, Settings, SimulateError, simulate};
use market::words::counted;
use pilot::settings::Preset;
use store::{PgPool, communities};

/// `market simulate`.
#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// A folder with `sites.csv` and `profiles.csv`. Slots in which a value is missing and sites without any line are left
    /// out, which the result says; decimals are rounded to whole W.
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
    /// How sites trade.
    #[arg(long, value_enum, default_value = "hands-off", alias = "setting")]
    preset: PresetArg,
    /// What sites expect by.
    #[arg(long, value_enum, default_value = "last-slot")]
    forecast: ForecastArg,
    /// What the batteries of the data do; unless it is `none`, the result is compared with the alternatives.
    #[arg(long, value_enum, default_value = "none")]
    batteries: BatteriesArg,
    /// What is kept back in each battery, in per cent.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    reserve_percent: u8,
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
    /// The most that all sites together may draw from the grid in a slot, in Wh.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    import_limit_wh: Option<i64>,
    /// The most that all sites together may feed into the grid in a slot, in Wh; what is more earns nothing.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    export_limit_wh: Option<i64>,
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

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum PresetArg {
    /// Trades all of the likely energy, early and up to the last limit.
    Greenest,
    /// Trades a share of the likely energy.
    HandsOff,
    /// Trades only what is all but certain, and holds out for a good price.
    Cheapest,
}

impl From<PresetArg> for Preset {
    fn from(arg: PresetArg) -> Self {
        match arg {
            PresetArg::Greenest => Self::Greenest,
            PresetArg::HandsOff => Self::HandsOff,
            PresetArg::Cheapest => Self::Cheapest,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum ForecastArg {
    /// The next slot is like the last.
    LastSlot,
    /// The autopilot's forecast, learned on the way.
    Learned,
}

impl From<ForecastArg> for ForecastBy {
    fn from(arg: ForecastArg) -> Self {
        match arg {
            ForecastArg::LastSlot => Self::LastSlot,
            ForecastArg::Learned => Self::Learned,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum BatteriesArg {
    /// They are not played.
    None,
    /// Each takes its own site's surplus and meets its own site's lack.
    Own,
    /// Each follows the autopilot's plan.
    Planned,
}

impl From<BatteriesArg> for Batteries {
    fn from(arg: BatteriesArg) -> Self {
        match arg {
            BatteriesArg::None => Self::None,
            BatteriesArg::Own => Self::Own,
            BatteriesArg::Planned => Self::Planned,
        }
    }
}

pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

pub(crate) fn simulate_folder(args: &SimulateArgs) -> anyhow::Result<()> {
    let (data, left_out) =
        DataSet::read_as(&args.data, &Reading::simulation()).map_err(SimulateError::from)?;
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(
        price(args.retail_micro_per_kwh),
        price(args.feed_in_micro_per_kwh),
        price(args.network_fee_micro_per_kwh),
        price(args.platform_fee_micro_per_kwh),
    )?;
    let settings = Settings {
        days: args.days,
        forecast_share_percent: args.forecast_share_percent,
        preset: args.preset.into(),
        forecast: args.forecast.into(),
        batteries: args.batteries.into(),
        battery_reserve_percent: args.reserve_percent,
        limits: GridLimits {
            import: args.import_limit_wh.map(Energy::from_wh),
            export: args.export_limit_wh.map(Energy::from_wh),
        },
        ..Settings::new(args.mechanism.into(), tariff)
    };
    let mut simulated = simulate(&data, &settings, progress())?;
    simulated.left_out = left_out;
    if settings.batteries != Batteries::None {
        let others = [Batteries::None, Batteries::Own, Batteries::Planned];
        for batteries in others.into_iter().filter(|other| *other != settings.batteries) {
            let other = simulate(&data, &Settings { batteries, ..settings }, progress())?;
            simulated.compared.push((batteries, other.kpis.cost_nano));
        }
    }
    if let Some(path) = &args.csv {
        let unwritable = |source| SimulateError::Unwritable { path: path.clone(), source };
        std::fs::write(path, simulate::csv(&simulated)).map_err(unwritable)?;
    }
    if args.json {
        // The text has them itself.
        eprint!("{}", simulate::notes(&simulated));
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
            "slot {slot} of {community}: {} {} to the {}, byte for byte\n",
            counted(commands, "command"),
            if commands == 1 { "leads" } else { "lead" },
            counted(trades, "stored trade")
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
