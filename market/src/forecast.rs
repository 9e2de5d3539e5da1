//! What a site will have left over, or lack, in the next slot: what it had in the last one it was
//! read for. Pure.

use chrono::{DateTime, Utc};
use domain::reading::Metered;
use domain::slot::SlotLength;
use domain::units::Energy;
use store::metering::Boundary;

/// What a site delivered net in the latest slot that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// When that slot ended.
    pub slot_end: DateTime<Utc>,
    /// Export less import.
    pub net_export: Energy,
}

/// The latest slot with a reading at both ends, from a site's boundaries in the order of time.
///
/// It is taken from the readings themselves, since a slot is metered only when the readings of all
/// sites are there, and the next gate may be closed by then.
#[must_use]
pub fn last_slot(boundaries: &[Boundary], length: SlotLength) -> Option<Observation> {
    boundaries.windows(2).rev().find_map(|pair| {
        let [start, end] = pair else { return None };
        if start.epoch != end.epoch || start.at + length.delta() != end.at {
            return None;
        }
        let metered = Metered::between(&start.registers, &end.registers).ok()?;
        Some(Observation { slot_end: end.at, net_export: metered.net_export().ok()? })
    })
}

/// `share_percent` of an energy, towards zero: what is offered when the forecast may be wrong.
#[must_use]
pub fn share(energy: Energy, share_percent: u8) -> Energy {
    let wh = i128::from(energy.wh()) * i128::from(share_percent.min(100)) / 100;
    Energy::from_wh(i64::try_from(wh).unwrap_or_default())
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

    fn net(boundaries: &[Boundary]) -> Option<(i64, i64)> {
        let length = SlotLength::from_seconds(10).unwrap();
        last_slot(boundaries, length).map(|seen| (seen.slot_end.timestamp(), seen.net_export.wh()))
    }

    #[test]
    fn the_last_whole_slot_counts() {
        assert_eq!(
            net(&[boundary(0, 1, 0, 0), boundary(10, 1, 5, 425), boundary(20, 1, 5, 425)]),
            Some((20, 0))
        );
        assert_eq!(net(&[boundary(0, 1, 0, 0), boundary(10, 1, 5, 425)]), Some((10, 420)));
    }

    #[test]
    fn gaps_and_new_lives_are_not_slots() {
        assert_eq!(net(&[boundary(0, 1, 0, 0), boundary(20, 1, 5, 425)]), None);
        assert_eq!(net(&[boundary(0, 1, 90, 0), boundary(10, 2, 5, 0)]), None);
        assert_eq!(net(&[boundary(0, 1, 9, 0)]), None);
        assert_eq!(net(&[]), None);
    }

    #[test]
    fn shares_round_towards_zero() {
        assert_eq!(share(Energy::from_wh(-7), 80), Energy::from_wh(-5));
        assert_eq!(share(Energy::from_wh(7), 255), Energy::from_wh(7));
    }
}
