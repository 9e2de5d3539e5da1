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
    /// What the batteries gave (positive) or took on the whole, in Wh.
    pub battery_wh: i64,
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
            battery_wh: 0,
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
            self.battery_wh += site.battery_wh;
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

    /// That over what it would have paid, or gained, at the tariffs alone, in per cent.
    #[must_use]
    pub fn savings_percent(&self) -> Option<f64> {
        percent(self.savings_nano(), self.base_nano)
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
    /// The sites' own and their neighbours' energy that they used, in Wh; what a battery had from the grid is neither.
    pub local_used_wh: i64,
    /// Their production that was used locally, in Wh; what went to the grid out of a battery was not.
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
        let (mut paid_nano, mut from_grid_wh) = (0, 0);
        for slot in slots {
            kpis.add(slot);
            kpis.add_local(slot, &mut from_grid_wh);
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
        self.local_import_wh += (slot.import_wh - slot.grid_import_wh).max(0);
    }

    /// Adds what was used locally. Who sold more than it had buys the rest from the grid, so that grid flows can exceed
    /// what was metered; no share leaves the range from none to all. As far as batteries explain it, the excess counts
    /// where it belongs: what they charged from the grid (`from_grid_wh` so far) against what is local later, what
    /// they gave to the grid against production that counted as used when they stored it.
    fn add_local(&mut self, slot: &SlotResult, from_grid_wh: &mut i64) {
        let local_wh = slot.consumption_wh - slot.grid_import_wh;
        let stored_wh = local_wh.clamp(0, (*from_grid_wh).max(0));
        *from_grid_wh += (-local_wh).min(-slot.battery_wh).max(0) - stored_wh;
        self.local_used_wh += local_wh.max(0) - stored_wh;
        let used_wh = slot.production_wh - slot.grid_export_wh;
        let given_wh = (-used_wh).min(slot.battery_wh).max(0);
        self.production_used_wh = (self.production_used_wh + used_wh.max(0) - given_wh).max(0);
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

    /// Savings over what all would have paid, or gained, at the tariffs alone, in per cent.
    #[must_use]
    pub fn savings_percent(&self) -> Option<f64> {
        percent(self.savings_nano, self.base_cost_nano)
    }
}

/// Savings over a base case, whichever way its money goes.
fn percent(savings_nano: i128, base_nano: i128) -> Option<f64> {
    share(savings_nano, base_nano.abs()).map(|share| share * 100.0)
}

/// A ratio to be read; nothing is billed by it.
#[allow(clippy::cast_precision_loss)]
fn share(part: i128, whole: i128) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots of (consumption, production, battery, from the grid, to the grid) in Wh.
    fn of(slots: &[(i64, i64, i64, i64, i64)]) -> (i64, i64) {
        let price = Price::from_micro_per_kwh;
        let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
        let slot =
            |(consumption_wh, production_wh, battery_wh, grid_import_wh, grid_export_wh): &_| SlotResult {
                consumption_wh: *consumption_wh,
                production_wh: *production_wh,
                battery_wh: *battery_wh,
                grid_import_wh: *grid_import_wh,
                grid_export_wh: *grid_export_wh,
                ..SlotResult::new(DateTime::UNIX_EPOCH)
            };
        let slots: Vec<_> = slots.iter().map(slot).collect();
        let kpis = Kpis::new(&slots, &[], 0, &tariff).unwrap();
        (kpis.local_used_wh, kpis.production_used_wh)
    }

    #[test]
    fn what_was_stored_from_the_grid_is_not_local_when_it_is_used() {
        // 300 Wh for 100 Wh of use and 200 Wh into the battery, which gives 180 Wh back, 20 Wh lost.
        assert_eq!(of(&[(100, 0, -200, 300, 0), (180, 0, 180, 0, 0), (50, 50, 0, 0, 0)]), (30, 50));
        // From production it is.
        assert_eq!(of(&[(100, 300, -200, 0, 0), (180, 0, 180, 0, 0)]), (280, 300));
        // Stored and not used yet, nothing that was local before is taken away.
        assert_eq!(of(&[(50, 50, 0, 0, 0), (100, 0, -200, 300, 0)]), (50, 50));
    }

    #[test]
    fn what_goes_to_the_grid_out_of_a_battery_was_not_used_locally() {
        assert_eq!(of(&[(0, 200, -200, 0, 0), (0, 0, 180, 0, 180)]), (0, 20));
        assert_eq!(of(&[(0, 0, 180, 0, 180), (100, 100, 0, 0, 0)]), (100, 100));
    }

    #[test]
    fn without_batteries_no_slot_counts_against_another() {
        // Who sold 100 Wh more than it had buys them, and who bought more than it needs sells them.
        assert_eq!(of(&[(100, 0, 0, 200, 0), (100, 100, 0, 0, 0), (0, 100, 0, 0, 200)]), (100, 100));
        // A battery of 10 Wh explains no more than 10 of them.
        assert_eq!(of(&[(100, 0, -10, 200, 0), (100, 100, 0, 0, 0)]), (90, 100));
    }
}
