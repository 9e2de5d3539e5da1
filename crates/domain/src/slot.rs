//! Slots: half-open intervals of the community's slot length, aligned to the UTC hour.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

const SECONDS_PER_HOUR: u32 = 3_600;

/// The length of every slot of a community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotLength(u32);

/// A number of seconds cannot be a slot length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a slot of {seconds} s is not possible: it must divide the hour evenly and be {min} s to 3600 s long, \
     for example 10, 30, 300 or 900"
)]
pub struct InvalidSlotLength {
    /// The refused length.
    pub seconds: u32,
    /// The shortest allowed length.
    pub min: u32,
}

impl SlotLength {
    /// The shortest slot of a demonstration, in seconds. In production the shortest is 300 s.
    pub const MIN_SECONDS: u32 = 10;

    /// Makes a length from seconds.
    ///
    /// # Errors
    /// [`InvalidSlotLength`] unless it is 10 s to 3600 s and divides the hour, so that slots stay
    /// aligned to it.
    pub const fn from_seconds(seconds: u32) -> Result<Self, InvalidSlotLength> {
        if seconds < Self::MIN_SECONDS
            || seconds > SECONDS_PER_HOUR
            || !SECONDS_PER_HOUR.is_multiple_of(seconds)
        {
            return Err(InvalidSlotLength { seconds, min: Self::MIN_SECONDS });
        }
        Ok(Self(seconds))
    }

    /// The length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// The length as a time span.
    #[must_use]
    pub fn delta(self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.0))
    }
}

/// One slot: `[start, start + length)`, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    start: DateTime<Utc>,
    length: SlotLength,
}

/// A time is not the start of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{time} is not the start of a slot of {seconds} s: slots are aligned to the UTC hour")]
pub struct NotASlotStart {
    /// The refused time.
    pub time: DateTime<Utc>,
    /// The community's slot length in seconds.
    pub seconds: u32,
}

impl Slot {
    /// The slot that starts at `start`.
    ///
    /// # Errors
    /// [`NotASlotStart`] if no slot of that length starts then.
    pub fn starting_at(start: DateTime<Utc>, length: SlotLength) -> Result<Self, NotASlotStart> {
        let slot = Self::containing(start, length);
        if slot.start == start { Ok(slot) } else { Err(NotASlotStart { time: start, seconds: length.0 }) }
    }

    /// The slot that contains `time`.
    #[must_use]
    pub fn containing(time: DateTime<Utc>, length: SlotLength) -> Self {
        let seconds = time.timestamp() - time.timestamp().rem_euclid(i64::from(length.0));
        Self { start: DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::UNIX_EPOCH), length }
    }

    /// The first slot that starts at or after `time`.
    #[must_use]
    pub fn at_or_after(time: DateTime<Utc>, length: SlotLength) -> Self {
        let slot = Self::containing(time, length);
        if slot.start == time { slot } else { slot.next() }
    }

    /// When the slot starts; inside the slot.
    #[must_use]
    pub const fn start(self) -> DateTime<Utc> {
        self.start
    }

    /// When the slot ends; the first instant outside it.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.start + self.length.delta()
    }

    /// How long it lasts.
    #[must_use]
    pub const fn length(self) -> SlotLength {
        self.length
    }

    /// The slot that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self { start: self.end(), length: self.length }
    }

    /// The slot before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self { start: self.start - self.length.delta(), length: self.length }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} s", self.start.format("%Y-%m-%dT%H:%M:%SZ"), self.length.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn lengths_divide_the_hour() {
        for good in [10, 30, 300, 900, 3_600] {
            assert!(SlotLength::from_seconds(good).is_ok());
        }
        for bad in [0, 1, 9, 11, 7_200] {
            assert!(SlotLength::from_seconds(bad).is_err());
        }
    }

    #[test]
    fn slots_are_half_open_and_follow_each_other() {
        let quarter = SlotLength::from_seconds(900).unwrap();
        let slot = Slot::containing(at(1_799), quarter);
        assert_eq!((slot.start(), slot.end()), (at(900), at(1_800)));
        assert_eq!(Slot::containing(at(1_800), quarter), slot.next());
        assert_eq!(slot.next().previous(), slot);
        assert_eq!(Slot::at_or_after(at(901), quarter), slot.next());
        assert_eq!(Slot::at_or_after(at(900), quarter), slot);
        assert!(Slot::starting_at(at(901), quarter).is_err());
    }

    #[test]
    fn times_before_1970_are_aligned_too() {
        let quarter = SlotLength::from_seconds(900).unwrap();
        assert_eq!(Slot::containing(at(-1), quarter).start(), at(-900));
    }
}
