//! The forecast's mean pinball loss a quantile and slot on the demonstration's community, walking forward, over
//! that of expecting each slot to be as it was a day before. Of losses less is better: the ratio is ours
//! over the peer's.

use std::path::Path;

use market::dataset::DataSet;
use market::simulate::score;

use crate::Figure;

pub(crate) fn print() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/devnet/data/simbench-lv-rural");
    let score = score::score(&DataSet::read(&folder).unwrap(), 1);
    let figure = Figure::new("forecast_pinball_loss", score.mean_wh().unwrap(), "Wh");
    figure.beside("persistence", score.ratio().unwrap()).print();
}
