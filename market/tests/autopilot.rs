//! The autopilot on real rows: pausing, a planned battery, what is kept, and what a start rebuilds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use domain::ids::SiteId;
use domain::order::Side;
use market::community::CommunityMarket;
use pilot::settings::{Preset, Settings};
use store::orders::{self, OrderStatus};
use store::{PgPool, autopilot, forecasts, trades};
use support::{World, at, slot};

fn site(number: usize) -> SiteId {
    SiteId::new(&format!("s{number}")).unwrap()
}

async fn set(world: &World, number: usize, settings: Settings) {
    let mut tx = world.pool.begin().await.unwrap();
    let now = world.clock().now();
    autopilot::change(&mut tx, world.id(), &site(number), &settings, None, "test", now).await.unwrap();
    tx.commit().await.unwrap();
}

async fn turn(market: &mut CommunityMarket) {
    while market.tick().await.unwrap().goes_on() {}
}

/// Both sites have 400 Wh over in each slot, so that their offers rest.
async fn read_surplus(world: &World, boundary: i64) {
    let list: Vec<_> =
        (0..world.sites).map(|site| (site, boundary, 1 + boundary, 0, 400 * boundary)).collect();
    world.read_all(&list).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn pausing_stops_new_orders_and_cancels_what_rests(pool: PgPool) {
    let world = World::new(pool, "demo", 2).await;
    let mut market = world.market();
    for boundary in 0..3 {
        world.manual.set(slot(boundary));
        turn(&mut market).await;
        read_surplus(&world, boundary).await;
    }
    world.manual.set(at(21));
    turn(&mut market).await;
    let open = orders::open_of_slot(&world.pool, world.id(), slot(3)).await.unwrap();
    assert_eq!(open.len(), 2, "both rest");
    assert!(open[0].reason.starts_with("Forecast for 12:00:30 UTC: 400 Wh left over"), "{}", open[0].reason);
    set(&world, 0, Settings { paused: true, ..Settings::of_preset(Some(Preset::HandsOff)) }).await;
    world.manual.set(at(23));
    turn(&mut market).await;
    let open = orders::open_of_slot(&world.pool, world.id(), slot(3)).await.unwrap();
    assert_eq!(open.iter().map(|row| row.order.site_id.to_string()).collect::<Vec<_>>(), ["s1"]);
    read_surplus(&world, 3).await;
    world.manual.set(at(31));
    turn(&mut market).await;
    let placed = orders::of_autopilot(&world.pool, world.id(), slot(4)).await.unwrap();
    assert_eq!(placed.iter().map(|order| order.site_id.to_string()).collect::<Vec<_>>(), ["s1"]);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_changed_limit_moves_what_rests_at_once(pool: PgPool) {
    let world = World::new(pool, "demo", 1).await;
    let mut market = world.market();
    for boundary in 0..3 {
        world.manual.set(slot(boundary));
        turn(&mut market).await;
        read_surplus(&world, boundary).await;
    }
    world.manual.set(at(21));
    turn(&mut market).await;
    let limit = domain::units::Price::from_micro_per_kwh(260_000);
    set(&world, 0, Settings { offer_limit: Some(limit), ..Settings::of_preset(Some(Preset::HandsOff)) })
        .await;
    world.manual.set(at(22));
    turn(&mut market).await;
    let open = orders::of_autopilot(&world.pool, world.id(), slot(3)).await.unwrap();
    assert!(open[0].status == OrderStatus::Open && open[0].limit >= limit, "{open:?}");
}

/// Site 0 has 400 Wh over each slot and a battery; site 1 lacks 400 Wh. Returns the market's world.
async fn with_battery(pool: PgPool, name: &str) -> World {
    let world = World::new(pool, name, 2).await;
    sqlx::query(
        "UPDATE sites SET battery_wh = 10000, battery_w = 4000 WHERE community_id = $1 AND site_id = 's0'",
    )
    .bind(name)
    .execute(&world.pool)
    .await
    .unwrap();
    let follows = Settings { follows_battery_plan: true, ..Settings::of_preset(Some(Preset::Greenest)) };
    set(&world, 0, follows).await;
    world
}

async fn live(world: &World, start_over: bool) {
    let mut market = world.market();
    for boundary in 0..4 {
        world.manual.set(slot(boundary));
        if start_over {
            market = world.market();
        }
        turn(&mut market).await;
        // The meter shows what is left once the battery has done what was planned.
        let steps = forecasts::battery_steps(&world.pool, world.id(), slot(0), slot(boundary)).await.unwrap();
        let battery: i64 = steps.values().map(|step| step.net_wh).sum();
        let own = (0, boundary, 1 + boundary, 0, 400 * boundary + battery);
        world.read_all(&[own, (1, boundary, 1 + boundary, 400 * boundary, 0)]).await;
        world.manual.set(at(10 * boundary + 1));
        turn(&mut market).await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn orders_take_the_planned_battery_into_account_and_a_restart_plans_the_same(pool: PgPool) {
    let steady = with_battery(pool.clone(), "steady").await;
    let broken = with_battery(pool, "broken").await;
    live(&steady, false).await;
    live(&broken, true).await;
    let run = forecasts::find(&steady.pool, steady.id(), &site(0)).await.unwrap().unwrap();
    assert_eq!((run.residual.len(), run.battery.len(), run.first_slot_start), (96, 96, slot(4)));
    assert_eq!(run.residual[0].p50_wh, 400, "what the site has over without its battery");
    let mut stored = run.stored_before_wh;
    for step in &run.battery {
        assert_eq!(stored + step.charge_wh, step.stored_wh + step.discharge_wh + step.loss_wh);
        stored = step.stored_wh;
    }
    let placed = orders::of_autopilot(&steady.pool, steady.id(), slot(4)).await.unwrap();
    let own: Vec<_> = placed.iter().filter(|order| order.site_id == site(0)).collect();
    let net = 400 + run.battery[0].net_wh();
    assert_eq!(
        own.first().map(|order| (order.side, order.energy.wh())),
        (net > 0).then_some((Side::Offer, net))
    );
    let again = forecasts::find(&broken.pool, broken.id(), &site(0)).await.unwrap().unwrap();
    assert_eq!(
        (again.residual, again.battery, again.stored_before_wh),
        (run.residual, run.battery, run.stored_before_wh)
    );
    for number in 0..5 {
        let of = |world: &World| {
            let (pool, id) = (world.pool.clone(), world.id().clone());
            async move {
                let rows = trades::of_slot(&pool, &id, slot(number)).await.unwrap();
                rows.iter().map(|row| (row.trade.energy, row.trade.price)).collect::<Vec<_>>()
            }
        };
        assert_eq!(of(&steady).await, of(&broken).await);
    }
}
