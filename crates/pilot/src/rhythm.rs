//! When a battery is planned anew, and which step of its plan a slot is.

/// Every so many slots a battery is planned anew.
const REPLAN_SLOTS: i64 = 4;

/// Walks over slots in the order of time, some of which may not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rhythm {
    /// The slot of the newest plan, and the last slot.
    planned_and_last: Option<(i64, i64)>,
}

impl Rhythm {
    /// Which step of the plan slot `index` is. At 0 a new plan is due: it is the first slot, the plan is old, or slots
    /// are missing before this one, so that the battery did not do what was planned.
    pub fn ahead(&mut self, index: i64) -> usize {
        let goes_on = |(planned, last): &(i64, i64)| index == last + 1 && index - planned < REPLAN_SLOTS;
        let planned = self.planned_and_last.filter(goes_on).map_or(index, |(planned, _)| planned);
        self.planned_and_last = Some((planned, index));
        usize::try_from(index - planned).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_made_every_four_slots_and_after_a_gap() {
        let mut rhythm = Rhythm::default();
        let steps = [10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 200].map(|index| rhythm.ahead(index));
        assert_eq!(steps, [0, 1, 2, 3, 0, 1, 0, 1, 2, 3, 0, 0]);
    }
}
