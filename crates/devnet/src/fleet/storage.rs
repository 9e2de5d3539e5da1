//! A simulated battery behind a site's meter: it follows the plan it was given, within its power, room and reserve.
//! In a slot without a plan it serves its own site: it takes the surplus and meets the lack.
//!
//! What it does in a slot is decided when the slot is first looked at and does not change afterwards, so that no
//! register goes back. Unlike a profile this is no function of time, so each decision is stored before it is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use pilot::battery::Battery;
use serde::{Deserialize, Serialize};

/// What a fresh battery holds, and what the members of a demonstration keep back, in per cent of the capacity.
pub const RESERVE_PERCENT: u8 = 10;
/// As many slots are made up for after a pause; in those before them a battery did nothing.
const MOST_SLOTS_BEHIND: u64 = 100_000;
/// A plan that looks further ahead is cut.
const MOST_SLOTS_AHEAD: usize = 1_000;
const JOULES_PER_WH: i64 = 3_600;

/// What a battery should do, slot by slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What is kept back, in Wh.
    pub reserve_wh: i64,
    /// What it should take from the site (positive) or give to it in each slot, in Wh, by the slot's number
    /// since the epoch.
    pub steps: BTreeMap<u64, i64>,
}

/// A battery up to the slot that plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Played {
    /// The slot that plays, counted from the epoch.
    pub(super) slot: u64,
    /// What it takes from the site in this slot (positive) or gives to it (negative), in Wh.
    pub(super) taken_wh: i64,
    /// What it holds at the end of this slot, in Wh.
    pub(super) stored_wh: i64,
    /// By how much its slots before this one raised the meter's import, in J; negative if they lowered it.
    pub(super) import_j: i64,
    /// The same for the export.
    pub(super) export_j: i64,
}

/// Why a battery's state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The folder or a file cannot be read or made.
    #[error(
        "cannot use {0}, where a simulated battery's state lies ({1}); make it writable or name another --state"
    )]
    File(PathBuf, io::Error),
    /// Somebody changed a file.
    #[error("{0} does not hold a simulated battery's state ({1}); start over with --fresh")]
    Content(PathBuf, serde_json::Error),
}

/// One battery.
#[derive(Debug)]
pub(super) struct Storage {
    battery: Battery,
    /// Seconds of energy that a slot carries.
    seconds: u32,
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    played: Option<Played>,
}

impl Storage {
    /// The battery whose state is in `dir` under `name`, or a fresh one.
    pub(super) fn open(battery: Battery, seconds: u32, dir: &Path, name: &str) -> Result<Self, StorageError> {
        let file = dir.join(format!("{name}.json"));
        let played = match fs::read(&file) {
            Ok(bytes) => {
                Some(serde_json::from_slice(&bytes).map_err(|e| StorageError::Content(file.clone(), e))?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StorageError::File(file, error)),
        };
        let plan = Plan { reserve_wh: battery.reserve_wh(RESERVE_PERCENT), ..Plan::default() };
        Ok(Self { battery, seconds, file, state: Mutex::new(State { plan, played }) })
    }

    /// The most it takes or gives, in W.
    pub(super) fn power_w(&self) -> u32 {
        u32::try_from(self.battery.power_w()).unwrap_or(u32::MAX)
    }

    /// Gives it the steps of a newer plan; those that it has for other slots still hold.
    pub(super) fn follow(&self, plan: Plan) {
        let mut state = self.state();
        let next = state.played.map_or(0, |played| played.slot);
        state.plan.reserve_wh = plan.reserve_wh;
        state.plan.steps.extend(plan.steps);
        state.plan.steps.retain(|slot, _| *slot > next);
        while state.plan.steps.len() > MOST_SLOTS_AHEAD {
            state.plan.steps.pop_last();
        }
    }

    /// Plays on to `slot`. `own_j` is what the site takes from the grid (positive) or feeds in by itself in a slot,
    /// in J. If it was played further already, that later slot is the answer.
    pub(super) fn play(&self, slot: u64, own_j: impl Fn(u64) -> i64) -> Played {
        let mut state = self.state();
        let first = state.played.map_or(0, |played| played.slot.saturating_add(1));
        let mut played = state.played.unwrap_or(Played {
            slot: 0,
            taken_wh: 0,
            stored_wh: self.battery.reserve_wh(RESERVE_PERCENT),
            import_j: 0,
            export_j: 0,
        });
        for next in first.max(slot.saturating_sub(MOST_SLOTS_BEHIND))..=slot {
            let (import_j, export_j) = played.changes(own_j(played.slot));
            let surplus_wh = -own_j(next) / JOULES_PER_WH;
            let wish_wh = state.plan.steps.remove(&next).unwrap_or(surplus_wh);
            let step = self.battery.play(played.stored_wh, wish_wh, state.plan.reserve_wh, self.seconds);
            played = Played {
                slot: next,
                taken_wh: -step.net_wh(),
                stored_wh: step.stored_wh,
                import_j: played.import_j + import_j,
                export_j: played.export_j + export_j,
            };
        }
        if state.played != Some(played) {
            state.played = Some(played);
            if let Err(error) = self.store(&played) {
                tracing::warn!(file = %self.file.display(), %error, "a battery's state is not stored");
            }
        }
        played
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In place of the earlier one, or not at all.
    fn store(&self, played: &Played) -> io::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(played)?)?;
        fs::rename(&new, &self.file)
    }
}

impl Played {
    /// What the site takes from the grid in the slot that plays (positive) or feeds in, in J, if it were `own_j` without
    /// the battery.
    pub(super) fn net_j(&self, own_j: i64) -> i64 {
        own_j + self.taken_wh * JOULES_PER_WH
    }

    /// By how much the slot that plays raises import and export, in J, once it is over.
    fn changes(&self, own_j: i64) -> (i64, i64) {
        let net_j = self.net_j(own_j);
        (net_j.max(0) - own_j.max(0), (-net_j).max(0) - (-own_j).max(0))
    }
}

#[cfg(test)]
mod tests {
    use domain::units::{Energy, Power};

    use super::*;

    const QUARTER_HOUR_S: u32 = 900;

    /// 10 kWh, 4 kW: 1 kWh a slot at the most; 5 % are lost each way.
    fn battery(dir: &Path) -> Storage {
        let battery = Battery::usual(Energy::from_wh(10_000), Power::from_w(4_000)).unwrap();
        Storage::open(battery, QUARTER_HOUR_S, dir, "site-1").unwrap()
    }

    fn plan(reserve_wh: i64, steps: &[(u64, i64)]) -> Plan {
        Plan { reserve_wh, steps: steps.iter().copied().collect() }
    }

    const fn joules(wh: i64) -> i64 {
        wh * JOULES_PER_WH
    }

    #[test]
    fn without_a_plan_it_takes_the_surplus_and_meets_the_lack_down_to_its_reserve() {
        let dir = tempfile::tempdir().unwrap();
        let battery = battery(dir.path());
        let own_wh = [-400, -5_000, 300, 0, 9_000, 9_000];
        let own_j = |slot: u64| joules(own_wh[usize::try_from(slot).unwrap()]);
        let taken: Vec<_> = (0..6).map(|slot| battery.play(slot, own_j).taken_wh).collect();
        // The last kWh is its reserve: of 1,014 Wh above it 95 % come out.
        assert_eq!(taken, [400, 1_000, -300, 0, -963, 0]);
        let last = battery.play(5, own_j);
        assert_eq!((last.stored_wh, last.import_j, last.export_j), (1_000, joules(-1_263), joules(-1_400)));
    }

    #[test]
    fn a_plan_is_followed_within_power_and_reserve_and_a_newer_one_replaces_it_slot_by_slot() {
        let dir = tempfile::tempdir().unwrap();
        let battery = battery(dir.path());
        let none = |_| 0;
        battery.play(0, none);
        battery.follow(plan(2_000, &[(0, 777), (1, 900), (2, 5_000), (3, -100), (4, -5_000)]));
        battery.follow(plan(2_000, &[(1, 800)]));
        let taken: Vec<_> = (0..6).map(|slot| battery.play(slot, none).taken_wh).collect();
        assert_eq!(taken, [0, 800, 1_000, -100, -573, 0], "a slot that has begun is not planned any more");
        assert_eq!(battery.play(5, none).stored_wh, 2_000);
        assert_eq!(battery.play(2, none).slot, 5, "it does not go back");
    }

    #[test]
    fn a_restart_goes_on_with_the_slot_that_plays_and_makes_up_for_a_pause() {
        let dir = tempfile::tempdir().unwrap();
        let own_j = |_| joules(-400);
        let before = battery(dir.path());
        before.play(0, own_j);
        before.follow(plan(0, &[(1, 123)]));
        let shown = before.play(1, own_j);
        assert_eq!(shown.taken_wh, 123);
        let after = battery(dir.path());
        assert_eq!(after.play(1, own_j), shown);
        let later = after.play(4, own_j);
        let never_stopped = [2, 3, 4].map(|slot| before.play(slot, own_j));
        assert_eq!(later, never_stopped[2]);
        // A pause of years ends, and the last part of it was played.
        assert_eq!(after.play(u64::MAX / 2, own_j).stored_wh, 10_000);
    }

    #[test]
    fn a_state_that_somebody_changed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("site-1.json"), "{}").unwrap();
        let battery = Battery::usual(Energy::from_wh(1), Power::from_w(1)).unwrap();
        let error = Storage::open(battery, 900, dir.path(), "site-1").unwrap_err().to_string();
        assert!(error.contains("site-1.json") && error.contains("--fresh"), "{error}");
    }
}
