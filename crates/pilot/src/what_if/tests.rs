use domain::units::Power;

use super::*;
use crate::settings::Preset;

fn past(slots: i64, net_wh: impl Fn(i64) -> i64) -> Vec<PastSlot> {
    let price = Price::from_micro_per_kwh;
    let tariff = Tariff::new(price(320_000), price(80_000), price(30_000), price(2_000)).unwrap();
    (0..slots)
        .map(|number| PastSlot {
            slot_start: DateTime::from_timestamp(number * 900, 0).unwrap(),
            tariff,
            import_wh: (-net_wh(number)).max(0),
            export_wh: net_wh(number).max(0),
            production_wh: None,
            is_own: true,
            battery_wh: 0,
            local_net_wh: 0,
            local_net_nano: 0,
            local_bought_wh: 0,
            network_fee_nano: 0,
            network_fee: tariff.network_fee(),
            bounds: Bounds::of_tariff(&tariff).unwrap(),
            trade_price: Some(price(184_000)),
            closing_price: Some(price(184_000)),
            volumes: Volumes { import_wh: 1_000, export_wh: 1_000, local_wh: 500 },
        })
        .collect()
}

fn of(settings: &Settings, past: &[PastSlot]) -> WhatIf {
    let battery = Battery::usual(Energy::from_wh(4_000), Power::from_w(4_000));
    what_if(&Site { settings, battery, share_percent: 80 }, Days::new(900), past).unwrap()
}

#[test]
fn a_price_taker_trades_ahead_then_closes_half_and_leaves_the_rest_to_the_tariffs() {
    let settings = Settings::of_preset(Some(Preset::HandsOff));
    let result = of(&settings, &past(2, |_| 1_000));
    // The first slot has no forecast: half closes. In the second 800 Wh trade, 100 of the 200 close.
    assert_eq!((result.traded_wh, result.closing_wh, result.grid_wh), (800, 600, 600));
    assert_eq!(result.what_if_net_nano, 1_400 * 184_000 + 600 * 80_000);
    assert_eq!((result.base_net_nano, result.actual_net_nano), (160_000_000, 160_000_000));
}

#[test]
fn a_slot_that_closes_a_gap_is_played_and_not_learned() {
    let settings = Settings::of_preset(Some(Preset::Greenest));
    let gap = |is_own| {
        let mut slots = past(3, |slot| if slot == 1 { 50_000 } else { 1_000 });
        slots[1].is_own = is_own;
        of(&settings, &slots)
    };
    let (learned, left_out) = (gap(true), gap(false));
    assert_eq!(left_out.export_wh, 52_000);
    // The median of 1,000 and 1,000 Wh, and not 50,000 Wh that nobody will have in the third slot.
    assert_eq!(left_out.traded_wh, 2_000);
    assert_ne!(learned.traded_wh, left_out.traded_wh);
}

#[test]
fn an_own_limit_keeps_from_trading_at_a_worse_price() {
    let limit = Some(Price::from_micro_per_kwh(200_000));
    let settings = Settings { offer_limit: limit, ..Settings::of_preset(Some(Preset::Greenest)) };
    assert_eq!(of(&settings, &past(5, |_| 1_000)).traded_wh, 0);
}

#[test]
fn a_buyer_pays_the_fees_of_its_zone_and_stays_below_its_bound() {
    let settings = Settings::of_preset(Some(Preset::Greenest));
    let of_zone = |fee_micro: i64| {
        let mut slots = past(5, |_| -1_000);
        let fee = Price::from_micro_per_kwh(fee_micro);
        for slot in &mut slots {
            slot.network_fee = fee;
            slot.bounds.highest_bid = Price::from_micro_per_kwh(318_000 - fee_micro);
        }
        of(&settings, &slots)
    };
    let (near, far) = (of_zone(10_000), of_zone(50_000));
    let bought_wh = i128::from(near.traded_wh + near.closing_wh);
    assert_eq!((far.traded_wh, far.closing_wh), (near.traded_wh, near.closing_wh));
    assert_eq!(near.what_if_net_nano - far.what_if_net_nano, bought_wh * 40_000);
    // At 18.4 ct no neighbour is below the bound of 11.8 ct: all of it comes from the grid.
    let farthest = of_zone(200_000);
    assert_eq!((farthest.traded_wh, farthest.closing_wh, farthest.grid_wh), (0, 0, 5_000));
    assert_eq!(farthest.what_if_net_nano, farthest.base_net_nano);
}

#[test]
fn a_planned_battery_helps_where_noon_has_more_than_the_evening() {
    let mut day = past(96 * 4, |slot| if (40..56).contains(&(slot % 96)) { 500 } else { -100 });
    for slot in &mut day {
        // Nobody else is there.
        (slot.trade_price, slot.closing_price) = (None, None);
        slot.volumes = Volumes { import_wh: slot.import_wh, export_wh: slot.export_wh, local_wh: 0 };
    }
    let without = Settings::of_preset(Some(Preset::HandsOff));
    let with = Settings { follows_battery_plan: true, ..without };
    let (alone, planned) = (of(&without, &day), of(&with, &day));
    assert!(planned.what_if_net_nano > alone.what_if_net_nano, "{planned:?} against {alone:?}");
    assert_eq!((alone.charged_wh, planned.base_net_nano), (0, alone.base_net_nano));
    assert!(planned.charged_wh > planned.discharged_wh && planned.discharged_wh > 2_000);
}

#[test]
fn the_future_changes_nothing_that_was_ordered_before() {
    let settings = Settings::of_preset(Some(Preset::Cheapest));
    let whole = past(300, |slot| slot % 96 * 10 - 400);
    let other = past(300, |slot| if slot < 200 { slot % 96 * 10 - 400 } else { 7_777 - slot });
    assert_eq!(of(&settings, &whole[..200]), of(&settings, &other[..200]));
}

#[test]
fn after_a_gap_the_battery_is_planned_anew() {
    let settings = Settings { follows_battery_plan: true, ..Settings::of_preset(Some(Preset::HandsOff)) };
    // Five slots of surplus a day fit into the battery, and are planned to: on the last day the first of them is there,
    // and then only slots of the night, in which the plan of that slot would go on charging.
    let mut slots = past(96 * 3 + 53, |number| if number % 96 < 5 { 700 } else { -100 });
    slots.drain(96 * 3 + 1..96 * 3 + 50);
    let (before, all) = (of(&settings, &slots[..slots.len() - 3]), of(&settings, &slots));
    assert!(before.charged_wh > 0);
    assert_eq!(all.charged_wh, before.charged_wh);
}
