//! Whether a meter's registers follow on from its last ones.
//!
//! A register that falls is either a blip (some devices answer 0 while they start) or a true reset. A
//! blip must not reach the platform, and a reset must not become a negative or a huge energy: so a
//! fallen register is held back, and only when it stays so is a new epoch begun.

use domain::reading::Registers;

/// How many boundaries in a row must show the fallen registers before they are believed.
pub const BELIEVED_AFTER: u8 = 3;

/// What to do with new registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They follow on: store them.
    Follow,
    /// They fell: store nothing yet.
    Hold,
    /// They fell and stayed: store them as the first of a new epoch.
    NewEpoch,
}

/// Fallen registers that are not believed yet.
#[derive(Debug, Clone, Copy)]
struct Held {
    registers: Registers,
    times: u8,
}

/// Remembers what was held back from one meter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Continuity {
    held: Option<Held>,
}

impl Continuity {
    /// Judges registers against the last ones that were stored.
    pub fn judge(&mut self, last: Option<&Registers>, now: &Registers) -> Verdict {
        if last.is_none_or(|last| follows(last, now)) {
            self.held = None;
            return Verdict::Follow;
        }
        let times = match self.held {
            Some(held) if follows(&held.registers, now) => held.times.saturating_add(1),
            _ => 1,
        };
        if times >= BELIEVED_AFTER {
            self.held = None;
            return Verdict::NewEpoch;
        }
        self.held = Some(Held { registers: *now, times });
        Verdict::Hold
    }
}

/// Whether no register fell. Production that is not known on one side says nothing.
fn follows(before: &Registers, after: &Registers) -> bool {
    let production = match (before.production, after.production) {
        (Some(before), Some(after)) => after >= before,
        _ => true,
    };
    after.import >= before.import && after.export >= before.export && production
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::reading::Register;

    fn registers(import_mwh: i64, export_mwh: i64) -> Registers {
        let register = |mwh| Register::from_mwh(mwh).unwrap();
        Registers { import: register(import_mwh), export: register(export_mwh), production: None }
    }

    #[test]
    fn f21_a_blip_to_zero_is_held_and_forgotten() {
        let mut continuity = Continuity::default();
        let last = registers(1_000, 10);
        assert_eq!(continuity.judge(Some(&last), &registers(0, 0)), Verdict::Hold);
        assert_eq!(continuity.judge(Some(&last), &registers(1_001, 10)), Verdict::Follow);
        assert_eq!(continuity.judge(Some(&last), &registers(0, 0)), Verdict::Hold);
    }

    #[test]
    fn f22_a_true_reset_begins_a_new_epoch() {
        let mut continuity = Continuity::default();
        let last = registers(1_000, 10);
        let verdicts = [5, 7, 9].map(|mwh| continuity.judge(Some(&last), &registers(mwh, 0)));
        assert_eq!(verdicts, [Verdict::Hold, Verdict::Hold, Verdict::NewEpoch]);
    }

    #[test]
    fn registers_that_jump_about_are_never_believed() {
        let mut continuity = Continuity::default();
        let last = registers(1_000, 10);
        for mwh in [9, 8, 7, 6, 5, 4] {
            assert_eq!(continuity.judge(Some(&last), &registers(mwh, 0)), Verdict::Hold);
        }
    }

    #[test]
    fn f30_both_registers_may_rise_and_the_first_reading_always_counts() {
        let mut continuity = Continuity::default();
        assert_eq!(continuity.judge(None, &registers(1, 1)), Verdict::Follow);
        assert_eq!(continuity.judge(Some(&registers(1, 1)), &registers(2, 2)), Verdict::Follow);
    }
}
