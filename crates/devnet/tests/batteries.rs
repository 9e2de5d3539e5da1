//! Simulated batteries: no energy appears or is lost at the meter whatever is planned, and what the market plans is what
//! the meter shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../market/tests/support/mod.rs"]
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use devnet::dataset::{DataSet, ProfileRow, Site, SitePower};
use devnet::energy_manager::{EnergyManager, Household};
use devnet::fleet::bank::{MeterBank, Registers};
use devnet::fleet::profile_clock::ProfileClock;
use devnet::fleet::storage::Plan;
use pilot::battery::Step;
use pilot::quantile::Quantiles;
use proptest::prelude::*;
use service::lifecycle::Shutdown;
use service::secret::Secret;
use store::PgPool;
use store::forecasts::{self, Run};
use url::Url;
use web::{Deps, Mode, StackInfo, WebConfig};
use world::{SLOT_S, World, at, member_id, site_id, slot};

/// One site `s0` with a battery of 10 kWh and 4 kW, which may take or give 1 kWh in a slot.
fn household(powers: &[(u32, u32)]) -> Arc<DataSet> {
    let site = Site {
        id: "s0".to_owned(),
        connection_node: String::new(),
        load_kinds: Vec::new(),
        load_profiles: Vec::new(),
        load_peak_w: 5_000,
        pv_peak_w: 5_000,
        battery_wh: 10_000,
        battery_w: 4_000,
    };
    let row = |(number, (load_w, pv_w)): (usize, &(u32, u32))| ProfileRow {
        slot_start: at(900 * i64::try_from(number).unwrap()),
        powers: vec![SitePower { load_w: *load_w, pv_w: *pv_w }],
    };
    Arc::new(DataSet {
        sites: vec![site],
        rows: powers.iter().enumerate().map(row).collect(),
        slot_seconds: 900,
    })
}

fn bank(data: &Arc<DataSet>, dir: &std::path::Path) -> MeterBank {
    let length = Duration::from_secs(u64::try_from(SLOT_S).unwrap());
    let clock = ProfileClock::new(at(0), length, data.slot_seconds, data.rows.len()).unwrap();
    MeterBank::new(Arc::clone(data), clock).with_batteries(dir).unwrap()
}

/// Import less export, in mWh.
fn net_mwh(registers: &Registers) -> i64 {
    i64::try_from(registers.import_mwh).unwrap() - i64::try_from(registers.export_mwh).unwrap()
}

/// The charge that the state file says, in Wh, and what is taken in the slot that plays.
fn state(dir: &std::path::Path) -> (i64, i64) {
    let bytes = std::fs::read(dir.join("s0.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    (json["stored_wh"].as_i64().unwrap(), json["taken_wh"].as_i64().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_meter_counts_load_less_generation_plus_what_the_battery_takes(
        powers in prop::collection::vec((0..5_000_u32, 0..5_000_u32), 1..6),
        plans in prop::collection::vec(prop::option::of(-3_000..3_000_i64), 1..24),
        reserve_wh in 0..10_000_i64,
        restart_at in 0..24_usize,
        pieces in 1..7_i64,
    ) {
        let (data, dir) = (household(&powers), tempfile::tempdir().unwrap());
        let mut meters = bank(&data, dir.path());
        let mut before = meters.registers(0, at(0)).unwrap();
        let mut stored_wh = state(dir.path()).0;
        for (number, planned) in plans.iter().enumerate() {
            if number == restart_at {
                meters = bank(&data, dir.path());
            }
            let wide = i64::try_from(number).unwrap();
            let next = u64::try_from(number).unwrap() + 1;
            let steps = planned.map(|wh| (next, wh)).into_iter().collect();
            meters.follow(0, Plan { reserve_wh, steps });
            let taken_wh = state(dir.path()).1;
            let mut last = before;
            for piece in 1..=pieces {
                let now = slot(wide) + TimeDelta::seconds(SLOT_S) * i32::try_from(piece).unwrap() / i32::try_from(pieces).unwrap();
                let seen = meters.registers(0, now).unwrap();
                prop_assert!(seen.import_mwh >= last.import_mwh && seen.export_mwh >= last.export_mwh);
                last = seen;
            }
            let SitePower { load_w, pv_w } = data.rows[number % data.rows.len()].powers[0];
            // A quarter hour at 1 W is 250 mWh.
            let own_mwh = (i64::from(load_w) - i64::from(pv_w)) * 250;
            prop_assert_eq!(net_mwh(&last) - net_mwh(&before), own_mwh + taken_wh * 1_000);
            // The next slot has begun: what it does is decided, and fits the battery. 5 % are lost each way.
            let (after_wh, next_wh) = state(dir.path());
            prop_assert!((-1_000..=1_000).contains(&next_wh) && (0..=10_000).contains(&after_wh));
            if next_wh < 0 {
                prop_assert_eq!((stored_wh - after_wh) * 950 / 1_000, -next_wh);
            } else {
                prop_assert_eq!(after_wh - stored_wh, next_wh * 950 / 1_000);
            }
            if planned.is_some_and(|wh| wh < 0) || next_wh < 0 {
                prop_assert!(after_wh >= reserve_wh.min(stored_wh));
            }
            (before, stored_wh) = (last, after_wh);
        }
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_the_market_plans_is_what_the_meter_shows(pool: PgPool) {
    let world = World::new(pool.clone(), "demo", 2).await;
    sqlx::query("UPDATE sites SET battery_wh = 10000, battery_w = 4000 WHERE site_id = 's0'")
        .execute(&pool)
        .await
        .unwrap();
    let (data, dir) = (household(&[(1_000, 0)]), tempfile::tempdir().unwrap());
    let meters = Arc::new(bank(&data, dir.path()));
    let shutdown = Shutdown::new();
    let listen_addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = WebConfig { listen_addr, workers: 1, ..WebConfig::default() };
    let bound = web::bind(&config, deps(&world), &shutdown).unwrap();
    let api = Url::parse(&format!("http://{}", bound.addr())).unwrap();
    let serving = tokio::spawn(bound.serve());
    let households = [0, 1].map(|number| Household {
        member_id: member_id(number),
        site_id: site_id(number),
        site_index: number,
    });
    let manager =
        EnergyManager::new(api, world.id().clone(), households.to_vec(), Arc::clone(&meters), world.clock())
            .unwrap();

    let start = meters.registers(0, world.manual.now()).unwrap();
    assert_eq!(manager.look().await, 0, "nothing is planned yet");
    let step = |charge_wh, discharge_wh, stored_wh| Step { charge_wh, discharge_wh, loss_wh: 0, stored_wh };
    let run = Run {
        site_id: site_id(0),
        made_at: at(1),
        first_slot_start: slot(1),
        learned_slots: 3,
        share_percent: 80,
        residual: vec![Quantiles::certain(-250); 3],
        reserve_wh: 500,
        stored_before_wh: 1_000,
        battery: vec![step(800, 0, 1_760), step(0, 250, 1_496), step(0, 0, 1_496)],
    };
    let mut tx = pool.begin().await.unwrap();
    forecasts::keep(&mut tx, world.id(), &[run]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(manager.look().await, 1, "one site has a battery");
    shutdown.stop();
    serving.await.unwrap().unwrap();
    assert_eq!(manager.look().await, 0, "nobody answers any more: it goes on with what it has");

    // 250 Wh a slot by itself; 250 Wh are then given, and in the fourth slot it meets the lack without a plan.
    let shown: Vec<i64> = (0..=5).map(|n| net_mwh(&meters.registers(0, slot(n)).unwrap())).collect();
    let imported: Vec<i64> = shown.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(imported, [250_000, 1_050_000, 0, 250_000, 0]);
    assert_eq!(net_mwh(&start), shown[0]);
}

fn deps(world: &World) -> Deps {
    Deps {
        pool: world.pool.clone(),
        clock: world.clock(),
        token: Secret::new("0123456789abcdef0123456789abcdef".to_owned()),
        stack: StackInfo {
            mode: Mode::Demonstration,
            notes: vec![],
            started_at: at(0),
            profile_seconds_per_slot: None,
        },
    }
}
