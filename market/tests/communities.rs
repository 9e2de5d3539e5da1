//! Communities of other sizes, slot lengths and days, from folders as their owners would write them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use domain::tariff::Tariff;
use domain::units::Price;
use market::clear::Mechanism;
use market::dataset::{DataSet, LeftOut, PROFILES_FILE, SITES_FILE};
use market::simulate::{Batteries, Kpis, Settings, Simulated, json, notes, simulate, text};

const MECHANISMS: [Mechanism; 3] =
    [Mechanism::ContinuousDoubleAuction, Mechanism::CallAuction, Mechanism::ContinuousThenCall];

/// Reads a community of sites with profile lines `site_id,load_w,pv_w` for each of the starts.
fn community(sites: usize, starts: &[&str], power: impl Fn(usize, usize) -> (u32, u32)) -> DataSet {
    let folder = tempfile::tempdir().unwrap();
    let list: String = (0..sites).map(|site| format!("site-{site}\n")).collect();
    let mut lines = String::from("slot_start,site_id,load_w,pv_w\n");
    for (slot, start) in starts.iter().enumerate() {
        for site in 0..sites {
            let (load_w, pv_w) = power(slot, site);
            lines.push_str(&format!("{start},site-{site},{load_w},{pv_w}\n"));
        }
    }
    std::fs::write(folder.path().join(SITES_FILE), format!("site_id\n{list}")).unwrap();
    std::fs::write(folder.path().join(PROFILES_FILE), lines).unwrap();
    DataSet::read(folder.path()).unwrap()
}

fn play(data: &DataSet, mechanism: Mechanism) -> Simulated {
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
    let simulated = simulate(data, &Settings::new(mechanism, tariff), |_, _| {}).unwrap();
    assert_eq!(simulated.kpis.money_sum_nano, 0);
    simulated
}

const HOUR: [&str; 2] = ["2016-06-10T12:00:00Z", "2016-06-10T13:00:00Z"];

#[test]
fn a_single_member_has_nobody_to_trade_with() {
    let data = community(1, &HOUR, |slot, _| if slot == 0 { (500, 2_000) } else { (800, 0) });
    for mechanism in MECHANISMS {
        let Kpis { grid_import_wh, grid_export_wh, trades, savings_nano, .. } = play(&data, mechanism).kpis;
        assert_eq!((grid_import_wh, grid_export_wh, trades, savings_nano), (800, 1_500, 0, 0));
    }
    let kpis = play(&data, Mechanism::CallAuction).kpis;
    // 500 of 1,300 Wh used, and of 2,000 Wh produced, are its own.
    assert_eq!((kpis.self_sufficiency(), kpis.self_consumption()), (Some(5.0 / 13.0), Some(0.25)));
    assert_eq!((kpis.local_share(), kpis.welfare_share()), (Some(0.0), None));
}

#[test]
fn producers_alone_and_consumers_alone_have_shares_only_of_what_there_is() {
    let producers = play(&community(3, &HOUR, |_, _| (0, 1_000)), Mechanism::ContinuousThenCall).kpis;
    assert_eq!((producers.grid_export_wh, producers.savings_nano), (6_000, 0));
    assert_eq!((producers.self_sufficiency(), producers.self_consumption()), (None, Some(0.0)));
    assert_eq!((producers.local_share(), producers.savings_percent()), (None, Some(0.0)));
    let consumers = play(&community(3, &HOUR, |_, _| (1_000, 0)), Mechanism::ContinuousThenCall).kpis;
    assert_eq!((consumers.grid_import_wh, consumers.savings_nano), (6_000, 0));
    assert_eq!((consumers.self_sufficiency(), consumers.self_consumption()), (Some(0.0), None));
    assert_eq!((consumers.local_share(), consumers.savings_percent()), (Some(0.0), Some(0.0)));
}

#[test]
fn the_same_powers_are_the_same_energy_in_slots_of_any_length() {
    for minutes in [1_usize, 5, 15, 30, 60] {
        let starts: Vec<String> = (0..120 / minutes)
            .map(|slot| format!("2016-06-10T{:02}:{:02}:00Z", 12 + slot * minutes / 60, slot * minutes % 60))
            .collect();
        let starts: Vec<&str> = starts.iter().map(String::as_str).collect();
        // 601 W over and 602 W and 301 W short: no whole watt-hours in a minute.
        let data = community(3, &starts, |_, site| [(0, 601), (602, 0), (301, 0)][site]);
        let kpis = play(&data, Mechanism::CallAuction).kpis;
        assert_eq!((kpis.consumption_wh, kpis.production_wh), (1_806, 1_202), "slots of {minutes} min");
        assert_eq!(kpis.grid_export_wh, 0);
        assert_eq!((kpis.closing_wh, kpis.grid_import_wh), (1_202, 604));
    }
}

#[test]
fn a_thousand_members_share_what_there_is() {
    // Every fifth produces 1,000 W; the others use 125 W each, half of it in all.
    let data = community(1_000, &HOUR, |_, site| if site % 5 == 0 { (0, 1_000) } else { (125, 0) });
    let simulated = play(&data, Mechanism::CallAuction);
    assert_eq!((simulated.kpis.closing_wh, simulated.kpis.grid_export_wh), (200_000, 200_000));
    assert_eq!((simulated.kpis.self_sufficiency(), simulated.kpis.welfare_share()), (Some(1.0), Some(1.0)));
    assert_eq!(simulated.kpis.mean_price_micro_per_kwh, Some(184_000));
    assert!(simulated.members.iter().all(|member| member.savings_nano() > 0), "nobody is left out");
}

#[test]
fn leap_days_and_nights_with_and_without_an_hour_are_played_slot_by_slot() {
    let leap =
        ["2016-02-28T23:00:00Z", "2016-02-29T00:00:00Z", "2016-02-29T23:00:00Z", "2016-03-01T00:00:00Z"];
    let spring = ["2016-03-27T01:00:00+01:00", "2016-03-27T03:00:00+02:00", "2016-03-27T04:00:00+02:00"];
    let autumn = ["2016-10-30T02:00:00+02:00", "2016-10-30T02:00:00+01:00", "2016-10-30T03:00:00+01:00"];
    for (starts, slots) in [(leap.as_slice(), 4), (&spring, 3), (&autumn, 3)] {
        let data = community(2, starts, |_, site| [(0, 1_000), (400, 0)][site]);
        assert_eq!((data.rows.len(), data.slot_seconds), (slots, 3_600));
        let kpis = play(&data, Mechanism::CallAuction).kpis;
        let slots = i64::try_from(slots).unwrap();
        assert_eq!((kpis.closing_wh, kpis.grid_export_wh), (400 * slots, 600 * slots));
    }
}

#[test]
fn those_who_earn_at_the_tariffs_have_savings_too() {
    // Twice 600 Wh over and 500 Wh short: 500 Wh meet at 184 instead of 80 and, with fees, at 216 instead of 320.
    let data = community(3, &HOUR, |_, site| [(0, 6_000), (500, 0), (0, 0)][site]);
    let simulated = play(&data, Mechanism::CallAuction);
    let (producer, consumer, idle) = (&simulated.members[0], &simulated.members[1], &simulated.members[2]);
    // 104 a Wh on 1,000 Wh: beside 80 on 12,000 Wh that were earned, and 320 on 1,000 Wh that were paid.
    assert_eq!(
        (producer.savings_percent(), consumer.savings_percent()),
        (Some(104.0 / 960.0 * 100.0), Some(32.5))
    );
    assert_eq!(idle.savings_percent(), None);
    assert_eq!(simulated.kpis.savings_percent(), Some(208.0 / 640.0 * 100.0));
    let json = json(&simulated);
    assert!(json.contains("\"savings_nano\":\"104000000\",\"savings_percent\":32.500000}"), "{json}");
    assert!(json.contains("\"savings_nano\":\"0\",\"savings_percent\":null}]"), "{json}");
}

#[test]
fn ids_are_escaped_and_what_was_left_out_is_said() {
    let mut data = community(3, &HOUR, |_, _| (100, 0));
    (data.sites[0].id, data.sites[1].id) = ("a \"b\"\\".into(), "Haus-7".into());
    (data.sites[0].battery_wh, data.sites[0].battery_w) = (5_000, 2_500);
    let mut simulated = play(&data, Mechanism::CallAuction);
    simulated.left_out = LeftOut { slots: 1, sites: vec!["x \"y\"".into(), "z".into()] };
    let json = json(&simulated);
    let left_out =
        r#""slots_left_out":1,"sites_left_out":["x \"y\"","z"],"batteries_in_data":1,"money_sum_nano":0,"#;
    assert!(json.contains(left_out) && json.contains(r#"{"site_id":"a \"b\"\\","#), "{json}");
    let text = text(&simulated);
    for says in [
        "1 slot left out, in which",
        "2 sites left out, without any line in profiles.csv: \"x \\\"y\\\"\", z\n",
        "1 battery of the data was not played; --batteries own or --batteries planned plays them\n",
        "\n\"a \\\"b\\\"\\\\\": bought 0 Wh",
        "\nHaus-7: bought 0 Wh",
    ] {
        assert!(text.contains(says), "`{says}` is missing in {text}");
    }
    simulated.left_out = LeftOut::default();
    simulated.batteries_in_data = 0;
    assert_eq!(notes(&simulated), "");
}

#[test]
fn half_a_battery_is_played_by_nobody() {
    let mut data = community(2, &HOUR, |_, _| (100, 0));
    data.sites[1].battery_wh = 5_000;
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
    let settings = Settings { batteries: Batteries::Own, ..Settings::new(Mechanism::CallAuction, tariff) };
    let error = simulate(&data, &settings, |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("site site-1 has only one of battery_wh and battery_w"), "{error}");
    play(&data, Mechanism::CallAuction);
}
