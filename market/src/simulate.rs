//! A community over its profiles, without a database: what a mechanism is worth. `market simulate`.
//!
//! Every site is a member of its own. In a continuous auction each sends what it expects to have left over or
//! to lack, as the autopilot does, and moves its limit in the autopilot's four steps; in the closing auction
//! it sends what its meter shows beyond what it traded. What is left is the grid's. Batteries are played
//! if that is asked for; otherwise profiles are played as they are.

mod batteries;
mod expect;
mod kpis;
mod ledger;
mod meters;
mod report;
pub mod score;
mod trading;

use std::path::PathBuf;

use domain::grid::GridLimits;
use domain::ids::InvalidId;
use domain::tariff::Tariff;
use domain::units::{Energy, Overflow, Price};
use pilot::day::Days;
use pilot::intent::{USUAL_SHARE_PERCENT, wanted_wh};
use pilot::outlook::{Neighbours, Volumes};
use pilot::settings::Preset;

use crate::auction::{AuctionOrder, clear};
use crate::book::BookError;
use crate::clear::Mechanism;
use crate::dataset::{DataSet, DataSetError, LeftOut};

pub use batteries::{Batteries, BatteryUse};
pub use expect::ForecastBy;
pub use kpis::{Kpis, MemberResult, SlotResult};
pub use report::{csv, json, notes, text};

use batteries::Fleet;
use expect::Expect;
use ledger::Ledger;
use meters::{Meters, SlotEnergy};

/// What a simulation takes besides the data.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How energy is traded.
    pub mechanism: Mechanism,
    /// The prices of every slot.
    pub tariff: Tariff,
    /// How many days of the profile are played; all if `None`.
    pub days: Option<u32>,
    /// How much of what it expects a site that is hands-off sends to the continuous auction, in per cent.
    pub forecast_share_percent: u8,
    /// How sites trade.
    pub preset: Preset,
    /// What they expect by.
    pub forecast: ForecastBy,
    /// What their batteries do.
    pub batteries: Batteries,
    /// What is kept back in each battery, in per cent.
    pub battery_reserve_percent: u8,
    /// How much may flow over the connection point in each slot.
    pub limits: GridLimits,
}

impl Settings {
    /// All days, hands-off, by the slot before, without batteries.
    #[must_use]
    pub const fn new(mechanism: Mechanism, tariff: Tariff) -> Self {
        Self {
            mechanism,
            tariff,
            days: None,
            forecast_share_percent: USUAL_SHARE_PERCENT,
            preset: Preset::HandsOff,
            forecast: ForecastBy::LastSlot,
            batteries: Batteries::None,
            battery_reserve_percent: 0,
            limits: GridLimits { import: None, export: None },
        }
    }
}

/// A simulation cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataSetError),
    /// A site's name cannot be an id.
    #[error(transparent)]
    Site(#[from] InvalidId),
    /// The figures are absurd.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The book refused an order of the simulation: a defect.
    #[error("the book refused a simulated order: {0}")]
    Book(#[from] BookError),
    /// A battery of which only half is known cannot be played.
    #[error(
        "site {0} has only one of battery_wh and battery_w: give both, 0 and 0 for none, or play without `--batteries`"
    )]
    HalfBattery(String),
    /// No day was asked for.
    #[error("--days 0 plays nothing: give at least 1, or leave it out to play all")]
    NoDays,
    /// The result cannot be written.
    #[error("cannot write {path}: {source}")]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a simulation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// How energy was traded.
    pub mechanism: Mechanism,
    /// How sites traded.
    pub preset: Preset,
    /// What they expected by.
    pub forecast: ForecastBy,
    /// Sums over all slots.
    pub kpis: Kpis,
    /// Each member, in the order of the sites.
    pub members: Vec<MemberResult>,
    /// Each slot.
    pub slots: Vec<SlotResult>,
    /// What the batteries did.
    pub battery: BatteryUse,
    /// What all paid, in nano-currency, had the batteries done something else.
    pub compared: Vec<(Batteries, i128)>,
    /// How many sites have a battery, played or not.
    pub batteries_in_data: usize,
    /// What was left out when the data was read.
    pub left_out: LeftOut,
}

/// Plays `data`; `progress` is told after each slot how many are done, of how many.
///
/// # Errors
/// [`SimulateError`] with what to mend.
pub fn simulate(
    data: &DataSet,
    settings: &Settings,
    mut progress: impl FnMut(usize, usize),
) -> Result<Simulated, SimulateError> {
    let slots = slots_to_play(data, settings.days)?;
    check_batteries(data, settings)?;
    let sites = data.sites.len();
    let days = Days::of_profile(data.slot_seconds);
    let (mut meters, mut ledger) =
        (Meters::new(sites, data.slot_seconds), Ledger::new(sites, settings.tariff));
    let mut expect = Expect::new(sites, days, settings);
    let mut fleet = Fleet::new(data, days, settings);
    let mut neighbours = Neighbours::new(days);
    let mut results = Vec::with_capacity(slots);
    for (done, row) in (1..).zip(data.rows.iter().take(slots)) {
        let index = days.index(row.slot_start);
        let battery_wh = fleet.step(index, row, &expect, &neighbours)?;
        let metered = meters.advance(&row.powers, &battery_wh);
        let mut slot = SlotResult::new(row.slot_start);
        let mut net: Vec<Energy> = metered.iter().map(|site| Energy::from_wh(site.net_export_wh())).collect();
        if settings.mechanism != Mechanism::CallAuction {
            let wanted = wanted(settings, &expect, index, &battery_wh);
            trade_ahead(&wanted, settings, &mut net, &mut ledger, &mut slot)?;
        }
        if settings.mechanism != Mechanism::ContinuousDoubleAuction {
            close(&mut net, settings, &mut ledger, &mut slot)?;
        }
        let beyond = ledger.residuals(&net, settings.limits)?;
        ledger.base(&metered)?;
        slot.finish(&metered, &net);
        (slot.curtailed_wh, slot.over_limit_wh) = (beyond.curtailed_wh, beyond.over_limit_wh);
        neighbours.observe(index, volumes(&slot));
        expect.observe(index, &metered);
        results.push(slot);
        progress(done, slots);
    }
    let members = ledger.members(data);
    let kpis = Kpis::new(&results, &members, ledger.sum_nano(), &settings.tariff)?;
    let Settings { mechanism, preset, forecast, .. } = *settings;
    let has_battery = |site: &&crate::dataset::Site| site.battery_wh > 0 && site.battery_w > 0;
    Ok(Simulated {
        mechanism,
        preset,
        forecast,
        kpis,
        members,
        slots: results,
        battery: fleet.used(),
        compared: Vec::new(),
        batteries_in_data: data.sites.iter().filter(has_battery).count(),
        left_out: LeftOut::default(),
    })
}

/// What each site sends to the continuous auction, as a net sale in Wh.
fn wanted(settings: &Settings, expect: &Expect, index: i64, battery_wh: &[i64]) -> Vec<i64> {
    let planned = |wh: i64| if settings.batteries == Batteries::Planned { wh } else { 0 };
    (0..)
        .zip(battery_wh)
        .map(|(site, battery_wh)| {
            let net = expect.next(site, index).map(|residual| residual.shifted(planned(*battery_wh)));
            net.map_or(0, |net| wanted_wh(settings.preset, &net, settings.forecast_share_percent))
        })
        .collect()
}

/// The continuous auction of a slot: takes what is traded out of `net`.
fn trade_ahead(
    wanted_wh: &[i64],
    settings: &Settings,
    net: &mut [Energy],
    ledger: &mut Ledger,
    slot: &mut SlotResult,
) -> Result<(), SimulateError> {
    let seed = slot.slot_start.timestamp().cast_unsigned();
    for trade in trading::continuous(wanted_wh, settings, seed)? {
        ledger.trade(&trade)?;
        slot.trade(&trade);
        net[trade.seller] = net[trade.seller].checked_sub(trade.energy)?;
        net[trade.buyer] = net[trade.buyer].checked_add(trade.energy)?;
    }
    Ok(())
}

/// What the community did in a slot. Energy that was sold twice was local once.
fn volumes(slot: &SlotResult) -> Volumes {
    Volumes {
        import_wh: slot.import_wh,
        export_wh: slot.export_wh,
        local_wh: (slot.import_wh - slot.grid_import_wh).max(0),
    }
}

fn check_batteries(data: &DataSet, settings: &Settings) -> Result<(), SimulateError> {
    let half = |site: &&crate::dataset::Site| (site.battery_wh == 0) != (site.battery_w == 0);
    match data.sites.iter().find(half) {
        Some(site) if settings.batteries != Batteries::None => {
            Err(SimulateError::HalfBattery(site.id.clone()))
        }
        _ => Ok(()),
    }
}

fn slots_to_play(data: &DataSet, days: Option<u32>) -> Result<usize, SimulateError> {
    let Some(days) = days else { return Ok(data.rows.len()) };
    let wanted = u64::from(days) * 86_400 / u64::from(data.slot_seconds.max(1));
    match usize::try_from(wanted).unwrap_or(usize::MAX).min(data.rows.len()) {
        0 => Err(SimulateError::NoDays),
        slots => Ok(slots),
    }
}

/// The closing auction of a slot: takes what is traded out of `net`.
fn close(
    net: &mut [Energy],
    settings: &Settings,
    ledger: &mut Ledger,
    slot: &mut SlotResult,
) -> Result<(), SimulateError> {
    let orders: Vec<AuctionOrder> = crate::closing::orders(net.iter().copied(), &settings.tariff)?;
    let clearing = clear(&orders)?;
    let Some(price) = clearing.price else { return Ok(()) };
    slot.close(clearing.volume, price);
    for fill in &clearing.fills {
        ledger.fill(fill.index, orders[fill.index].side, fill.energy, price)?;
        let sold = signed(orders[fill.index].side, fill.energy)?;
        net[fill.index] = net[fill.index].checked_sub(sold)?;
    }
    Ok(())
}

/// An energy as a net sale: positive for an offer.
fn signed(side: domain::order::Side, energy: Energy) -> Result<Energy, Overflow> {
    match side {
        domain::order::Side::Offer => Ok(energy),
        domain::order::Side::Bid => energy.checked_neg(),
    }
}

/// What energy gains by staying in the community, at the tariffs: the room between the limits.
fn gain(tariff: &Tariff) -> Result<Price, Overflow> {
    tariff.highest_limit()?.checked_sub(tariff.lowest_limit())
}
