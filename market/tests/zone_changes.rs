//! Zones and fees that change while books are open: from which slot on, and that a running market finds them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use chrono::{DateTime, Utc};
use domain::ids::ZoneId;
use domain::order::{Side, TimeInForce};
use domain::units::Price;
use market::runner::Runner;
use pilot::bounds::Bounds;
use store::network_fees::{self, FeeRow, SetFees};
use store::{PgPool, communities, zones};
use support::{World, at, site_id, slot};

fn zone(id: &str) -> ZoneId {
    ZoneId::new(id).unwrap()
}

async fn fee(world: &World, (from, to): (&str, &str), valid_from: DateTime<Utc>, micro: i64) -> SetFees {
    let fee = Price::from_micro_per_kwh(micro);
    let row = FeeRow { from_zone: zone(from), to_zone: zone(to), valid_from, fee };
    let mut tx = world.pool.begin().await.unwrap();
    let set = network_fees::set(&mut tx, world.id(), &[row], world.manual.now()).await.unwrap();
    tx.commit().await.unwrap();
    set
}

async fn open(world: &World, seconds: i64) {
    world.manual.set(at(seconds));
    market::slots::open(&world.pool, &world.community, world.manual.now()).await.unwrap();
}

async fn moved(world: &World, site: usize, to: &str) -> bool {
    zones::assign(&world.pool, world.id(), &site_id(site), &zone(to)).await.unwrap()
}

/// The code with which an order of 5 Wh is refused, if it is.
async fn refusal(
    world: &World,
    runner: &mut Runner,
    (site, number): (usize, i64),
    (side, micro): (Side, i64),
) -> Option<String> {
    let client = format!("{site}-{number}-{}-{micro}", side.as_str());
    let order = world.order(site, &client, slot(number), (side, 5, micro), TimeInForce::GoodTillGate).await;
    runner.tick().await.unwrap();
    world.decision(order).await.1
}

/// The most that a bid of a site may name for a slot, as the API reckons it.
async fn shown(world: &World, site: usize, number: i64) -> i64 {
    let tariff = communities::tariff_at(&world.pool, world.id(), slot(number)).await.unwrap();
    let sites = zones::of_sites(&world.pool, world.id()).await.unwrap();
    let fees = network_fees::of_slot(&world.pool, world.id(), slot(number), &tariff, &sites).await.unwrap();
    Bounds::of_zone(&tariff, &fees, &sites[site].zone_id).unwrap().highest_bid.micro_per_kwh()
}

const ABOVE: Option<&str> = Some("above_retail");

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_changed_fee_bounds_the_slots_that_open_later(pool: PgPool) {
    let world = World::new(pool, "demo", 1).await;
    open(&world, 0).await;
    let mut runner = world.runner();
    runner.tick().await.unwrap();
    let latest_open = slot(3);
    assert_eq!(fee(&world, ("main", "main"), slot(3), 50_000).await, SetFees::TooLate { latest_open });
    assert_eq!(fee(&world, ("main", "main"), slot(4), 50_000).await, SetFees::Stored);
    open(&world, 10).await;
    for (number, highest) in [(3, 288_000), (4, 268_000)] {
        assert_eq!(shown(&world, 0, number).await, highest);
        assert_eq!(refusal(&world, &mut runner, (0, number), (Side::Bid, highest)).await, None);
        let refused = refusal(&world, &mut runner, (0, number), (Side::Bid, highest + 1)).await;
        assert_eq!(refused.as_deref(), ABOVE, "slot {number}");
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_site_that_moves_before_it_trades_is_bounded_by_its_new_zone_at_once(pool: PgPool) {
    let world = World::new(pool, "demo", 3).await;
    assert!(moved(&world, 1, "north").await);
    assert_eq!(fee(&world, ("main", "north"), slot(0), 50_000).await, SetFees::Stored);
    open(&world, 0).await;
    let mut runner = world.runner();
    assert_eq!(refusal(&world, &mut runner, (0, 2), (Side::Bid, 288_000)).await, None);
    assert!(moved(&world, 2, "north").await);
    let highest = shown(&world, 2, 2).await;
    assert_eq!(highest, 268_000);
    let refused = refusal(&world, &mut runner, (2, 2), (Side::Bid, highest + 1)).await;
    assert_eq!(refused.as_deref(), ABOVE);
    assert_eq!(refusal(&world, &mut runner, (2, 2), (Side::Bid, highest)).await, None);
    assert!(!moved(&world, 2, "main").await, "its bid was taken within the bounds of the north");
    assert_eq!(runner.resting(slot(2)).unwrap().len(), 2);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_new_zone_trades_and_bounds_the_others_from_the_next_slot_on_that_opens(pool: PgPool) {
    let world = World::new(pool, "demo", 3).await;
    assert_eq!(fee(&world, ("main", "main"), slot(0), 10_000).await, SetFees::Stored);
    open(&world, 0).await;
    let mut runner = world.runner();
    assert_eq!(refusal(&world, &mut runner, (0, 2), (Side::Bid, 308_000)).await, None);
    // What comes from the north pays the tariff's 3 ct: with that the bid above would cost more than the grid.
    assert!(moved(&world, 2, "north").await);
    for side in [Side::Offer, Side::Bid] {
        let refused = refusal(&world, &mut runner, (2, 2), (side, 100_000)).await;
        assert_eq!(refused.as_deref(), Some("slot_not_open"));
    }
    assert_eq!(refusal(&world, &mut runner, (0, 3), (Side::Bid, 308_000)).await, None);
    open(&world, 10).await;
    assert_eq!(shown(&world, 0, 4).await, 288_000);
    let refused = refusal(&world, &mut runner, (0, 4), (Side::Bid, 288_001)).await;
    assert_eq!(refused.as_deref(), ABOVE);
    assert_eq!(refusal(&world, &mut runner, (0, 4), (Side::Bid, 288_000)).await, None);
    assert_eq!(refusal(&world, &mut runner, (2, 4), (Side::Offer, 100_000)).await, None);
    let trades = store::trades::of_slot(&world.pool, world.id(), slot(4)).await.unwrap();
    assert_eq!(trades.len(), 1);
    // Whoever starts now finds the same.
    let mut started = world.runner();
    let refused = refusal(&world, &mut started, (2, 3), (Side::Offer, 100_000)).await;
    assert_eq!(refused.as_deref(), Some("slot_not_open"));
    assert_eq!(started.resting(slot(3)), runner.resting(slot(3)));
}
