//! Simulations: sums that must hold for every community and mechanism, and the demonstration's figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use domain::tariff::Tariff;
use domain::units::Price;
use market::clear::Mechanism;
use market::dataset::{DataSet, ProfileRow, Site, SitePower};
use market::simulate::{Settings, SimulateError, Simulated, csv, json, simulate};
use proptest::prelude::*;

const MECHANISMS: [Mechanism; 3] =
    [Mechanism::ContinuousDoubleAuction, Mechanism::CallAuction, Mechanism::ContinuousThenCall];

fn settings(mechanism: Mechanism) -> Settings {
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
    Settings::new(mechanism, tariff)
}

fn demonstration() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/devnet/data/simbench-lv-rural")
}

fn data(powers: &[Vec<(u32, u32)>], slot_seconds: u32) -> DataSet {
    let site = |number: usize| Site {
        id: format!("site-{number}"),
        connection_node: String::new(),
        load_kinds: vec![],
        load_profiles: vec![],
        load_peak_w: 0,
        pv_peak_w: 0,
        battery_wh: 0,
        battery_w: 0,
    };
    let row = |(number, powers): (i64, &Vec<(u32, u32)>)| ProfileRow {
        slot_start: chrono::DateTime::from_timestamp(number * i64::from(slot_seconds), 0).unwrap(),
        powers: powers.iter().map(|(load_w, pv_w)| SitePower { load_w: *load_w, pv_w: *pv_w }).collect(),
    };
    let sites = (0..powers[0].len()).map(site).collect();
    DataSet { sites, rows: (0..).zip(powers).map(row).collect(), slot_seconds }
}

fn play(data: &DataSet, mechanism: Mechanism) -> Simulated {
    simulate(data, &settings(mechanism), |_, _| {}).unwrap()
}

#[test]
fn export_beyond_the_limit_earns_nothing_and_import_beyond_it_is_stated() {
    // 1,000 and 200 Wh over, 300 Wh short, then 500 Wh short with nothing over.
    let data = data(&[vec![(0, 4_000), (0, 800), (1_200, 0)], vec![(0, 0), (0, 0), (2_000, 0)]], 900);
    let free = play(&data, Mechanism::CallAuction);
    let wh = |wh| Some(domain::units::Energy::from_wh(wh));
    let limits = domain::grid::GridLimits { import: wh(450), export: wh(500) };
    let limited =
        simulate(&data, &Settings { limits, ..settings(Mechanism::CallAuction) }, |_, _| {}).unwrap();
    assert_eq!((limited.kpis.curtailed_wh, limited.kpis.over_limit_wh), (400, 50));
    let table = csv(&limited);
    let ends: Vec<bool> =
        table.lines().skip(1).zip([",400,0", ",0,50"]).map(|(line, end)| line.ends_with(end)).collect();
    assert_eq!(ends, [true, true], "{table}");
    assert_eq!(limited.kpis.money_sum_nano, 0);
    assert_eq!(limited.kpis.grid_export_wh, free.kpis.grid_export_wh);
    assert_eq!(free.kpis.savings_nano - limited.kpis.savings_nano, 400 * 80_000);
    assert!(json(&limited).contains("\"curtailed_wh\":400,\"over_limit_wh\":50"));
}

#[test]
fn two_neighbours_halve_the_gain_between_the_tariffs() {
    // 4 kW over and 2 kW short in a quarter-hour: 1,000 and 500 Wh.
    let data = data(&[vec![(0, 4_000), (2_000, 0)]], 900);
    let simulated = play(&data, Mechanism::CallAuction);
    let kpis = &simulated.kpis;
    assert_eq!((kpis.closing_wh, kpis.grid_import_wh, kpis.grid_export_wh), (500, 0, 500));
    assert_eq!(kpis.mean_price_micro_per_kwh, Some(184_000));
    // Each gains 104,000 nano a Wh: 184,000 - 80,000, and 320,000 - 184,000 - 32,000.
    let savings: Vec<_> =
        simulated.members.iter().map(market::simulate::MemberResult::savings_nano).collect();
    assert_eq!(savings, [52_000_000, 52_000_000]);
    assert_eq!((kpis.self_sufficiency(), kpis.self_consumption()), (Some(1.0), Some(0.5)));
    assert_eq!((kpis.local_share(), kpis.welfare_share()), (Some(1.0), Some(1.0)));
    assert_eq!((kpis.base_cost_nano, kpis.cost_nano), (80_000_000, -24_000_000));
}

#[test]
fn what_has_nothing_to_divide_by_is_undefined() {
    let idle = play(&data(&[vec![(0, 0)], vec![(0, 0)]], 900), Mechanism::ContinuousThenCall).kpis;
    let shares = [idle.self_sufficiency(), idle.self_consumption(), idle.local_share(), idle.welfare_share()];
    assert_eq!(shares, [None; 4]);
    assert_eq!(idle.mean_price_micro_per_kwh, None);
}

#[test]
fn the_demonstration_community_reaches_the_optimum_with_a_closing_auction() {
    let data = DataSet::read(&demonstration()).unwrap();
    for mechanism in MECHANISMS {
        let simulated = play(&data, mechanism);
        let share = simulated.kpis.welfare_share().unwrap();
        assert_eq!(simulated.kpis.money_sum_nano, 0);
        assert_eq!(simulated.kpis.slots, 672);
        if mechanism == Mechanism::ContinuousDoubleAuction {
            assert!(share < 0.99, "forecasts err, and nothing corrects them: {share}");
        } else {
            assert!(share >= 0.99, "{mechanism:?} reaches {share}");
        }
        let table = csv(&simulated);
        assert_eq!(table.lines().count(), 673);
        assert!(table.lines().skip(1).all(|line| line.split(',').count() == 13));
        assert!(json(&simulated).contains("\"money_sum_nano\":0,\"members\":[{\"site_id\":\"site-001\""));
    }
}

#[test]
fn days_bound_what_is_played_and_none_is_refused() {
    let data = DataSet::read(&demonstration()).unwrap();
    let mut seen = vec![];
    let two = Settings { days: Some(2), ..settings(Mechanism::CallAuction) };
    let simulated = simulate(&data, &two, |done, of| seen.push((done, of))).unwrap();
    assert_eq!((simulated.kpis.slots, seen.len(), seen.last()), (192, 192, Some(&(192, 192))));
    let none = Settings { days: Some(0), ..two };
    assert!(matches!(simulate(&data, &none, |_, _| {}), Err(SimulateError::NoDays)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn money_and_energy_are_conserved_whatever_the_community(
        powers in (1..7_usize).prop_flat_map(|sites| {
            prop::collection::vec(prop::collection::vec((0..9_000_u32, 0..9_000_u32), sites), 1..12)
        }),
        slot_seconds in prop_oneof![Just(10_u32), Just(300), Just(900), Just(3_600)]
    ) {
        let data = data(&powers, slot_seconds);
        for mechanism in MECHANISMS {
            let simulated = play(&data, mechanism);
            let kpis = &simulated.kpis;
            prop_assert_eq!(kpis.money_sum_nano, 0);
            let (bought, sold) = simulated
                .members
                .iter()
                .fold((0, 0), |(bought, sold), member| (bought + member.bought_wh, sold + member.sold_wh));
            prop_assert_eq!((bought, sold), (kpis.traded_wh + kpis.closing_wh, kpis.traded_wh + kpis.closing_wh));
            for slot in &simulated.slots {
                prop_assert_eq!(slot.import_wh - slot.export_wh, slot.grid_import_wh - slot.grid_export_wh);
            }
            prop_assert!(kpis.welfare_nano <= kpis.optimum_nano && kpis.savings_nano <= kpis.optimum_nano);
            if mechanism == Mechanism::CallAuction {
                // Nobody is worse off than at the tariffs, and no gain is left.
                prop_assert!(simulated.members.iter().all(|member| member.savings_nano() >= 0));
                prop_assert_eq!((kpis.welfare_nano, kpis.savings_nano), (kpis.optimum_nano, kpis.optimum_nano));
            }
        }
    }
}
