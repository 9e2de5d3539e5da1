//! Whether a production register follows on. It is shown and never billed: a value that cannot be is left out, and
//! holds back neither import nor export.

use chrono::{DateTime, Utc};
use domain::reading::Register;

use super::{BELIEVED_AFTER, Before, Now, carried_mwh};

/// The flag of a record whose production is left out.
pub const IMPLAUSIBLE: &str = "production_implausible";
/// The flag of the record with which another count of production begins.
pub const BEGINS_ANEW: &str = "production_begins_anew";

/// Remembers what was believed of one meter's production, and what not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Production {
    believed: Option<(Register, DateTime<Utc>)>,
    doubted: Option<(Register, u8)>,
}

impl Production {
    /// The production that may be told, and what is to be flagged of it.
    pub(super) fn judge(
        &mut self,
        before: Option<&Before>,
        now: &Now,
    ) -> (Option<Register>, Option<&'static str>) {
        let Some(value) = now.registers.production else { return (None, None) };
        let stored = || before.and_then(|before| Some((before.registers.production?, before.slot_end)));
        let fits = self.believed.or_else(stored).is_none_or(|(last, since)| {
            let risen = i128::from(value.mwh()) - i128::from(last.mwh());
            let most = carried_mwh(now.max_power_w, since, now) + i128::from(now.coarsest_mwh);
            (0..=most).contains(&risen)
        });
        let times = match self.doubted {
            Some((last, times)) if value >= last => times.saturating_add(1),
            _ => 1,
        };
        if !fits && times < BELIEVED_AFTER {
            self.doubted = Some((value, times));
            return (None, Some(IMPLAUSIBLE));
        }
        (self.believed, self.doubted) = (Some((value, now.slot_end)), None);
        (Some(value), (!fits).then_some(BEGINS_ANEW))
    }
}
