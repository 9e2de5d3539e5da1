//! What every meter of the community shows at an instant, computed and not counted.
//!
//! A register is the exact integral of the profile from the epoch to the instant plus a starting value, so it needs no
//! memory: after a crash, or on another machine, it is the same. Sums up to each row are taken once, so an instant
//! years after the epoch costs no more than the first. Only a battery has a memory (see [`super::storage`]): what it
//! took and gave is added to the integral.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::units::{Energy, Power};
use pilot::battery::Battery;

use super::identity::Identity;
use super::profile_clock::{Position, ProfileClock};
use super::storage::{Plan, Storage, StorageError};
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
    /// What the battery takes at this instant in W of profile time, rounded; negative while it gives.
    pub battery_w: i64,
}

impl Registers {
    /// Power at the connection point in W: positive is taken from the grid.
    #[must_use]
    pub fn net_w(&self) -> i64 {
        self.power.net_w() + self.battery_w
    }
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
    /// The battery of each site that has one; empty if none plays.
    batteries: Vec<Option<Storage>>,
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
        Self { data, clock, sums, start, batteries: Vec::new() }
    }

    /// The same meters, with the batteries of the data set playing; their state is stored in `dir`.
    ///
    /// # Errors
    /// When a battery's state cannot be read, or the folder not be made.
    pub fn with_batteries(mut self, dir: &Path) -> Result<Self, StorageError> {
        fs::create_dir_all(dir).map_err(|error| StorageError::File(dir.to_owned(), error))?;
        let seconds = self.clock.profile_slot_seconds();
        let open = |site: &crate::dataset::Site| {
            let capacity = Energy::from_wh(i64::from(site.battery_wh));
            let battery = Battery::usual(capacity, Power::from_w(i64::from(site.battery_w)));
            battery.map(|battery| Storage::open(battery, seconds, dir, &site.id)).transpose()
        };
        self.batteries = self.data.sites.iter().map(open).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The positions of the sites whose batteries play.
    pub fn battery_sites(&self) -> impl Iterator<Item = usize> {
        self.batteries.iter().enumerate().filter_map(|(index, battery)| battery.as_ref().map(|_| index))
    }

    /// Tells the battery of a site what to do from the next slot on; nothing happens where there is none.
    pub fn follow(&self, site_index: usize, plan: Plan) {
        if let Some(battery) = self.battery(site_index) {
            battery.follow(plan);
        }
    }

    fn battery(&self, site_index: usize) -> Option<&Storage> {
        self.batteries.get(site_index)?.as_ref()
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
            battery_w: 0,
        };
        let Some(mut position) = self.clock.position(now) else {
            return Some(registers);
        };
        let played = self.battery(site_index).map(|battery| {
            battery.play(position.slot, |slot| self.own_j(site_index, &self.clock.start_of(slot)))
        });
        if let Some(played) = played.filter(|played| played.slot > position.slot) {
            // Somebody else looked at the next slot in between.
            position = self.clock.start_of(played.slot);
        }
        let sites = self.data.sites.len();
        let before = self.sums.get(position.row * sites + site_index)?;
        let cycle = self.sums.get(self.data.rows.len() * sites + site_index)?;
        let power = *self.data.rows.get(position.row)?.powers.get(site_index)?;
        let own_j = self.own_j(site_index, &position);
        let net_j = played.map_or(own_j, |played| played.net_j(own_j));
        let (import_j, export_j) = played.map_or((0, 0), |played| (played.import_j, played.export_j));
        let seconds = u64::from(self.clock.profile_slot_seconds());
        let mwh = |cycle, before, carried, slot| self.mwh(&position, cycle, before, carried, slot);
        registers.import_mwh += mwh(cycle.import, before.import, import_j, net_j.max(0).unsigned_abs());
        registers.export_mwh += mwh(cycle.export, before.export, export_j, net_j.min(0).unsigned_abs());
        registers.production_mwh +=
            mwh(cycle.production, before.production, 0, u64::from(power.pv_w) * seconds);
        registers.power = power;
        registers.battery_w = (net_j - own_j) / i64::from(self.clock.profile_slot_seconds()).max(1);
        Some(registers)
    }

    /// What a site takes from the grid (positive) or feeds in over a whole slot without a battery, in J.
    fn own_j(&self, site_index: usize, position: &Position) -> i64 {
        let power = self.data.rows.get(position.row).and_then(|row| row.powers.get(site_index));
        power.map_or(0, |power| power.net_w() * i64::from(self.clock.profile_slot_seconds()))
    }

    /// Greatest power of a site over the whole profile in W, load, generation or their difference, and with its battery.
    #[must_use]
    pub fn peak_w(&self, site_index: usize) -> u32 {
        let powers = self.data.rows.iter().filter_map(|row| row.powers.get(site_index));
        let own_w = powers.map(|power| power.load_w.max(power.pv_w)).max().unwrap_or(0);
        own_w.saturating_add(self.battery(site_index).map_or(0, Storage::power_w))
    }

    /// Whole mWh from the epoch to `position`, rounded down once, so that a register never goes back: those of the
    /// profile, what a battery changed before (`carried_j`), and the part that has passed of the slot's `slot_j`.
    fn mwh(&self, position: &Position, cycle_j: u64, before_j: u64, carried_j: i64, slot_j: u64) -> u64 {
        let slot_us = i128::from(self.clock.slot_us());
        let whole_j = i128::from(cycle_j) * i128::from(position.cycle) + i128::from(before_j);
        let joule_us = (whole_j + i128::from(carried_j)) * slot_us
            + i128::from(slot_j) * i128::from(position.into_slot_us);
        // 1 Wh is 3,600 J, so 18 J are 5 mWh.
        let mwh = joule_us * 5 / (18 * slot_us);
        // Reached after some million years at a gigawatt.
        u64::try_from(mwh).unwrap_or(u64::MAX / 2)
    }
}
