//! How good the forecast is: its pinball loss on a community's profiles, beside that of expecting every
//! slot to be as it was a day before.

use pilot::day::Days;
use pilot::forecast::{HORIZON, forecast};
use pilot::history::{History, Observed};
use pilot::quantile::Quantiles;

use super::meters::{Meters, SlotEnergy};
use crate::dataset::DataSet;

/// The losses of both, added up over sites and slots, in tenths of a Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// How many forecasts of a slot were scored.
    pub forecasts: u64,
    /// The forecast's loss.
    pub loss_tenths: i64,
    /// The loss of expecting the day before.
    pub persistence_tenths: i64,
}

/// Walks forward through the data: every `every` slots each site's next 96 are forecast from what was before,
/// and scored. Slots without a slot a day before are not scored, since they cannot be compared.
#[must_use]
pub fn score(data: &DataSet, every: usize) -> Score {
    let days = Days::of_profile(data.slot_seconds);
    let played = play(data);
    let mut histories = vec![History::new(days); data.sites.len()];
    // What comes is kept apart: a forecast is handed its own history only.
    let mut score = Score::default();
    for (number, row) in data.rows.iter().enumerate() {
        let index = days.index(row.slot_start);
        if number.is_multiple_of(every.max(1)) {
            for (site, history) in histories.iter().enumerate() {
                let Some(run) = forecast(history, index, HORIZON) else { continue };
                score.add(data, &played, (number, site), days, history, &run);
            }
        }
        for (history, seen) in histories.iter_mut().zip(&played[number]) {
            let net_wh = seen.net_export_wh();
            history.observe(index, Observed { net_wh, production_wh: Some(seen.production_wh) });
        }
    }
    score
}

fn play(data: &DataSet) -> Vec<Vec<SlotEnergy>> {
    let mut meters = Meters::new(data.sites.len(), data.slot_seconds);
    let none = vec![0; data.sites.len()];
    data.rows.iter().map(|row| meters.advance(&row.powers, &none)).collect()
}

impl Score {
    fn add(
        &mut self,
        data: &DataSet,
        played: &[Vec<SlotEnergy>],
        (first, site): (usize, usize),
        days: Days,
        history: &History,
        run: &[Quantiles],
    ) {
        let start = days.index(data.rows[first].slot_start);
        for (row, energies) in data.rows.iter().zip(played).skip(first) {
            let index = days.index(row.slot_start);
            let ahead = usize::try_from(index - start).ok();
            let Some(quantiles) = ahead.and_then(|ahead| run.get(ahead)) else { break };
            let Some(before) = history.get(index - i64::from(days.slots())) else { continue };
            let actual_wh = energies[site].net_export_wh();
            self.forecasts += 1;
            self.loss_tenths += quantiles.pinball_tenths(actual_wh);
            self.persistence_tenths += Quantiles::certain(before.net_wh).pinball_tenths(actual_wh);
        }
    }

    /// The forecast's loss over that of persistence; `None` where nothing was scored or it made no loss.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        share(self.loss_tenths, self.persistence_tenths)
    }

    /// The forecast's mean loss a slot and quantile, in Wh.
    #[must_use]
    pub fn mean_wh(&self) -> Option<f64> {
        share(self.loss_tenths, i64::try_from(self.forecasts).ok()?).map(|tenths| tenths / 30.0)
    }
}

/// A ratio to be read; nothing is billed by it.
#[allow(clippy::cast_precision_loss)]
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
