//! What a slot was like on earlier days: the same time of day and its neighbours, weighted.

use crate::history::{DAYS, History, Observed};

/// How much less a day counts than the one after it.
const DAY_DECAY: f64 = 0.8;
/// How much a weekend says about a working day, and the other way round.
const OTHER_DAY: f64 = 0.35;
/// How much slots beside the same time of day count, by their distance.
const BESIDE: [f64; 3] = [1.0, 0.8, 0.6];

/// What earlier days say about a slot: each with its weight.
#[derive(Debug, Default)]
pub(crate) struct Samples(pub(crate) Vec<(Observed, f64)>);

impl Samples {
    /// The samples for slot `index`, of slots that are known by `newest` at the latest.
    pub(crate) fn of(history: &History, index: i64, newest: i64) -> Self {
        let days = history.days();
        let mut samples = Vec::with_capacity(DAYS as usize * 5);
        let mut day_weight = 1.0;
        for day in 1..=i64::from(DAYS) {
            day_weight *= DAY_DECAY;
            for beside in -2..=2_i64 {
                let then = index - day * i64::from(days.slots()) + beside;
                if then > newest {
                    continue;
                }
                let Some(observed) = history.get(then) else { continue };
                let alike = if days.alike(index, then) { 1.0 } else { OTHER_DAY };
                let near = usize::try_from(beside.abs()).ok().and_then(|at| BESIDE.get(at).copied());
                samples.push((observed, day_weight * alike * near.unwrap_or_default()));
            }
        }
        Self(samples)
    }

    /// Of how many days they are, roughly; at least one.
    pub(crate) fn days(&self) -> f64 {
        let slots = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        (wh(slots) / 5.0).max(1.0)
    }

    /// Figures of the samples that `value` gives one for, sorted, with their weights.
    pub(crate) fn sorted(&self, value: impl Fn(&Observed) -> Option<f64>) -> Vec<(f64, f64)> {
        let mut list: Vec<_> =
            self.0.iter().filter_map(|(seen, weight)| Some((value(seen)?, *weight))).collect();
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
        list
    }

    /// The most that was produced at this time of day: what a clear sky gives.
    pub(crate) fn clear_sky_wh(&self) -> f64 {
        let most = self.0.iter().filter_map(|(seen, _)| seen.production_wh).max();
        most.map_or(0.0, wh)
    }
}

/// A slot's energy as a float: at most 31 bits, so exact.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn wh(energy_wh: i64) -> f64 {
    energy_wh as f64
}
