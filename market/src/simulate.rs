//! A community over its profiles, without a database: what a mechanism is worth. `market simulate`.
//!
//! Every site is a member of its own. In a continuous auction each sends what it had left over or
//! lacked in the slot before, as the autopilot does, and moves its limit in the autopilot's four steps;
//! in the closing auction it sends what its meter shows beyond what it traded. What is left is the
//! grid's. Profiles are played as they are: batteries that they do not contain are not simulated.

mod kpis;
mod ledger;
mod meters;
mod report;
mod trading;

use std::path::PathBuf;

use domain::ids::InvalidId;
use domain::tariff::Tariff;
use domain::units::{Energy, Overflow, Price};

use crate::auction::{AuctionOrder, clear};
use crate::book::BookError;
use crate::clear::Mechanism;
use crate::dataset::{DataSet, DataSetError};

pub use kpis::{Kpis, MemberResult, SlotResult};
pub use report::{csv, json, text};

use ledger::Ledger;
use meters::Meters;

/// What a simulation takes besides the data.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How energy is traded.
    pub mechanism: Mechanism,
    /// The prices of every slot.
    pub tariff: Tariff,
    /// How many days of the profile are played; all if `None`.
    pub days: Option<u32>,
    /// How much of what it expects a site sends to the continuous auction, in per cent.
    pub forecast_share_percent: u8,
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
    /// Sums over all slots.
    pub kpis: Kpis,
    /// Each member, in the order of the sites.
    pub members: Vec<MemberResult>,
    /// Each slot.
    pub slots: Vec<SlotResult>,
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
    let sites = data.sites.len();
    let (mut meters, mut ledger) =
        (Meters::new(sites, data.slot_seconds), Ledger::new(sites, settings.tariff));
    let mut expected: Option<Vec<Energy>> = None;
    let mut results = Vec::with_capacity(slots);
    for (number, row) in data.rows.iter().take(slots).enumerate() {
        let metered = meters.advance(&row.powers);
        let mut slot = SlotResult::new(row.slot_start);
        let mut net: Vec<Energy> = metered.iter().map(|site| Energy::from_wh(site.net_export_wh())).collect();
        let next_expected = net.clone();
        if settings.mechanism != Mechanism::CallAuction
            && let Some(expected) = &expected
        {
            let seed = row.slot_start.timestamp().cast_unsigned();
            for trade in trading::continuous(expected, settings, seed)? {
                ledger.trade(&trade)?;
                slot.trade(&trade);
                net[trade.seller] = net[trade.seller].checked_sub(trade.energy)?;
                net[trade.buyer] = net[trade.buyer].checked_add(trade.energy)?;
            }
        }
        if settings.mechanism != Mechanism::ContinuousDoubleAuction {
            close(&mut net, settings, &mut ledger, &mut slot)?;
        }
        ledger.residuals(&net)?;
        ledger.base(&metered)?;
        slot.finish(&metered, &net);
        results.push(slot);
        expected = Some(next_expected);
        progress(number + 1, slots);
    }
    let members = ledger.members(data);
    let kpis = Kpis::new(&results, &members, ledger.sum_nano(), &settings.tariff)?;
    Ok(Simulated { mechanism: settings.mechanism, kpis, members, slots: results })
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
