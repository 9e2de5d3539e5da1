//! What every meter of the community shows at an instant, computed and not counted.
//!
//! A register is the exact integral of the profile from the epoch to the instant plus a starting value, so it needs no
//! memory: after a crash, or on another machine, it is the same. Sums up to each row are taken once, so an instant
//! years after the epoch costs no more than the first.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::identity::Identity;
use super::profile_clock::{Position, ProfileClock};
use crate::dataset::{DataSet, SitePower};

/// Cumulative registers of a site and the power that moves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// Energy taken from the grid at the connection point, in mWh.
    pub import_mwh: u64,
    /// Energy fed into the grid at the connection point, in mWh.
    pub export_mwh: u64,
    /// Energy that the photovoltaics have made, in mWh.
    pub production_mwh: u64,
    /// The profile's power at this instant; zero before the epoch. In a shortened slot the energy runs faster than
    /// this power, because the slot carries a whole row of the profile.
    pub power: SitePower,
}

/// Energy in joules (watt-seconds of profile time), the unit in which a row's energy is a whole number.
#[derive(Debug, Clone, Copy, Default)]
struct Joules {
    import: u64,
    export: u64,
    production: u64,
}

/// The meters of all sites.
#[derive(Debug)]
pub struct MeterBank {
    data: Arc<DataSet>,
    clock: ProfileClock,
    /// `sums[row * sites + site]`: energy of all rows before `row`; one row more than the profile has.
    sums: Vec<Joules>,
    start: Vec<Identity>,
}

impl MeterBank {
    /// The meters of `data`, played by `clock`.
    #[must_use]
    pub fn new(data: Arc<DataSet>, clock: ProfileClock) -> Self {
        let sites = data.sites.len();
        let seconds = u64::from(clock.profile_slot_seconds());
        let mut sums = Vec::with_capacity((data.rows.len() + 1) * sites);
        let mut sum = vec![Joules::default(); sites];
        sums.extend_from_slice(&sum);
        for row in &data.rows {
            for (sum, power) in sum.iter_mut().zip(&row.powers) {
                let net_w = power.net_w();
                sum.import += net_w.max(0).unsigned_abs() * seconds;
                sum.export += net_w.min(0).unsigned_abs() * seconds;
                sum.production += u64::from(power.pv_w) * seconds;
            }
            sums.extend_from_slice(&sum);
        }
        let start =
            data.sites.iter().map(|site| Identity::of(&site.id).with_pv(site.pv_peak_w > 0)).collect();
        Self { data, clock, sums, start }
    }

    /// The data that is played.
    #[must_use]
    pub fn data(&self) -> &DataSet {
        &self.data
    }

    /// The clock that plays it.
    #[must_use]
    pub fn clock(&self) -> &ProfileClock {
        &self.clock
    }

    /// Registers of the site at `site_index` (its position in the data set) at `now`. Before the epoch they stand
    /// at their starting values. None if there is no such site.
    #[must_use]
    pub fn registers(&self, site_index: usize, now: DateTime<Utc>) -> Option<Registers> {
        let start = self.start.get(site_index)?;
        let mut registers = Registers {
            import_mwh: u64::from(start.import_wh) * 1_000,
            export_mwh: u64::from(start.export_wh) * 1_000,
            production_mwh: u64::from(start.production_wh) * 1_000,
            power: SitePower::default(),
        };
        let Some(position) = self.clock.position(now) else {
            return Some(registers);
        };
        let sites = self.data.sites.len();
        let before = self.sums.get(position.row * sites + site_index)?;
        let cycle = self.sums.get(self.data.rows.len() * sites + site_index)?;
        let power = *self.data.rows.get(position.row)?.powers.get(site_index)?;
        let net_w = power.net_w();
        let mwh = |cycle, before, power_w| self.mwh(&position, cycle, before, power_w);
        registers.import_mwh += mwh(cycle.import, before.import, net_w.max(0).unsigned_abs());
        registers.export_mwh += mwh(cycle.export, before.export, net_w.min(0).unsigned_abs());
        registers.production_mwh += mwh(cycle.production, before.production, u64::from(power.pv_w));
        registers.power = power;
        Some(registers)
    }

    /// Greatest power of a site over the whole profile in W, load, generation or their difference.
    #[must_use]
    pub fn peak_w(&self, site_index: usize) -> u32 {
        let powers = self.data.rows.iter().filter_map(|row| row.powers.get(site_index));
        powers.map(|power| power.load_w.max(power.pv_w)).max().unwrap_or(0)
    }

    /// Whole mWh from the epoch to `position`, rounded down once, so that a register never goes back.
    fn mwh(&self, position: &Position, cycle_j: u64, before_j: u64, power_w: u64) -> u64 {
        let slot_us = u128::from(self.clock.slot_us());
        let whole_j = u128::from(cycle_j) * u128::from(position.cycle) + u128::from(before_j);
        let slot_j = u128::from(power_w) * u128::from(self.clock.profile_slot_seconds());
        let joule_us = whole_j * slot_us + slot_j * u128::from(position.into_slot_us);
        // 1 Wh is 3,600 J, so 18 J are 5 mWh.
        let mwh = joule_us * 5 / (18 * slot_us);
        // Reached after some million years at a gigawatt.
        u64::try_from(mwh).unwrap_or(u64::MAX / 2)
    }
}
