//! `market clear`: one slot's orders from a file, matched and printed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use domain::units::Price;
use market::clear::{self, Cleared, Conditions, ListedOrder, Taken};
use market::words::counted;

use super::{MechanismArg, print};

/// `market clear`.
#[derive(Args)]
pub(crate) struct ClearArgs {
    /// Orders with the columns `side,id,member,energy_wh,price_micro_per_kwh`, in any order, and any of
    /// `zone,prefer,premium_micro_per_kwh,kind`.
    #[arg(long)]
    csv: PathBuf,
    /// How they are matched.
    #[arg(long, value_enum, default_value = "call")]
    mechanism: MechanismArg,
    /// Network fees with the columns `from_zone,to_zone,fee_micro_per_kwh`.
    #[arg(long)]
    network_fees: Option<PathBuf>,
    /// The network fee of every other pair of zones, in micro-currency per kWh.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=1_000_000_000_000))]
    network_fee_micro_per_kwh: i64,
    /// The retail tariff, in micro-currency per kWh: price, fee and premium together never exceed it, and a bid above
    /// it less the highest fee of its zone is refused.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..=4_000_000_000_000))]
    retail_micro_per_kwh: Option<i64>,
    /// Write who takes from whom to this file, a line each.
    #[arg(long)]
    pairs: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn clear_file(args: &ClearArgs) -> anyhow::Result<()> {
    let orders = clear::read(&args.csv)?;
    let conditions = Conditions {
        pair_up: args.pairs.is_some(),
        network_fee: Price::from_micro_per_kwh(args.network_fee_micro_per_kwh),
        pairs: args.network_fees.as_deref().map(clear::read_fees).transpose()?.unwrap_or_default(),
        retail: args.retail_micro_per_kwh.map(Price::from_micro_per_kwh),
    };
    let started = Instant::now();
    let cleared = clear::clear(&orders, args.mechanism.into(), &conditions)?;
    let wall_ns = started.elapsed().as_nanos();
    if let (Some(path), Some(taken)) = (&args.pairs, &cleared.taken) {
        write_pairs(path, &orders, taken).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print(&if args.json { json(&cleared, wall_ns) } else { text(&cleared, orders.len(), wall_ns) })
}

fn json(cleared: &Cleared, wall_ns: u128) -> String {
    let Cleared { volume_wh, welfare_nano, price_micro_per_kwh, trades, taken } = cleared;
    let price = price_micro_per_kwh.map_or("null".to_owned(), |price| price.to_string());
    let taken = taken.as_ref().map_or(String::new(), |taken| {
        let Taken { network_fee_nano, preferred_wh, premium_nano, takings } = taken;
        format!(
            ",\"network_fee_nano\":{network_fee_nano},\"preferred_wh\":{preferred_wh},\
             \"premium_nano\":{premium_nano},\"pairs\":{}",
            takings.len()
        )
    });
    format!(
        "{{\"volume_wh\":{volume_wh},\"welfare_nano\":{welfare_nano},\"price_micro_per_kwh\":{price},\
         \"trades\":{trades},\"wall_ns\":{wall_ns}{taken}}}\n"
    )
}

fn text(cleared: &Cleared, orders: usize, wall_ns: u128) -> String {
    let Cleared { volume_wh, welfare_nano, price_micro_per_kwh, trades, taken } = cleared;
    let price = price_micro_per_kwh.map_or("none".to_owned(), |price| price.to_string());
    let taken = taken.as_ref().map_or(String::new(), |taken| {
        let Taken { network_fee_nano, preferred_wh, premium_nano, takings } = taken;
        format!(
            "{}, {network_fee_nano} nano-currency to the network, {preferred_wh} Wh as asked for with premiums \
             of {premium_nano} nano-currency\n",
            counted(takings.len(), "pair")
        )
    });
    format!(
        "{}, {}, {volume_wh} Wh at {price} micro-currency per kWh, \
         gains {welfare_nano} nano-currency, in {wall_ns} ns\n{taken}",
        counted(orders, "order"),
        counted(*trades, "trade")
    )
}

fn write_pairs(path: &Path, orders: &[ListedOrder], taken: &Taken) -> Result<(), csv::Error> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record([
        "bid_id",
        "offer_id",
        "energy_wh",
        "price_micro_per_kwh",
        "network_fee_micro_per_kwh",
        "preferred",
        "premium_micro_per_kwh",
    ])?;
    for taking in &taken.takings {
        let price = |price: Price| price.micro_per_kwh().to_string();
        file.write_record([
            orders[taking.bid].name.as_str(),
            &orders[taking.offer].name,
            &taking.energy.wh().to_string(),
            &price(taking.price),
            &price(taking.network_fee),
            if taking.premium.is_some() { "yes" } else { "no" },
            &price(taking.premium.unwrap_or_default()),
        ])?;
    }
    file.flush()?;
    Ok(())
}
