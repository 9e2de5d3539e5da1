//! What a site will have left over, or lack, in each of the next slots, with its uncertainty.
//!
//! A plain robust model, learned from the site's own history alone. The load at a time of day is the
//! weighted median of the same time on earlier days (recent days and days alike count more), corrected by how the
//! last slot differed, which fades with the lead. Production is what a clear sky gave at that time, times a clearness that
//! fades from that of the last slot to the usual one. The quantiles are those of what earlier days
//! differed by, narrower while the last slot still tells much. `docs/market.md` works it through.

use crate::history::History;
use crate::quantile::{Quantiles, weighted};
use crate::samples::{Samples, wh};

/// How many slots a run looks ahead.
pub const HORIZON: usize = 96;
/// After how many seconds the last slot's difference has faded to a third.
const FADE_S: f64 = 3_600.0;
/// After how many seconds the present clearness has faded to a third.
const CLEARNESS_FADE_S: f64 = 10_800.0;
/// The share of the spread that stays however near the slot is.
const LEAST_SPREAD: f64 = 0.3;
/// The least spread to each side, as a share of the forecast: two days alike prove little.
const FLOOR_SHARE: f64 = 0.15;
/// The spread to each side of a site without a day of history, as a share of its last slot.
const COLD_SHARE: f64 = 0.5;
/// A clear sky of fewer Wh a slot is night.
const NIGHT_WH: f64 = 1.0;

/// Forecasts `slots` slots from `first` on. `None` if the site has no history that says anything;
/// nothing but slots before `first` is looked at.
#[must_use]
pub fn forecast(history: &History, first: i64, slots: usize) -> Option<Vec<Quantiles>> {
    let newest = last_before(history, first)?;
    let now = Now::of(history, newest);
    let count = i64::try_from(slots.min(HORIZON)).unwrap_or_default();
    Some((first..first + count).map(|index| now.forecast(history, index)).collect())
}

fn last_before(history: &History, first: i64) -> Option<i64> {
    let newest = history.newest()?;
    let oldest = first - i64::from(history.days().slots());
    (oldest..first.min(newest + 1)).rev().find(|index| history.get(*index).is_some())
}

/// How the last slot differs from what their time of day is usually like.
struct Now {
    newest: i64,
    newest_wh: i64,
    /// Load above the usual, in Wh a slot.
    load_above_wh: f64,
    /// Production as a share of a clear sky's; `None` at night or without a generator.
    clearness: Option<f64>,
}

/// What earlier days say about one slot, in Wh.
struct Usual {
    load_wh: f64,
    clear_sky_wh: f64,
    clearness: f64,
    samples: Samples,
}

impl Usual {
    fn of(history: &History, index: i64, newest: i64) -> Option<Self> {
        let samples = Samples::of(history, index, newest);
        let clear_sky_wh = samples.clear_sky_wh();
        let median = |list: Vec<(f64, f64)>| weighted(&list, 0.5);
        let load_wh = median(samples.sorted(|seen| Some(wh(load_wh(seen)))))?;
        let clearness = if clear_sky_wh >= NIGHT_WH {
            median(samples.sorted(|seen| seen.production_wh.map(|made| wh(made) / clear_sky_wh)))
        } else {
            None
        };
        Some(Self { load_wh, clear_sky_wh, clearness: clearness.unwrap_or_default(), samples })
    }

    fn net_wh(&self, load_wh: f64, clearness: f64) -> f64 {
        self.clear_sky_wh * clearness - load_wh
    }
}

/// What the site used; without a production meter, what it took less what it gave.
const fn load_wh(seen: &crate::history::Observed) -> i64 {
    let made = match seen.production_wh {
        Some(made) => made,
        None => 0,
    };
    made - seen.net_wh
}

impl Now {
    fn of(history: &History, newest: i64) -> Self {
        let seen = history.get(newest);
        // What is usual is taken from before the slot itself.
        let usual = Usual::of(history, newest, newest - 1);
        let made_wh = seen.and_then(|seen| seen.production_wh).map(wh);
        let clear_wh = |made: f64| usual.as_ref().map_or(made, |usual| usual.clear_sky_wh.max(made));
        Self {
            newest,
            newest_wh: seen.map(|seen| seen.net_wh).unwrap_or_default(),
            load_above_wh: seen
                .as_ref()
                .zip(usual.as_ref())
                .map_or(0.0, |(seen, usual)| wh(load_wh(seen)) - usual.load_wh),
            clearness: made_wh.filter(|made| clear_wh(*made) >= NIGHT_WH).map(|made| made / clear_wh(made)),
        }
    }

    fn forecast(&self, history: &History, index: i64) -> Quantiles {
        let seconds = wh(index - self.newest - 1) * f64::from(history.days().energy_seconds());
        let Some(usual) = Usual::of(history, index, self.newest) else { return self.cold() };
        let still = (-seconds / FADE_S).exp();
        let load_wh = usual.load_wh + self.load_above_wh * still;
        let fade = (-seconds / CLEARNESS_FADE_S).exp();
        let clearness =
            self.clearness.map_or(usual.clearness, |now| now * fade + usual.clearness * (1.0 - fade));
        let middle = usual.net_wh(load_wh, clearness);
        let usual_middle = usual.net_wh(usual.load_wh, usual.clearness);
        let differences = usual.samples.sorted(|seen| Some(wh(seen.net_wh) - usual_middle));
        // One day says little about how days differ, so that its spread is doubled.
        let few_days = 1.0 + 1.0 / usual.samples.days();
        let spread = few_days * (LEAST_SPREAD + (1.0 - LEAST_SPREAD) * (1.0 - still));
        let floor = middle.abs() * FLOOR_SHARE;
        let quantile = |q: f64| weighted(&differences, q).unwrap_or_default() * spread;
        Quantiles {
            p10_wh: whole(middle + quantile(0.1).min(-floor)),
            p50_wh: whole(middle),
            p90_wh: whole(middle + quantile(0.9).max(floor)),
        }
    }

    /// Without a day of history the last slot is all there is.
    fn cold(&self) -> Quantiles {
        let spread = whole(wh(self.newest_wh.abs()) * COLD_SHARE);
        let last = self.newest_wh;
        Quantiles { p10_wh: last - spread, p50_wh: last, p90_wh: last + spread }
    }
}

/// The nearest whole Wh.
fn whole(energy_wh: f64) -> i64 {
    // Sums of a few 31-bit figures.
    #[allow(clippy::cast_possible_truncation)]
    let rounded = energy_wh.round() as i64;
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::Days;
    use crate::history::Observed;

    /// A load of 100 Wh, 300 Wh in the evening, and a sun of up to 500 Wh by day, dimmed by `clearness`.
    fn at(index: i64, clearness: f64) -> Observed {
        let place = index.rem_euclid(96);
        let load = if (72..84).contains(&place) { 300 } else { 100 };
        let sun = if (24..72).contains(&place) {
            (wh(place - 24) / 48.0 * std::f64::consts::PI).sin()
        } else {
            0.0
        };
        let made = whole(500.0 * sun * clearness);
        Observed { net_wh: made - load, production_wh: Some(made) }
    }

    fn learned(slots: i64, clearness: impl Fn(i64) -> f64) -> History {
        let mut history = History::new(Days::new(900));
        for index in 0..slots {
            history.observe(index, at(index, clearness(index / 96)));
        }
        history
    }

    #[test]
    fn a_day_like_all_others_is_foreseen() {
        let history = learned(96 * 5, |_| 1.0);
        let run = forecast(&history, 96 * 5, HORIZON).unwrap();
        assert_eq!(run.len(), 96);
        for (offset, quantiles) in (0..).zip(&run) {
            let truth = at(96 * 5 + offset, 1.0).net_wh;
            assert!((quantiles.p50_wh - truth).abs() <= 60, "{offset}: {quantiles:?} for {truth}");
            assert!(quantiles.p10_wh <= quantiles.p50_wh && quantiles.p50_wh <= quantiles.p90_wh);
        }
    }

    #[test]
    fn a_clouded_morning_dims_the_noon_but_not_tomorrow() {
        let mut history = learned(96 * 5, |_| 1.0);
        for index in 96 * 5..96 * 5 + 40 {
            history.observe(index, at(index, 0.3));
        }
        let run = forecast(&history, 96 * 5 + 40, HORIZON).unwrap();
        let clear = at(96 * 5 + 42, 1.0).net_wh;
        assert!(run[2].p50_wh < clear - 150, "soon: {:?}, a clear sky gives {clear}", run[2]);
        let clear = at(96 * 6 + 38, 1.0).net_wh;
        assert!(run[94].p50_wh > clear - 100, "tomorrow: {:?}, a clear sky gives {clear}", run[94]);
    }

    #[test]
    fn the_future_changes_nothing() {
        let history = learned(96 * 3 + 50, |day| if day == 2 { 0.4 } else { 0.9 });
        let first = 96 * 2 + 20;
        let mut only_past = History::new(Days::new(900));
        let mut shuffled = History::new(Days::new(900));
        for index in 0..96 * 3 + 50 {
            let seen = history.get(index).unwrap();
            if index < first {
                only_past.observe(index, seen);
            }
            let future = (index - first) * 37 % (96 + 30) + first;
            shuffled.observe(index, if index < first { seen } else { history.get(future).unwrap() });
        }
        let expected = forecast(&only_past, first, HORIZON);
        assert!(expected.is_some());
        assert_eq!(forecast(&history, first, HORIZON), expected);
        assert_eq!(forecast(&shuffled, first, HORIZON), expected);
        only_past.observe(first - 1, Observed { net_wh: 0, production_wh: Some(400) });
        assert_ne!(forecast(&only_past, first, HORIZON), expected, "the past does change it");
    }

    #[test]
    fn without_a_day_of_history_the_last_slot_stands_and_without_any_there_is_none() {
        let mut history = History::new(Days::new(10));
        assert_eq!(forecast(&history, 7, 1), None);
        history.observe(5, Observed { net_wh: -40, production_wh: None });
        let expected = Quantiles { p10_wh: -60, p50_wh: -40, p90_wh: -20 };
        assert_eq!(forecast(&history, 7, 2), Some(vec![expected; 2]));
        assert_eq!(forecast(&history, 5, 2), None, "nothing before");
        assert_eq!(forecast(&history, 102, 1), None, "a day old says nothing");
    }
}
