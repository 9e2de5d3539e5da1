//! Batteries of simulated sites: what they take, give and lose, by themselves or by plan.

use domain::tariff::Tariff;
use domain::units::{Energy, Overflow, Power};
use pilot::battery::{Battery, Step};
use pilot::day::Days;
use pilot::forecast::HORIZON;
use pilot::outlook::Neighbours;
use pilot::rhythm::Rhythm;
use pilot::schedule;

use super::Settings;
use super::expect::Expect;
use crate::dataset::{DataSet, ProfileRow};

const SECONDS_PER_HOUR: i64 = 3_600;

/// What batteries do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batteries {
    /// There are none.
    None,
    /// Each takes its own site's surplus and gives when its own site lacks energy.
    Own,
    /// Each follows the autopilot's plan.
    Planned,
}

impl Batteries {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Own => "own",
            Self::Planned => "planned",
        }
    }
}

/// What all batteries did, in Wh. What was stored before and charged is what is stored after, discharged
/// and lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatteryUse {
    /// What they were to do.
    pub batteries: Batteries,
    /// How many there are.
    pub count: usize,
    /// Stored at the start.
    pub stored_before_wh: i64,
    /// Taken from the sites.
    pub charged_wh: i64,
    /// Given to the sites.
    pub discharged_wh: i64,
    /// Lost on the way in and out.
    pub loss_wh: i64,
    /// Stored at the end.
    pub stored_after_wh: i64,
}

/// A battery and its state.
#[derive(Debug)]
struct Unit {
    battery: Battery,
    reserve_wh: i64,
    stored_wh: i64,
    plan: Vec<Step>,
}

/// The batteries of all sites.
#[derive(Debug)]
pub(super) struct Fleet {
    batteries: Batteries,
    tariff: Tariff,
    seconds: u32,
    units: Vec<Option<Unit>>,
    used: BatteryUse,
    rhythm: Rhythm,
}

impl Fleet {
    pub(super) fn new(data: &DataSet, days: Days, settings: &Settings) -> Self {
        let unit = |site: &crate::dataset::Site| {
            let (capacity, power) =
                (Energy::from_wh(site.battery_wh.into()), Power::from_w(site.battery_w.into()));
            let battery =
                Battery::usual(capacity, power).filter(|_| settings.batteries != Batteries::None)?;
            let reserve_wh = battery.reserve_wh(settings.battery_reserve_percent);
            Some(Unit { battery, reserve_wh, stored_wh: reserve_wh, plan: Vec::new() })
        };
        let units: Vec<_> = data.sites.iter().map(unit).collect();
        let stored = units.iter().flatten().map(|unit| unit.stored_wh).sum();
        let used = BatteryUse {
            batteries: settings.batteries,
            count: units.iter().flatten().count(),
            stored_before_wh: stored,
            charged_wh: 0,
            discharged_wh: 0,
            loss_wh: 0,
            stored_after_wh: stored,
        };
        let seconds = days.energy_seconds();
        Self {
            batteries: settings.batteries,
            tariff: settings.tariff,
            seconds,
            units,
            used,
            rhythm: Rhythm::default(),
        }
    }

    /// Plays slot `index`: what each battery gives (positive) or takes, in Wh.
    pub(super) fn step(
        &mut self,
        index: i64,
        row: &ProfileRow,
        expect: &Expect,
        neighbours: &Neighbours,
    ) -> Result<Vec<i64>, Overflow> {
        let ahead = self.rhythm.ahead(index);
        if self.batteries == Batteries::Planned && ahead == 0 {
            self.replan(index, expect, neighbours)?;
        }
        let mut net_wh = vec![0; self.units.len()];
        for (site, unit) in self.units.iter_mut().enumerate() {
            let Some(unit) = unit else { continue };
            let wish_wh = match self.batteries {
                Batteries::None => 0,
                Batteries::Own => {
                    // Surplus is taken, a lack is met.
                    -row.powers[site].net_w() * i64::from(self.seconds) / SECONDS_PER_HOUR
                }
                Batteries::Planned => unit.plan.get(ahead).map_or(0, |step| -step.net_wh()),
            };
            let step = unit.battery.play(unit.stored_wh, wish_wh, unit.reserve_wh, self.seconds);
            self.used.stored_after_wh += step.stored_wh - unit.stored_wh;
            unit.stored_wh = step.stored_wh;
            self.used.charged_wh += step.charge_wh;
            self.used.discharged_wh += step.discharge_wh;
            self.used.loss_wh += step.loss_wh;
            net_wh[site] = step.net_wh();
        }
        Ok(net_wh)
    }

    fn replan(&mut self, index: i64, expect: &Expect, neighbours: &Neighbours) -> Result<(), Overflow> {
        for (site, unit) in self.units.iter_mut().enumerate() {
            let Some(unit) = unit else { continue };
            let run = expect.ahead(site, index, HORIZON).unwrap_or_default();
            let outlooks: Vec<_> = (index..)
                .zip(&run)
                .map(|(at, slot)| neighbours.outlook(at, slot.p50_wh, &self.tariff, self.used.count))
                .collect::<Result<_, _>>()?;
            unit.plan =
                schedule::plan(&unit.battery, unit.stored_wh, unit.reserve_wh, self.seconds, &outlooks);
        }
        Ok(())
    }

    pub(super) const fn used(&self) -> BatteryUse {
        self.used
    }
}
