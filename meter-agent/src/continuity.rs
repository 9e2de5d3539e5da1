//! Whether a meter's registers follow on from its last ones.
//!
//! A register that falls is a blip (some devices answer 0 while they start), a counter that began again,
//! or a true reset. One that leaps by more than the connection can carry is garbage, or another meter. None
//! of that may become a negative or a huge energy: such registers are held back, and only when they stay
//! so is a new epoch begun, which nothing is billed across.

pub mod production;

use chrono::{DateTime, Utc};
use domain::reading::{Register, Registers};

/// How many boundaries in a row must show doubtful registers before they are believed.
pub const BELIEVED_AFTER: u8 = 3;
/// Energy that may be missing from a register that stands still, beside three of its steps.
const STUCK_SLACK_MWH: i128 = 20_000;

/// Why registers are doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// One fell.
    Fell,
    /// One rose by more than the connection can carry.
    Jumped,
    /// Another serial number answers.
    Exchanged,
    /// None moves although power flows.
    Stuck,
}

impl Doubt {
    /// The class of a boundary that was not stored for this.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Fell => "register_fell",
            Self::Jumped => "register_jumped",
            Self::Exchanged => "meter_exchanged",
            Self::Stuck => "register_stuck",
        }
    }

    /// The flag of the record that begins a new epoch after it.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Fell => "new_epoch_after_reset",
            Self::Jumped => "new_epoch_after_jump",
            Self::Exchanged => "new_epoch_meter_exchanged",
            Self::Stuck => "register_stuck",
        }
    }

    /// What an operator is told.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Fell => "a register fell: held back until it is known whether the meter was reset",
            Self::Jumped => "a register leapt by more than the connection can carry: held back",
            Self::Exchanged => "another serial number answers: held back until the exchange is certain",
            Self::Stuck => "power flows and the registers stand still: held back, look at the meter",
        }
    }
}

/// What to do with new registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They follow on: store them.
    Follow,
    /// A counter began again from zero: import, export. Store them with its span added.
    RolledOver([bool; 2]),
    /// They are doubted: store nothing yet.
    Hold(Doubt),
    /// They were doubted and stayed: store them as the first of a new epoch.
    NewEpoch(Doubt),
}

/// The last registers that were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The registers.
    pub registers: Registers,
    /// For which boundary.
    pub slot_end: DateTime<Utc>,
    /// Whose they were, if that was told.
    pub serial: Option<String>,
}

/// Registers that were just read.
#[derive(Debug, Clone)]
pub struct Now {
    /// The registers.
    pub registers: Registers,
    /// For which boundary.
    pub slot_end: DateTime<Utc>,
    /// Whose they are, if that is told.
    pub serial: Option<String>,
    /// The momentary power in W.
    pub power_w: Option<i64>,
    /// The smallest step of import and export, in mWh.
    pub resolution_mwh: i64,
    /// The smallest step of the coarsest register, production included, in mWh.
    pub coarsest_mwh: i64,
    /// Where import and export begin again from zero, in mWh, if they do.
    pub span_mwh: [Option<i64>; 2],
    /// The most the connection can carry, in W.
    pub max_power_w: i64,
}

/// Doubtful registers that are not believed yet.
#[derive(Debug, Clone, Copy)]
struct Held {
    registers: Registers,
    doubt: Doubt,
    times: u8,
}

/// Remembers what was held back from one meter, and what flowed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Continuity {
    held: Option<Held>,
    production: production::Production,
    /// The least power in W that flowed in one direction at every boundary since the last stored one, that one
    /// included. What flows at one boundary alone may have begun just then.
    flows_w: Option<i64>,
}

impl Continuity {
    /// The production register if it follows on, and a flag if it does not. It decides nothing about the others.
    pub fn production(
        &mut self,
        before: Option<&Before>,
        now: &Now,
    ) -> (Option<Register>, Option<&'static str>) {
        self.production.judge(before, now)
    }

    /// Judges import and export against the last ones that were stored.
    pub fn judge(&mut self, before: Option<&Before>, now: &Now) -> Verdict {
        let flows_w = self.flows_w.zip(now.power_w).map(|(before, now)| least_in_one_direction(before, now));
        let verdict = self.verdict(before, now, flows_w);
        self.flows_w = if matches!(verdict, Verdict::Hold(_)) { flows_w } else { now.power_w };
        verdict
    }

    fn verdict(&mut self, before: Option<&Before>, now: &Now, flows_w: Option<i64>) -> Verdict {
        let Some(before) = before else { return self.follow(Verdict::Follow) };
        let doubt = match doubt(before, now, flows_w) {
            None => return self.follow(Verdict::Follow),
            Some(Doubt::Stuck) => return Verdict::Hold(Doubt::Stuck),
            Some(Doubt::Fell) => match rolled_over(before, now) {
                Some(which) => return self.follow(Verdict::RolledOver(which)),
                None => Doubt::Fell,
            },
            Some(doubt) => doubt,
        };
        let times = match self.held {
            Some(held) if held.doubt == doubt && follows(&held.registers, &now.registers) => {
                held.times.saturating_add(1)
            }
            _ => 1,
        };
        if times >= BELIEVED_AFTER {
            return self.follow(Verdict::NewEpoch(doubt));
        }
        self.held = Some(Held { registers: now.registers, doubt, times });
        Verdict::Hold(doubt)
    }

    const fn follow(&mut self, verdict: Verdict) -> Verdict {
        self.held = None;
        verdict
    }
}

fn doubt(before: &Before, now: &Now, flows_w: Option<i64>) -> Option<Doubt> {
    let exchanged = matches!((&before.serial, &now.serial), (Some(old), Some(new)) if old != new);
    let most = carried_mwh(now.max_power_w, before.slot_end, now) + i128::from(now.resolution_mwh);
    let risen = |before: Register, now: Register| i128::from(now.mwh()) - i128::from(before.mwh());
    let (old, new) = (&before.registers, &now.registers);
    let import = risen(old.import, new.import);
    let export = risen(old.export, new.export);
    if exchanged {
        Some(Doubt::Exchanged)
    } else if !follows(old, new) {
        Some(Doubt::Fell)
    } else if import > most || export > most {
        Some(Doubt::Jumped)
    } else if (import, export) == (0, 0) && stands_still_too_long(before, now, flows_w) {
        Some(Doubt::Stuck)
    } else {
        None
    }
}

/// The energy that a power brings from a boundary to that of `now`.
fn carried_mwh(power_w: i64, since: DateTime<Utc>, now: &Now) -> i128 {
    let seconds = (now.slot_end - since).num_seconds().max(0);
    i128::from(power_w.saturating_abs()) * 1_000 * i128::from(seconds) / 3_600
}

fn stands_still_too_long(before: &Before, now: &Now, flows_w: Option<i64>) -> bool {
    let missing = flows_w.map(|power_w| carried_mwh(power_w, before.slot_end, now)).unwrap_or_default();
    missing > 3 * i128::from(now.resolution_mwh) + STUCK_SLACK_MWH
}

/// The lesser of two powers; none if they flow in different directions.
const fn least_in_one_direction(a: i64, b: i64) -> i64 {
    if a.signum() != b.signum() {
        0
    } else if a.unsigned_abs() < b.unsigned_abs() {
        a
    } else {
        b
    }
}

/// Which counters began again, if that is what happened: what the fallen ones counted up to their end and
/// from zero is no more than the connection can carry.
fn rolled_over(before: &Before, now: &Now) -> Option<[bool; 2]> {
    let most = carried_mwh(now.max_power_w, before.slot_end, now);
    let pairs = [
        (before.registers.import, now.registers.import, now.span_mwh[0]),
        (before.registers.export, now.registers.export, now.span_mwh[1]),
    ];
    let mut which = [false; 2];
    for (index, (old, new, span)) in pairs.into_iter().enumerate() {
        if new >= old {
            continue;
        }
        let counted = i128::from(span?) + i128::from(new.mwh()) - i128::from(old.mwh());
        if !(0..=most).contains(&counted) {
            return None;
        }
        which[index] = true;
    }
    which.contains(&true).then_some(which)
}

/// Whether neither import nor export fell.
fn follows(before: &Registers, after: &Registers) -> bool {
    after.import >= before.import && after.export >= before.export
}

#[cfg(test)]
mod tests;
