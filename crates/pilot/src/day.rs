//! What a slot's place in the day is, in production and in a demonstration.

use chrono::{DateTime, Utc};

/// Slots shorter than this are a demonstration's: each plays a quarter-hour of the profile.
const SHORTEST_REAL_S: u32 = 300;
/// What a demonstration's slot stands for, in seconds.
const DEMONSTRATION_S: u32 = 900;
const DAY_S: u32 = 86_400;
/// Days from 1970-01-01, a Thursday, to the Monday before.
const MONDAY_OFFSET: i64 = 3;

/// The days of a community's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    slot_s: u32,
    energy_s: u32,
}

impl Days {
    /// The days of a community with slots of `slot_s` seconds.
    #[must_use]
    pub const fn new(slot_s: u32) -> Self {
        let slot_s = if slot_s == 0 { 1 } else { slot_s };
        Self { slot_s, energy_s: if slot_s < SHORTEST_REAL_S { DEMONSTRATION_S } else { slot_s } }
    }

    /// The days of a profile with slots of `slot_s` seconds, which last as long as they say.
    #[must_use]
    pub const fn of_profile(slot_s: u32) -> Self {
        let slot_s = if slot_s == 0 { 1 } else { slot_s };
        Self { slot_s, energy_s: slot_s }
    }

    /// The seconds whose energy a slot carries: its length, or a quarter-hour in a demonstration.
    #[must_use]
    pub const fn energy_seconds(self) -> u32 {
        self.energy_s
    }

    /// How many slots a day has; 24 to 288 in a community.
    #[must_use]
    pub const fn slots(self) -> u32 {
        DAY_S / self.energy_seconds()
    }

    /// The number of a slot, counted from 1970.
    #[must_use]
    pub fn index(self, slot_start: DateTime<Utc>) -> i64 {
        slot_start.timestamp().div_euclid(i64::from(self.slot_s))
    }

    /// Where in its day a slot lies, from 0.
    #[must_use]
    pub fn place(self, index: i64) -> usize {
        usize::try_from(index.rem_euclid(i64::from(self.slots()))).unwrap_or_default()
    }

    /// Whether two slots lie both on a weekend or both on working days. A demonstration has no week.
    #[must_use]
    pub fn alike(self, a: i64, b: i64) -> bool {
        let weekend = |index: i64| {
            let day = index.div_euclid(i64::from(self.slots()));
            (day + MONDAY_OFFSET).rem_euclid(7) >= 5
        };
        self.slot_s != self.energy_s || weekend(a) == weekend(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demonstrations_slot_is_a_quarter_hour() {
        assert_eq!((Days::new(10).slots(), Days::new(10).energy_seconds()), (96, 900));
        assert_eq!((Days::of_profile(60).slots(), Days::of_profile(60).energy_seconds()), (1_440, 60));
        assert_eq!((Days::new(900).slots(), Days::new(3_600).slots(), Days::new(300).slots()), (96, 24, 288));
    }

    #[test]
    fn weekends_are_told_from_working_days() {
        let days = Days::new(900);
        let index = |text: &str| days.index(text.parse().unwrap());
        let (friday, saturday, sunday, monday) = (
            index("2016-06-17T23:45:00Z"),
            index("2016-06-18T00:00:00Z"),
            index("2016-06-19T23:45:00Z"),
            index("2016-06-20T00:00:00Z"),
        );
        assert!(days.alike(saturday, sunday) && days.alike(friday, monday) && !days.alike(friday, saturday));
        assert_eq!((days.place(friday), days.place(saturday)), (95, 0));
    }
}
