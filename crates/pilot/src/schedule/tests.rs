use domain::units::{Energy, Power};
use proptest::prelude::*;

use super::*;
use crate::outlook::Tier;

fn battery(capacity_wh: i64, power_w: i64, permille: u16) -> Battery {
    Battery::new(Energy::from_wh(capacity_wh), Power::from_w(power_w), permille, permille).unwrap()
}

fn slot(net_wh: i64, buy: i64, sell: i64) -> Outlook {
    let tier = |price| Tier { local_wh: 0, local_micro_per_kwh: price, grid_micro_per_kwh: price };
    Outlook { net_wh, buy: tier(buy), sell: tier(sell) }
}

#[test]
fn surplus_is_kept_for_the_evening_and_the_reserve_stays() {
    let battery = battery(10_000, 10_000, 1_000);
    let day = [slot(4_000, 320, 80), slot(4_000, 320, 80), slot(-6_000, 320, 80), slot(-9_000, 320, 80)];
    let steps = plan(&battery, 2_000, 2_000, 3_600, &day);
    assert_eq!(steps[1].stored_wh, 10_000);
    assert_eq!(steps[3].stored_wh, 2_000, "the reserve");
    assert_eq!(steps.iter().map(|step| step.discharge_wh).sum::<i64>(), 8_000);
}

#[test]
fn it_buys_cheap_and_gives_dear_only_if_that_pays_the_losses() {
    let battery = battery(8_000, 4_000, 900);
    let prices = |dear| [slot(-1_000, 200, 80), slot(-1_000, 200, 80), slot(-3_000, dear, 80)];
    let charged = |dear| plan(&battery, 0, 0, 3_600, &prices(dear))[1].stored_wh;
    assert_eq!(charged(240), 0, "a fifth is lost, a fifth is gained");
    assert_eq!(charged(320), 3_334, "what gives 3,000 Wh");
}

#[test]
fn no_more_is_bought_of_neighbours_than_they_have_to_spare() {
    let battery = battery(100_000, 100_000, 950);
    let mut noon = slot(-100, 320, 80);
    noon.buy = Tier { local_wh: 600, local_micro_per_kwh: 216, grid_micro_per_kwh: 320 };
    let steps = plan(&battery, 0, 0, 900, &[noon, slot(-2_000, 320, 80)]);
    assert!(
        (498..=500).contains(&steps[0].charge_wh),
        "600 Wh less the 100 Wh that the site needs: {steps:?}"
    );
}

#[test]
fn a_battery_that_is_large_for_its_site_still_meets_a_small_load() {
    let battery = battery(146_700, 73_400, 950);
    let day: Vec<_> = (0..96)
        .map(|n| if (40..56).contains(&n) { slot(200, 320, 80) } else { slot(-75, 320, 80) })
        .collect();
    let steps = plan(&battery, 0, 0, 900, &day);
    assert_eq!(steps[..40].iter().map(|step| step.charge_wh + step.discharge_wh).sum::<i64>(), 0);
    // 16 times 200 Wh are stored; 40 times 75 Wh would need a little more than they give.
    let given: i64 = steps.iter().map(|step| step.discharge_wh).sum();
    assert!((2_850..=2_890).contains(&given), "{given}");
    assert!(steps.iter().all(|step| step.discharge_wh <= 75), "never more than the site needs");
}

/// The least cost over every path of whole stored Wh, tried one by one.
fn brute_force(battery: &Battery, stored: i64, reserve: i64, slots: &[Outlook], worth: i64) -> i128 {
    let Some((slot, rest)) = slots.split_first() else {
        return -i128::from(battery.from_store_wh(stored)) * i128::from(worth);
    };
    let to = |target: i64| {
        let net = if target > stored {
            -battery.to_store_wh(target - stored)
        } else {
            battery.from_store_wh(stored - target)
        };
        let possible = net.abs() <= battery.most_wh(3_600) && (target >= stored || target >= reserve);
        possible.then(|| slot.cost_nano(net) + brute_force(battery, target, reserve, rest, worth))
    };
    (0..=battery.capacity_wh()).filter_map(to).min().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_plan_is_cheaper_and_energy_is_conserved(
        capacity in 1..14_i64, power in 1..20_i64, permille in prop_oneof![Just(1_000_u16), 800..=1_000_u16],
        stored in 0..14_i64, reserve in 0..14_i64,
        nets in prop::collection::vec((-15..15_i64, 0..8_i64, 0..8_i64, 180..400_i64, 0..80_i64), 1..4)
    ) {
        let battery = battery(capacity, power, permille);
        let stored = stored.min(capacity);
        let reserve = reserve.min(stored);
        let slots: Vec<_> = nets.iter().map(|(net_wh, near, far, buy, sell)| Outlook {
            net_wh: *net_wh,
            buy: Tier { local_wh: *near, local_micro_per_kwh: 150, grid_micro_per_kwh: *buy },
            sell: Tier { local_wh: *far, local_micro_per_kwh: 120, grid_micro_per_kwh: *sell },
        }).collect();
        let steps = plan(&battery, stored, reserve, 3_600, &slots);
        let (mut now, mut cost) = (stored, 0);
        for (step, slot) in steps.iter().zip(&slots) {
            prop_assert_eq!(now + step.charge_wh, step.stored_wh + step.discharge_wh + step.loss_wh);
            prop_assert!(step.loss_wh >= 0 && step.charge_wh.max(step.discharge_wh) <= battery.most_wh(3_600));
            prop_assert!(step.stored_wh >= reserve && step.stored_wh <= capacity);
            now = step.stored_wh;
            cost += slot.cost_nano(step.net_wh());
        }
        let worth = slots.iter().map(|slot| slot.sell.grid_micro_per_kwh).min().unwrap();
        cost -= i128::from(battery.from_store_wh(now)) * i128::from(worth);
        let least = brute_force(&battery, stored, reserve, &slots, worth);
        // Losses are rounded to whole Wh: in a slot at most one on the way in and one on the way out.
        let rounding = if permille == 1_000 { 0 } else { 2 * 400 * i128::try_from(slots.len()).unwrap() };
        prop_assert!(cost - least <= rounding, "{} against {}", cost, least);
    }
}
