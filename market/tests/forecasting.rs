//! The forecast on the demonstration's community, and batteries that are played by it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use domain::tariff::Tariff;
use domain::units::Price;
use market::clear::Mechanism;
use market::dataset::DataSet;
use market::simulate::{Batteries, ForecastBy, Settings, Simulated, score, simulate};

fn demonstration() -> DataSet {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/devnet/data/simbench-lv-rural");
    DataSet::read(&folder).unwrap()
}

fn settings(batteries: Batteries) -> Settings {
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
    let forecast = ForecastBy::Learned;
    Settings { forecast, batteries, ..Settings::new(Mechanism::ContinuousThenCall, tariff) }
}

fn play(data: &DataSet, batteries: Batteries) -> Simulated {
    simulate(data, &settings(batteries), |_, _| {}).unwrap()
}

#[test]
fn it_loses_less_than_expecting_the_day_before() {
    let score = score::score(&demonstration(), 8);
    assert!(score.forecasts > 10_000, "{score:?}");
    assert!(score.ratio().unwrap() < 0.8, "{score:?}");
}

#[test]
fn what_comes_later_changes_nothing_before() {
    let data = demonstration();
    let known = 96 * 2;
    let mut other = data.clone();
    let powers: Vec<_> = data.rows[known..].iter().rev().map(|row| row.powers.clone()).collect();
    for (row, powers) in other.rows[known..].iter_mut().zip(powers) {
        row.powers = powers;
    }
    assert_ne!(data, other);
    for batteries in [Batteries::None, Batteries::Planned] {
        assert_eq!(play(&data, batteries).slots[..known], play(&other, batteries).slots[..known]);
    }
}

#[test]
fn batteries_conserve_energy_and_their_plan_saves_the_community_money() {
    let data = demonstration();
    let (none, own, planned) =
        (play(&data, Batteries::None), play(&data, Batteries::Own), play(&data, Batteries::Planned));
    assert_eq!((none.battery.count, none.battery.charged_wh), (0, 0));
    for played in [&own, &planned] {
        let used = played.battery;
        assert_eq!(
            used.stored_before_wh + used.charged_wh,
            used.stored_after_wh + used.discharged_wh + used.loss_wh
        );
        assert_eq!((played.kpis.money_sum_nano, used.count), (0, 5));
        // Registers round to whole watt-hours, which a battery shifts.
        let used_wh = played.kpis.consumption_wh - none.kpis.consumption_wh;
        assert!(used_wh.abs() <= 26, "a battery is no use of energy: {used_wh}");
        let import_wh = played.kpis.import_wh - none.kpis.import_wh;
        let export_wh: i64 =
            played.slots.iter().zip(&none.slots).map(|(a, b)| a.export_wh - b.export_wh).sum();
        let rounding = 2 * i64::try_from(data.sites.len()).unwrap();
        let moved = used.charged_wh - used.discharged_wh;
        assert!((import_wh - export_wh - moved).abs() <= rounding, "{import_wh} {export_wh} {moved}");
    }
    assert_eq!(own.battery.charged_wh, 0, "the sites with batteries have no surplus of their own");
    assert!(planned.battery.discharged_wh > 100_000, "{:?}", planned.battery);
    assert!(
        planned.kpis.cost_nano < none.kpis.cost_nano,
        "{} {}",
        planned.kpis.cost_nano,
        none.kpis.cost_nano
    );
    assert!(planned.kpis.self_sufficiency() > none.kpis.self_sufficiency());
    // What was stored from the grid is not local when it is used: what the grid did not bring is.
    let kpis = &planned.kpis;
    let not_from_grid = kpis.consumption_wh - kpis.grid_import_wh;
    assert!(
        (kpis.local_used_wh - not_from_grid).abs() * 200 < kpis.consumption_wh,
        "{} {not_from_grid}",
        kpis.local_used_wh
    );
    assert!(kpis.local_used_wh >= not_from_grid);
}
