//! What sites did in the slots whose readings are there, before those are metered. Pure.
//!
//! It is taken from the readings themselves, since a slot is metered only when the readings of all
//! sites are there, and the next gate may be closed by then. What follows from it is [`pilot::forecast`].

use chrono::{DateTime, Utc};
use domain::reading::Metered;
use domain::slot::SlotLength;
use domain::units::Energy;
use pilot::history::Observed;
use store::metering::Boundary;

/// What a site did in each slot with a reading at both ends, from its boundaries in the order of time.
#[must_use]
pub fn read_slots(boundaries: &[Boundary], length: SlotLength) -> Vec<(DateTime<Utc>, Observed)> {
    boundaries
        .windows(2)
        .filter_map(|pair| {
            let [start, end] = pair else { return None };
            if start.epoch != end.epoch || start.at + length.delta() != end.at {
                return None;
            }
            let metered = Metered::between(&start.registers, &end.registers).ok()?;
            let net_wh = metered.net_export().ok()?.wh();
            Some((start.at, Observed { net_wh, production_wh: metered.production.map(Energy::wh) }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use domain::reading::{Register, Registers};

    use super::*;

    fn boundary(second: i64, epoch: i32, import_wh: i64, export_wh: i64) -> Boundary {
        let register = |wh: i64| Register::from_mwh(wh * 1_000).unwrap();
        let registers =
            Registers { import: register(import_wh), export: register(export_wh), production: None };
        Boundary { at: DateTime::from_timestamp(second, 0).unwrap(), epoch, registers }
    }

    fn net(boundaries: &[Boundary]) -> Vec<(i64, i64)> {
        let length = SlotLength::from_seconds(10).unwrap();
        let slots = read_slots(boundaries, length);
        slots.iter().map(|(start, seen)| (start.timestamp(), seen.net_wh)).collect()
    }

    #[test]
    fn each_whole_slot_counts() {
        assert_eq!(
            net(&[boundary(0, 1, 0, 0), boundary(10, 1, 5, 425), boundary(20, 1, 5, 425)]),
            [(0, 420), (10, 0)]
        );
    }

    #[test]
    fn gaps_and_new_lives_are_not_slots() {
        assert_eq!(net(&[boundary(0, 1, 0, 0), boundary(20, 1, 5, 425)]), []);
        assert_eq!(net(&[boundary(0, 1, 90, 0), boundary(10, 2, 5, 0)]), []);
        assert_eq!(net(&[boundary(0, 1, 9, 0)]), []);
        assert_eq!(net(&[]), []);
    }
}
