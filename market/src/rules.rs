//! When a community's slots open, close and give up waiting, as pure functions of the time.

use chrono::{DateTime, TimeDelta, Utc};
use domain::slot::{Slot, SlotLength};
use store::communities::Community;

/// The times of a community's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRules {
    /// The length of each slot.
    pub length: SlotLength,
    /// The start of the first slot.
    pub market_opens_at: DateTime<Utc>,
    /// How long before its start a slot opens for orders.
    pub open_lead: TimeDelta,
    /// How long before its start a slot closes for orders.
    pub gate_closure_lead: TimeDelta,
    /// How long after its end a slot waits for readings.
    pub metering_deadline: TimeDelta,
}

impl SlotRules {
    /// The rules of a community.
    #[must_use]
    pub fn of(community: &Community) -> Self {
        Self {
            length: community.slot_length,
            market_opens_at: community.market_opens_at,
            open_lead: community.open_lead,
            gate_closure_lead: community.gate_closure_lead,
            metering_deadline: community.metering_deadline,
        }
    }

    /// The slots that should exist at `now` and do not, oldest first, at most `limit`: contiguous from
    /// the market's opening, or after `latest`, through the one after the last that is open.
    #[must_use]
    pub fn missing(
        &self,
        latest: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Vec<DateTime<Utc>> {
        let first = match latest {
            Some(latest) => Slot::containing(latest, self.length).next(),
            None => Slot::at_or_after(self.market_opens_at, self.length),
        };
        let last = self.last_open_start(now) + self.length.delta();
        std::iter::successors(Some(first), |slot| Some(slot.next()))
            .map(Slot::start)
            .take_while(|start| *start <= last)
            .take(limit)
            .collect()
    }

    /// The latest start of a slot that takes orders at `now`.
    #[must_use]
    pub fn last_open_start(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.open_lead
    }

    /// When a slot stops taking orders.
    #[must_use]
    pub fn gate_closure(&self, slot_start: DateTime<Utc>) -> DateTime<Utc> {
        slot_start - self.gate_closure_lead
    }

    /// The latest start of a slot whose gate is closed at `now`.
    #[must_use]
    pub fn last_closed_start(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.gate_closure_lead
    }

    /// The last slots whose opening and whose gate closure have come at `now`: as long as both stay the same, no slot
    /// opens and none closes.
    #[must_use]
    pub fn reached(&self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let last = |latest: DateTime<Utc>| Slot::containing(latest, self.length).start();
        (last(self.last_open_start(now)), last(self.last_closed_start(now)))
    }

    /// When a slot ends.
    #[must_use]
    pub fn end(&self, slot_start: DateTime<Utc>) -> DateTime<Utc> {
        slot_start + self.length.delta()
    }

    /// Whether a slot no longer waits for readings at `now`.
    #[must_use]
    pub fn deadline_passed(&self, slot_start: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now >= self.end(slot_start) + self.metering_deadline
    }

    /// The next slot whose gate is still open at `now`.
    #[must_use]
    pub fn next_to_close(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        Slot::containing(self.last_closed_start(now), self.length).next().start()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn rules() -> SlotRules {
        SlotRules {
            length: SlotLength::from_seconds(10).unwrap(),
            market_opens_at: at(1_000),
            open_lead: TimeDelta::seconds(40),
            gate_closure_lead: TimeDelta::seconds(5),
            metering_deadline: TimeDelta::seconds(60),
        }
    }

    #[test]
    fn slots_are_contiguous_from_the_opening_through_the_lead() {
        let starts = rules().missing(None, at(1_003), 500);
        assert_eq!(starts, [1_000, 1_010, 1_020, 1_030, 1_040, 1_050].map(at));
        assert_eq!(rules().missing(Some(at(1_040)), at(1_003), 500), [at(1_050)]);
        assert!(rules().missing(Some(at(1_050)), at(1_003), 500).is_empty());
        assert!(rules().missing(None, at(900), 500).is_empty());
    }

    #[test]
    fn a_long_gap_is_filled_in_bounded_steps_oldest_first() {
        let starts = rules().missing(Some(at(1_040)), at(100_000), 3);
        assert_eq!(starts, [1_050, 1_060, 1_070].map(at));
    }

    #[test]
    fn the_next_gate_to_close_is_always_ahead() {
        for (now, start) in [(994, 1_000), (995, 1_010), (1_004, 1_010), (1_005, 1_020)] {
            assert_eq!(rules().next_to_close(at(now)), at(start), "at {now}");
            assert!(rules().gate_closure(at(start)) > at(now));
            assert!(rules().last_closed_start(at(now)) < at(start));
        }
    }

    #[test]
    fn what_is_reached_changes_whenever_a_slot_opens_or_closes() {
        let (mut reached, mut changes) = (rules().reached(at(1_000)), vec![]);
        for second in 1_000..1_025 {
            if rules().reached(at(second)) != reached {
                reached = rules().reached(at(second));
                changes.push(second);
            }
        }
        // Slots open at full tens, since the lead is 40 s, and close 5 s before they start.
        assert_eq!(changes, [1_005, 1_010, 1_015, 1_020]);
    }

    #[test]
    fn the_deadline_counts_from_the_end() {
        assert!(!rules().deadline_passed(at(1_000), at(1_069)));
        assert!(rules().deadline_passed(at(1_000), at(1_070)));
    }
}
