//! What a meter said at a slot's end: cumulative registers, never a difference.

use chrono::{DateTime, Utc};

use crate::ids::MeterId;
use crate::units::{Energy, Overflow, Power};

const MWH_PER_WH: i64 = 1_000;

/// A cumulative energy register in milliwatt-hours (mWh).
///
/// Meters resolve finer than what is billed; keeping the register and cutting to whole Wh only when
/// two are subtracted makes the slots of a day add up to the day's difference exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(i64);

/// A register value is negative, which no cumulative register can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a cumulative register cannot be negative, but reads {mwh} mWh: check the template's type, word order and sign"
)]
pub struct NegativeRegister {
    /// The refused value in mWh.
    pub mwh: i64,
}

impl Register {
    /// A register that has counted nothing.
    pub const ZERO: Self = Self(0);

    /// Makes a register from milliwatt-hours.
    ///
    /// # Errors
    /// [`NegativeRegister`] if it is below zero.
    pub const fn from_mwh(mwh: i64) -> Result<Self, NegativeRegister> {
        if mwh < 0 { Err(NegativeRegister { mwh }) } else { Ok(Self(mwh)) }
    }

    /// The value in milliwatt-hours.
    #[must_use]
    pub const fn mwh(self) -> i64 {
        self.0
    }

    /// The value in whole watt-hours, rounded down.
    #[must_use]
    pub const fn whole_wh(self) -> i64 {
        self.0 / MWH_PER_WH
    }
}

/// The registers of a revenue meter at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// What the site took from the network since the meter was made.
    pub import: Register,
    /// What the site delivered to the network since the meter was made.
    pub export: Register,
    /// What its generator produced, where a production register is read; `None` is "not known".
    pub production: Option<Register>,
}

/// One signed reading: a meter's registers at the end of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The meter that was read.
    pub meter_id: MeterId,
    /// Counts the meter's lives: a new one starts when its registers were reset or it was exchanged.
    pub epoch: i32,
    /// Counts the readings of the epoch from 1, without a gap.
    pub seq: i64,
    /// The slot boundary the registers stand for.
    pub slot_end: DateTime<Utc>,
    /// When the registers were in fact read.
    pub read_at: DateTime<Utc>,
    /// The registers.
    pub registers: Registers,
    /// The momentary power at the connection point, positive on import; `None` is "not known".
    pub power: Option<Power>,
}

/// What flowed through a connection point in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metered {
    /// Taken from the network.
    pub import: Energy,
    /// Delivered to the network.
    pub export: Energy,
    /// Produced behind the meter, where known.
    pub production: Option<Energy>,
}

/// Two readings of a meter cannot be subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MeteredError {
    /// A register ran backwards inside an epoch.
    #[error(
        "the {register} register fell from {from_mwh} to {to_mwh} mWh inside one epoch: a reset or an exchange must start a new epoch"
    )]
    Backwards {
        /// Which register.
        register: &'static str,
        /// Its earlier value.
        from_mwh: i64,
        /// Its later value.
        to_mwh: i64,
    },
}

impl Metered {
    /// The difference of two register readings of one epoch, each cut to whole Wh before the
    /// subtraction, so that consecutive slots add up without residue.
    ///
    /// # Errors
    /// [`MeteredError::Backwards`] if a register fell.
    pub fn between(start: &Registers, end: &Registers) -> Result<Self, MeteredError> {
        let production = match (start.production, end.production) {
            (Some(from), Some(to)) => Some(difference("production", from, to)?),
            _ => None,
        };
        Ok(Self {
            import: difference("import", start.import, end.import)?,
            export: difference("export", start.export, end.export)?,
            production,
        })
    }

    /// Export less import: positive when the site gave more than it took.
    ///
    /// # Errors
    /// [`Overflow`] if the difference does not fit.
    pub const fn net_export(&self) -> Result<Energy, Overflow> {
        self.export.checked_sub(self.import)
    }
}

fn difference(register: &'static str, from: Register, to: Register) -> Result<Energy, MeteredError> {
    if to < from {
        return Err(MeteredError::Backwards { register, from_mwh: from.mwh(), to_mwh: to.mwh() });
    }
    Ok(Energy::from_wh(to.whole_wh() - from.whole_wh()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn registers(import_mwh: i64, export_mwh: i64) -> Registers {
        Registers {
            import: Register::from_mwh(import_mwh).unwrap(),
            export: Register::from_mwh(export_mwh).unwrap(),
            production: None,
        }
    }

    #[test]
    fn import_and_export_may_both_rise() {
        let metered = Metered::between(&registers(999, 0), &registers(2_000, 5_500)).unwrap();
        assert_eq!((metered.import, metered.export), (Energy::from_wh(2), Energy::from_wh(5)));
        assert_eq!(metered.net_export(), Ok(Energy::from_wh(3)));
    }

    #[test]
    fn a_falling_register_is_an_error_and_never_a_negative_energy() {
        assert!(Metered::between(&registers(10, 0), &registers(9, 0)).is_err());
        assert!(Register::from_mwh(-1).is_err());
    }

    #[test]
    fn unknown_production_stays_unknown() {
        let mut end = registers(1_000, 0);
        end.production = Some(Register::from_mwh(5).unwrap());
        assert_eq!(Metered::between(&registers(0, 0), &end).unwrap().production, None);
    }

    proptest! {
        #[test]
        fn slots_add_up_to_the_whole(mut points in prop::collection::vec(0_i64..1 << 40, 2..50)) {
            points.sort_unstable();
            let slots: i64 = points
                .windows(2)
                .map(|w| Metered::between(&registers(w[0], 0), &registers(w[1], 0)).unwrap().import.wh())
                .sum();
            let first = registers(points[0], 0);
            let last = registers(points[points.len() - 1], 0);
            prop_assert_eq!(slots, Metered::between(&first, &last).unwrap().import.wh());
        }
    }
}
