//! A community's profile data: who is connected, and what flows in each slot.
//!
//! The format is described in `crates/devnet/data/README.md`. The order of columns and lines does not matter, and
//! columns that are not known are not read. A demonstration takes figures strictly: whatever is not as described is
//! refused with file, line and column, because a cell that is silently read as zero would end as somebody's money. A
//! simulation takes communities as their owners wrote them ([`Reading`]): it leaves out what is incomplete and says so.

mod complete;
mod error;
mod figure;
mod grid;
mod profiles;
mod reading;
mod sites;
mod table;
mod time;

pub use error::{DataSetError, Problem};
pub use reading::{LeftOut, Limits, Reading};

use std::path::Path;

use chrono::{DateTime, Utc};

/// Name of the file that lists the connection points.
pub const SITES_FILE: &str = "sites.csv";
/// Name of the file that gives load and generation, slot by slot.
pub const PROFILES_FILE: &str = "profiles.csv";

/// One connection point, a line of `sites.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Unique id: letters, digits, `-` and `_` in a demonstration, any text without control characters in a simulation.
    pub id: String,
    /// Where it is connected, for people.
    pub connection_node: String,
    /// Kinds of load, for example `household` and `heat_pump`.
    pub load_kinds: Vec<String>,
    /// Names of the load profiles behind the figures.
    pub load_profiles: Vec<String>,
    /// Greatest load in W.
    pub load_peak_w: u32,
    /// Installed photovoltaic peak in W; 0 for none.
    pub pv_peak_w: u32,
    /// Usable battery energy in Wh; 0 for none.
    pub battery_wh: u32,
    /// Battery power in W; 0 for none.
    pub battery_w: u32,
}

/// Mean powers of one site in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SitePower {
    /// Mean load in W.
    pub load_w: u32,
    /// Mean photovoltaic power in W.
    pub pv_w: u32,
}

impl SitePower {
    /// Load less generation in W: positive is taken from the grid, negative is fed into it.
    #[must_use]
    pub fn net_w(self) -> i64 {
        i64::from(self.load_w) - i64::from(self.pv_w)
    }
}

/// One slot of the profile: the powers of all sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRow {
    /// Start of the slot, as the file gives it.
    pub slot_start: DateTime<Utc>,
    /// One entry a site, in the order of [`DataSet::sites`].
    pub powers: Vec<SitePower>,
}

/// A community's sites and their profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// The connection points, in the order of the file. Never empty.
    pub sites: Vec<Site>,
    /// The slots, ascending. Never empty.
    pub rows: Vec<ProfileRow>,
    /// Length of the profile's own slots in seconds, derived from `slot_start` (900 for quarter hours).
    pub slot_seconds: u32,
}

impl DataSet {
    /// Reads `sites.csv` and `profiles.csv` from `dir` for a demonstration: strictly, and nothing is left out.
    ///
    /// # Errors
    /// The first thing that is not as `crates/devnet/data/README.md` describes, with file, line and column.
    pub fn read(dir: &Path) -> Result<Self, DataSetError> {
        Self::read_as(dir, &Reading::demonstration()).map(|(data, _)| data)
    }

    /// Reads a data set as `reading` says, and what was left out of it.
    ///
    /// # Errors
    /// As [`DataSet::read`].
    pub fn read_as(dir: &Path, reading: &Reading) -> Result<(Self, LeftOut), DataSetError> {
        let sites = sites::read(&dir.join(SITES_FILE), reading)?;
        profiles::read(&dir.join(PROFILES_FILE), sites, reading)
    }
}
