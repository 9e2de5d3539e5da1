//! Which row of the profile plays at an instant.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Maps real time to profile time: each slot of the demonstration, however short, plays one row of the profile, and
/// after the last row the first comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileClock {
    epoch: DateTime<Utc>,
    slot_us: u64,
    profile_slot_seconds: u32,
    rows: u64,
}

/// Why a profile cannot be played.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProfileClockError {
    /// The slot is too short or too long.
    #[error("a slot of {0:?} cannot be played; choose one from 1 s to 1 h")]
    SlotLength(Duration),
    /// There is nothing to play.
    #[error("the profile has no rows; give at least one")]
    NoRows,
}

/// A point of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Whole slots since the epoch.
    pub slot: u64,
    /// How often the whole profile has been played before.
    pub cycle: u64,
    /// The row that plays.
    pub row: usize,
    /// Microseconds of real time since the slot's start.
    pub into_slot_us: u64,
}

impl ProfileClock {
    /// A clock that plays `rows` rows of `profile_slot_seconds` each, one every `slot` of real time, from `epoch` on.
    /// The epoch is the start of a slot.
    ///
    /// # Errors
    /// When the slot is not from one second to an hour long, or there is no row.
    pub fn new(
        epoch: DateTime<Utc>,
        slot: Duration,
        profile_slot_seconds: u32,
        rows: usize,
    ) -> Result<Self, ProfileClockError> {
        if slot < Duration::from_secs(1) || slot > Duration::from_secs(3_600) {
            return Err(ProfileClockError::SlotLength(slot));
        }
        let slot_us = u64::try_from(slot.as_micros()).map_err(|_| ProfileClockError::SlotLength(slot))?;
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        if rows == 0 {
            return Err(ProfileClockError::NoRows);
        }
        Ok(Self { epoch, slot_us, profile_slot_seconds, rows })
    }

    /// Start of the first slot.
    #[must_use]
    pub fn epoch(&self) -> DateTime<Utc> {
        self.epoch
    }

    /// Length of a slot in microseconds of real time.
    #[must_use]
    pub fn slot_us(&self) -> u64 {
        self.slot_us
    }

    /// Seconds of profile time that a slot plays: the energy of a slot is power times this.
    #[must_use]
    pub fn profile_slot_seconds(&self) -> u32 {
        self.profile_slot_seconds
    }

    /// The point of the profile at `now`; none before the epoch.
    #[must_use]
    pub fn position(&self, now: DateTime<Utc>) -> Option<Position> {
        let since = now.signed_duration_since(self.epoch);
        // Microseconds would overflow after 292,000 years.
        let elapsed_us =
            u64::try_from(since.num_microseconds().filter(|_| since >= TimeDelta::zero())?).ok()?;
        let start = self.start_of(elapsed_us / self.slot_us);
        Some(Position { into_slot_us: elapsed_us % self.slot_us, ..start })
    }

    /// The point of the profile at the start of a slot, counted from the epoch.
    #[must_use]
    pub fn start_of(&self, slot: u64) -> Position {
        // There are as many rows as fit the memory, so it always fits.
        let row = usize::try_from(slot % self.rows).unwrap_or_default();
        Position { slot, cycle: slot / self.rows, row, into_slot_us: 0 }
    }

    /// Real time from `now` to the next moment at which a device that reports every `interval` reports: it keeps its
    /// rhythm within the slot and starts anew at each slot's start.
    #[must_use]
    pub fn pause(&self, now: DateTime<Utc>, interval: Duration) -> Duration {
        let interval_us = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).max(1);
        let pause_us = match self.position(now) {
            Some(Position { into_slot_us: into, .. }) => {
                let beat = (into / interval_us + 1).saturating_mul(interval_us);
                beat.min(self.slot_us) - into
            }
            None => {
                let until = self.epoch.signed_duration_since(now).num_microseconds();
                until.and_then(|us| u64::try_from(us).ok()).unwrap_or(u64::MAX).clamp(1, interval_us)
            }
        };
        Duration::from_micros(pause_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn clock() -> ProfileClock {
        ProfileClock::new(at("2026-03-01T12:00:00Z"), Duration::from_secs(10), 900, 3).unwrap()
    }

    #[test]
    fn rows_repeat_after_the_last() {
        let position = |text| clock().position(at(text)).unwrap();
        let expect = |slot, cycle, row, into_slot_us| Position { slot, cycle, row, into_slot_us };
        assert_eq!(position("2026-03-01T12:00:00Z"), expect(0, 0, 0, 0));
        assert_eq!(position("2026-03-01T12:00:29.999999Z"), expect(2, 0, 2, 9_999_999));
        assert_eq!(position("2026-03-01T12:00:30Z"), expect(3, 1, 0, 0));
        assert_eq!(position("2026-03-02T12:00:15.5Z"), expect(8_641, 2_880, 1, 5_500_000));
        assert_eq!(clock().position(at("2026-03-01T11:59:59.999Z")), None);
    }

    #[test]
    fn reports_keep_a_rhythm_and_meet_each_boundary() {
        let pause = |text| clock().pause(at(text), Duration::from_secs(3));
        assert_eq!(pause("2026-03-01T12:00:00Z"), Duration::from_secs(3));
        assert_eq!(pause("2026-03-01T12:00:05Z"), Duration::from_secs(1));
        assert_eq!(pause("2026-03-01T12:00:09.25Z"), Duration::from_millis(750), "the boundary comes first");
        assert_eq!(pause("2026-03-01T11:59:59Z"), Duration::from_secs(1));
        assert_eq!(pause("2026-02-01T00:00:00Z"), Duration::from_secs(3));
    }

    #[test]
    fn absurd_slots_are_refused() {
        let with = |slot, rows| ProfileClock::new(at("2026-03-01T12:00:00Z"), slot, 900, rows);
        assert!(with(Duration::ZERO, 3).is_err());
        assert!(with(Duration::from_secs(3_601), 3).is_err());
        assert_eq!(with(Duration::from_secs(10), 0), Err(ProfileClockError::NoRows));
    }
}
