//! What a simulation is judged by. Energies and money are exact sums; shares are `None` where there is
//! nothing to divide by.

use chrono::{DateTime, Utc};
use domain::tariff::Tariff;
use domain::units::{Energy, Overflow, Price};

use super::meters::SlotEnergy;
use super::trading::SiteTrade;

/// What happened in one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotResult {
    /// When the slot starts, in the profile's time.
    pub slot_start: DateTime<Utc>,
    /// What the sites used, in Wh.
    pub consumption_wh: i64,
    /// What they produced, in Wh.
    pub production_wh: i64,
    /// What their meters imported, from neighbours or the grid, in Wh.
    pub import_wh: i64,
    /// What their meters exported, to neighbours or the grid, in Wh.
    pub export_wh: i64,
    /// Trades of the continuous auction.
    pub trades: usize,
    /// What these traded, in Wh.
    pub traded_wh: i64,
    /// What they were worth, fees apart, in nano-currency.
    pub traded_nano: i128,
    /// What the closing auction traded, in Wh.
    pub closing_wh: i64,
    /// Its price, in micro-currency per kWh.
    pub closing_price_micro_per_kwh: Option<i64>,
    /// What was bought from the grid, in Wh.
    pub grid_import_wh: i64,
    /// What was left for the grid, in Wh.
    pub grid_export_wh: i64,
    /// The part of it beyond the export limit, which earned nothing, in Wh.
    pub curtailed_wh: i64,
    /// The part of what was bought from the grid beyond the import limit, in Wh.
    pub over_limit_wh: i64,
}

impl SlotResult {
    pub(super) const fn new(slot_start: DateTime<Utc>) -> Self {
        Self {
            slot_start,
            consumption_wh: 0,
            production_wh: 0,
            import_wh: 0,
            export_wh: 0,
            trades: 0,
            traded_wh: 0,
            traded_nano: 0,
            closing_wh: 0,
            closing_price_micro_per_kwh: None,
            grid_import_wh: 0,
            grid_export_wh: 0,
            curtailed_wh: 0,
            over_limit_wh: 0,
        }
    }

    pub(super) fn trade(&mut self, trade: &SiteTrade) {
        self.trades += 1;
        self.traded_wh += trade.energy.wh();
        self.traded_nano += i128::from(trade.energy.wh()) * i128::from(trade.price.micro_per_kwh());
    }

    pub(super) fn close(&mut self, volume: Energy, price: Price) {
        self.closing_wh = volume.wh();
        self.closing_price_micro_per_kwh = Some(price.micro_per_kwh());
    }

    /// Notes what the meters counted, and what is left for the grid of each site's net export.
    pub(super) fn finish(&mut self, metered: &[SlotEnergy], left: &[Energy]) {
        for site in metered {
            self.consumption_wh += site.consumption_wh();
            self.production_wh += site.production_wh;
            self.import_wh += site.import_wh;
            self.export_wh += site.export_wh;
        }
        for net in left {
            self.grid_export_wh += net.wh().max(0);
            self.grid_import_wh -= net.wh().min(0);
        }
    }
}

/// What a member's energy cost over the simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberResult {
    /// The member's site.
    pub site_id: String,
    /// What it would have gained (positive) or paid at the tariffs alone, in nano-currency.
    pub base_nano: i128,
    /// What it gained (positive) or paid, in nano-currency.
    pub net_nano: i128,
    /// What it bought from neighbours, in Wh.
    pub bought_wh: i64,
    /// What it sold to neighbours, in Wh.
    pub sold_wh: i64,
}

impl MemberResult {
    /// What the market saved it, in nano-currency.
    #[must_use]
    pub const fn savings_nano(&self) -> i128 {
        self.net_nano - self.base_nano
    }
}

/// Sums over all slots, and the shares that follow from them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kpis {
    /// Slots played.
    pub slots: usize,
    /// What the sites used, in Wh.
    pub consumption_wh: i64,
    /// What they produced, in Wh.
    pub production_wh: i64,
    /// What their meters imported, in Wh.
    pub import_wh: i64,
    /// Trades of the continuous auction.
    pub trades: usize,
    /// What these traded, in Wh.
    pub traded_wh: i64,
    /// What the closing auction traded, in Wh.
    pub closing_wh: i64,
    /// What was bought from the grid, in Wh.
    pub grid_import_wh: i64,
    /// What was left for the grid, in Wh.
    pub grid_export_wh: i64,
    /// The part of it beyond the export limit, which earned nothing, in Wh.
    pub curtailed_wh: i64,
    /// The part of what was bought from the grid beyond the import limit, in Wh.
    pub over_limit_wh: i64,
    /// The sites' own and their neighbours' energy that they used, in Wh.
    pub local_used_wh: i64,
    /// Their production that was used locally, in Wh.
    pub production_used_wh: i64,
    /// Import that came from neighbours, in Wh.
    pub local_import_wh: i64,
    /// The mean price of all local energy, in micro-currency per kWh, rounded down.
    pub mean_price_micro_per_kwh: Option<i128>,
    /// The gains from trade: what energy that stayed in the community was worth beyond what the grid would
    /// have paid for it, network and platform fees taken off once, in nano-currency. Payments between
    /// accounts, such as fees on energy that was sold twice, are no part of it.
    pub welfare_nano: i128,
    /// The most that it could have been, in nano-currency.
    pub optimum_nano: i128,
    /// What members saved against the tariffs alone, in nano-currency.
    pub savings_nano: i128,
    /// What all would have paid at the tariffs alone, in nano-currency.
    pub base_cost_nano: i128,
    /// What all paid, in nano-currency.
    pub cost_nano: i128,
    /// The sum over all accounts, the grid's and the fees' included: zero.
    pub money_sum_nano: i128,
}

impl Kpis {
    pub(super) fn new(
        slots: &[SlotResult],
        members: &[MemberResult],
        money_sum_nano: i128,
        tariff: &Tariff,
    ) -> Result<Self, Overflow> {
        let gain = i128::from(super::gain(tariff)?.micro_per_kwh());
        let mut kpis = Self { slots: slots.len(), money_sum_nano, ..Self::default() };
        let mut paid_nano = 0;
        for slot in slots {
            kpis.add(slot);
            kpis.welfare_nano += i128::from(slot.import_wh - slot.grid_import_wh) * gain;
            kpis.optimum_nano += i128::from(slot.import_wh.min(slot.export_wh)) * gain;
            let closing_price = slot.closing_price_micro_per_kwh.unwrap_or_default();
            paid_nano += slot.traded_nano + i128::from(slot.closing_wh) * i128::from(closing_price);
        }
        let local_wh = i128::from(kpis.traded_wh + kpis.closing_wh);
        kpis.mean_price_micro_per_kwh = (local_wh > 0).then(|| paid_nano.div_euclid(local_wh.max(1)));
        kpis.savings_nano = members.iter().map(MemberResult::savings_nano).sum();
        kpis.base_cost_nano = -members.iter().map(|member| member.base_nano).sum::<i128>();
        kpis.cost_nano = -members.iter().map(|member| member.net_nano).sum::<i128>();
        Ok(kpis)
    }

    fn add(&mut self, slot: &SlotResult) {
        self.consumption_wh += slot.consumption_wh;
        self.production_wh += slot.production_wh;
        self.import_wh += slot.import_wh;
        self.trades += slot.trades;
        self.traded_wh += slot.traded_wh;
        self.closing_wh += slot.closing_wh;
        self.grid_import_wh += slot.grid_import_wh;
        self.grid_export_wh += slot.grid_export_wh;
        self.curtailed_wh += slot.curtailed_wh;
        self.over_limit_wh += slot.over_limit_wh;
        // Who sold more than it had buys the rest from the grid, so that both can exceed what was
        // metered; no share leaves the range from none to all.
        self.local_used_wh += (slot.consumption_wh - slot.grid_import_wh).max(0);
        self.production_used_wh += (slot.production_wh - slot.grid_export_wh).max(0);
        self.local_import_wh += (slot.import_wh - slot.grid_import_wh).max(0);
    }

    /// Energy used from own or local production over consumption.
    #[must_use]
    pub fn self_sufficiency(&self) -> Option<f64> {
        share(self.local_used_wh.into(), self.consumption_wh.into())
    }

    /// Production used locally over production.
    #[must_use]
    pub fn self_consumption(&self) -> Option<f64> {
        share(self.production_used_wh.into(), self.production_wh.into())
    }

    /// Import that came from neighbours over import.
    #[must_use]
    pub fn local_share(&self) -> Option<f64> {
        share(self.local_import_wh.into(), self.import_wh.into())
    }

    /// The gains from trade over the most that they could have been.
    #[must_use]
    pub fn welfare_share(&self) -> Option<f64> {
        share(self.welfare_nano, self.optimum_nano)
    }

    /// Savings over what all would have paid at the tariffs alone, in per cent.
    #[must_use]
    pub fn savings_percent(&self) -> Option<f64> {
        share(self.savings_nano, self.base_cost_nano).map(|share| share * 100.0)
    }
}

/// A ratio to be read; nothing is billed by it.
#[allow(clippy::cast_precision_loss)]
fn share(part: i128, whole: i128) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
