//! What simulated sites expect of the next slot.

use pilot::day::Days;
use pilot::forecast::forecast;
use pilot::history::{History, Observed};
use pilot::quantile::Quantiles;

use super::{Batteries, Settings, SlotEnergy};

/// What sites expect by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForecastBy {
    /// The next slot is like the last that was played.
    LastSlot,
    /// The autopilot's forecast, learned on the way.
    Learned,
}

impl ForecastBy {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LastSlot => "last-slot",
            Self::Learned => "learned",
        }
    }
}

/// What each site did so far.
#[derive(Debug)]
pub(super) struct Expect {
    by: ForecastBy,
    /// Whether what a battery did is taken out again, since its plan is known.
    without_battery: bool,
    /// Kept only if something is learned from them.
    histories: Vec<History>,
    last_wh: Vec<Option<i64>>,
}

impl Expect {
    pub(super) fn new(sites: usize, days: Days, settings: &Settings) -> Self {
        let learns = settings.forecast == ForecastBy::Learned || settings.batteries == Batteries::Planned;
        Self {
            by: settings.forecast,
            without_battery: settings.batteries == Batteries::Planned,
            histories: if learns { vec![History::new(days); sites] } else { Vec::new() },
            last_wh: vec![None; sites],
        }
    }

    /// The next slot of a site, `index`; `None` before it did anything.
    pub(super) fn next(&self, site: usize, index: i64) -> Option<Quantiles> {
        let last = self.last_wh.get(site).copied().flatten().map(Quantiles::certain);
        match self.by {
            ForecastBy::LastSlot => last,
            // After skipped days the last slot that was played is still the best there is.
            ForecastBy::Learned => self.ahead(site, index, 1).and_then(|run| run.first().copied()).or(last),
        }
    }

    /// The next slots of a site.
    pub(super) fn ahead(&self, site: usize, index: i64, slots: usize) -> Option<Vec<Quantiles>> {
        forecast(self.histories.get(site)?, index, slots)
    }

    /// Learns what the sites' meters counted.
    pub(super) fn observe(&mut self, index: i64, metered: &[SlotEnergy]) {
        for (site, seen) in metered.iter().enumerate() {
            let battery_wh = if self.without_battery { seen.battery_wh } else { 0 };
            let net_wh = seen.net_export_wh() - battery_wh;
            self.last_wh[site] = Some(net_wh);
            if let Some(history) = self.histories.get_mut(site) {
                history.observe(index, Observed { net_wh, production_wh: Some(seen.production_wh) });
            }
        }
    }
}
