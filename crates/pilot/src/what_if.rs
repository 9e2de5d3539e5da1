//! What a setting would have saved over slots that are past, as a price taker: it is assumed that the
//! prices would have been what they were.
//!
//! In each slot the site orders by the forecast that it would have had then. The order trades at the
//! slot's mean trade price if its last limit reached it; what it did not trade meets the closing price, in the
//! share that was served then; the rest goes to the tariffs. What is bought locally pays the network fee that its
//! zone paid then. Energy and money are exact.

use chrono::{DateTime, Utc};
use domain::order::Side;
use domain::tariff::Tariff;
use domain::units::{Energy, Overflow, Price};

use crate::battery::Battery;
use crate::bounds::Bounds;
use crate::day::Days;
use crate::forecast::{HORIZON, forecast};
use crate::history::{History, Observed};
use crate::intent::{Expected, Intent};
use crate::outlook::{Neighbours, Volumes};
use crate::quantile::Quantiles;
use crate::ramp::STEPS;
use crate::rhythm::Rhythm;
use crate::schedule;
use crate::settings::Settings;

const PERMILLE: i64 = 1_000;

/// A past slot of a site and of its community.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastSlot {
    /// When it started.
    pub slot_start: DateTime<Utc>,
    /// What held.
    pub tariff: Tariff,
    /// What the site metered, in Wh: import and export.
    pub import_wh: i64,
    /// See `import_wh`.
    pub export_wh: i64,
    /// What it produced, if that was metered.
    pub production_wh: Option<i64>,
    /// Whether that is what it did in this slot alone: neither substituted nor mixed with other slots' energy. Only
    /// such a slot is learned from.
    pub is_own: bool,
    /// What a planned battery added to its net export then, in Wh.
    pub battery_wh: i64,
    /// What it sold less what it bought ahead and in closing, in Wh.
    pub local_net_wh: i64,
    /// What that came to, fees apart, in nano-currency; positive is earned.
    pub local_net_nano: i64,
    /// What it bought locally, in Wh: fees are due on it.
    pub local_bought_wh: i64,
    /// The network fees that it paid on that, in nano-currency.
    pub network_fee_nano: i64,
    /// What a kWh that its zone bought locally paid to the network on the whole; the highest that it may pay, where
    /// it bought nothing.
    pub network_fee: Price,
    /// Between what its limits could lie.
    pub bounds: Bounds,
    /// The slot's mean trade price, if anything traded.
    pub trade_price: Option<Price>,
    /// The closing auction's price, if anything traded there.
    pub closing_price: Option<Price>,
    /// What the community did.
    pub volumes: Volumes,
}

/// What a setting would have come to. Money in nano-currency, positive earned; energy in Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WhatIf {
    /// How many slots were looked at.
    pub slots: usize,
    /// Metered.
    pub import_wh: i64,
    /// Metered.
    pub export_wh: i64,
    /// At the tariffs alone.
    pub base_net_nano: i128,
    /// As it was.
    pub actual_net_nano: i128,
    /// As it would have been.
    pub what_if_net_nano: i128,
    /// What would have been traded ahead.
    pub traded_wh: i64,
    /// What would have gone through the closing auction.
    pub closing_wh: i64,
    /// What would have come from the grid or gone to it.
    pub grid_wh: i64,
    /// What the battery would have taken.
    pub charged_wh: i64,
    /// What it would have given.
    pub discharged_wh: i64,
    /// What it would have lost.
    pub loss_wh: i64,
}

/// A site that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// How it would have traded.
    pub settings: &'a Settings,
    /// Its battery, if it has one.
    pub battery: Option<Battery>,
    /// How much of a forecast those who are hands-off trade, in per cent.
    pub share_percent: u8,
}

/// Plays `past`, in the order of time. Nothing later than a slot decides what is ordered for it.
///
/// # Errors
/// [`Overflow`] if the figures are absurd.
pub fn what_if(site: &Site<'_>, days: Days, past: &[PastSlot]) -> Result<WhatIf, Overflow> {
    let mut player = Player::new(site, days);
    let mut result = WhatIf { slots: past.len(), ..WhatIf::default() };
    for slot in past {
        player.play(slot, &mut result)?;
    }
    Ok(result)
}

struct Player<'a> {
    site: &'a Site<'a>,
    battery: Option<Battery>,
    days: Days,
    history: History,
    neighbours: Neighbours,
    stored_wh: i64,
    /// The battery's steps from the slot on in which it was planned.
    plan: Vec<i64>,
    rhythm: Rhythm,
}

impl<'a> Player<'a> {
    fn new(site: &'a Site<'a>, days: Days) -> Self {
        let battery = site.battery.filter(|_| site.settings.follows_battery_plan);
        Self {
            site,
            battery,
            days,
            history: History::new(days),
            neighbours: Neighbours::new(days),
            stored_wh: battery.map_or(0, |b| b.reserve_wh(site.settings.battery_reserve_percent)),
            plan: Vec::new(),
            rhythm: Rhythm::default(),
        }
    }

    fn play(&mut self, slot: &PastSlot, result: &mut WhatIf) -> Result<(), Overflow> {
        let index = self.days.index(slot.slot_start);
        let residual = forecast(&self.history, index, 1).and_then(|run| run.first().copied());
        let ahead = self.rhythm.ahead(index);
        if self.battery.is_some() && ahead == 0 {
            self.replan(index, slot)?;
        }
        let battery_wh = self.step(ahead, result);
        let metered = slot.export_wh - slot.import_wh;
        let own = metered - slot.battery_wh;
        let net_wh = if self.battery.is_some() { own + battery_wh } else { metered };
        result.import_wh += slot.import_wh;
        result.export_wh += slot.export_wh;
        result.base_net_nano += at_tariff(metered, &slot.tariff)?;
        result.actual_net_nano += actual_nano(slot)?;
        let residual =
            residual.map(|residual| Expected { slot_start: slot.slot_start, residual, battery_wh });
        result.what_if_net_nano += self.trade(slot, residual, net_wh, result)?;
        let learned = if self.battery.is_some() { own } else { metered };
        if slot.is_own {
            self.history.observe(index, Observed { net_wh: learned, production_wh: slot.production_wh });
        }
        self.neighbours.observe(index, slot.volumes);
        Ok(())
    }

    /// Makes a plan from what is known before the slot; its tariff stands for those to come.
    fn replan(&mut self, index: i64, slot: &PastSlot) -> Result<(), Overflow> {
        let Some(battery) = self.battery else { return Ok(()) };
        let run = forecast(&self.history, index, HORIZON).unwrap_or_else(|| vec![Quantiles::default()]);
        let outlooks: Vec<_> = (index..)
            .zip(&run)
            .map(|(at, quantiles)| self.neighbours.outlook(at, quantiles.p50_wh, &slot.tariff, 1))
            .collect::<Result<_, _>>()?;
        let reserve = battery.reserve_wh(self.site.settings.battery_reserve_percent);
        let steps = schedule::plan(&battery, self.stored_wh, reserve, self.days.energy_seconds(), &outlooks);
        self.plan = steps.iter().map(schedule_net).collect();
        Ok(())
    }

    /// Plays the battery's part of a slot, step `ahead` of its plan: what it adds to the net export, in Wh.
    fn step(&mut self, ahead: usize, result: &mut WhatIf) -> i64 {
        let Some(battery) = self.battery else { return 0 };
        let wish = self.plan.get(ahead).copied().unwrap_or_default();
        let reserve = battery.reserve_wh(self.site.settings.battery_reserve_percent);
        let step = battery.play(self.stored_wh, -wish, reserve, self.days.energy_seconds());
        self.stored_wh = step.stored_wh;
        result.charged_wh += step.charge_wh;
        result.discharged_wh += step.discharge_wh;
        result.loss_wh += step.loss_wh;
        step.net_wh()
    }

    /// Trades a slot: what it comes to, in nano-currency.
    fn trade(
        &self,
        slot: &PastSlot,
        expected: Option<Expected>,
        net_wh: i64,
        result: &mut WhatIf,
    ) -> Result<i128, Overflow> {
        let mut money = 0;
        let ahead_wh = match expected {
            Some(expected) => self.ahead_wh(slot, &expected)?,
            None => 0,
        };
        if let Some(price) = slot.trade_price {
            money += local_nano(ahead_wh, price, slot)?;
            result.traded_wh += ahead_wh.abs();
        }
        let left_wh = net_wh - ahead_wh;
        let closing_wh = slot.closing_price.map_or(0, |_| closing_wh(left_wh, slot));
        if let Some(price) = slot.closing_price {
            money += local_nano(closing_wh, price, slot)?;
            result.closing_wh += closing_wh.abs();
        }
        let rest_wh = left_wh - closing_wh;
        result.grid_wh += rest_wh.abs();
        Ok(money + at_tariff(rest_wh, &slot.tariff)?)
    }

    /// What is traded ahead, as a net sale in Wh.
    fn ahead_wh(&self, slot: &PastSlot, expected: &Expected) -> Result<i64, Overflow> {
        let (settings, most) = (self.site.settings, Energy::from_wh(i64::MAX));
        let Some(intent) = Intent::of(settings, expected, self.site.share_percent, most) else {
            return Ok(0);
        };
        let Some(price) = slot.trade_price else { return Ok(0) };
        let Some(highest) = slot.bounds.highest(intent.side) else { return Ok(0) };
        let (lowest, highest) = settings.bounds(intent.side, slot.bounds.lowest, highest);
        let limit = settings.preset.limit(intent.side, STEPS - 1, lowest, highest);
        Ok(match intent.side {
            Side::Offer if limit <= price => intent.energy.wh(),
            Side::Bid if limit >= price => -intent.energy.wh(),
            Side::Offer | Side::Bid => 0,
        })
    }
}

const fn schedule_net(step: &crate::battery::Step) -> i64 {
    step.net_wh()
}

/// What of a residual meets a neighbour in the closing auction: the share that was served then.
fn closing_wh(left_wh: i64, slot: &PastSlot) -> i64 {
    // A buyer whose zone's fees are too high for the price was not served.
    if left_wh < 0 && slot.closing_price.is_some_and(|price| price > slot.bounds.highest_bid) {
        return 0;
    }
    let Volumes { import_wh, export_wh, local_wh } = slot.volumes;
    let whole = if left_wh < 0 { import_wh } else { export_wh };
    let served = if whole > 0 { (local_wh * PERMILLE / whole).clamp(0, PERMILLE) } else { 0 };
    let wh = i128::from(left_wh) * i128::from(served) / i128::from(PERMILLE);
    // Not more than what was left.
    i64::try_from(wh).unwrap_or_default()
}

fn actual_nano(slot: &PastSlot) -> Result<i128, Overflow> {
    let fees = nano(slot.tariff.platform_fee(), slot.local_bought_wh)? + i128::from(slot.network_fee_nano);
    let rest = slot.export_wh - slot.import_wh - slot.local_net_wh;
    Ok(i128::from(slot.local_net_nano) - fees + at_tariff(rest, &slot.tariff)?)
}

/// A net sale at a local price; a buyer pays the fees on top.
fn local_nano(net_sale_wh: i64, price: Price, slot: &PastSlot) -> Result<i128, Overflow> {
    if net_sale_wh >= 0 {
        return nano(price, net_sale_wh);
    }
    nano(price.checked_add(slot.network_fee)?.checked_add(slot.tariff.platform_fee())?, net_sale_wh)
}

fn at_tariff(net_wh: i64, tariff: &Tariff) -> Result<i128, Overflow> {
    nano(if net_wh < 0 { tariff.retail() } else { tariff.feed_in() }, net_wh)
}

fn nano(price: Price, wh: i64) -> Result<i128, Overflow> {
    Ok(price.checked_mul(Energy::from_wh(wh))?.nano().into())
}

#[cfg(test)]
mod tests;
