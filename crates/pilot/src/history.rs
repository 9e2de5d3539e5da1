//! What a site did in its last slots: all that its forecast is made of.

use std::collections::VecDeque;

use crate::day::Days;

/// How many days are remembered.
pub const DAYS: u32 = 14;

/// What a site did in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Export less import, without a planned battery's part, in Wh.
    pub net_wh: i64,
    /// Production, if it is metered, in Wh.
    pub production_wh: Option<i64>,
}

/// A site's last [`DAYS`] days: 1,344 quarter-hours of 16 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    days: Days,
    /// The slot after the newest that is remembered.
    end: i64,
    /// `i32`, since no connection point moves 2 GWh in an hour; a larger figure is not remembered.
    slots: VecDeque<Option<(i32, Option<i32>)>>,
}

impl History {
    /// A history with nothing in it.
    #[must_use]
    pub const fn new(days: Days) -> Self {
        Self { days, end: 0, slots: VecDeque::new() }
    }

    /// The days it counts in.
    #[must_use]
    pub const fn days(&self) -> Days {
        self.days
    }

    /// Remembers a slot, again if it is known; slots that are too old are not.
    pub fn observe(&mut self, index: i64, observed: Observed) {
        let known = i32::try_from(observed.net_wh).ok().zip(match observed.production_wh {
            Some(wh) => i32::try_from(wh).ok().map(Some),
            None => Some(None),
        });
        let capacity = self.capacity();
        if self.slots.is_empty() || index >= self.end.saturating_add(capacity) {
            self.slots.clear();
            self.end = index;
        }
        while self.end <= index {
            self.slots.push_back(None);
            self.end += 1;
        }
        while i64::try_from(self.slots.len()).is_ok_and(|length| length > capacity) {
            self.slots.pop_front();
        }
        if let Some(slot) = self.position(index).and_then(|position| self.slots.get_mut(position)) {
            *slot = known;
        }
    }

    /// Forgets a slot, of which nothing is known any more; one that is not remembered is no matter.
    pub fn forget(&mut self, index: i64) {
        if let Some(slot) = self.position(index).and_then(|position| self.slots.get_mut(position)) {
            *slot = None;
        }
    }

    /// What the site did in a slot, if that is known.
    #[must_use]
    pub fn get(&self, index: i64) -> Option<Observed> {
        let (net, production) = (*self.slots.get(self.position(index)?)?)?;
        Some(Observed { net_wh: net.into(), production_wh: production.map(i64::from) })
    }

    /// The newest slot that is known.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        let from_back = self.slots.iter().rev().position(Option::is_some)?;
        Some(self.end - 1 - i64::try_from(from_back).ok()?)
    }

    /// How many slots are known.
    #[must_use]
    pub fn known(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    fn capacity(&self) -> i64 {
        i64::from(self.days.slots() * DAYS)
    }

    fn position(&self, index: i64) -> Option<usize> {
        let first = self.end - i64::try_from(self.slots.len()).ok()?;
        usize::try_from(index.checked_sub(first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(net_wh: i64) -> Observed {
        Observed { net_wh, production_wh: None }
    }

    #[test]
    fn gaps_are_not_zeros_and_a_correction_replaces() {
        let mut history = History::new(Days::new(900));
        history.observe(1_000, seen(5));
        history.observe(1_003, seen(8));
        history.observe(1_001, seen(6));
        history.observe(1_003, seen(9));
        let known: Vec<_> = (999..1_005).map(|index| history.get(index).map(|seen| seen.net_wh)).collect();
        assert_eq!(known, [None, Some(5), Some(6), None, Some(9), None]);
        assert_eq!((history.newest(), history.known()), (Some(1_003), 3));
    }

    #[test]
    fn a_slot_that_is_forgotten_is_a_gap() {
        let mut history = History::new(Days::new(900));
        for index in 1_000..1_003 {
            history.observe(index, seen(index));
        }
        for index in [1_002, 999, 5_000, i64::MAX, i64::MIN] {
            history.forget(index);
        }
        assert_eq!((history.get(1_002), history.newest(), history.known()), (None, Some(1_001), 2));
    }

    #[test]
    fn memory_is_bounded_and_a_long_gap_forgets() {
        let mut history = History::new(Days::new(900));
        for index in 0..5_000 {
            history.observe(index, seen(index));
        }
        assert_eq!(history.known(), 96 * 14);
        history.observe(0, seen(7));
        assert_eq!(history.get(0), None, "too old to be remembered");
        history.observe(90_000, seen(1));
        assert_eq!(history.known(), 1);
        history.observe(90_001, seen(i64::MAX));
        assert_eq!((history.known(), history.newest()), (1, Some(90_000)), "an absurd figure is not learned");
    }
}
